"""The code of the README and the docs runs, and its figures are those of the results files."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from sklearn_elmodes import load_pretrained, persistence
from sklearn_elmodes.cli import main
from sklearn_elmodes.datasets import load_expt_formation_enthalpies

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)
README_BLOCKS = BLOCK.findall(README)


@pytest.mark.parametrize("number", range(len(README_BLOCKS)))
def test_every_block_of_the_readme_stands_alone(number, capsys):
    exec(compile(README_BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.stem)
def test_code_of_the_docs_runs_from_top_to_bottom(page, capsys):
    names = {"__name__": page.stem}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)
        assert capsys.readouterr().out


def test_there_is_code_to_run():
    assert any("GridSearchCV" in block for block in README_BLOCKS)


def test_figures_in_the_docs_and_examples_are_those_of_the_readme():
    figure = re.compile(r"\b0\.[0-9]{3,4}\b|\b[0-9]{2}(?:\.[0-9])?%")
    texts = [(ROOT / "docs" / "what_modes_are.md").read_text(encoding="utf-8")]
    for path in (ROOT / "examples").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        texts.append("\n".join(line for line in lines if line.startswith("# ")))
    found = [number for text in texts for number in figure.findall(text.replace(" %", "%"))]
    assert len(found) > 20
    known = README.replace(" %", "%")
    assert [number for number in found if number not in known] == []


def result(name):
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def test_model_card_of_the_general_model():
    card = load_pretrained("oqmd").model_card_
    folder = Path(persistence.__file__).parent / "pretrained"
    assert card == (folder / "oqmd.md").read_text(encoding="utf-8")
    assert f"{result('train_general')['validation']['mae']:.4f} eV/atom" in card


def test_model_card_has_the_measured_figure():
    mae = result("learning_curve")["n_train"]["8472"]["default pipeline"]["mae"]
    card = load_pretrained("elpasolites").model_card_
    assert card == (Path(persistence.__file__).parent / "pretrained" / "elpasolites.md").read_text(
        encoding="utf-8"
    )
    assert f"{mae['mean']:.4f} ± {mae['std']:.4f}" in card


def test_commands_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_commands_for_the_shell_run(tmp_path, monkeypatch):
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"formula": X[::30], "energy": y[::30]})
    table.to_csv("energies.csv", index=False)
    pd.DataFrame({"formula": ["NaCl", "Xx", "CaTiO3"]}).to_csv("candidates.csv", index=False)
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "evaluate" in b)
    for line in block.splitlines():
        name, *arguments = shlex.split(line)
        assert name == "elmodes"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (line, result.output)
    assert pd.read_csv("predicted.csv", keep_default_na=False)["formula"].tolist() == [
        "NaCl",
        "CaTiO3",
    ]
    assert pd.read_csv("rejected.csv", keep_default_na=False)["row"].tolist() == [1]
    assert len(pd.read_csv("best.csv", keep_default_na=False)) == 20
    for page in ("report.html", "mine.html"):
        assert "<html" in Path(page).read_text(encoding="utf-8")
