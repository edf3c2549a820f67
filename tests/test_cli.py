import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sklearn_elmodes.cli import main

HEAVY = {"torch", "skorch", "matminer", "pymatgen", "pandas", "sklearn"}


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(out.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import sklearn_elmodes",
        "import sklearn_elmodes.cli",
        "from sklearn_elmodes import Prototype",
    ],
)
def test_importing_loads_nothing_heavy(statement):
    assert not HEAVY & modules_after(statement)


def test_every_public_name_resolves():
    import sklearn_elmodes

    for name in sklearn_elmodes.__all__:
        assert getattr(sklearn_elmodes, name).__doc__
        assert name in dir(sklearn_elmodes)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sklearn_elmodes.nothing


def test_demo_writes_tables_and_pictures(tmp_path):
    result = CliRunner().invoke(
        main, ["demo", "--quick", "--folds", "2", "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "mode_map.png",
        "modes.csv",
        "parity.png",
        "periodic_table.png",
        "predictions.csv",
    ]
    modes = pd.read_csv(tmp_path / "out" / "modes.csv", index_col=0, keep_default_na=False)
    assert modes.shape == (103, 12)
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    assert len(predictions) == 2135
    assert np.isfinite(predictions.iloc[:, 1:].astype(float)).all(axis=None)
    assert "K2NaAlF6" in result.output
    for path in (tmp_path / "out").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_errors_are_one_line_and_an_exit_code(tmp_path):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["demo", "--quick", "-o", str(tmp_path / "file" / "out")])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert CliRunner().invoke(main, ["demo", "--folds", "1"]).exit_code == 2


def test_help_and_version():
    assert "demo" in CliRunner().invoke(main, ["--help"]).output
    assert "0.1.0" in CliRunner().invoke(main, ["--version"]).output
