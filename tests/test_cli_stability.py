"""The command ``elmodes stability`` and ``elmodes screen --hull``."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from pymatgen.entries.computed_entries import ComputedEntry

from sklearn_elmodes import CompetingPhases
from sklearn_elmodes.cli import main


def run(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def table(text):
    return pd.DataFrame([json.loads(line) for line in text.splitlines()])


def test_formulas_are_compared_with_the_included_phases():
    found = table(run("stability", "NaCl3", "Na3AlF9", "--json"))
    assert found.columns.tolist() == ["formula", "hull_energy", "products"]
    assert found["products"].tolist() == ["0.5 NaCl + 0.5 Cl", "0.769 Na3AlF6 + 0.231 F"]
    found = table(run("stability", "NaCl3", "--model", "oqmd", "--json"))
    assert found["decomposition_energy"][0] == pytest.approx(
        found["predicted"][0] - found["hull_energy"][0], abs=1e-6
    )


def test_energies_and_phases_from_tables(tmp_path):
    (tmp_path / "phases.csv").write_text("formula,e\nLi2O,-2.0\nLi2O2,-1.65\n")
    (tmp_path / "mine.csv").write_text("formula,mine\nLiO2,-1.0\nQq,1\nLi3O2,x\nLi₃O₂,-1.9\n")
    options = ["--hull", tmp_path / "phases.csv", "--hull-energy", "e", "--energy", "mine"]
    options += ["-i", tmp_path / "mine.csv", "--on-error", "skip", "--formulas", "clean"]
    rejected, out = tmp_path / "bad.csv", tmp_path / "out.csv"
    run("stability", *options, "--rejected", rejected, "-o", out)
    assert pd.read_csv(rejected)["row"].tolist() == [1, 2]
    found = pd.read_csv(out)
    assert found["formula"].tolist() == ["LiO2", "Li₃O₂"]
    assert found["decomposition_energy"].tolist() == pytest.approx([0.1, -0.04], abs=1e-8)
    assert found["products"].tolist() == ["0.667 Li2O2 + 0.333 O", "0.6 Li2O + 0.4 Li2O2"]


def test_a_saved_hull_and_screening(tmp_path):
    path = tmp_path / "hull.safetensors"
    CompetingPhases("OQMD").fit(["Li2O", "Li2O2"], [-2.0, -1.65]).save(path)
    arguments = ["screen", "oqmd", "-e", "Li,O", "--hull", path, "-k", 4, "--json"]
    found = table(run(*arguments))
    assert found["decomposition_energy"].is_monotonic_increasing
    assert "products" in found
    lowest = table(run(*arguments, "--objective", "min", "--max-above-hull", 0.5))
    assert lowest["predicted"].is_monotonic_increasing
    assert (lowest["decomposition_energy"] <= 0.5).all()


def test_json_of_the_materials_project(tmp_path):
    path = tmp_path / "mp.json"
    documents = [
        {"formula_pretty": "Li2O", "formation_energy_per_atom": -2.0, "thermo_type": "R2SCAN"},
        {"formula_pretty": "Li2O2", "formation_energy_per_atom": -1.65, "thermo_type": "R2SCAN"},
    ]
    path.write_text(json.dumps({"data": documents}))
    arguments = ["stability", "LiO2", "--hull", path, "--json"]
    assert table(run(*arguments))["hull_energy"][0] == pytest.approx(-1.1)
    assert "the source 'OQMD', the hull has" in run(*arguments, "--model", "oqmd", code=1)
    documents[0]["thermo_type"] = "GGA_GGA+U"
    path.write_text(json.dumps(documents))
    assert "mixes energies of GGA_GGA+U, R2SCAN; keep one" in run(*arguments, code=1)
    entries = [("Li", -1.9), ("O2", -9.9), ("Li4O2", -28.62), ("Li2O2", -20.3)]
    path.write_text(json.dumps([ComputedEntry(*entry).as_dict() for entry in entries]))
    expected = (-20.3 + 2 * 1.9 + 9.9) / 4 * 2 / 3
    assert table(run(*arguments))["hull_energy"][0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("3", "must contain a list of documents or entries"),
        ('[{"energy": 1}]', 'needs "formation_energy_per_atom"'),
        ('[{"composition": {"Li": 1}, "energy": "x"}]', "an entry cannot be read: ValueError"),
        ('[{"formula_pretty": "Qq", "formation_energy_per_atom": -1}]', "Row 0: Cannot read"),
        ('[{"formula_pretty": "LiO", "formation_energy_per_atom": null}]', "Row 0: The energy is"),
    ],
)
def test_bad_json_is_refused(tmp_path, content, message):
    path = tmp_path / "mp.json"
    path.write_text(content)
    error = run("stability", "LiO2", "--hull", path, code=1)
    assert message in error
    assert str(path) in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stability"], "Give either FORMULAS or --input"),
        (["stability", "NaCl", "--energy", "e"], "--energy needs --input"),
        (["stability", "NaCl", "--hull", "missing"], 'give "oqmd" or the path of a file'),
        (["screen", "oqmd", "-e", "Li,O", "--max-above-hull", "1"], "need --hull"),
    ],
)
def test_wrong_usage(arguments, message):
    assert message in run(*arguments, code=2)


def test_columns_of_the_user_are_kept(tmp_path):
    path = tmp_path / "phases.csv"
    path.write_text("formula,energy,products\nLi2O,-2.0,mine\n")
    assert "already has a column 'products'" in run("stability", "-i", path, code=1)
    assert "is also an input file" in run("stability", "LiO", "--hull", path, "-o", path, code=2)
    path.write_text("formula,energy\nLi2O,high\n")
    assert "Row 0: The target 'high' is not a number" in run(
        "stability", "LiO", "--hull", path, code=1
    )
