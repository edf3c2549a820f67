"""Every benchmark runs in its quick mode and writes finite numbers."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
from processes import DEADLINE

FOLDER = Path(__file__).parent.parent / "benchmarks"
NEED_ELPASOLITES = {
    "calibration",
    "featurization",
    "held_out_elements",
    "learning_curve",
    "regressors",
    "representations",
    "screening",
    "skipatom_subset",
    "training_overhead",
}
PAGES = [FOLDER.parent / "README.md", FOLDER / "README.md"]
NEED_TABLES = {
    "any_formula": ["oqmd_formation_enthalpy/train.csv.gz", "mp_formation_energy/train.csv.gz"],
    "featurization": ["oqmd_formation_enthalpy/train.csv.gz"],
    "growth": ["oqmd_formation_enthalpy/train.csv.gz"],
    "regressors": ["mp_formation_energy/train.csv.gz"],
    "stability": ["oqmd_formation_enthalpy/train.csv.gz", "mp_formation_energy/train.csv.gz"],
    "train_general": ["oqmd_formation_enthalpy/train.csv.gz"],
    "transfer": ["ssub_formation_enthalpy/ssub_expt.csv.gz"],
}
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_mode(name, tmp_path, request):
    if name in NEED_ELPASOLITES:
        request.getfixturevalue("elpasolites")
    for table in NEED_TABLES.get(name, ()):
        request.getfixturevalue("shared_table")(table)
    filters = [f"-W{line}" for line in request.config.getini("filterwarnings")]
    command = [sys.executable, *filters, str(FOLDER / f"{name}.py")]
    command += ["--quick", "--threads", "1", "--output", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, timeout=DEADLINE)
    written = sorted(tmp_path.glob("*.json"))
    assert written
    for path in written:
        assert path.stem.startswith(name)
        content = json.loads(path.read_text())
        assert content["quick"] is True
        assert content["versions"]["torch"]
        found = numbers(content["results"])
        assert len(found) > 2
        assert np.isfinite(found).all()


def test_every_script_has_a_stored_full_run():
    stored = {path for path in (FOLDER / "results").glob("*.json") if path.stem != "check"}
    for path in stored:
        assert json.loads(path.read_text())["quick"] is False
        assert any(path.stem.startswith(name) for name in SCRIPTS)
    for name in SCRIPTS:
        assert any(path.stem.startswith(name) for path in stored)


def check(*arguments):
    command = [sys.executable, str(FOLDER / "_check.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_a_loss_of_speed_is_found(elpasolites, tmp_path):
    options = ("--output", tmp_path, "amounts", "sites")
    assert check("--store", *options).returncode == 0
    done = check(*options)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "check.json"
    content = json.loads(path.read_text())
    content["results"]["sites"]["ratio"] /= 1 - 0.4
    path.write_text(json.dumps(content))
    done = check(*options)
    assert done.returncode == 1
    lost = re.fullmatch(
        r"sites is ([0-9]+)% slower: [0-9.]+ times as fast as its reference, instead of [0-9.]+\n",
        done.stderr,
    )
    assert 25 < int(lost[1]) < 55


@pytest.fixture
def guard(tmp_path, monkeypatch):
    """Run the check of a pair whose calls take these seconds of a clock of their own."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import _check

    now = 0.0

    def work(seconds):
        nonlocal now
        now += next(seconds)

    def run(*options, ours=(), reference=None):
        def pair():
            """Both of them."""
            return partial(work, iter(ours)), partial(work, iter(reference or repeat(0.2)))

        monkeypatch.setattr(_check, "GUARDED", {"pair": pair})
        monkeypatch.setattr(_check, "cpu_seconds", lambda: now)
        monkeypatch.setattr("sys.argv", ["_check.py", "--output", str(tmp_path), *options])
        _check.main()

    return run


def test_only_a_lasting_loss_of_speed_counts(guard):
    guard("--store", ours=repeat(0.1))
    guard(ours=repeat(0.1))
    guard(ours=repeat(0.3), reference=repeat(0.6))  # a slower machine
    guard(ours=repeat(0.1 / (1 - 0.2)))
    guard(ours=chain(repeat(0.3, 5), repeat(0.1)))  # a few rounds only
    lost = "^pair is 40% slower: 1.2 times as fast as its reference, instead of 2$"
    with pytest.raises(SystemExit, match=lost):
        guard(ours=repeat(0.1 / (1 - 0.4)))


def test_a_check_without_stored_ratios_says_how_to_store_them(guard):
    with pytest.raises(SystemExit, match=r"check\.json lacks pair: python .*/_check\.py --store"):
        guard("pair")


def test_every_version_of_a_peer_is_pinned():
    files = sorted((FOLDER / "peers").glob("*.txt"))
    assert files
    for path in files:
        lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
        names = [re.fullmatch(r"([\w.-]+)==[\w.]+", line)[1].lower() for line in lines]
        assert path.stem in names


@pytest.fixture
def tables(monkeypatch):
    """Run _tables.py in this process, which has imported what it needs."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(*arguments):
        """Return the message with which it fails, if it does."""
        monkeypatch.setattr("sys.argv", ["_tables.py", *map(str, arguments)])
        try:
            runpy.run_path(str(FOLDER / "_tables.py"), run_name="__main__")
        except SystemExit as failure:
            return failure.code
        return None

    return run


@pytest.mark.parametrize("page", PAGES, ids=["README", "benchmarks"])
def test_tables_are_what_the_results_say(page, tables):
    assert tables("--check", page) is None


def test_an_altered_table_is_found_and_mended(tmp_path, tables):
    page = tmp_path / "README.md"
    block = r"<!-- table: measured_enthalpies -->\n.*?<!-- end -->"
    text = re.search(block, PAGES[1].read_text(encoding="utf-8"), flags=re.DOTALL).group()
    page.write_text(f"Before.\n{re.sub(r'0[.]0', '0.1', text)}\nAfter.\n", encoding="utf-8")
    assert f"Out of date: {page}" in tables("--check", page)
    assert tables(page) is None
    assert page.read_text(encoding="utf-8") == f"Before.\n{text}\nAfter.\n"
    assert tables("--check", page) is None


def test_a_missing_results_file_is_named(tmp_path, tables):
    failure = tables("--check", "--results", tmp_path, PAGES[0])
    assert "learning_curve.json is missing" in failure


@pytest.mark.slow
def test_bench_quick(elpasolites, shared_table):
    shared_table("oqmd_formation_enthalpy/train.csv.gz")
    missing = [
        name
        for name in ("cbfv", "elementembeddings")
        if not (FOLDER / ".venvs" / name / "pins.txt").exists()
    ]
    if missing or shutil.which("make") is None:
        pytest.skip(f"needs make, and the environments {missing}: make bench-quick makes them")
    # With this Python in place of that of .venv.
    command = ["make", "bench-quick", f"BIN={Path(sys.executable).parent}"]
    done = subprocess.run([*command, "--old-file=.venv/test.stamp"], cwd=FOLDER.parent)
    assert done.returncode == 0
    found = json.loads((FOLDER.parent / ".bench-quick" / "featurization.json").read_text())
    assert "ElementEmbeddings, mean" in found["results"]["elpasolites"]
