"""The ``elmodes`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sklearn_elmodes import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Predict formation energies from chemical formulas, with elemental modes."""


@main.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("elmodes-demo"),
    show_default=True,
    help="Folder for the tables and pictures.",
)
@click.option("--folds", type=click.IntRange(2, 10), default=5, show_default=True)
@click.option("--quick", is_flag=True, help="Train briefly, to see that everything runs.")
def demo(output: Path, folds: int, quick: bool) -> None:
    """Learn modes, test a pipeline on measured enthalpies, predict elpasolites.

    Needs no network and takes two to three minutes. Exit code 0: done; 1: failed.
    """
    from sklearn_elmodes.demo import run_demo

    try:
        run_demo(output, folds=folds, quick=quick, say=click.echo)
    except (OSError, ValueError, ImportError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("model")
@click.argument("formulas", nargs=-1)
@click.option(
    "-i",
    "--input",
    "table",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="CSV file with a column of formulas, in place of FORMULAS; - is standard input.",
)
@click.option("--formula", default="formula", show_default=True, help="Name of that column.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="CSV file to write; standard output if left out.",
)
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="Stop at the first row that cannot be read, or set such rows aside.",
)
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False),
    help="With --on-error skip: CSV file for rows set aside and the reasons; else standard error.",
)
def predict(
    model: str,
    formulas: tuple[str, ...],
    table: str | None,
    formula: str,
    output: str,
    on_error: str,
    rejected: str | None,
) -> None:
    """Predict the energies of FORMULAS, or of a column of a CSV file.

    MODEL is a file that save_model wrote, or the name of a model that ships, as
    "elpasolites". Adds the columns "predicted" and, if the model has several
    networks, "spread", in the units of the model's training data; all other columns
    stay as they are. Exit code 0: done; 1: failed; 2: wrong usage.
    """
    if bool(formulas) == (table is not None):
        raise click.UsageError("Give either FORMULAS or --input.")
    if rejected is not None and on_error == "raise":
        raise click.UsageError("--rejected needs --on-error skip.")
    try:
        frame, bad = _predict(model, formulas, table, formula, on_error == "skip")
        _write_csv(frame, output, index=False)
        if len(bad):
            click.echo(f"{len(bad)} of {len(bad) + len(frame)} rows were set aside.", err=True)
        if rejected is not None:
            _write_csv(bad, rejected)
        elif len(bad):
            click.echo(bad.to_csv(), err=True, nl=False)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _predict(
    model: str, formulas: tuple[str, ...], table: str | None, formula: str, skip: bool
) -> tuple[Any, Any]:
    """Return the table with predictions, and the rows set aside."""
    import pandas as pd

    from sklearn_elmodes.persistence import load_model, load_pretrained

    pipeline = load_model(model) if Path(model).exists() else load_pretrained(model)
    if table is None:
        frame = pd.DataFrame({formula: list(formulas)})
    else:
        # Text stays text: what is not predicted leaves as it came.
        with click.open_file(table, encoding="utf-8") as file:
            frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if formula not in frame:
        raise ValueError(f"{table} has no column {formula!r}, but {', '.join(frame.columns)}.")
    for name in ("predicted", "spread"):
        if name in frame:
            raise ValueError(f"{table} already has a column {name!r}; rename it.")
    column = frame[formula].to_numpy(dtype=object)
    bad = pd.DataFrame()
    if skip:
        valid, bad = pipeline[0].check_rows(column)
        frame, column = frame.iloc[valid], column[valid]
    frame = frame.assign(predicted=0.0)
    if len(frame) and pipeline[-1].n_estimators > 1:
        frame["predicted"], frame["spread"] = pipeline.predict(column, return_std=True)
    elif len(frame):
        frame["predicted"] = pipeline.predict(column)
    return frame, bad


def _write_csv(frame: Any, path: str, **settings: Any) -> None:
    with click.open_file(path, "w", encoding="utf-8", atomic=path != "-") as file:
        frame.to_csv(file, float_format="%.6g", lineterminator="\n", **settings)
