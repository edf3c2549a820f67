"""The README's code runs, and its figures are those of the results files."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_runs(number, capsys):
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_there_is_code_to_run():
    assert any("GridSearchCV" in block for block in BLOCKS)


def result(name):
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def test_figures_are_the_measured_ones():
    models = result("elpasolites")["models"]
    for name, label in {
        "default pipeline": "default pipeline",
        "single network": "a single network of it",
        "paper's recipe, re-run": "the paper's recipe, re-run",
        "Laplacian kernel ridge on the modes": "Laplacian kernel ridge on the modes",
    }.items():
        mae, rmse = models[name]["mae"], models[name]["rmse"]
        cells = [f"{score['mean']:.4f} ± {score['std']:.4f}" for score in (mae, rmse)]
        assert f"| {label} | {cells[0]} | {cells[1]} |" in README
    measured = result("measured_enthalpies")
    for name in (
        "elemental modes, default pipeline",
        "a single network of it",
        "element fractions, same network",
        "extra trees on pooled modes",
        "extra trees on Magpie",
        "mean of the training data",
    ):
        assert f"| {name} | {measured[name]['mae']:.4f} |" in README


def test_commands_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
