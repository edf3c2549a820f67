"""Every benchmark runs in its quick mode and writes finite numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
NEED_ELPASOLITES = {
    "calibration",
    "featurization",
    "held_out_elements",
    "learning_curve",
    "screening",
    "skipatom_subset",
    "training_overhead",
}
NEED_TABLES = {
    "any_formula": ["oqmd_formation_enthalpy/train.csv.gz", "mp_formation_energy/train.csv.gz"],
    "transfer": ["ssub_formation_enthalpy/ssub_expt.csv.gz"],
    "train_general": ["oqmd_formation_enthalpy/train.csv.gz"],
}
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_mode(name, tmp_path, request):
    if name in NEED_ELPASOLITES:
        request.getfixturevalue("elpasolites")
    for table in NEED_TABLES.get(name, ()):
        request.getfixturevalue("shared_table")(table)
    filters = [f"-W{line}" for line in request.config.getini("filterwarnings")]
    command = [sys.executable, *filters, str(FOLDER / f"{name}.py")]
    command += ["--quick", "--threads", "1", "--output", str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300)
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
    stored = sorted((FOLDER / "results").glob("*.json"))
    for path in stored:
        assert json.loads(path.read_text())["quick"] is False
        assert any(path.stem.startswith(name) for name in SCRIPTS)
    for name in SCRIPTS:
        assert any(path.stem.startswith(name) for path in stored)
