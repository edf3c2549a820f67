"""The ``elmodes`` command."""

from __future__ import annotations

from pathlib import Path

import click

from sklearn_elmodes._version import __version__
from sklearn_elmodes.cli._applying import info, predict, report, screen
from sklearn_elmodes.cli._common import one_line_errors
from sklearn_elmodes.cli._elements import modes
from sklearn_elmodes.cli._stability import stability
from sklearn_elmodes.cli._training import evaluate, train

_SHELLS = ("bash", "zsh", "fish")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 error, 2 wrong usage, 130 interrupted. Results are written to "
    "standard output, messages to standard error. Rows are counted from 0, without the header.",
)
@click.version_option(__version__)
def main() -> None:
    """Predict formation energies from chemical formulas with elemental modes."""


@click.command(short_help="Run a demonstration on included data.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="elmodes-demo",
    show_default=True,
    help="Folder for tables and figures.",
)
@click.option(
    "--part",
    "parts",
    type=click.Choice((1, 2, 3)),
    multiple=True,
    default=(1, 2, 3),
    show_default="all",
    help="Part to run: 1 modes, 2 cross-validation, 3 elpasolites; may be repeated.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 10),
    default=5,
    show_default=True,
    help="Number of cross-validation folds.",
)
@click.option("--quick", is_flag=True, help="Train briefly, to check that everything runs.")
@one_line_errors
def demo(output: Path, parts: tuple[int, ...], folds: int, quick: bool) -> None:
    """Learn modes, cross-validate on measured enthalpies and predict elpasolites.

    Runs offline and takes about three minutes.
    """
    from sklearn_elmodes.cli._demo import run_demo

    run_demo(output, parts=parts, folds=folds, quick=quick, say=click.echo)


@click.command(short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a script with which SHELL completes commands, options and model names.

    For bash, add this line to ~/.bashrc: eval "$(elmodes completion bash)"
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click does not support completion for {shell}.")
    click.echo(found(main, {}, "elmodes", "_ELMODES_COMPLETE").source())


for command in (demo, modes, train, evaluate, predict, screen, stability, info, report, completion):
    main.add_command(command)
