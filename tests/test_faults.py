"""What must hold when processes, threads or disks misbehave, and when nothing does."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError
from processes import DEADLINE
from sklearn.model_selection import cross_validate

from sklearn_elmodes import (
    ElementAutoencoder,
    FormationEnergyRegressor,
    load_model,
    make_formation_energy_pipeline,
)
from sklearn_elmodes.elements import property_table

MODEL = Path(__file__).parent / "data" / "model_schema_1.safetensors"
FORMULAS = ["K2NaAlF6", "Cs2NaBiCl6", "Rb2LiInBr6", "K2LiGaO6"]
SMALL = {"n_estimators": 2, "hidden_layer_sizes": (16, 16), "max_iter": 5, "random_state": 0}


def crystals(elpasolites):
    X, y = elpasolites
    return X[:400], y[:400]


def test_equal_seeds_give_equal_bits_on_any_number_of_threads(elpasolites):
    X, y = crystals(elpasolites)
    formulas = [f"{a}{b}{c}2{d}6" for a, b, c, d in X]
    table = property_table("herr2019")
    found = []
    try:
        for threads in (1, 2, 1, 4):
            torch.set_num_threads(threads)
            found.append(
                [
                    make_formation_energy_pipeline("elpasolite", **SMALL).fit(X, y).predict(X),
                    make_formation_energy_pipeline(**SMALL).fit(formulas, y).predict(formulas),
                    ElementAutoencoder(3, max_iter=20, random_state=0).fit_transform(table),
                ]
            )
    finally:
        torch.set_num_threads(1)
    for other in found[1:]:
        for one, two in zip(found[0][:2], other[:2], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6)
        np.testing.assert_allclose(found[0][2], other[2], rtol=1e-6, atol=1e-12)
    for one, two in zip(found[0], found[2], strict=True):  # one thread each
        np.testing.assert_array_equal(one, two)


def predict(path):
    return load_model(path).predict(FORMULAS)


def test_predictions_from_threads():
    model = load_model(MODEL)
    expected = model.predict(FORMULAS * 50)
    start = threading.Barrier(8)

    def run(_):
        start.wait()
        return [model.predict(FORMULAS * 50) for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(run, range(8)):
            for result in results:
                np.testing.assert_array_equal(result, expected)


def predict_with_loaded(_):
    return LOADED.predict(FORMULAS)


LOADED = None


def predict_in_forks():
    global LOADED
    LOADED = load_model(MODEL)
    LOADED.predict(FORMULAS)  # torch is at work before the fork
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        return list(pool.map(predict_with_loaded, range(4), timeout=DEADLINE))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_predictions_from_processes(method):
    expected = load_model(MODEL).predict(FORMULAS)
    # No fork of this process: a thread of another test that is about to end may hold a lock of
    # MKL's, which stays locked in the child.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        if method == "fork":
            results = pool.submit(predict_in_forks).result(timeout=DEADLINE)
        else:
            results = pool.map(predict, [str(MODEL)] * 4, timeout=DEADLINE)
        for result in results:
            np.testing.assert_array_equal(result, expected)


class DyingRegressor(FormationEnergyRegressor):
    """Its worker is killed in the middle of a fit."""

    def fit(self, X, y):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_killed_worker_gives_an_error():
    X, y = np.random.RandomState(0).rand(20, 4), np.arange(20.0)
    with pytest.raises(TerminatedWorkerError):
        cross_validate(DyingRegressor(), X, y, n_jobs=2, cv=4)


@pytest.mark.parametrize(
    "y",
    [
        np.full(8, 3.0),
        np.full(8, -1e12),
        np.linspace(-1e12, 1e12, 8),
        np.linspace(-1e-12, 1e-12, 8),
        np.linspace(-1, 1, 8, dtype=np.float32),
        np.arange(8),
        np.arange(8, dtype=np.uint8),
        np.arange(8) > 3,
        np.arange(8, dtype=object),
    ],
    ids=repr,
)
def test_extreme_targets(y):
    X = np.random.RandomState(0).rand(8, 3)
    model = FormationEnergyRegressor(**SMALL).fit(X, y)
    energy, std = model.predict(X, return_std=True)
    y = y.astype(float)
    assert np.isfinite(energy).all()
    assert np.isfinite(std).all()
    assert energy.min() >= y.mean() - 5 * max(np.ptp(y), abs(y[0]), 1e-12)
    assert energy.max() <= y.mean() + 5 * max(np.ptp(y), abs(y[0]), 1e-12)
    FormationEnergyRegressor(**SMALL).fit(X[:2], y[:2]).predict(X[:1])


def test_a_full_disk_leaves_no_dataset(elpasolites, tmp_path):
    code = """
import http.server, os, resource, signal, sys, threading
from pathlib import Path
from sklearn.datasets import get_data_home
from sklearn_elmodes.datasets import _elpasolites, fetch_elpasolites

class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

os.chdir(Path(get_data_home()) / "elpasolites")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
_elpasolites._URL = f"http://127.0.0.1:{server.server_port}/train_set.pkl"
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
try:
    fetch_elpasolites(data_home=sys.argv[1])
except OSError as error:
    print("OSError", error)
print([path.name for path in Path(sys.argv[1]).rglob("*.pkl")])
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
print(fetch_elpasolites(data_home=sys.argv[1]).data.shape)
print([path.name for path in Path(sys.argv[1]).rglob("*") if "part" in path.name])
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    lines = run.stdout.splitlines()
    assert lines[0].startswith("OSError"), run.stderr
    assert lines[1:] == ["[]", "(10590, 4)", "[]"]


def test_a_data_home_that_cannot_be_written(tmp_path):
    from sklearn_elmodes.datasets import fetch_elpasolites

    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        fetch_elpasolites(data_home=tmp_path / "file" / "home")
    assert os.listdir(tmp_path) == ["file"]
