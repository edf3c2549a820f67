"""Read and predict the rows of a table."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
import pandas as pd

from sklearn_elmodes._cleaning import HEAVY_HYDROGEN
from sklearn_elmodes._formula_grammar import Rules
from sklearn_elmodes._validation import shown
from sklearn_elmodes.applicability import widest_std
from sklearn_elmodes.cli._common import progress
from sklearn_elmodes.cli._tables import as_csv, numbers, read_table, take_column, write_table
from sklearn_elmodes.compositions import write_formula
from sklearn_elmodes.formulas import (
    CleanedFormula,
    _read_composition,
    _read_formulas,
    clean_formula,
)

_CHUNK_ROWS = 50_000  # about a second, and many batches of a network
_SHOWN_CHANGES = 3


def check_formulas(transformer: Any, column: Any) -> tuple[Any, dict[int, str]]:
    """Clean a column of formulas, if the transformer does, and find the rows it refuses.

    Returns
    -------
    ndarray of object
        The column; formulas that were cleaned are plain text.
    dict of {int: str}
        Reasons by row.
    """
    if transformer.formulas == "clean":
        column = _cleaned(column)
    _, bad = transformer.check_rows(column)
    advice = ('formulas="clean"', "--formulas clean")  # in Python, and here
    return column, {row: reason.replace(*advice) for row, reason in bad["reason"].items()}


def _cleaned(column: Any) -> Any:
    """Clean the formulas that the strict reader refuses, and say what was changed."""
    column, notes = column.copy(), []
    for row in sorted(_read_formulas(column).rejected):
        try:
            found = _clean(column[row])
        except ValueError:
            continue
        changes = ", ".join(found.changes)
        notes.append(f"row {row}, {shown(column[row])} to {shown(found.formula)} ({changes})")
        column[row] = found.formula
    if notes:
        more = len(notes) - _SHOWN_CHANGES
        listed = "; ".join(notes[:_SHOWN_CHANGES]) + (f"; and {more} more" if more > 0 else "")
        click.echo(f"{len(notes)} of {len(column)} formulas were cleaned: {listed}.", err=True)
    return column


def _clean(value: Any) -> CleanedFormula:
    if isinstance(value, str):
        return clean_formula(value)
    # A mapping is refused and then read only if it contains heavy hydrogen.
    amounts = _read_composition(value, Rules(clean=True, has_options=False))
    return CleanedFormula(write_formula(amounts), (HEAVY_HYDROGEN,))


def set_aside(
    frame: pd.DataFrame, reasons: dict[int, str], on_error: str, rejected: str | None
) -> None:
    """Raise an error for the first invalid row, or skip and list all invalid rows."""
    if not reasons and rejected is None:
        return
    rows = sorted(reasons)
    if rows and on_error == "raise":
        others = f" (and {len(rows) - 1} more; use --on-error skip to skip them)"
        raise ValueError(f"Row {rows[0]}: {reasons[rows[0]]}{others if len(rows) > 1 else ''}")
    for name in ("row", "reason"):
        if name in frame:
            raise ValueError(
                f"The table has a column {name!r}, which is added to the skipped rows; rename it."
            )
    bad = frame.iloc[rows]
    bad.insert(0, "row", rows)
    bad.insert(1, "reason", [reasons[row] for row in rows])
    click.echo(f"{len(bad)} of {len(frame)} rows were skipped.", err=True)
    if rejected is not None:
        write_table(bad, rejected)
    else:
        click.echo(as_csv(bad), err=True, nl=False)


def predict_rows(pipeline: Any, column: Any) -> dict[str, Any]:
    """Predict in chunks, with a progress bar."""
    several = pipeline[-1]._has_std
    parts: list[Any] = []
    with progress(total=len(column), desc="Predicting", unit="row", unit_scale=True) as bar:
        for start in range(0, len(column), _CHUNK_ROWS):
            chunk = column[start : start + _CHUNK_ROWS]
            found = (
                pipeline.predict(chunk, return_std=True) if several else [pipeline.predict(chunk)]
            )
            parts.append(found)
            bar.update(len(chunk))
    names = ("predicted", "std")[: 2 if several else 1]
    empty = np.empty(0)
    found = {
        name: np.concatenate([part[i] for part in parts]) if parts else empty
        for i, name in enumerate(names)
    }
    if several:
        limit = widest_std(pipeline)
        wild = np.flatnonzero(found["std"] > limit)
        if len(wild):
            click.echo(
                f"Warning: {len(wild)} of {len(column)} predictions are meaningless, the first for "
                f"{shown(column[wild[0]])}: their std is larger than that of the training targets "
                f"({limit:.3g}).",
                err=True,
            )
    return found


def read_labelled(
    transformer: Any,
    path: str,
    input_format: str | None,
    formula: str,
    target: str,
    on_error: str,
    rejected: str | None,
) -> pd.DataFrame:
    """Read formulas and true values; raise an error for invalid rows, or skip them.

    Returns
    -------
    DataFrame
        Columns "row", counted from 0 in the table, "formula" (cleaned, if the transformer
        does) and "true".
    """
    frame = read_table(path, input_format)
    formulas = take_column(frame, formula, path)
    values, reasons = numbers(take_column(frame, target, path))
    formulas, refused = check_formulas(transformer, formulas)
    reasons |= refused
    set_aside(frame, reasons, on_error, rejected)
    good = np.setdiff1d(np.arange(len(frame)), list(reasons))
    if not len(good):
        raise ValueError(f"{path} has no row with a valid formula and target.")
    texts = [_as_text(formula) for formula in formulas[good]]
    return pd.DataFrame(
        {"row": good, "formula": np.array(texts, dtype=object), "true": values[good]}
    )


_UNIT_ROWS = 2000  # enough to recognise a unit


def tell_unit(rows: pd.DataFrame, unit: str | None, prototype: Any) -> str:
    """Compare targets with a general model; return the unit to show, "" if it is unknown.

    Targets that look like energies in another unit than eV/atom are worth a warning.
    """
    if prototype is not None:  # the general model knows the most stable structure only
        return unit or ""
    from sklearn_elmodes import load_pretrained
    from sklearn_elmodes._units import guess_unit
    from sklearn_elmodes.formulas import parse_formulas

    part = rows.iloc[:: -(-len(rows) // _UNIT_ROWS)]
    model = load_pretrained("oqmd")
    valid, _ = model[0].check_rows(part["formula"].to_numpy())
    if not len(valid):
        return unit or ""
    formulas, targets = part["formula"].to_numpy()[valid], part["true"].to_numpy(float)[valid]
    compositions = parse_formulas(formulas)
    n_atoms = np.add.reduceat(compositions.amounts, compositions.starts[:-1])
    guess = guess_unit(targets, model.predict(formulas), n_atoms)
    if guess not in (None, "eV/atom") and unit in (None, "eV/atom"):
        click.echo(
            f"Warning: compared with a general model, the targets look like {guess} instead of "
            "eV/atom. Convert them if that is not meant.",
            err=True,
        )
    return unit or (guess if guess == "eV/atom" else "")


def tell_conflicts(rows: pd.DataFrame) -> dict[str, Any]:
    """Warn of compositions with several targets; return their number, rows and largest range."""
    from sklearn_elmodes.inspection import conflicting_targets

    found = conflicting_targets(rows["formula"].to_numpy(), rows["true"].to_numpy())
    n_rows = int(found["n_rows"].sum())
    if not found.empty:
        worst = found.iloc[0]
        click.echo(
            f"Warning: {n_rows:,} rows give {len(found):,} of the compositions several targets; "
            f"the largest range is that of {worst['formula']}: {worst['lowest']:.4g} to "
            f"{worst['highest']:.4g}.",
            err=True,
        )
    return {
        "compositions_with_several_targets": len(found),
        "rows_with_several_targets": n_rows,
        "largest_range_of_targets": float(found["range"].max()) if n_rows else 0.0,
    }


def _as_text(formula: Any) -> str:
    """Write a ``{symbol: amount}`` mapping from JSON lines as a formula."""
    return formula if isinstance(formula, str) else write_formula(formula)
