"""Read and write tables in files and pipes; columns of the user are not changed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._validation import shown

FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SIGNIFICANT = 9  # digits of a float32 prediction
_ABSENT = pd.NA  # a key that is missing from a line of JSON; null becomes None


def format_of(path: str, given: str | None = None) -> str:
    """Return the format of a table by its extension; CSV for others, and for pipes."""
    name = Path(path.lower().removesuffix(".gz"))
    return given or FORMATS.get(name.suffix, "csv")


def read_table(path: str, given: str | None = None) -> pd.DataFrame:
    """Read a table without converting its columns.

    Parameters
    ----------
    path : str
        A file, or ``-`` for standard input; with the extension .gz, it is decompressed.
    given : {"csv", "parquet", "jsonl"}, default=None
        The format; None takes it from the extension.

    Returns
    -------
    DataFrame
        Cells of a CSV file are text. Rows are numbered from 0.

    Raises
    ------
    ValueError
        If the file is not a table of this format or is empty, its rows differ in length,
        or a column name occurs twice.
    """
    kind = format_of(path, given)
    if Path(path).suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise ValueError(f"{path} is a spreadsheet; save it as CSV in UTF-8.")
    with click.open_file(path, "rb") as file:
        content = file.read()
    if path.lower().endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} cannot be read as gzip: {error}") from error
    if not content:
        raise ValueError(f"{path} is empty.")
    if kind == "parquet":
        return _read_parquet(path, content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} cannot be read as {kind.upper()}; save it in UTF-8: {error}"
        ) from error
    return _read_lines(path, text) if kind == "jsonl" else _read_csv(path, text)


def write_table(frame: pd.DataFrame, path: str, *, as_json: bool = False) -> None:
    """Write a table atomically.

    Parameters
    ----------
    frame : DataFrame
        Float columns of NumPy are predictions, and are rounded to nine digits in text formats.
    path : str
        The extension selects the format; ``-`` is standard output, as CSV.
    as_json : bool, default=False
        Write JSON lines to standard output.
    """
    kind = "jsonl" if as_json and path == "-" else format_of(path)
    if kind == "parquet":
        content = _as_parquet(frame)
    elif kind == "jsonl":
        content = _as_lines(frame).encode()
    else:
        content = as_csv(frame).encode()
    if path == "-":
        click.echo(content, nl=False)
    else:
        write_atomically(path, content)


def take_column(frame: pd.DataFrame, name: str, path: str) -> Any:
    """Return a column as an array of objects."""
    if name not in frame:
        there = ", ".join(map(repr, frame))
        alike = [own for own in frame if str(own).strip().casefold() == name.strip().casefold()]
        hint = f" If {alike[0]!r} is meant, name it so." if alike else ""
        raise ValueError(f"{path} has no column {name!r}; it has {there}.{hint}")
    return frame[name].to_numpy(dtype=object)


def numbers(values: Any) -> tuple[Any, dict[int, str]]:
    """Convert a column to numbers, and list the cells that are not numbers.

    Returns
    -------
    ndarray of float
        NaN where a cell is not a finite number.
    dict of {int: str}
        Reasons by row.
    """
    found, reasons = np.full(len(values), np.nan), {}
    for row, value in enumerate(values):
        try:
            strange = isinstance(value, bool) or (isinstance(value, str) and "_" in value)
            number = float("" if strange else value)
        except (TypeError, ValueError, OverflowError):
            reasons[row] = (
                f"The target {shown(value)} is not a number; write a number such as -1.25."
            )
            continue
        if np.isfinite(number):
            found[row] = number
        else:
            reasons[row] = f"The target {shown(value)} is not a finite number."
    return found, reasons


def _read_csv(path: str, text: str) -> pd.DataFrame:
    csv.field_size_limit(2**31 - 1)  # a cell may hold a whole CIF file
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    if not rows:
        raise ValueError(f"{path} is empty.")
    header = rows[0]
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise ValueError(f"{path} separates its columns by {name}; use commas.")
    if len(set(header)) != len(header):
        raise ValueError(f"{path} has duplicate column names: {', '.join(header)}.")
    while len(header) > 1 and not rows[-1]:
        rows.pop()  # blank lines at the end, as spreadsheets leave them
    for number, row in enumerate(rows[1:]):
        if not row:
            row.append("")  # a blank line is a row of one empty cell
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {number} has {len(row)} cells, but the header has {len(header)}."
            )
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def _read_lines(path: str, text: str) -> pd.DataFrame:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) != len(pairs):
            raise ValueError(f"duplicate keys: {', '.join(key for key, _ in pairs)}")
        return record

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not valid JSON")

    records: list[dict[str, Any]] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=distinct, parse_constant=refuse)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: row {len(records)} is not a JSON object: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path}: row {len(records)} is not a JSON object: {shown(line)}")
        records.append(record)
    names = dict.fromkeys(key for record in records for key in record)
    columns = {name: [record.get(name, _ABSENT) for record in records] for name in names}
    return pd.DataFrame(columns, dtype=object)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'sklearn-elmodes[screen]'.") from None
    return pyarrow


def _read_parquet(path: str, content: bytes) -> pd.DataFrame:
    pa = _pyarrow()
    try:
        table = pa.parquet.read_table(io.BytesIO(content))
        # An index written by pandas is kept as a column.
        return table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from error


def _as_parquet(frame: pd.DataFrame) -> bytes:
    pa = _pyarrow()
    try:
        return frame.to_parquet(None, index=False, engine="pyarrow")
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(f"The table cannot be written as Parquet: {error}") from error


def _columns(frame: pd.DataFrame) -> list[list[Any]]:
    """Return the cells as Python objects; absent cells stay ``_ABSENT``."""
    columns = []
    for name, dtype in frame.dtypes.items():
        values = list(frame[name].astype(object))
        if isinstance(dtype, np.dtype) and dtype.kind == "f":
            values = [float(f"{value:.{_SIGNIFICANT}g}") for value in values]
        elif dtype != np.dtype(object):  # Parquet has nulls, but no absent cells
            values = [None if value is pd.NA or value is pd.NaT else value for value in values]
        columns.append([v.tolist() if isinstance(v, np.ndarray) else v for v in values])
    return columns


def as_csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV, with lists and mappings as JSON."""
    columns = [
        ["" if v is _ABSENT else _as_json(v) if isinstance(v, dict | list) else v for v in values]
        for values in _columns(frame)
    ]
    rows = [list(map(str, frame)), *zip(*columns, strict=True)]
    # Some releases of Python do not quote a lone carriage return, where readers break the row.
    broken = any(
        isinstance(cell, str) and "\r" in cell and "\n" not in cell for row in rows for cell in row
    )
    text = io.StringIO(newline="")
    csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    ).writerows(rows)
    return text.getvalue()


def _as_lines(frame: pd.DataFrame) -> str:
    names = list(map(str, frame))
    lines = []
    for row in zip(*_columns(frame), strict=True):
        pairs = zip(names, row, strict=True)
        lines.append(_as_json({name: value for name, value in pairs if value is not _ABSENT}))
    return "".join(f"{line}\n" for line in lines)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """Convert a value from another format for JSON."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
