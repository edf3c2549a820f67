"""The ``elmodes`` command."""

from __future__ import annotations

from pathlib import Path

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
