"""Test screening against plain prediction, interrupted, in parallel and on a cluster."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from processes import DEADLINE, pause_before, send_once, wait_for
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes import (
    ElementalModeTransformer,
    Prototype,
    load_pretrained,
    make_formation_energy_pipeline,
    screen,
)
from sklearn_elmodes.candidates import FormulaCandidates

ELEMENTS = ["Li", "Na", "K", "Mg", "Ca", "Al", "Ga", "O", "F", "Cl", "H"]
SITES = list("ABCD")


@pytest.fixture(scope="module")
def model():
    return load_pretrained("elpasolites")


@pytest.fixture(scope="module")
def space():
    return Prototype("elpasolite").candidates(ELEMENTS)


@pytest.fixture(scope="module")
def everything(model, space):
    """Predict the whole space without a screening."""
    table = pd.DataFrame(space.to_numpy().astype(object), columns=SITES)
    table["predicted"], table["std"] = model.predict(space.to_numpy(), return_std=True)
    table.index.name = "candidate"
    return table


def assert_same(found, expected):
    assert found.index.tolist() == expected.index.tolist()
    assert found.columns.tolist() == expected.columns.tolist()
    assert found.index.name == "candidate"
    np.testing.assert_array_equal(found[SITES], expected[SITES])
    for name in set(found.columns) - set(SITES):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.mark.parametrize("batch_size", [100, 65_536])
def test_the_best_are_found(model, space, everything, batch_size):
    found = screen(model, space, k=7, return_std=True, batch_size=batch_size)
    assert_same(found, everything.nsmallest(7, "predicted"))
    highest = screen(model, space, k=7, objective="max", batch_size=batch_size)
    assert_same(highest, everything.nlargest(7, "predicted").drop(columns="std"))
    assert len(screen(model, space, k=10**6, batch_size=batch_size)) == len(space)


def test_objective_and_filters(model, space, everything):
    def near_zero(frame):
        return (frame["predicted"].abs() + frame["std"]).where(frame["A"] != "H", np.inf)

    found = screen(model, space, k=5, objective=near_zero, return_std=True, batch_size=500)
    expected = everything.assign(score=near_zero(everything)).nsmallest(5, "score")
    assert_same(found, expected)
    found = screen(
        model, space, k=20, max_std=0.12, exclude_elements=["F", "H"], batch_size=500, verbose=0
    )
    allowed = ~everything[SITES].isin(["F", "H"]).any(axis=1) & (everything["std"] <= 0.12)
    assert_same(found, everything[allowed].nsmallest(20, "predicted"))
    assert not len(screen(model, space, max_std=0.0))


def test_distance_from_the_training_data(model, space):
    training = np.array([["Na", "Al", "K", "F"], ["Li", "Ga", "Na", "Cl"], ["Mg", "Ca", "K", "O"]])
    found = screen(model, space, k=10**6, X_train=training, batch_size=999).sort_index()
    transformer = model[0]
    features = transformer.transform(space.to_numpy()).astype(float)
    known = transformer.transform(np.vstack([training, training[:, [1, 0, 2, 3]]])).astype(float)
    expected = np.sqrt(((features[:, None] - known) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(found["distance"], expected, atol=2e-3)
    own = found[(found[SITES] == ["Na", "Al", "K", "F"]).all(axis=1)]
    assert own["distance"].item() == pytest.approx(0, abs=1e-3)
    near = screen(model, space, k=10**6, X_train=training, max_distance=3.0)
    assert sorted(near.index) == found.index[found["distance"] <= 3.0].tolist()
    assert 0 < len(near) < len(space)
    # Training crystals may be given as formulas, too.
    formulas = screen(
        model, space, k=3, X_train=["K2NaAlF6", "Na2LiGaCl6", "K2CaMgO6"], max_distance=3.0
    )
    assert_same(formulas, near.head(3))


@pytest.mark.parametrize(
    "between", [[StandardScaler()], [PCA(7)], [StandardScaler(), "passthrough"]]
)
def test_distance_with_steps_between(space, between):
    rows = space[:40]
    model = make_pipeline(ElementalModeTransformer(prototype="elpasolite"), *between, Ridge())
    model.fit(rows, np.arange(40.0))
    found = screen(model, rows[:, [1, 0, 2, 3]], k=40, X_train=rows)
    np.testing.assert_allclose(found["distance"], 0, atol=1e-2)
    model[0].set_output(transform="pandas")
    model.fit(rows, np.arange(40.0))
    found = screen(model, rows[:, [1, 0, 2, 3]], k=40, X_train=rows)
    np.testing.assert_allclose(found["distance"], 0, atol=1e-2)


def test_errors_name_the_position_in_all_candidates(tmp_path):
    formulas = ["NaCl", "KCl", "NaBr", "NaXx"]
    ridge = make_pipeline(ElementalModeTransformer(), Ridge()).fit(formulas[:3], [1.0, 2.0, 3.0])
    for settings in ({}, {"exclude_elements": ["F"]}, {"output": tmp_path / "new"}):
        with pytest.raises(ValueError, match=r"Row 3: .*'NaXx'"):
            screen(ridge, formulas, batch_size=2, **settings)
    with pytest.raises(ValueError, match=r"X_train: Row 1: .*'NaXx'"):
        screen(ridge, formulas[:3], X_train=["NaCl", "NaXx"])
    with pytest.raises(ValueError, match="Ridge does not"):
        screen(ridge, formulas[:3], return_std=True)
    crystals = make_pipeline(ElementalModeTransformer(prototype="AB"), Ridge())
    crystals.fit([["Na", "Cl"], ["K", "Br"]], [1.0, 2.0])
    with pytest.raises(ValueError, match="Row 3: expected 2 sites, as in row 0, got 1"):
        screen(crystals, [["Na", "Cl"], ["K", "Br"], ["K", "Cl"], "NaBr"], batch_size=2)


def test_pymatgen_compositions_are_written(tmp_path):
    from pymatgen.core import Composition

    formulas = ["NaCl", "KO2", "MgO"]
    ridge = make_pipeline(ElementalModeTransformer(), Ridge()).fit(formulas, [1.0, 2.0, 3.0])
    column = [Composition(formula) for formula in formulas]
    found = screen(ridge, column, output=tmp_path)
    assert found.index.tolist() == screen(ridge, formulas).index.tolist()
    pd.testing.assert_frame_equal(screen(ridge, column, output=tmp_path), found)


def test_any_regressor_and_any_sequence(model, space):
    formulas = ["NaCl", "KBr", "MgO", "CaF2", "Al2O3", "LiF"]
    energies = [-2.1, -2.0, -3.0, -4.2, -3.4, -3.2]
    ridge = make_pipeline(ElementalModeTransformer(), Ridge()).fit(formulas, energies)
    expected = dict(zip(formulas, ridge.predict(formulas), strict=True))
    best = sorted(formulas, key=expected.__getitem__)[:3]
    for column in (formulas, np.array(formulas), pd.Series(formulas)):
        found = screen(ridge, column, k=3, batch_size=2)
        assert found["formula"].tolist() == best
        np.testing.assert_allclose(found["predicted"], [expected[f] for f in best])
    table = pd.DataFrame({"compound": formulas})
    named = make_pipeline(ElementalModeTransformer(), Ridge()).fit(table, energies)
    assert screen(named, table, k=3)["compound"].tolist() == best
    assert screen(named, formulas, k=3)["formula"].tolist() == best
    amounts = [{"Na": 1, "Cl": 1}, {"Mg": 1, "O": 1}]
    assert screen(ridge, amounts, k=1).loc[1, "formula"] == {"Mg": 1, "O": 1}
    oxides = FormulaCandidates(
        ["Na", "Al", "O"], n_elements=2, oxidation_states={"Na": 1, "Al": 3, "O": -2}
    )
    assert set(screen(ridge, oxides)["formula"]) == {"Na2O", "Al2O3"}
    rows = space[:20].tolist()
    assert_same(screen(model, rows, k=4), screen(model, space[:20], k=4))


def test_a_std_at_the_limit_is_allowed(model, space, everything):
    limit = float(np.sort(everything["std"])[10])
    found = screen(model, space, k=10**6, max_std=limit)
    assert len(found) == 11
    assert found["std"].max() == limit


@pytest.mark.parametrize("objective", ["min", "max", lambda frame: 0 * frame["predicted"]])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_of_equal_candidates_the_first_win(objective, batch_size):
    formulas = ["NaCl", "KCl", "LiF", "KBr", "CsI"]
    found = screen(Constant().fit(None), formulas, k=2, objective=objective, batch_size=batch_size)
    assert found.index.tolist() == [0, 1]
    assert found["formula"].tolist() == formulas[:2]


class Constant(RegressorMixin, BaseEstimator):
    """Predict a constant, which may be NaN."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), self.value)


def test_ties_are_broken_by_position(space):
    found = screen(Constant().fit(None), space, k=5, batch_size=3, n_jobs=2)
    assert found.index.tolist() == [0, 1, 2, 3, 4]
    assert screen(Constant().fit(None), space[:0]).empty


def test_invalid_arguments(model, space):
    for settings, message in [
        ({"k": 0}, "k=0"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"objective": "lowest"}, "'min', 'max', 'decomposition_energy' or a callable"),
        ({"max_distance": 1.0}, "max_distance requires"),
        ({"exclude_elements": ["Xx"]}, "exclude_elements: .*'Xx'"),
        (
            {"exclude_elements": "CO"},
            r"exclude_elements must be a list of symbols such as \['Li'\], got 'CO'",
        ),
        ({"max_std": "0.1"}, "max_std='0.1' must be a number"),
        ({"max_std": np.nan}, "must be a number"),
        ({"objective": lambda frame: [1.0]}, "one number for each"),
        (
            {"objective": lambda frame: frame["predicted"] * np.nan},
            "objective of candidate 0 is NaN",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            screen(model, space, **settings)
    with pytest.raises(ValueError, match="has a column 'std', which is reserved for results"):
        screen(model, pd.DataFrame({"std": ["K2NaAlF6"]}))
    with pytest.raises(ValueError, match="must have a length and slicing"):
        screen(model, iter(["NaCl"]))
    for single in ("NaCl", {"Na": 1}):
        with pytest.raises(ValueError, match="must have a length and slicing"):
            screen(model, single)
    for other in ("ABCD", "A2BCD6"):
        with pytest.raises(ValueError, match="but the model was trained for ABC2D6"):
            screen(model, Prototype(other).candidates(ELEMENTS).shard(0, 2))
    with pytest.raises(ValueError, match="Candidate 0, H Li O F, has the predicted value nan"):
        screen(Constant(np.nan).fit(None), space[:1])
    small = make_formation_energy_pipeline(max_iter=1, n_estimators=1)
    small.fit(["NaCl", "KBr"], [-2.0, -1.9])
    with pytest.raises(ValueError, match=r"Row 3: .*'NaXx'"):
        screen(small, ["NaCl", "KCl", "NaBr", "NaXx"], batch_size=2)
    with pytest.raises(ValueError, match="need a pipeline with a transformer"):
        screen(Constant().fit(None), space, X_train=space[:2])
    strange = Prototype("elpasolite").candidates(["Na", "Al", "K", "F", "Og", "Lv"])
    with pytest.raises(ValueError, match="contain Lv, Og, for which the model has no modes"):
        screen(model, strange)
    assert len(screen(model, strange, exclude_elements=["Lv", "Og"])) == 12


def test_every_prediction_is_written(model, space, everything, tmp_path):
    found = screen(
        model, space, k=3, return_std=True, output=tmp_path / "all", batch_size=700, max_std=0.1
    )
    assert_same(found, everything[everything["std"] <= 0.1].nsmallest(3, "predicted"))
    written = pd.read_parquet(tmp_path / "all", columns=["candidate", *everything.columns])
    assert_same(written.set_index("candidate"), everything)
    assert len(list((tmp_path / "all").glob("part-*.parquet"))) == -(-len(space) // 700)


def test_a_finished_screening_is_read_with_other_filters(model, space, everything, tmp_path):
    screen(model, space, k=3, return_std=True, output=tmp_path, batch_size=1000)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("part-*")}
    again = screen(
        model, space, k=9, objective="max", return_std=True, output=tmp_path, batch_size=1000
    )
    assert_same(again, everything.nlargest(9, "predicted"))
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("part-*")}


def test_a_folder_of_another_screening_raises(model, space, tmp_path):
    settings = {"output": tmp_path / "own", "batch_size": 1000}
    screen(model, space, **settings)
    other = Prototype("elpasolite").candidates([*ELEMENTS[:-1], "Br"])
    sites = Prototype("elpasolite", equivalent_sites=()).candidates(ELEMENTS)
    changed = load_pretrained("elpasolites")
    changed[-1].target_mean_ += 0.001
    for arguments, message in [
        ((model, other), "candidates"),
        ((model, sites), "n_candidates"),
        ((model, space.shard(0, 2)), "n_candidates"),
        ((changed, space), "values of predicted: another model"),
    ]:
        with pytest.raises(ValueError, match=f"belongs to another screening.*{message}"):
            screen(*arguments, **settings)
    for more in ({"batch_size": 500}, {"return_std": True}, {"exclude_elements": ["F"]}):
        with pytest.raises(ValueError, match="belongs to another screening"):
            screen(model, space, **{**settings, **more})
    small = {"output": tmp_path / "small", "batch_size": 1000}
    screen(Constant(1e-6).fit(None), space, **small)
    with pytest.raises(ValueError, match="another model"):
        screen(Constant(5e-5).fit(None), space, **small)
    (tmp_path / "own" / "._screening.json.0123").touch()  # a killed process may leave this
    screen(model, space, **settings)
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match="contains other files"):
        screen(model, space, output=folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    for record in ("{}", "[]", "null", "{", '{"format": 1}', "\udcff"):
        (folder / "_screening.json").write_bytes(record.encode(errors="surrogateescape"))
        with pytest.raises(ValueError, match="is not a screening manifest"):
            screen(model, space, output=folder)


def test_corrupted_shards_are_rewritten_and_foreign_ones_raise(model, space, tmp_path):
    settings = {"output": tmp_path, "batch_size": 1000, "k": 5}
    expected = screen(model, space, **settings)
    first, second = sorted(tmp_path.glob("part-*"))[:2]
    whole = first.read_bytes()
    table = pd.read_parquet(first)
    damages = [b"", whole[: len(whole) // 2], b"PAR1" + whole[4:-40] + b"\x00" * 40]
    frames = [table.drop(columns="predicted"), table.assign(predicted=np.nan)]
    for number, damage in enumerate([*damages, *frames]):
        if number < len(damages):
            first.write_bytes(damage)
        else:
            damage.to_parquet(first, index=False)
        with pytest.warns(UserWarning, match="part-000000.parquet is corrupted"):
            pd.testing.assert_frame_equal(screen(model, space, **settings), expected)
        assert first.read_bytes() == whole
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match="its candidates differ"):
        screen(model, space, **settings)
    table.iloc[::-1].to_parquet(first, index=False)
    with pytest.raises(ValueError, match="its candidates differ"):
        screen(model, space, **settings)


def test_a_flipped_bit_is_detected(model, space, tmp_path):
    settings = {"output": tmp_path, "batch_size": 500, "k": 5}
    expected = screen(model, space, **settings)
    path = min(tmp_path.glob("part-*"))
    whole = path.read_bytes()
    rng = np.random.RandomState(0)
    for position in rng.randint(len(whole), size=20):
        content = bytearray(whole)
        content[position] ^= 1 << rng.randint(8)
        path.write_bytes(content)
        with pytest.warns(UserWarning, match="part-000000.parquet is corrupted"):
            pd.testing.assert_frame_equal(screen(model, space, **settings), expected)
        assert path.read_bytes() == whole


def test_two_screenings_do_not_share_a_folder(model, space, tmp_path):
    from filelock import FileLock

    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="Another process"):
        screen(model, space, output=tmp_path)


SCRIPT = """
import sys, torch
from sklearn_elmodes import Prototype, load_pretrained, screen
torch.set_num_threads(1)
space = Prototype("elpasolite").candidates(sys.argv[2].split(","))
screen(load_pretrained("elpasolites"), space, k=20, return_std=True, output=sys.argv[1],
       batch_size=256, verbose=1)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_resumed(model, space, tmp_path, number):
    settings = {"k": 20, "return_std": True, "batch_size": 256}
    expected = screen(model, space, **settings)
    code = pause_before("part-000010.parquet") + SCRIPT
    ended = send_once(
        number,
        lambda: len(list(tmp_path.glob("part-*"))) >= 3,
        code,
        tmp_path,
        ",".join(ELEMENTS),
    )
    assert ended.returncode != 0
    assert "candidates/s" in ended.stderr  # the progress bar
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("part-*")}
    assert 3 <= len(finished) < -(-len(space) // 256)
    pd.testing.assert_frame_equal(screen(model, space, output=tmp_path, **settings), expected)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())


def test_parallel_results_are_equal(model, space):
    settings = {"k": 20, "return_std": True, "batch_size": 500}
    expected = screen(model, space, **settings)
    pd.testing.assert_frame_equal(screen(model, space, n_jobs=2, **settings), expected)


@pytest.fixture
def cluster(tmp_path):
    """Start a dask scheduler and two workers as separate processes that use TCP."""
    distributed = pytest.importorskip("distributed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SCIPY_ARRAY_API": "1"}
    address_file = tmp_path / "scheduler.json"
    processes = []

    def start(module, *arguments):
        command = [sys.executable, "-m", module, "--scheduler-file", str(address_file)]
        command += ["--host", "127.0.0.1", "--no-dashboard", *arguments]
        with (tmp_path / f"{len(processes)}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
            )
        return processes[-1]

    start("distributed.cli.dask_scheduler", "--port", "0")
    wait_for(lambda: address_file.exists() and address_file.read_text().strip())
    workers = [
        start("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny") for _ in range(2)
    ]
    try:
        with distributed.Client(json.loads(address_file.read_text())["address"]) as client:
            client.wait_for_workers(2, timeout=DEADLINE)
            yield client, workers
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.filterwarnings("ignore")  # dask warns of the lost worker
def test_dask_cluster_that_loses_a_worker(model, space, tmp_path, cluster, monkeypatch):
    _, workers = cluster
    settings = {"k": 20, "return_std": True, "batch_size": 128}
    expected = screen(model, space, **settings)
    output = tmp_path / "all"
    killed = []
    replace = Path.replace

    def kill(path, target):
        """Kill a worker when some batches are written; others wait, or are predicted."""
        written = len(list(output.glob("part-*")))
        if written == 4 and not killed:
            os.kill(workers[0].pid, signal.SIGKILL)
            killed.append(written)
        return replace(path, target)

    monkeypatch.setattr("pathlib.Path.replace", kill)
    with joblib.parallel_config(backend="dask"):
        found = screen(model, space, output=output, **settings)
    assert killed[0] < -(-len(space) // 128), "the screening finished before the worker died"
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.filterwarnings("ignore")
def test_grid_search_on_a_dask_cluster(cluster):
    formulas = ["NaCl", "KBr", "MgO", "CaF2", "Al2O3", "LiF", "KCl", "NaF"]
    energies = [-2.1, -2.0, -3.0, -4.2, -3.4, -3.2, -2.2, -2.9]
    search = GridSearchCV(
        make_formation_energy_pipeline(max_iter=3, n_estimators=2, random_state=0),
        {"formationenergyregressor__alpha": [1e-3, 1e-2]},
        cv=2,
    )
    expected = search.fit(formulas, energies).cv_results_["mean_test_score"].tolist()
    with joblib.parallel_config(backend="dask"):
        found = search.fit(formulas, energies).cv_results_["mean_test_score"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_message_without_pyarrow_names_the_package(model, space, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"sklearn-elmodes\[screen\]"):
        screen(model, space, output=Path(tmp_path))


def test_distance_and_screening_with_a_set_network():
    formulas = ["NaCl", "KBr", "Fe2O3", "CaTiO3", "LiF", "SiO2"]
    model = make_formation_energy_pipeline(max_iter=2, random_state=0).fit(formulas, range(6))
    space = FormulaCandidates(["Li", "Fe", "O"], amounts=range(1, 4))
    found = screen(model, space, k=10**6, X_train=["Fe2O3", "Li2O"]).sort_index()
    assert len(found) == len(space)
    np.testing.assert_allclose(found["predicted"], model.predict(found["formula"]), rtol=1e-6)
    distance = found.set_index("formula")["distance"]
    assert distance.idxmin() in {"Fe2O3", "Li2O"}
    statistics = ElementalModeTransformer().fit_transform(["Fe2O3", "Li2O", "LiFeO2"])
    scaled = StandardScaler().fit(statistics[:2]).transform(statistics)
    expected = np.linalg.norm(scaled[2] - scaled[:2], axis=1).min()
    assert np.isclose(screen(model, ["LiFeO2"], X_train=["Fe2O3", "Li2O"])["distance"], expected)


def test_a_kept_folder_knows_model_and_training_rows_exactly(space, tmp_path):
    """Also if no probe, and no candidate, shows the difference."""
    rows, energies = space[:40], np.arange(40.0)

    def fitted(scaler=None, last=None):
        model = make_formation_energy_pipeline(
            "elpasolite", n_estimators=2, hidden_layer_sizes=(8,), max_iter=1, random_state=0
        )
        steps = [model[0], scaler or StandardScaler(), last or model[-1]]
        return make_pipeline(*steps).fit(rows, energies)

    def changed(change):
        model = fitted()
        change(model)
        return model

    def change_a_mode(model):  # of an element that no candidate contains
        modes = model[0].element_modes_
        values = modes.values.copy()
        values[modes.symbols.index("Xe"), 3] += 1e-3
        model[0]._set_mode_table(list(modes.symbols), values)

    def change_a_weight(model):
        weight = next(iter(model[-1].net_.module_.parameters()))
        weight.data[0, 0, 0] += 1e-6

    def change_the_scale(model):
        model[1].scale_[2] *= 1 + 1e-9

    def change_the_std(model):
        model[-1].std_scale_ *= 2

    model = fitted()
    settings = {"output": tmp_path / "own", "batch_size": 1000, "k": 3, "X_train": rows}
    expected = screen(model, space, **settings)
    pd.testing.assert_frame_equal(screen(fitted(), space, **settings), expected)
    pd.testing.assert_frame_equal(
        screen(model, space, **{**settings, "X_train": rows.tolist()}), expected
    )
    for change, step in [
        (change_a_mode, "elementalmodetransformer"),
        (change_the_scale, "standardscaler"),
        (change_a_weight, "formationenergyregressor"),
        (change_the_std, "formationenergyregressor"),
    ]:
        with pytest.raises(ValueError, match=f"it differs in step '{step}' of the model"):
            screen(changed(change), space, **settings)
    far = np.vstack([rows, [["Xe", "Rn", "Kr", "Ar"]]])
    for training in (far, rows[:-1], None):
        with pytest.raises(ValueError, match=r"belongs to another screening.*(training|columns)"):
            screen(model, space, **{**settings, "X_train": training})
    # Steps of other packages are compared by their predictions.
    foreign = {**settings, "output": tmp_path / "foreign"}
    found = screen(fitted(last=Ridge()), space, **foreign)
    pd.testing.assert_frame_equal(screen(fitted(last=Ridge()), space, **foreign), found)
    with pytest.raises(ValueError, match="values of predicted: another model"):
        screen(fitted(last=Ridge(alpha=100)), space, **foreign)
    with pytest.raises(ValueError, match="step 'standardscaler' of the model"):
        screen(fitted(last=Ridge(), scaler=StandardScaler(with_mean=False)), space, **foreign)


def test_training_rows_are_compared_as_they_are_read(tmp_path):
    formulas = ["NaCl", "Fe2O3", "K2O"]
    model = make_formation_energy_pipeline(n_estimators=2, max_iter=1, random_state=0)
    model.fit(formulas, [1.0, 2.0, 3.0])
    settings = {"output": tmp_path, "k": 2}
    expected = screen(model, formulas, X_train=formulas, **settings)
    same = ["ClNa", {"O": 3, "Fe": 2}, "K2O1"]
    pd.testing.assert_frame_equal(screen(model, formulas, X_train=same, **settings), expected)
    for other in (["NaCl", "Fe2O3", "K2O1.0001"], ["NaCl", "Fe2O3", "K2O", "XeF2"]):
        with pytest.raises(ValueError, match=r"it differs in .*training rows"):
            screen(model, formulas, X_train=other, **settings)


def test_screening_refuses_rows_that_a_model_would_predict_as_nan(tmp_path):
    model = make_pipeline(
        *make_formation_energy_pipeline(n_estimators=2, max_iter=1, random_state=0)
        .set_params(elementalmodetransformer__handle_invalid="nan")
        .fit(["NaCl", "KBr"], [1.0, 2.0])
    )
    with pytest.raises(ValueError, match=r"Candidate 1, Na\)Cl, has the predicted value nan"):
        screen(model, ["NaCl", "Na)Cl"])
