import gzip
import hashlib
import http.server
import json
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from processes import DEADLINE

from sklearn_elmodes.datasets import (
    _elpasolites,
    _expt_formation_enthalpies,
    fetch_elpasolites,
    load_expt_formation_enthalpies,
)

NAME = "train_set.pkl"


class Handler(http.server.BaseHTTPRequestHandler):
    """Send the content whole, from an offset, truncated or not at all."""

    def do_GET(self):
        server = self.server
        content, start, status = server.content, 0, 200
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.failure:
            self.send_error(server.failure)
            return
        if wanted and server.ranges:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if server.cut is None else server.cut
        self.wfile.write(content[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.cut, server.ranges, server.failure = b"", None, True, None
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/{NAME}"
        monkeypatch.setattr(_elpasolites, "_URL", url)
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def real_bytes(elpasolites):
    from sklearn.datasets import get_data_home

    return (Path(get_data_home()) / "elpasolites" / NAME).read_bytes()


def files_in(folder):
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return sorted(path.name for path in files if not path.name.endswith(".lock"))


def test_download_verifies_caches_and_is_not_repeated(server, real_bytes, tmp_path):
    server.content = real_bytes
    X, _y = fetch_elpasolites(data_home=tmp_path, return_X_y=True)
    assert X.shape == (10590, 4)
    assert files_in(tmp_path) == [NAME]
    fetch_elpasolites(data_home=tmp_path)
    fetch_elpasolites(data_home=tmp_path, download_if_missing=False)
    assert len(server.requests) == 1


def test_an_interrupted_download_is_resumed(server, real_bytes, tmp_path):
    server.content, server.cut = real_bytes, 100_000
    with pytest.raises(OSError, match="IncompleteRead"):
        fetch_elpasolites(data_home=tmp_path)
    assert NAME not in files_in(tmp_path)
    server.cut = None
    fetch_elpasolites(data_home=tmp_path)
    first, second = server.requests
    assert first is None
    assert 90_000 < int(second.removeprefix("bytes=").rstrip("-")) <= 100_000
    assert files_in(tmp_path) == [NAME]


def test_a_server_without_ranges_sends_the_whole_file(server, real_bytes, tmp_path):
    server.content, server.cut = real_bytes, 100_000
    with pytest.raises(OSError, match="IncompleteRead"):
        fetch_elpasolites(data_home=tmp_path)
    server.cut, server.ranges = None, False
    fetch_elpasolites(data_home=tmp_path)
    assert files_in(tmp_path) == [NAME]


@pytest.mark.parametrize("kind", ["truncated", "flipped", "longer", "page", "hostile", "empty"])
def test_wrong_bytes_raise_and_leave_no_file(server, real_bytes, tmp_path, kind):
    flipped = bytearray(real_bytes)
    flipped[1000] ^= 1
    server.content = {
        "truncated": real_bytes[:-1],
        "flipped": bytes(flipped),
        "longer": real_bytes + b"x",
        "page": b"<html>404</html>",
        "hostile": pickle.dumps(Payload(tmp_path / "owned")),
        "empty": b"",
    }[kind]
    with pytest.raises(ValueError, match="is not the expected file"):
        fetch_elpasolites(data_home=tmp_path)
    assert files_in(tmp_path) == []
    server.content = real_bytes
    fetch_elpasolites(data_home=tmp_path)


def test_a_corrupted_file_is_downloaded_again(server, real_bytes, tmp_path):
    server.content = real_bytes
    (tmp_path / "elpasolites").mkdir()
    (tmp_path / "elpasolites" / NAME).write_bytes(real_bytes[:-5])
    with pytest.raises(OSError, match="download_if_missing=False"):
        fetch_elpasolites(data_home=tmp_path, download_if_missing=False)
    fetch_elpasolites(data_home=tmp_path)


def test_errors_of_the_server(server, tmp_path):
    server.failure = 503
    with pytest.raises(OSError, match="503"):
        fetch_elpasolites(data_home=tmp_path)
    with pytest.raises(OSError, match="is missing"):
        fetch_elpasolites(data_home=tmp_path, download_if_missing=False)


def test_two_threads_at_once(server, real_bytes, tmp_path):
    server.content = real_bytes
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(fetch_elpasolites, data_home=tmp_path) for _ in range(2)]
        assert all(job.result().target.shape == (10590,) for job in jobs)
    assert files_in(tmp_path) == [NAME]


def fetch_from(url, folder):
    _elpasolites._URL = url
    return fetch_elpasolites(data_home=folder).target.shape


def test_two_processes_at_once(server, real_bytes, tmp_path):
    server.content = real_bytes
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(fetch_from, _elpasolites._URL, tmp_path) for _ in range(2)]
        assert [job.result(timeout=DEADLINE) for job in jobs] == [(10590,)] * 2
    assert files_in(tmp_path) == [NAME]


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_only_arrays_are_rebuilt_from_the_pickle(real_bytes, tmp_path):
    numbers, energies = _elpasolites.read_elpasolites(real_bytes)
    assert numbers.shape == (10590, 4)
    assert energies.shape == (10590,)
    good = {"ANs": np.ones((3, 4), "i4"), "FEs": np.zeros(3)}
    hostile = {
        "payload": Payload(tmp_path / "owned"),
        "payload inside": {"ANs": Payload(tmp_path / "owned"), "FEs": np.zeros(3)},
        "objects": {"ANs": np.array([[None] * 4]), "FEs": np.zeros(1)},
        "strings": {"ANs": np.array([["Na"] * 4]), "FEs": np.zeros(1)},
        "shapes": good | {"FEs": np.zeros(4)},
        "flat": good | {"ANs": np.ones(12, "i4")},
        "too heavy": good | {"ANs": np.full((3, 4), 119, "i4")},
        "zero": good | {"ANs": np.zeros((3, 4), "i4")},
        "gaps": good | {"FEs": np.array([1.0, np.nan, 2.0])},
        "missing": {"ANs": np.ones((3, 4), "i4")},
        "list": [1, 2],
    }
    for name, value in hostile.items():
        with pytest.raises(ValueError, match="elpasolite file"):
            _elpasolites.read_elpasolites(pickle.dumps(value, protocol=2))
        assert not (tmp_path / "owned").exists(), name
    reconstruct = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    huge = reconstruct + b"J\xff\xff\xff\x7f\x85U\x01b\x87R."
    far = b"\x80\x02}r\xff\xff\xff\x3f."  # a memo of a billion entries
    deep = b"\x80\x02}(K\x01" + b"q\x00h\x00\x86" * 60 + b"Nu."  # a key of 2**60 parts
    called = b"\x80\x02cnumpy\nndarray\n(J\x80\xc3\xc9\x01\x85U\x02O8tR."  # 240 MB of objects
    for content in (huge, far, deep, called, b"", b"\x80", real_bytes[:1000], b"garbage"):
        with pytest.raises(ValueError, match="elpasolite file"):
            _elpasolites.read_elpasolites(content)


def test_elpasolites_agree_with_the_shared_table(elpasolites, shared_table):
    X, y = elpasolites
    table = shared_table("elpasolites/elpasolites_10590.csv.gz")
    assert [f"{a}{b}{c}2{d}6" for a, b, c, d in X] == table["formula"].tolist()
    np.testing.assert_allclose(y, table["e_form_ev_per_fu"] / 10, rtol=1e-12)


def test_elpasolite_bunch(elpasolites):
    bunch = fetch_elpasolites(as_frame=True)
    assert bunch.data.columns.tolist() == bunch.feature_names == ["A", "B", "C", "D"]
    assert bunch.target.name == "formation_energy_ev_per_atom"
    assert bunch.frame.shape == (10590, 5)
    assert "Faber" in bunch.DESCR
    assert fetch_elpasolites().frame is None


def test_measured_enthalpies(enthalpies):
    X, y = enthalpies
    assert X.shape == y.shape == (2135,)
    assert y[X.tolist().index("NaCl")] == pytest.approx(-2.13, abs=0.02)
    frame = load_expt_formation_enthalpies(as_frame=True).frame
    assert frame.columns.tolist() == ["formula", "formation_enthalpy_ev_per_atom"]
    assert frame["formula"].map(type).eq(str).all()


@pytest.mark.parametrize("place", _expt_formation_enthalpies._PLACES)
def test_both_locations_of_the_file_in_pymatgen(place, tmp_path, monkeypatch):
    package = tmp_path / "pymatgen"
    path = package / place
    path.parent.mkdir(parents=True)
    rows = [{"formula": "Na2O", "exp energy": -4.2}]
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: type("Spec", (), {"submodule_search_locations": [str(package)]}),
    )
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    assert X.tolist() == ["Na2O"]
    np.testing.assert_allclose(y, [-1.4])


def test_without_pymatgen(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"come with pymatgen \(pip install pymatgen\)"):
        load_expt_formation_enthalpies()


def test_hash_in_the_code_is_that_of_the_file(real_bytes):
    assert hashlib.sha256(real_bytes).hexdigest() == _elpasolites._SHA256
    assert len(real_bytes) == _elpasolites._MAX_BYTES
