"""The ``elmodes`` command."""

from __future__ import annotations

import csv
import io
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from sklearn_elmodes import __version__

_output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="CSV file to write; standard output if left out.",
)


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

    Needs no network and takes about three minutes. Exit code 0: done; 1: failed.
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
@_output_option
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
    if rejected is not None and Path(rejected).resolve() == Path(output).resolve():
        raise click.UsageError("--output and --rejected are the same file.")
    try:
        frame, bad = _predict(model, formulas, table, formula, on_error == "skip")
        if rejected is not None:
            _write_csv(bad, rejected)
        _write_csv(frame, output, index=False)
        if len(bad):
            click.echo(f"{len(bad)} of {len(bad) + len(frame)} rows were set aside.", err=True)
            if rejected is None:
                click.echo(bad.to_csv(), err=True, nl=False)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("model")
@click.option(
    "-e", "--elements", help="Symbols to choose from, for all sites: Li,Na,K,Al,F.", metavar="LIST"
)
@click.option(
    "-s",
    "--site",
    "sites",
    multiple=True,
    metavar="SITE=LIST",
    help="Symbols for one site, in place of --elements there: D=F,Cl. May be repeated.",
)
@click.option(
    "--prototype", help="Structure of the candidates; must be that of the model, its default."
)
@click.option(
    "--n-elements",
    metavar="LIST",
    help="Without sites: how many elements a formula has; 2,3 if left out.",
)
@click.option(
    "--max-amount",
    type=click.IntRange(1, 999),
    default=6,
    show_default=True,
    help="Without sites: largest amount of each.",
)
@click.option("--charge-balanced", is_flag=True, help="Only what common oxidation states balance.")
@click.option("--avoid", default="", metavar="LIST", help="Symbols to avoid everywhere.")
@click.option("-k", default=100, show_default=True, help="How many of the best to write.")
@click.option("--objective", type=click.Choice(["min", "max"]), default="min", show_default=True)
@click.option("--max-spread", type=float, help="Leave out predictions of a larger spread.")
@_output_option
@click.option(
    "--all",
    "folder",
    type=click.Path(file_okay=False),
    help="Folder for all predictions, as Parquet files. A run that stopped goes on from there.",
)
@click.option("--jobs", type=int, help="Processes; one already uses all cores.")
def screen(
    model: str,
    elements: str | None,
    sites: tuple[str, ...],
    prototype: str | None,
    n_elements: str | None,
    max_amount: int,
    charge_balanced: bool,
    avoid: str,
    k: int,
    objective: str,
    max_spread: float | None,
    output: str,
    folder: str | None,
    jobs: int | None,
) -> None:
    """Predict every candidate of a space, and write the best.

    MODEL is a file that save_model wrote, or the name of a model that ships, as
    "elpasolites". A model with a prototype screens all crystals of that structure, any
    other model all formulas with amounts up to a limit. Exit code 0: done; 1: failed; 2:
    wrong usage; 130: interrupted.
    """
    from sklearn_elmodes import screen as run_screen
    from sklearn_elmodes.candidates import FormulaCandidates

    if output != "-" and not Path(output).absolute().parent.is_dir():
        raise click.UsageError(f"--output {output}: there is no such folder.")
    if n_elements is not None and not re.fullmatch("[0-9]+(,[0-9]+)*", n_elements):
        raise click.UsageError(f"--n-elements {n_elements}: write numbers with commas: 2,3.")
    try:
        pipeline = _load(model)
        own = pipeline[0].prototype_
        if prototype is not None and (own is None or type(own)(prototype) != own):
            raise click.UsageError(f"{model} is for {own or 'formulas'}, not for {prototype}.")
        states = "common" if charge_balanced else None
        space: Any
        if own is None:
            if elements is None or sites:
                raise click.UsageError(f"{model} has no sites: give --elements, and no --site.")
            space = FormulaCandidates(
                _symbols(elements),
                n_elements=[int(n) for n in n_elements.split(",")] if n_elements else None,
                amounts=range(1, max_amount + 1),
                oxidation_states=states,
            )
        else:
            by_site = dict.fromkeys(own.sites, elements)
            given = [text.partition("=")[0] for text in sites]
            for text in sites:
                site, _, listed = text.partition("=")
                if site not in by_site or not listed or given.count(site) > 1:
                    raise click.UsageError(
                        f"--site {text}: write SITE=LIST once for one of the sites "
                        f"{', '.join(own.sites)}."
                    )
                by_site[site] = listed
            missing = [site for site, listed in by_site.items() if listed is None]
            if missing:
                raise click.UsageError(f"Give --elements, or --site for {', '.join(missing)}.")
            space = own.candidates(
                {site: _symbols(listed or "") for site, listed in by_site.items()},
                oxidation_states=states,
            )
        if not len(space):
            raise ValueError("There are no such candidates.")
        best = run_screen(
            pipeline,
            space,
            k=k,
            objective=objective,
            return_std=pipeline[-1].n_estimators > 1,
            max_std=max_spread,
            avoid_elements=_symbols(avoid),
            output=folder,
            n_jobs=jobs,
            verbose=int(sys.stderr.isatty()),
        )
        _write_csv(best, output)
    except KeyboardInterrupt:
        kept = "Nothing was kept; with --all FOLDER the next run goes on where this one stopped."
        if folder is not None:
            done = len(list(Path(folder).glob("part-*.parquet")))
            kept = f"{done} batches are in {folder}; the same command goes on from there."
        click.echo(f"Interrupted. {kept}", err=True)
        raise SystemExit(130) from None
    except (OSError, ValueError, ImportError) as error:
        raise click.ClickException(str(error)) from error


def _symbols(text: str) -> list[str]:
    return [symbol.strip() for symbol in text.split(",") if symbol.strip()]


def _load(model: str) -> Any:
    """Load a pipeline from formulas or sites to energies."""
    from sklearn_elmodes import (
        ElementalModeTransformer,
        FormationEnergyRegressor,
        load_model,
        load_pretrained,
    )

    pipeline = load_model(model) if Path(model).is_file() else load_pretrained(model)
    if not (
        isinstance(pipeline[0], ElementalModeTransformer)
        and isinstance(pipeline[-1], FormationEnergyRegressor)
    ):
        raise ValueError(f"{model} does not lead from formulas to energies.")
    return pipeline


def _predict(
    model: str, formulas: tuple[str, ...], table: str | None, formula: str, skip: bool
) -> tuple[Any, Any]:
    """Return the table with predictions, and the rows set aside."""
    import pandas as pd

    pipeline = _load(model)
    frame = pd.DataFrame({formula: list(formulas)}) if table is None else _read_csv(table)
    if formula not in frame:
        raise ValueError(f"{table} has no column {formula!r}, but {', '.join(frame.columns)}.")
    for name in ("predicted", "spread"):
        if name in frame:
            raise ValueError(f"The table already has a column {name!r}; rename it.")
    column = frame[formula].to_numpy(dtype=object)
    bad = pd.DataFrame()
    if skip:
        valid, bad = pipeline[0].check_rows(column)
        frame, column = frame.iloc[valid], column[valid]
    predicted: Any = ([], [])
    with warnings.catch_warnings():
        # The model may have been fitted on a column of another name.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        if len(frame) and pipeline[-1].n_estimators > 1:
            predicted = pipeline.predict(column, return_std=True)
        elif len(frame):
            predicted = [pipeline.predict(column)]
    names = ("predicted", "spread")[: min(pipeline[-1].n_estimators, 2)]
    return frame.assign(**dict(zip(names, predicted, strict=False))), bad


def _read_csv(path: str) -> Any:
    """Read a table as text, so that what is not predicted leaves as it came."""
    import pandas as pd

    try:
        with click.open_file(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise ValueError(f"{path} is empty.")
    header = rows[0]
    if len(set(header)) != len(header):
        raise ValueError(f"{path} has several columns of one name: {', '.join(header)}.")
    for number, row in enumerate(rows[1:]):
        if not row:
            row.append("")  # a blank line is a row of one empty cell
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {number} has {len(row)} cells, and the header {len(header)}."
            )
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def _write_csv(frame: Any, path: str, **settings: Any) -> None:
    from sklearn_elmodes.files import write_atomically

    text = frame.to_csv(float_format="%.6g", lineterminator="\n", **settings)
    if path == "-":
        click.echo(text, nl=False)
    else:
        write_atomically(path, text.encode())
