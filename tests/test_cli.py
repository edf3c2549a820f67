import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from processes import pause_before, send_once

from sklearn_elmodes import (
    load_model,
    load_pretrained,
    make_formation_energy_pipeline,
    save_model,
)
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


MODEL = str(Path(__file__).parent / "data" / "model_schema_1.safetensors")
TABLE = "formula,note\nK2NaAlF6,007\nNaCl,\nCs2NaBiCl6,NA\nXx,1e5\n"


def run(*arguments, **settings):
    return CliRunner().invoke(main, ["predict", *map(str, arguments)], **settings)


def test_predict_formulas():
    result = run(MODEL, "K2NaAlF6", "Cs2NaBiCl6")
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(io.StringIO(result.stdout))
    energy, std = load_model(MODEL).predict(["K2NaAlF6", "Cs2NaBiCl6"], return_std=True)
    np.testing.assert_allclose(frame["predicted"], energy, rtol=1e-5)
    np.testing.assert_allclose(frame["std"], std, rtol=1e-5)
    assert run("elpasolites", "K2NaAlF6").stdout.startswith("formula,predicted,std\nK2NaAlF6,-2.8")


def test_predict_sets_bad_rows_aside(tmp_path):
    (tmp_path / "in.csv").write_text(TABLE)
    paths = ["--input", tmp_path / "in.csv", "-o", tmp_path / "out.csv"]
    result = run(MODEL, *paths)
    assert result.exit_code == 1
    assert "Row 1: Na1 Cl1 does not fit the prototype ABC2D6" in result.stderr
    assert "(and 1 more; use --on-error skip to skip them)" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()

    result = run(MODEL, *paths, "--on-error", "skip", "--rejected", tmp_path / "bad.csv")
    assert result.exit_code == 0, result.output
    assert "2 of 4 rows were skipped" in result.stderr
    frame = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert frame["formula"].tolist() == ["K2NaAlF6", "Cs2NaBiCl6"]
    assert frame["note"].tolist() == ["007", "NA"]
    bad = pd.read_csv(tmp_path / "bad.csv")
    assert bad["row"].tolist() == [1, 3]
    assert bad["formula"].tolist() == ["NaCl", "Xx"]
    assert bad.columns.tolist() == ["row", "reason", "formula", "note"]
    assert "unknown element 'Xx'" in bad["reason"][1]

    result = run(MODEL, "-i", "-", "--on-error", "skip", input=TABLE)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 3
    assert "1,Na1 Cl1 does not fit" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([MODEL], 2, "Give either FORMULAS or --input"),
        ([MODEL, "NaCl", "--rejected", "bad.csv"], 2, "needs --on-error skip"),
        (
            ["nothing", "NaCl"],
            1,
            "'nothing' is neither an included model (elpasolites, oqmd) nor a file",
        ),
        ([MODEL, "NaCl"], 1, "Row 0: Na1 Cl1 does not fit"),
        (
            [MODEL, "-i", "-", "--formula", "name"],
            1,
            "- has no column 'name'; it has 'formula', 'note'",
        ),
        ([__file__, "NaCl"], 1, "is not a sklearn-elmodes model file"),
        (["none.safetensors", "NaCl"], 1, "The file none.safetensors does not exist"),
        (
            [MODEL, "NaCl", "-o", "out.xlsx"],
            2,
            "out.xlsx: use the extension .csv, .parquet or .jsonl",
        ),
        ([MODEL, "K2NaAlF6", "-o", "/nowhere/out.csv"], 2, "out.csv: the folder does not exist"),
    ],
)
def test_predict_refuses(arguments, code, message):
    result = run(*arguments, input=TABLE)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_predict_overwrites_no_column_of_the_user():
    result = run(MODEL, "-i", "-", input="formula,predicted\nK2NaAlF6,1\n")
    assert result.exit_code == 1
    assert "already has a column 'predicted'" in result.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,formula\na,Na2O,K2NaAlF6\n", "row 0 has 3 cells, but the header has 2"),
        ("formula,a\nK2NaAlF6,1\nK2NaAlF6\n", "row 1 has 1 cells, but the header has 2"),
        ("formula,note,note\nK2NaAlF6,1,2\n", "duplicate column names: formula, note, note"),
        ("formula;note\nK2NaAlF6;a\n", "separates its columns by semicolons; use commas"),
        ("formula\tnote\nK2NaAlF6\ta\n", "separates its columns by tabs"),
        ("formula\nK2Na\0AlF6\n", "Row 0: Cannot read the formula"),
        ("formula\nK2NaAlF6\n\n\nXx\n", "Row 1: Cannot read the formula ''"),
        ('formula\n"K2NaAlF6\n', "cannot be read as CSV"),
        ("", "is empty"),
        (b"formula\n\xff\n", "cannot be read as CSV; save it in UTF-8"),
    ],
)
def test_tables_that_could_be_misread_are_refused(table, message):
    result = run(MODEL, "-i", "-", input=table)
    assert result.exit_code == 1
    assert message in result.stderr


def test_text_of_a_table_leaves_as_it_came():
    table = '\ufeffformula,"a note"\r\n"K2NaAlF6","one\r\ntwo, ""three"""\r\n'
    result = run(MODEL, "-i", "-", input=table.encode())
    assert result.stdout.splitlines()[0] == "formula,a note,predicted,std"
    assert b',"one\r\ntwo, ""three""",' in result.stdout_bytes


def test_a_full_disk_leaves_the_old_table(tmp_path):
    (tmp_path / "in.csv").write_text("formula\n" + "K2NaAlF6\n" * 3000)
    (tmp_path / "out.csv").write_text("precious")
    code = """
import resource, signal, sys
from sklearn_elmodes.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main(["predict", *sys.argv[1:]])
"""
    command = [sys.executable, "-c", code, MODEL, "-i", "in.csv", "-o", "out.csv"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert (tmp_path / "out.csv").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_predict_in_other_circumstances(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elpasolites").mkdir()  # a folder is no model
    assert run("elpasolites", "K2NaAlF6").exit_code == 0
    result = run(MODEL, "Xx", "--on-error", "skip", "-o", "a.csv", "--rejected", "./a.csv")
    assert result.exit_code == 2
    assert "the same file" in result.stderr
    result = run(MODEL, "Xx", "--on-error", "skip")
    assert result.stdout == "formula,predicted,std\n"
    model = load_model(MODEL)
    save_model(model[:1], tmp_path / "modes.safetensors")
    result = run("modes.safetensors", "K2NaAlF6")
    assert result.exit_code == 1
    assert "must be a pipeline from an ElementalModeTransformer to a" in result.stderr
    named = pd.DataFrame({"compound": ["K2NaAlF6"] * 4})
    pipeline = make_formation_energy_pipeline(n_estimators=1, max_iter=1).fit(named, range(4))
    save_model(pipeline, tmp_path / "named.safetensors")
    result = run("named.safetensors", "K2NaAlF6")
    assert result.stdout.startswith("formula,predicted\nK2NaAlF6,")
    assert not result.stderr


@pytest.fixture
def astray(tmp_path):
    """The path of a general model of which one network is wrong about many formulas."""
    model = load_pretrained("oqmd")
    with torch.no_grad():
        model[-1].net_.module_.last.weight[1] *= -3
    save_model(model, tmp_path / "astray.safetensors")
    return tmp_path / "astray.safetensors"


def test_predictions_that_mean_nothing_are_told(astray):
    result = run(astray, "Fe", "NaCl", "Li2O")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr.startswith(
        "Warning: 2 of 3 predictions are meaningless, the first for 'NaCl'"
    )
    assert not run("oqmd", "NaCl", "Fe").stderr
    best = pd.read_csv(io.StringIO(screen(astray, "-e", "Li,Fe,O,P", "-k", 5).stdout))
    assert best["std"].max() < load_model(astray)[-1].target_scale_
    nothing = screen("oqmd", "-e", "Li,O", "--max-std", "1e-9")
    assert nothing.exit_code == 0
    assert "no candidates are left" in nothing.stderr


def screen(*arguments, **settings):
    return CliRunner().invoke(main, ["screen", *map(str, arguments)], **settings)


def test_screen_writes_the_best(tmp_path):
    settings = ["-e", "Na,K,Al,Ga,F,Cl", "-s", "D=F,Cl", "-k", 3]
    result = screen(MODEL, *settings)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(io.StringIO(result.stdout))
    assert frame.columns.tolist() == ["candidate", *"ABCD", "predicted", "std"]
    assert set(frame["D"]) == {"F"}
    assert frame["predicted"].is_monotonic_increasing
    paths = ["--all", tmp_path / "all", "-o", tmp_path / "best.csv"]
    assert screen(MODEL, *settings, *paths, "--prototype", "elpasolite").exit_code == 0
    assert (tmp_path / "best.csv").read_text() == result.stdout
    # Two for D, ten pairs of the other five, three left for C.
    assert len(pd.read_parquet(tmp_path / "all", columns=["candidate"])) == 60
    result = screen(MODEL, *settings, "--objective", "max", "--jobs", 1)
    highest = pd.read_csv(io.StringIO(result.stdout))["predicted"]
    assert highest.is_monotonic_decreasing
    assert highest.min() > frame["predicted"].max()
    neutral = screen(MODEL, *settings[:-2], "--charge-balanced", "--max-std", 0.06)
    frame = pd.read_csv(io.StringIO(neutral.stdout))
    assert 0 < len(frame) < 24
    assert frame["std"].max() <= 0.06
    assert not frame["C"].isin(["Al", "Ga"]).any()  # two trivalent ions are too much
    kept = screen(MODEL, *settings, "--exclude-elements", "F,Al")
    assert kept.exit_code == 0
    assert not {"F", "Al"} & set(
        pd.read_csv(io.StringIO(kept.stdout))[list("ABCD")].to_numpy().flat
    )


def test_screen_formulas(tmp_path):
    pipeline = make_formation_energy_pipeline(n_estimators=1, max_iter=1, random_state=0)
    save_model(pipeline.fit(["NaCl", "KBr", "LiF"], [-2.1, -2.0, -3.2]), tmp_path / "m.safetensors")
    command = [
        tmp_path / "m.safetensors",
        "-e",
        "Na,Cl,O",
        "--n-elements",
        "2",
        "--max-amount",
        "2",
    ]
    result = screen(*command)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(io.StringIO(result.stdout))
    assert frame.columns.tolist() == ["candidate", "formula", "predicted"]
    assert len(frame) == 9
    assert screen(*command, "-s", "A=Na").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-e", "Na,K"], 1, "No candidate can be formed"),
        (["-s", "A=Na"], 2, "Give --elements, or --site for B, C, D"),
        (
            ["-e", "Na,K", "-s", "X=F"],
            2,
            "--site X=F: write SITE=LIST, once for each site; the sites are A, B",
        ),
        (["-e", "Na,K", "-s", "D=F", "-s", "D=Cl"], 2, "write SITE=LIST, once for each site"),
        (["-e", "Na,K", "--n-elements", "two"], 2, "separate numbers by commas"),
        (["-e", "Na,K", "--max-amount", "0"], 2, "0 is not in the range"),
        (["-e", "Na,K,Al,F", "-o", "/nowhere/best.csv"], 2, "the folder does not exist"),
        (["-e", "Na,Xx"], 1, "unknown element symbol 'Xx'"),
        (["-e", "Na,K,Al,F", "--prototype", "ABX3"], 2, "not ABX3"),
        (["-e", "Na,K,Al,F", "-k", "0"], 2, "0 is not in the range"),
        (["-e", "Na,K,Al,F", "--all", "/proc/nowhere"], 1, "/proc/nowhere"),
    ],
)
def test_screen_refuses(arguments, code, message):
    result = screen(MODEL, *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_ctrl_c_leaves_what_can_be_resumed(tmp_path):
    elements = ",".join("H Li Be B C N O F Na Mg Al Si P S Cl K Ca Ga Ge As Se Br Rb Sr".split())
    code = pause_before("part-000001.parquet") + "from sklearn_elmodes.cli import main; main()"
    command = ["screen", "elpasolites", "-e", elements, "--all", tmp_path]
    ended = send_once(signal.SIGINT, lambda: list(tmp_path.glob("part-*")), code, *command)
    assert ended.returncode == 130
    assert ended.stdout == ""
    done = len(list(tmp_path.glob("part-*")))
    message = f"Interrupted. {done} batches are saved in {tmp_path}; run the same command to resume"
    assert message in ended.stderr
