"""The commands that learn: modes, train and evaluate; and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from processes import send_once
from test_cli import MODEL

from sklearn_elmodes import (
    LeaveOneElementOut,
    load_model,
    make_formation_energy_pipeline,
    save_model,
)
from sklearn_elmodes._inputs import composition_groups
from sklearn_elmodes.cli import main
from sklearn_elmodes.datasets import load_expt_formation_enthalpies
from sklearn_elmodes.elements import property_table
from sklearn_elmodes.model_selection import predict_held_out
from sklearn_elmodes.modes import ElementModes


def run(*arguments, **settings):
    return CliRunner().invoke(main, [*map(str, arguments)], **settings)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    path = tmp_path_factory.mktemp("data") / "measured.csv"
    pd.DataFrame({"name": X[::20], "enthalpy": y[::20]}).to_csv(path, index=False)
    return path


COLUMNS = ["--formula", "name", "--target", "enthalpy"]


def test_train_writes_what_the_same_pipeline_would_be(table, tmp_path):
    path = tmp_path / "model.safetensors"
    settings = ["--max-iter", 2, "--n-estimators", 2, "--seed", 3]
    result = run("train", table, *COLUMNS, *settings, "-o", path, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    frame = pd.read_csv(table, keep_default_na=False)
    assert (summary["rows"], summary["passes"]) == (len(frame), 2)
    expected = make_formation_energy_pipeline(max_iter=2, n_estimators=2, random_state=3)
    expected.fit(frame["name"].to_numpy(), frame["enthalpy"].to_numpy())
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(["NaCl"]), expected.predict(["NaCl"]))
    card = loaded.model_card_
    assert f"Trained on {len(frame)} rows of measured.csv" in card
    told = json.loads(run("info", path, "--json").stdout)
    assert told["card"] == card
    assert told["steps"]["formationenergyregressor"]["random_state"] == 3
    assert told["elements_with_modes"] == list(ElementModes.from_properties().symbols)
    assert "elements with modes:  H-Lr" in run("info", path).stdout


def test_fine_tuning_takes_the_prototype_of_its_start(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"formula": "K2NaAlF6", "e": -2.9}\n{"formula": "Rb2NaAlF6", "e": "-2.8"}\n'
    )
    out = tmp_path / "tuned.safetensors"
    start = ["train", tmp_path / "t.jsonl", "--target", "e", "--pretrained", "elpasolites"]
    result = run(*start, "--freeze", "encoder", "--max-iter", 1, "-o", out)
    assert result.exit_code == 0, result.output
    tuned, general = load_model(out), load_model(MODEL)
    assert tuned[0].prototype_ == general[0].prototype_
    assert tuned[-1].freeze == "encoder"
    wrong = run(*start, "--prototype", "ABX3", "-o", out)
    assert wrong.exit_code == 2
    assert "predicts crystals of elpasolite (ABC2D6), not ABX3" in wrong.stderr


def test_rows_at_fault_are_named_or_set_aside(tmp_path):
    (tmp_path / "t.csv").write_text(
        "formula,e\nNaCl,-2.1\nKBr,x\nXx,1\nLiF,1_0\nMgO,nan\nKF,-2.9\n"
    )
    command = ["train", tmp_path / "t.csv", "--target", "e", "--max-iter", 1]
    paths = ["-o", tmp_path / "m.safetensors"]
    result = run(*command, *paths)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Row 1: The target 'x' is not a number; write a number such as -1.25. (and 3 more; "
        "use --on-error skip to skip them)\n"
    )
    assert not (tmp_path / "m.safetensors").exists()
    result = run(*command, *paths, "--on-error", "skip", "--rejected", tmp_path / "bad.csv")
    assert result.exit_code == 0, result.output
    bad = pd.read_csv(tmp_path / "bad.csv", dtype=str, keep_default_na=False)
    assert bad["row"].tolist() == ["1", "2", "3", "4"]
    assert bad["e"].tolist() == ["x", "1", "1_0", "nan"]
    assert "Trained on 2 rows" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "T", "--target", "e"], 2, "Missing option '-o'"),
        (
            ["train", "T", "--target", "e", "-o", "m"],
            1,
            "has no column 'formula'; it has 'name', 'enthalpy'",
        ),
        (["train", "T", *COLUMNS, "-o", "/nowhere/m"], 2, "/nowhere/m: the folder does not exist"),
        (["train", "T", *COLUMNS, "-o", "m", "--freeze", "encoder"], 2, "needs --pretrained"),
        (
            ["train", "T", *COLUMNS, "-o", "m", "--pretrained", "o"],
            1,
            "'o' is neither an included model",
        ),
        (["train", "T", *COLUMNS, "-o", "m", "--prototype", "elpasolite"], 1, "Row 0: "),
        (["train", "T", *COLUMNS, "-o", "m", "--prototype", "1"], 1, "prototype"),
        (["evaluate", "T", *COLUMNS, "--folds", "1"], 2, "1 is not in the range"),
        (
            ["evaluate", "T", *COLUMNS, "--folds", "999"],
            1,
            "999 folds need at least 999 distinct compositions",
        ),
        (["evaluate", "T", *COLUMNS, "-o", "a.csv", "--report", "./a.csv"], 2, "the same file"),
        (["modes", "Xx"], 1, "'Xx' is not an element with modes"),
        (["train", "T", *COLUMNS, "-o", "m", "--prototype", "ABX3"], 1, "Row 0: "),
        (["modes", "--properties", "none.csv"], 1, "or an existing file"),
        (["modes", "-n", "0"], 2, "0 is not in the range"),
        (["info", "none"], 1, "'none' is neither an included model"),
        (["report", "oqmd", "-o", "a.html", "-i", "T"], 2, "Give --input and --target together"),
    ],
)
def test_refusals(table, arguments, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*(str(table) if a == "T" else a for a in arguments))
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_evaluate_predicts_every_row_by_models_without_its_composition(tmp_path):
    formulas = ["NaCl", "Na2Cl2", "KBr", "LiF", "MgO", "CaO", "KF", "NaF"]
    frame = pd.DataFrame({"formula": formulas, "e": np.linspace(-3, -2, 8)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    settings = ["--target", "e", "--max-iter", 2, "--n-estimators", 2]
    command = ["evaluate", tmp_path / "t.csv", *settings, "--folds", 3]
    result = run(*command, "-o", tmp_path / "p.csv", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    found = pd.read_csv(tmp_path / "p.csv", keep_default_na=False).set_index("row").sort_index()
    assert found["formula"].tolist() == formulas
    np.testing.assert_allclose(found["true"], frame["e"], rtol=1e-5)
    assert found["fold"][0] == found["fold"][1]  # NaCl and Na2Cl2
    error = (found["predicted"] - found["true"]).abs()
    assert summary["mae"] == pytest.approx(error.mean(), rel=1e-4)
    by_fold = error.groupby(found["fold"]).mean()
    assert summary["mae_by_fold"] == pytest.approx(
        {str(k): v for k, v in by_fold.items()}, rel=1e-4
    )
    apart = np.array(found["fold"] != found["fold"][0])
    model = make_formation_energy_pipeline(max_iter=2, n_estimators=2, random_state=0)
    X = frame["formula"].to_numpy()
    model.fit(X[apart], frame["e"].to_numpy()[apart])
    np.testing.assert_allclose(found["predicted"][0], model.predict(["NaCl"]), rtol=1e-4)
    text = run(*command).stdout
    assert text.startswith("3-fold cross-validation on 8 rows\nMAE ")


def test_one_composition_has_one_number_however_it_is_written():
    formulas = ["Fe0.95O", "Fe19O20", "Fe2.85O3", "Al0.99Mg0.01", "Al99Mg", "FeO", "Fe2O2"]
    formulas += ["La0.67Sr0.33MnO3", "La67Sr33Mn100O300"]
    assert composition_groups(formulas).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.filterwarnings("ignore:The pretrained model's error is large")
def test_true_values_are_written_as_they_came(tmp_path):
    totals = [-34567.8912, -34000.125, -33999.5, 1e-7]
    lines = [
        {"formula": formula, "e": e}
        for formula, e in zip([{"Na": 1, "Cl": 1}, "KBr", "LiF", "KF"], totals, strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["evaluate", tmp_path / "t.jsonl", "--target", "e", "--max-iter", 1, "--folds", 2]
    command += ["--pretrained", "oqmd", "-o", tmp_path / "p.csv", "--report", tmp_path / "r.html"]
    result = run(*command)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(tmp_path / "p.csv").sort_values("row")
    assert found["true"].tolist() == totals
    assert found["formula"][found["row"] == 0].tolist() == ["Na1Cl1"]
    assert "from oqmd, which may have seen held-out compositions" in result.stdout
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Trained on 4 rows of t.jsonl" in page


@pytest.mark.filterwarnings("ignore:The pretrained model's error is large")
def test_fine_tuning_takes_the_modes_and_layers_of_its_start(tmp_path):
    start = make_formation_energy_pipeline(
        encoder_layer_sizes=(4, 4), hidden_layer_sizes=(8, 8), n_estimators=1, max_iter=1
    ).set_params(elementalmodetransformer__properties="herr2019")
    start.fit(["NaCl", "KBr", "LiF"], [-2.1, -2.0, -3.1])
    save_model(start, tmp_path / "start.safetensors")
    (tmp_path / "t.csv").write_text("formula,e\nNaCl,-2.1\nKF,-2.9\n")
    command = ["train", tmp_path / "t.csv", "--target", "e", "--max-iter", 1]
    command += ["--pretrained", tmp_path / "start.safetensors", "-o", tmp_path / "m.safetensors"]
    result = run(*command)
    assert result.exit_code == 0, result.output
    tuned = load_model(tmp_path / "m.safetensors")
    assert tuned[0].properties == "herr2019"
    assert tuned[-1].hidden_layer_sizes == (8, 8)


def test_evaluate_holds_elements_out(tmp_path):
    (tmp_path / "t.csv").write_text("formula,e\nNaCl,-2\nKCl,-2.1\nKF,-3\nNaF,-2.9\nLiF,-3.1\n")
    command = ["evaluate", tmp_path / "t.csv", "--target", "e", "--max-iter", 1]
    command += ["--leave-one-element-out", "--min-samples", 2]
    result = run(*command, "--json", "-o", tmp_path / "p.jsonl")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert list(summary["mae_by_held_out"]) == ["F", "Na", "Cl", "K"]
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [row["formula"] for row in rows if row["held_out"] == "Cl"] == ["NaCl", "KCl"]
    text = run(*command).stdout
    assert "Largest MAE by element: " in text
    assert "mean of elements" in text


def test_held_out_predictions_are_in_the_order_of_the_folds():
    X, y = np.array(["NaCl", "KCl", "KF", "NaF"]), [-2.0, -2.1, -3.0, -2.9]
    model = make_formation_energy_pipeline(max_iter=1, n_estimators=2, random_state=0)
    found = predict_held_out(model, X, y, cv=2, n_jobs=2)
    assert found["row"].tolist() == [0, 1, 2, 3]
    assert found["fold"].tolist() == [0, 0, 1, 1]
    predicted, std = model.fit(X[2:], y[2:]).predict(X[:2], return_std=True)
    np.testing.assert_allclose(found["predicted"][:2], predicted)
    np.testing.assert_allclose(found["std"][:2], std)
    single = make_formation_energy_pipeline(max_iter=1, n_estimators=1, random_state=0)
    found = predict_held_out(single, X, y, cv=LeaveOneElementOut(elements=["Na"]))
    assert found.columns.tolist() == ["row", "held_out", "true", "predicted"]
    assert found["row"].tolist() == [0, 3]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        predict_held_out(single, X, [*y, 1.0], cv=LeaveOneElementOut())
    with pytest.raises(ValueError, match="makes no folds"):
        predict_held_out(single, X, y, cv=[])


def test_modes_that_ship(tmp_path):
    result = run("modes", "-o", tmp_path / "m.csv", "--picture", tmp_path / "map.svg")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(tmp_path / "m.csv", keep_default_na=False).set_index("symbol")
    shipped = ElementModes.from_properties("extended").to_frame()
    np.testing.assert_allclose(found[shipped.columns], shipped, rtol=1e-5)
    assert found.loc["K", "nearest"].split()[0] == "Rb"
    assert "<svg" in (tmp_path / "map.svg").read_text()[:1000]
    (sodium,) = map(json.loads, run("modes", "Na", "--json").stdout.splitlines())
    assert sodium["symbol"] == "Na"


def test_modes_of_a_table_of_ones_own(tmp_path):
    table = property_table("herr2019").iloc[:20, :4].copy()
    table.iloc[3, 2] = np.nan
    table.to_csv(tmp_path / "own.csv")
    command = ["modes", "-n", 2, "--properties", tmp_path / "own.csv"]
    result = run(*command, "--seed", 1)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 21
    assert (
        "Learned 2 modes of 20 elements; reconstruction R² of the properties: mean "
        in result.stderr
    )
    assert run(*command, "--seed", 1).stdout == result.stdout
    (tmp_path / "own.csv").write_text("symbol,a\nNa,1\nK,x\n")
    result = run(*command)
    assert result.exit_code == 1
    assert "'x' for K in the column 'a' is not a number" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    assert "_ELMODES_COMPLETE" in run("completion", shell).stdout


def test_completion_offers_the_models_that_ship():
    environment = {"COMP_WORDS": "elmodes predict oq", "COMP_CWORD": "2"}
    code = "from sklearn_elmodes.cli import main; main(prog_name='elmodes')"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment, "_ELMODES_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "plain,oqmd" in found.stdout


def test_ctrl_c_leaves_a_training_that_goes_on(table, tmp_path):
    checkpoint = tmp_path / "state"
    code = """
from sklearn_elmodes import cli
from sklearn_elmodes._networks import _training as training
training._CHECKPOINT_SECONDS = 0
cli.main()
"""
    command = ["train", table, *COLUMNS, "-o", tmp_path / "m.safetensors"]
    command += ["--max-iter", 10**6, "--checkpoint", checkpoint]
    ended = send_once(signal.SIGINT, checkpoint.exists, code, *command)
    assert ended.returncode == 130
    assert ended.stderr == (
        f"Interrupted. The state is saved in {checkpoint}; run the same command to resume.\n"
    )
    assert checkpoint.exists()
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("factor", "warning", "unit"),
    [(1, "", "eV/atom"), (96.485, "the targets look like kJ/mol instead of eV/atom", "")],
)
def test_units_are_recognised(tmp_path, factor, warning, unit):
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    path = tmp_path / "t.csv"
    pd.DataFrame({"formula": X[::50], "e": factor * y[::50]}).to_csv(path, index=False)
    options = ["--target", "e", "--max-iter", 1, "--folds", 2]
    result = run("evaluate", path, *options)
    assert (warning in result.stderr) if warning else not result.stderr
    scores = [line for line in result.stdout.splitlines() if line.startswith(("MAE", "RMSE"))]
    assert len(scores) == 2
    assert all(("eV/atom" in line) == bool(unit) for line in scores)
    assert json.loads(run("evaluate", path, *options, "--json").stdout)["unit"] == (unit or None)
    named = run("evaluate", path, *options, "--unit", "kJ/mol")
    assert "kJ/mol" in named.stdout
    assert not named.stderr
    trained = run("train", path, *options[:4], "-o", tmp_path / "m.safetensors")
    assert warning in trained.stderr


def test_compositions_with_several_targets_are_told(tmp_path):
    (tmp_path / "t.csv").write_text("formula,e\nNaCl,-2.1\nNa2Cl2,-1.1\nKF,-2.9\nLiF,-3\n")
    told = (
        "Warning: 2 rows give 1 of the compositions several targets; the largest range is that of "
        "NaCl: -2.1 to -1.1.\n"
    )
    options = ["--target", "e", "--max-iter", 1, "--json"]
    result = run("train", tmp_path / "t.csv", *options, "-o", tmp_path / "m.safetensors")
    assert result.stderr == told
    assert json.loads(result.stdout)["rows_with_several_targets"] == 2
    page = ["--report", tmp_path / "r.html", "--folds", 2, "--unit", "eV/atom"]
    result = run("evaluate", tmp_path / "t.csv", *options, *page)
    assert told in result.stderr
    assert json.loads(result.stdout)["largest_range_of_targets"] == pytest.approx(1.0)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.search("1; the largest range is that of Na2?Cl2?, -2.10* to -1.10* eV/atom", text)
