"""What the commands share: options, models, errors in one line."""

from __future__ import annotations

import functools
import json
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


class Model(click.ParamType):  # type: ignore[type-arg]
    """A model file, or the name of a shipped model."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the shipped models, and files."""
        from sklearn_elmodes._model_files import shipped_models

        names = [name for name in shipped_models() if name.startswith(incomplete)]
        return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="File to write, CSV, Parquet or JSON lines by its ending; standard output if left out.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON to standard output, for machines."
)
formula_option = click.option(
    "--formula", default="formula", show_default=True, help="Name of the column of formulas."
)
input_format_option = click.option(
    "--input-format",
    type=click.Choice(["csv", "parquet", "jsonl"]),
    help="Format of the table, if its ending does not tell; CSV for standard input.",
)
table_type = click.Path(exists=True, dir_okay=False, allow_dash=True)


def set_aside_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what is done with rows that cannot be read."""
    for option in (
        click.option(
            "--rejected",
            type=click.Path(dir_okay=False),
            help="With --on-error skip: file for the rows set aside, with their number and the "
            "reason; standard error if left out.",
        ),
        click.option(
            "--on-error",
            type=click.Choice(["raise", "skip"]),
            default="raise",
            show_default=True,
            help="Stop at the first row that cannot be read, or set such rows aside.",
        ),
    ):
        function = option(function)
    return function


def check_outputs(
    *outputs: str | None,
    inputs: Sequence[str | None] = (),
    on_error: str = "skip",
    rejected: str | None = None,
) -> None:
    """Refuse folders that are not there, and files that would be lost, before any work."""
    if rejected is not None and on_error == "raise":
        raise click.UsageError("--rejected needs --on-error skip.")
    if rejected == "-":
        raise click.UsageError("Without --rejected FILE such rows go to standard error.")
    paths = [path for path in (rejected, *outputs) if path not in (None, "-")]
    for path in paths:
        if not Path(str(path)).absolute().parent.is_dir():
            raise click.UsageError(f"{path}: there is no such folder.")
    for name in outputs:
        if name is not None and Path(name).suffix.lower() in (".xlsx", ".xls", ".json", ".gz"):
            raise click.UsageError(f"{name}: tables are .csv, .parquet or .jsonl.")
    if len({Path(str(path)).resolve() for path in paths}) < len(paths):
        raise click.UsageError("Two of the files to write are the same file.")
    for path in paths:
        for read in inputs:
            if read is not None and Path(read).resolve() == Path(str(path)).resolve():
                raise click.UsageError(f"{path} is read; write to another file.")


def one_line_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what can go wrong into one line on standard error and an exit code."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            # A model may have been fitted on a column of another name.
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            try:
                return function(*args, **kwargs)
            except KeyboardInterrupt as error:
                click.echo(f"Interrupted. {error or 'Nothing was written.'}", err=True)
                raise SystemExit(130) from None
            except BrokenPipeError:
                raise  # click ends quietly
            except (OSError, ValueError, ImportError) as error:
                raise click.ClickException(" ".join(str(error).splitlines())) from error

    return wrapper


def _show_warning(message: Warning | str, *_: Any) -> None:
    click.echo(f"Warning: {message}", err=True)


def echo_json(content: Any) -> None:
    """Write JSON to standard output."""
    click.echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))


def progress(**settings: Any) -> Any:
    """Return a bar on standard error that shows if work takes over two seconds on a terminal."""
    from tqdm import tqdm

    return tqdm(disable=not sys.stderr.isatty(), delay=2, **settings)


def split_list(text: str) -> list[str]:
    """Split a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def load(model: str) -> Any:
    """Load a pipeline from formulas or sites to energies."""
    from sklearn_elmodes import ElementalModeTransformer, FormationEnergyRegressor, load_model
    from sklearn_elmodes._model_files import find_model

    pipeline = load_model(find_model(model))
    if not (
        isinstance(pipeline[0], ElementalModeTransformer)
        and isinstance(pipeline[-1], FormationEnergyRegressor)
    ):
        raise ValueError(f"{model} does not lead from formulas to energies.")
    return pipeline


def kind_of(pipeline: Any) -> str:
    """Say what a pipeline is for."""
    prototype = pipeline[0].prototype_
    return "formulas of any kind" if prototype is None else f"crystals of {prototype}"


def check_prototype(prototype: str | None, pipeline: Any, name: str) -> None:
    """Refuse a prototype that is not that of a model."""
    from sklearn_elmodes import Prototype

    if prototype is not None and Prototype.of(prototype) != pipeline[0].prototype_:
        raise click.UsageError(f"{name} is for {kind_of(pipeline)}, not for {prototype}.")


def shell_command() -> str:
    """Return the command that runs, as a shell would take it."""
    return shlex.join(["elmodes", *sys.argv[1:]])
