"""Every example runs to its end, without a warning and without leaving anything behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import DEADLINE

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def run(tmp_path, pytestconfig):
    """Run a script as a user would, but for warnings, which end it as they end a test."""
    folder = tmp_path / "empty"
    folder.mkdir()
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    environment.pop("DISPLAY", None)  # Agg warns that it cannot show anything there
    filters = [f"-W{text}" for text in pytestconfig.getini("filterwarnings")]

    def run(path):
        result = subprocess.run(
            [sys.executable, *filters, str(path)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        return result, sorted(folder.iterdir())

    return run


def repository_status():
    """What git sees that is not committed; None where this is no checkout."""
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=all"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None


def test_there_are_examples():
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, run, request):
    text = path.read_text(encoding="utf-8")
    if "fetch_elpasolites" in text:
        request.getfixturevalue("elpasolites")  # or a skip
    for module in ("lightgbm", "mapie", "optuna"):
        if f"import {module}" in text or f"from {module}" in text:
            pytest.importorskip(module)
    before = repository_status()
    result, left = run(path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n") >= 3
    assert "plt.show()" in text
    assert left == []
    assert repository_status() == before


@pytest.mark.parametrize(
    "last_line", ["raise SystemExit(3)", "1 / 0", "import warnings; warnings.warn('!')"]
)
def test_an_example_that_fails_or_warns_would_be_found(run, tmp_path, last_line, pytestconfig):
    if "warn" in last_line and "error" not in pytestconfig.getini("filterwarnings"):
        pytest.skip("only warnings of the package are errors in this run")
    (tmp_path / "example.py").write_text(f"print('so far, so good')\n{last_line}\n")
    result, _ = run(tmp_path / "example.py")
    assert result.returncode != 0
