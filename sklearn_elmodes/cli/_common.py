"""Options, models and error messages that the commands share."""

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
    """A model file, or the name of an included model."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the names of included models, and files."""
        from sklearn_elmodes._model_files import shipped_models

        names = [name for name in shipped_models() if name.startswith(incomplete)]
        return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="Output file; the extension selects CSV, Parquet or JSON lines. Default: standard output.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write machine-readable JSON to standard output."
)
formula_option = click.option(
    "--formula", default="formula", show_default=True, help="Name of the column with formulas."
)
formulas_option = click.option(
    "--formulas",
    "notation",
    type=click.Choice(["strict", "clean"]),
    help='Whether to clean formulas such as "Al₂O₃" or "TiO2 (rutile)", or to refuse them. '
    "Default: as in the model; strict for a new one.",
)
input_format_option = click.option(
    "--input-format",
    type=click.Choice(["csv", "parquet", "jsonl"]),
    help="Format of the input table. Default: from the extension; CSV for standard input.",
)
table_type = click.Path(exists=True, dir_okay=False, allow_dash=True)


def set_aside_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for rows that cannot be read."""
    for option in (
        click.option(
            "--rejected",
            type=click.Path(dir_okay=False),
            help="With --on-error skip: file for the skipped rows, with row number and reason. "
            "Default: standard error.",
        ),
        click.option(
            "--on-error",
            type=click.Choice(["raise", "skip"]),
            default="raise",
            show_default=True,
            help="Stop at the first row that cannot be read, or skip such rows.",
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
    """Check the output paths before any work; no input file may be overwritten."""
    if rejected is not None and on_error == "raise":
        raise click.UsageError("--rejected needs --on-error skip.")
    if rejected == "-":
        raise click.UsageError(
            "--rejected needs a file; without it the skipped rows go to standard error."
        )
    paths = [path for path in (rejected, *outputs) if path not in (None, "-")]
    for path in paths:
        if not Path(str(path)).absolute().parent.is_dir():
            raise click.UsageError(f"{path}: the folder does not exist.")
    for name in (*outputs, rejected):
        if name is not None and Path(name).suffix.lower() in (".xlsx", ".xls", ".json", ".gz"):
            raise click.UsageError(f"{name}: use the extension .csv, .parquet or .jsonl.")
    if len({Path(str(path)).resolve() for path in paths}) < len(paths):
        raise click.UsageError("Two output options name the same file.")
    from sklearn_elmodes._model_files import shipped_models

    for path in paths:
        for read in inputs:
            is_file = read is not None and read not in shipped_models()
            if is_file and Path(str(read)).resolve() == Path(str(path)).resolve():
                raise click.UsageError(f"{path} is also an input file; write to another file.")


def one_line_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Report an error as one line on standard error and an exit code."""

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
    """Return a progress bar on standard error; terminals show it after two seconds."""
    from tqdm import tqdm

    return tqdm(disable=not sys.stderr.isatty(), delay=2, **settings)


def split_list(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def load(model: str, notation: str | None = None) -> Any:
    """Load a pipeline that predicts energies from formulas or sites.

    ``notation`` replaces its parameter ``formulas``, if given.
    """
    from sklearn_elmodes import ElementalModeTransformer, FormationEnergyRegressor, load_model
    from sklearn_elmodes._model_files import find_model

    pipeline = load_model(find_model(model))
    if not (
        isinstance(pipeline[0], ElementalModeTransformer)
        and isinstance(pipeline[-1], FormationEnergyRegressor)
    ):
        raise ValueError(
            f"{model} must be a pipeline from an ElementalModeTransformer to a "
            "FormationEnergyRegressor."
        )
    if notation is not None:
        pipeline[0].set_params(formulas=notation)
    return pipeline


def kind_of(pipeline: Any) -> str:
    """Describe the compositions that a pipeline reads."""
    prototype = pipeline[0].prototype_
    return "formulas of any kind" if prototype is None else f"crystals of {prototype}"


def check_prototype(prototype: str | None, pipeline: Any, name: str) -> None:
    """Check that a prototype is that of a model."""
    from sklearn_elmodes import Prototype

    if prototype is not None and Prototype.of(prototype) != pipeline[0].prototype_:
        raise click.UsageError(f"{name} predicts {kind_of(pipeline)}, not {prototype}.")


def shell_command() -> str:
    """Return the running command, quoted for a shell."""
    return shlex.join(["elmodes", *sys.argv[1:]])
