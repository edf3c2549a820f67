"""Tables go through the commands as they came, in each format."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from test_cli import MODEL

from sklearn_elmodes import load_model
from sklearn_elmodes.cli import main

FORMULAS = ["K2NaAlF6", "Cs2NaBiCl6"]


def predict(*arguments, **settings):
    return CliRunner().invoke(main, ["predict", MODEL, *map(str, arguments)], **settings)


@pytest.fixture(scope="module")
def energies():
    return load_model(MODEL).predict(FORMULAS)


def test_parquet_keeps_types_and_gaps(tmp_path, energies):
    table = pd.DataFrame(
        {
            "formula": FORMULAS,
            "count": pd.array([1, None], dtype="Int64"),
            "when": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "note": ["NA", None],
        }
    )
    table.to_parquet(tmp_path / "in.parquet")
    result = predict("-i", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    found = pd.read_parquet(tmp_path / "out.parquet", dtype_backend="pyarrow")
    before = pd.read_parquet(tmp_path / "in.parquet", dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(found[table.columns], before)
    np.testing.assert_allclose(found["predicted"].astype(float), energies)
    lines = predict("-i", tmp_path / "in.parquet", "--json").stdout.splitlines()
    first, second = map(json.loads, lines)
    assert (first["count"], second["count"], second["note"]) == (1, None, None)
    text = predict("-i", tmp_path / "in.parquet").stdout
    assert pd.read_csv(io.StringIO(text), keep_default_na=False)["note"].tolist() == ["NA", ""]


def test_an_index_that_pandas_wrote_is_a_column(tmp_path):
    table = pd.DataFrame({"formula": FORMULAS}, index=pd.Index(["mp-1", "mp-2"], name="material"))
    table.to_parquet(tmp_path / "in.parquet")
    found = pd.read_csv(io.StringIO(predict("-i", tmp_path / "in.parquet").stdout))
    assert found["material"].tolist() == ["mp-1", "mp-2"]


def test_lists_go_through_whole(tmp_path):
    spectrum = list(np.arange(1500.0))
    pd.DataFrame({"formula": FORMULAS, "s": [spectrum, None]}).to_parquet(tmp_path / "in.parquet")
    text = predict("-i", tmp_path / "in.parquet").stdout
    cells = pd.read_csv(io.StringIO(text), keep_default_na=False)["s"]
    assert json.loads(cells[0]) == spectrum
    assert cells[1] == ""
    first, second = predict("-i", tmp_path / "in.parquet", "--json").stdout.splitlines()
    assert json.loads(first)["s"] == spectrum
    assert json.loads(second)["s"] is None
    (tmp_path / "in.jsonl").write_text('{"formula": "K2NaAlF6", "tags": {"a": [true, null]}}\n')
    text = predict("-i", tmp_path / "in.jsonl").stdout
    assert json.loads(pd.read_csv(io.StringIO(text))["tags"][0]) == {"a": [True, None]}


def test_columns_that_parquet_cannot_hold_are_an_error(tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"formula": "K2NaAlF6", "id": "007"}\n{"formula": "Cs2NaBiCl6", "id": 8}\n'
    )
    result = predict("-i", tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 1
    assert "cannot be written as Parquet" in result.stderr
    assert "column id" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_carriage_return_breaks_no_row():
    result = predict("-i", "-", input=b'formula,note\nK2NaAlF6,"a\rb"\n')
    found = pd.read_csv(io.BytesIO(result.stdout_bytes))
    assert found["note"].tolist() == ["a\rb"]


def test_what_spreadsheets_leave_is_read():
    text = "formula,cif\nK2NaAlF6," + "x" * 200_000 + "\n\n\n"
    result = predict("-i", "-", input=text)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 2


def test_nothing_that_is_read_is_written_over(tmp_path):
    (tmp_path / "in.csv").write_text("formula\nK2NaAlF6\n")
    paths = ["-i", tmp_path / "in.csv"]
    for arguments in (
        [*paths, "-o", tmp_path / "in.csv"],
        [*paths, "--on-error", "skip", "--rejected", tmp_path / ".." / tmp_path.name / "in.csv"],
        ["K2NaAlF6", "-o", MODEL],
    ):
        result = predict(*arguments)
        assert result.exit_code == 2
        assert "is also an input file; write to another file" in result.stderr
    assert (tmp_path / "in.csv").read_text() == "formula\nK2NaAlF6\n"
    result = predict(*paths, "--on-error", "skip", "--rejected", "-")
    assert result.exit_code == 2


def test_lines_of_json_keep_what_they_hold(tmp_path, energies):
    records = [
        {"formula": FORMULAS[0], "id": "007", "tags": ["a", {"b": 1}], "note": None},
        {"formula": FORMULAS[1], "id": 8, "é": 1.5},
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "in.jsonl").write_text(text + "\n")
    for arguments in (
        ["-i", tmp_path / "in.jsonl", "--json"],
        ["-i", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl"],
        ["-i", "-", "--input-format", "jsonl", "--json"],
    ):
        result = predict(*arguments, input=text)
        assert result.exit_code == 0, result.output
        written = result.stdout or (tmp_path / "out.jsonl").read_text()
        found = [json.loads(line) for line in written.splitlines()]
        for record, row, energy in zip(records, found, energies, strict=True):
            assert row.pop("predicted") == pytest.approx(energy, rel=1e-5)
            assert row.pop("std") > 0
            assert row == record


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"formula": "NaCl"}\n[1]\n', "row 1 is not a JSON object"),
        ("a.jsonl", '{"formula": "NaCl", "formula": "KCl"}\n', "duplicate keys: formula, formula"),
        ("a.jsonl", '{"formula": "NaCl", "x": NaN}\n', "NaN is not valid JSON"),
        ("a.jsonl", "[" * 100_000, "row 0 is not a JSON object"),
        ("a.jsonl", b"\xff\n", "cannot be read as JSONL; save it in UTF-8"),
        ("a.jsonl", '{"formula": 5}\n', "Row 0: Cannot read 5 as a composition"),
        ("a.jsonl", '{"other": 5}\n', "has no column 'formula'; it has 'other'"),
        ("a.parquet", b"PAR1 and nothing more", "cannot be read as Parquet"),
        ("a.parquet", b"", "is empty"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = predict("-i", tmp_path / name)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_rows_set_aside_can_be_mended_and_read_again(tmp_path):
    (tmp_path / "in.csv").write_text('formula,note\nK2NaAlF6,a\nNaCl,"b, c"\n')
    paths = ["-i", tmp_path / "in.csv", "-o", tmp_path / "out.jsonl"]
    result = predict(*paths, "--on-error", "skip", "--rejected", tmp_path / "bad.jsonl")
    assert result.exit_code == 0, result.output
    (bad,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert bad.pop("reason").startswith("Na1 Cl1 does not fit the prototype")
    assert bad == {"row": 1, "formula": "NaCl", "note": "b, c"}
    (tmp_path / "in.csv").write_text("formula,reason\nNaCl,a\n")
    result = predict(*paths, "--on-error", "skip")
    assert result.exit_code == 1
    assert "The table has a column 'reason'" in result.stderr


def test_compressed_tables_and_spreadsheets(tmp_path):
    text = "formula,note\nK2NaAlF6,1\nCs2NaBiCl6,2\n"
    (tmp_path / "plain.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    lines = '{"formula": "K2NaAlF6", "note": 1}\n'
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    plain = predict("-i", tmp_path / "plain.csv")
    assert predict("-i", tmp_path / "t.csv.gz").stdout == plain.stdout
    assert predict("-i", tmp_path / "t.jsonl.gz").exit_code == 0
    (tmp_path / "t.csv.gz").write_bytes(b"no gzip")
    result = predict("-i", tmp_path / "t.csv.gz")
    assert (result.exit_code, "cannot be read as gzip" in result.stderr) == (1, True)
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    assert "is a spreadsheet; save it as CSV" in predict("-i", tmp_path / "t.xlsx").stderr
    skip = ["--on-error", "skip", "--rejected", tmp_path / "bad.xlsx"]
    result = predict("-i", tmp_path / "plain.csv", *skip)
    assert (result.exit_code, "use the extension .csv" in result.stderr) == (2, True)


def test_a_column_of_a_like_name_is_suggested(tmp_path):
    (tmp_path / "t.csv").write_text("Formula ,note\nK2NaAlF6,1\n")
    result = predict("-i", tmp_path / "t.csv")
    assert (
        "has no column 'formula'; it has 'Formula ', 'note'. If 'Formula ' is meant"
        in result.stderr
    )
    assert predict("-i", tmp_path / "t.csv", "--formula", "Formula ").exit_code == 0


def test_many_rows_are_predicted_in_parts(monkeypatch):
    from sklearn_elmodes.cli import _rows

    whole = predict(*FORMULAS * 3).stdout
    monkeypatch.setattr(_rows, "_CHUNK_ROWS", 4)
    assert predict(*FORMULAS * 3).stdout == whole
    result = predict(*FORMULAS * 3, "NaCl")
    assert "Row 6: Na1 Cl1" in result.stderr


TYPED = ["K₂NaAlF₆", "Cs2NaBiCl6 (cubic)", "K2NaAlF6", "Cs<sub>2</sub>NaBiCl6", "\ufeffK2NaAlF6"]


def test_formulas_are_cleaned_on_request(tmp_path, energies):
    (tmp_path / "in.csv").write_text("formula\n" + "\n".join(TYPED) + "\n")
    strict = predict("-i", tmp_path / "in.csv")
    assert strict.exit_code == 1
    assert (
        "Error: Row 0: Cannot read the formula 'K₂NaAlF₆': '₂' is not a plain digit 0-9 at "
        "position 1; --formulas clean reads it as 'K2NaAlF6'. (and 3 more;"
    ) in strict.stderr
    clean = predict("-i", tmp_path / "in.csv", "--formulas", "clean")
    assert clean.exit_code == 0, clean.output
    found = pd.read_csv(io.StringIO(clean.stdout))
    assert found["formula"].tolist() == TYPED  # columns of the user are not changed
    np.testing.assert_allclose(found["predicted"], energies[[0, 1, 0, 1, 0]], atol=1e-6)
    assert clean.stderr == (
        "4 of 5 formulas were cleaned: row 0, 'K₂NaAlF₆' to 'K2NaAlF6' (subscript digits); row 1, "
        "'Cs2NaBiCl6 (cubic)' to 'Cs2NaBiCl6' (phase label); row 3, 'Cs<sub>2</sub>NaBiCl6' to "
        "'Cs2NaBiCl6' (HTML, subscript digits); and 1 more.\n"
    )
    one = predict("K₂NaAlF₆", "K2NaAl-x", "--formulas", "clean", "--on-error", "skip", "--json")
    assert json.loads(one.stdout)["formula"] == "K₂NaAlF₆"
    assert "1 of 2 rows were skipped" in one.stderr
    assert "--formulas" not in predict("K2NaAlF6").stderr


def test_small_amounts_in_json_lines_are_read_back(tmp_path):
    lines = [
        {"formula": {"Na": 1e-5, "Cl": 1}, "e": -0.1},
        {"formula": {"Na": 1, "Cl": 1}, "e": -2.1},
        {"formula": {"K": 1, "Cl": 1}, "e": -2.2},
        {"formula": {"Na": 2.5e-7, "Cl": 1}, "e": -0.1},
        {"formula": {"D": 2, "O": 1}, "e": -1.0},
        {"formula": "Al₂O₃", "e": -3.4},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["evaluate", tmp_path / "in.jsonl", "--target", "e", "--folds", 2, "--max-iter", 1]
    command += ["--n-estimators", 1]
    run = [*map(str, command)]
    strict = CliRunner().invoke(main, [*run, "--on-error", "skip"])
    assert strict.exit_code == 0, strict.output
    assert "2 of 6 rows were skipped" in strict.stderr
    assert "row 0, Na0.00001Cl1:" in strict.stdout
    assert "row 3, Na0.00000025Cl1:" in strict.stdout
    assert "--formulas clean reads it as hydrogen" in strict.stderr
    clean = CliRunner().invoke(main, [*run, "--formulas", "clean"])
    assert clean.exit_code == 0, clean.output
    assert "2-fold cross-validation on 6 rows" in clean.stdout
    assert "row 5, Al2O3:" in clean.stdout
    assert "{'D': 2, 'O': 1} to 'H2O1' (heavy hydrogen as hydrogen)" in clean.stderr


def test_a_model_keeps_how_its_formulas_are_read(tmp_path):
    (tmp_path / "t.csv").write_text("formula,e\nAl₂O₃,-3.4\nNaCl (s),-2.1\nMgO,-3.1\n")
    path = str(tmp_path / "m.safetensors")
    for start in ([], ["--pretrained", "oqmd"]):
        command = ["train", str(tmp_path / "t.csv"), "--target", "e", "--max-iter", "1"]
        result = CliRunner().invoke(main, [*command, *start, "--formulas", "clean", "-o", path])
        assert result.exit_code == 0, result.output
        assert "2 of 3 formulas were cleaned" in result.stderr
        assert load_model(path)[0].formulas == "clean"
        result = CliRunner().invoke(main, ["predict", path, "Al₂O₃"])
        assert result.exit_code == 0, result.output
        result = CliRunner().invoke(main, ["predict", path, "Al₂O₃", "--formulas", "strict"])
        assert result.exit_code == 1
    page = tmp_path / "r.html"
    command = ["report", path, "-i", str(tmp_path / "t.csv"), "--target", "e", "-o", str(page)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "Al2O3" in page.read_text()
