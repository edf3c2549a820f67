"""Functions to fuzz with arbitrary bytes: only documented errors and no silent NaN.

``make fuzz`` runs them with coverage guidance; the test suite replays the inputs found.
"""

import contextlib
import io
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import save

from sklearn_elmodes import (
    ElementalModeTransformer,
    ElementAutoencoder,
    FormationEnergyRegressor,
    LeaveOneElementOut,
    Prototype,
    _model_files,
    load_model,
)
from sklearn_elmodes.cli import main
from sklearn_elmodes.datasets._elpasolites import read_elpasolites
from sklearn_elmodes.formulas import clean_formula, parse_formula, parse_formulas

STORED_MODEL = Path(__file__).parent / "data" / "model_schema_1.safetensors"


def text_of(data):
    return data.decode("utf-8", "surrogateescape")


def cells_of(data):
    """Read rows of cells; a cell that is not JSON is text."""
    return [[_cell(cell) for cell in line.split(",")] for line in text_of(data).split("\n")]


def _cell(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def formula(data):
    text = text_of(data)
    for options in ({}, {"deuterium_as_hydrogen": True, "allow_charge": True}):
        try:
            amounts = parse_formula(text, **options)
        except ValueError as error:
            assert len(str(error)) < 500
            amounts = None
        else:
            assert amounts
            assert all(0 < amount < np.inf for amount in amounts.values())
        # The vectorised reader must agree.
        try:
            column = parse_formulas(["NaCl", text, "H2O"], **options)
        except ValueError as error:
            assert str(error).startswith("Row 1: ")
            assert amounts is None
        else:
            assert column[1] == amounts
            assert column[2] == {"H": 2, "O": 1}
    try:
        cleaned = clean_formula(text)
    except ValueError as error:
        assert len(str(error)) < 500
    else:
        assert parse_formula(cleaned.formula)
        assert not clean_formula(cleaned.formula).changes


def prototype(data):
    text, _, formula = text_of(data).partition(",")
    try:
        found = Prototype(text)
        assert Prototype(found.name or found.formula) == Prototype(text)
        elements = found.assign(parse_formula(formula))
    except ValueError as error:
        assert len(str(error)) < 1000
        return
    assert len(elements) == found.n_sites


@cache
def transformers():
    return (
        ElementalModeTransformer().fit(["NaCl"]),
        ElementalModeTransformer(prototype="elpasolite").fit(["K2NaAlF6"]),
    )


def compositions(data):
    rows = cells_of(data)
    for transformer in transformers():
        try:
            features = transformer.transform(rows)
        except ValueError:
            pass
        else:
            assert len(features) == len(rows)
            assert np.isfinite(features).all()
        try:
            valid, rejected = transformer.check_rows(rows)
        except ValueError:
            continue
        assert sorted([*valid, *rejected.index]) == list(range(len(rows)))
        if len(valid):
            assert np.isfinite(transformer.transform([rows[row] for row in valid])).all()
    try:
        for _, train, test in LeaveOneElementOut().split_by_element(rows):
            assert len(train) + len(test) == len(rows)
    except ValueError:
        pass


def properties(data):
    try:
        table = pd.read_csv(
            io.BytesIO(data),
            index_col=0,
            keep_default_na=False,
            na_values=[""],
            float_precision="round_trip",  # pandas' own reader crashes on 1e999999999999
        )
    except ValueError:
        table = pd.DataFrame(cells_of(data), dtype=object)
        table = table.set_index(0) if table.shape[1] else table
    autoencoder = ElementAutoencoder(hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    transformer = ElementalModeTransformer(1, properties=table, autoencoder=autoencoder)
    try:
        features = transformer.fit_transform(["NaCl"])
    except ValueError:
        return
    assert np.isfinite(features).all()
    assert np.isfinite(transformer.modes_).all(axis=None)


def table(data):
    command = ["predict", str(STORED_MODEL), "-i", "-", "--json", "--input-format"]
    for options in (
        ["csv"],
        *([kind, "--on-error", "skip"] for kind in ("csv", "jsonl", "parquet")),
    ):
        result = CliRunner().invoke(main, [*command, *options], input=data)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code in (0, 1)
        for line in result.stdout.split("\n")[:-1]:
            assert np.isfinite(json.loads(line)["predicted"])


def dataset(data):
    try:
        atomic_numbers, energies = read_elpasolites(data)
    except ValueError:
        return
    assert atomic_numbers.shape == (len(energies), 4)
    assert np.isfinite(energies).all()


def model_file(data):
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(data)
        file.flush()
        try:
            model = load_model(file.name)
        except ValueError:
            return
    if isinstance(model[0], ElementalModeTransformer) and isinstance(
        model[-1], FormationEnergyRegressor
    ):
        with contextlib.suppress(ValueError):
            assert np.isfinite(model.predict(["K2NaAlF6", "Cs2NaBiCl6"])).all()


@cache
def stored_model():
    with safe_open(str(STORED_MODEL), framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return file.metadata()["sklearn_elmodes"], arrays


def model_header(data):
    """Replace the header of the stored model; the checksum is correct."""
    text, (_, arrays) = data.decode("utf-8", "replace"), stored_model()
    checksum = _model_files.checksum(text, arrays)
    model_file(save(arrays, metadata={"sklearn_elmodes": text, "sha256": checksum}))


TARGETS = {
    target.__name__: target
    for target in (
        formula,
        prototype,
        compositions,
        properties,
        table,
        dataset,
        model_file,
        model_header,
    )
}

SEEDS = {
    "formula": [
        b"Ca(OH)2",
        b"CuSO4.5H2O",
        b"[Co(NH3)6]Cl3^3+",
        "CuSO4·5H2O".encode(),
        b"D2O",
        b"Fe(III)2O3",
        b"$\\mathrm{Al_2O_{3}}$ (rutile)",
        b"0.9PbTiO3-0.1BiFeO3",
    ],
    "prototype": [b"elpasolite,K2NaAlF6", b"rock-salt,NaCl", b"ABC2D6,K2NaAlF6", b"A2BC4,MgAl2O4"],
    "compositions": [b'Na,Al,K,F\nNa0.5K0.5,13,"K",9', b"NaCl\nK2NaAlF6", b'{"Na":1}\nnull\n1e400'],
    "properties": [b"symbol,a,b\nNa,1,2\nCl,3,\nK,4,5\n", b'Na,1,{}\nCl,1e999,"x",2\nK,null'],
    "table": [
        b"formula,id\nK2NaAlF6,a\nNaCl,b\n",
        b'"formula"\n"Cs2NaBiCl6"\n',
        b'{"formula": "K2NaAlF6", "id": [1, {"a": null}]}\n{"formula": "NaCl"}\n',
    ],
    "dataset": [b"\x80\x02}q\x00(X\x03\x00\x00\x00ANsq\x01K\x01u."],
    "model_file": [STORED_MODEL.read_bytes()],
    "model_header": [stored_model()[0].encode()],
}
