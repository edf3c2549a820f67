"""The code of the README and the docs runs, and their figures are those of the results files."""

import json
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sklearn_elmodes import load_pretrained, persistence
from sklearn_elmodes.cli import main
from sklearn_elmodes.datasets import load_expt_formation_enthalpies

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)
README_BLOCKS = BLOCK.findall(README)


@pytest.mark.parametrize("number", range(len(README_BLOCKS)))
def test_every_block_of_the_readme_stands_alone(number, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(README_BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_of_the_docs_runs_from_top_to_bottom(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)
        assert capsys.readouterr().out


def test_there_is_code_to_run():
    assert any("GridSearchCV" in block for block in README_BLOCKS)


def test_the_readme_is_read_within_a_minute():
    assert len(README.splitlines()) <= 130


def test_figures_in_the_texts_are_those_of_the_benchmarks_page():
    figure = re.compile(r"\b0\.[0-9]{3,4}\b|\b[0-9]{2}(?:\.[0-9])?%")
    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *PAGES)]
    texts = [re.sub(r"```.*?```", "", text, flags=re.DOTALL) for text in texts]
    for path in (ROOT / "examples").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        texts.append("\n".join(line for line in lines if line.startswith("# ")))
    found = [number for text in texts for number in figure.findall(text.replace(" %", "%"))]
    assert len(found) > 30
    known = set(figure.findall(BENCHMARKS.replace(" %", "%")))
    assert [number for number in found if number not in known] == []


def test_the_headline_is_the_measured_one():
    scores = result("learning_curve")["n_train"]["8472"]
    ours, single, recipe = (
        scores[name]["mae"]["mean"]
        for name in ("default pipeline", "single network", "paper's recipe, re-run")
    )
    text = README.replace("\n", " ")
    assert f"test error of **{ours:.4f} eV/atom**" in text
    assert f"; a single network has {single:.4f}." in text
    assert f"has {recipe:.4f} when re-run on the same five splits" in text
    chlorine = result("held_out_elements")["elements"]["Cl"]["default pipeline"]["mae"]
    assert f"the error on them is {chlorine:.3f} eV/atom" in text


def result(name):
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def test_the_subset_and_the_speed_are_the_measured_ones():
    subset = result("skipatom_subset")
    ours, kernel = (
        subset[name]["mae"]
        for name in ("default pipeline", "Laplacian kernel ridge on the properties")
    )
    text = BENCHMARKS.replace("\n", " ")
    assert f"the default pipeline has {ours['mean']:.4f} ± {ours['std']:.4f} and" in text
    assert f"kernel ridge on the properties {kernel['mean']:.4f}; the SkipAtom" in text
    speed = result("featurization")["elpasolites"]
    formulas = speed["strings to pooled features"]["median"]
    assert f"{round(formulas, -3):,.0f} formulas per second" in text
    sites = speed["site arrays of symbols to features"]["median"]
    assert f"{sites / 1e6:.1f} million rows per second of site arrays" in text
    seconds = result("learning_curve")["n_train"]["8472"]["default pipeline"]["seconds"]["mean"]
    assert f"takes about {seconds:.0f} s on one core" in text


def test_screening_is_the_measured_one():
    found = result("screening")
    assert (found["n_ordered"], found["n_distinct"]) == (1_974_024, 987_012)
    hours = found["magpie_random_forest_seconds_extrapolated"] / 3600
    for text in (
        f"takes {np.median(found['seconds']['values']):.0f} s on two cores",
        f"at {found['share_of_matrix_product_peak']:.0%} of the machine's peak matrix-multiply",
        f"and {found['peak_memory_mb']:.0f} MB of memory",
        f"would take {hours:.1f} hours,",
        f"Predicting one row takes {found['one_row_ms']:.1f} ms.",
    ):
        assert text in BENCHMARKS.replace("\n", " ")


def test_held_out_elements_are_the_measured_ones():
    held_out = result("held_out_elements")
    for name, found in held_out["summary"].items():
        errors = (found["mean_mae"], found["median_mae"], held_out["elements"]["Cl"][name]["mae"])
        cells = [f"{error:.3f}" for error in errors] + [f"{found['share_r2_above_0.95']:.0%}"]
        label = "mean of the training crystals" if name == "mean" else name
        assert f"| {label} | {' | '.join(cells)} |" in BENCHMARKS

    tuned_on = "H Li Be C N O F Ne P S Cl Tl".split()
    others = [scores for element, scores in held_out["elements"].items() if element not in tuned_on]
    assert len(others) == 27
    ours, modes, properties = (
        np.mean([scores[name]["mae"] for scores in others])
        for name in held_out["summary"]
        if name != "mean"
    )
    text = BENCHMARKS.replace("\n", " ")
    assert f"the other 27 the mean error is {ours:.3f}, against {modes:.3f} for kernel" in text
    assert f"on the modes and {properties:.3f} on the properties" in text


def test_periodic_trends_are_the_measured_ones():
    trends = result("periodic_trends")
    for case, label in {
        "herr2019 4": "4 {} of 10 properties",
        "herr2019 8": "8 {} of 10 properties",
        "extended 12": "12 {} of 25 properties",
    }.items():
        for name in ("modes", "principal components"):
            found = trends[case][name]
            cells = [label.format(name)]
            cells += [f"{found[key]['mean']:.3f}" for key in ("r2", "r2_left_out")]
            cells += [f"{found['rank_correlation']:.2f}", f"{found['share_of_neighbours']:.0%}"]
            assert f"| {' | '.join(cells)} |" in BENCHMARKS
    found = trends["published 4"]
    cells = [f"{found['rank_correlation']:.2f}", f"{found['share_of_neighbours']:.0%}"]
    assert f"| the authors' 4 modes | – | – | {' | '.join(cells)} |" in BENCHMARKS


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


def commands_of_the_texts():
    """Yield the elmodes commands in blocks of code of README and docs, with their page."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.[mr][ds]*"))):
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"^ *(elmodes .*)$", text, flags=re.MULTILINE):
            yield page.name, line


def test_commands_can_be_pasted():
    found = list(commands_of_the_texts())
    assert {"README.md", "command_line.rst"} <= {page for page, _ in found}
    for page, line in found:
        assert not set("‘’“”–") & set(line), (page, line)
        _, name, *arguments = shlex.split(line)
        command = main.commands[name]
        command.make_parser(click.Context(command)).parse_args(arguments)  # options exist
