"""The command that shows or learns modes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from sklearn_elmodes.cli._common import (
    check_outputs,
    json_option,
    one_line_errors,
    output_option,
    split_list,
)


@click.command(
    short_help="Show or learn elemental modes.",
    epilog="\b\nExamples:\n"
    "  elmodes modes Na K Cl\n"
    "  elmodes modes -n 8 --picture map.png -o modes.csv",
)
@click.argument("symbols", nargs=-1)
@click.option(
    "-n",
    "--n-components",
    type=click.IntRange(1),
    help="Number of modes.  [default: 12]",
)
@click.option(
    "--properties",
    default="extended",
    show_default=True,
    help='Table of properties: "extended", "herr2019", or a CSV file with element symbols in its '
    "first column.",
)
@click.option("--seed", type=int, help="Learn new modes with this random seed.")
@output_option
@click.option(
    "--picture",
    type=click.Path(dir_okay=False),
    help="Plot of the first two modes; the extension selects PNG, SVG or PDF.",
)
@json_option
@one_line_errors
def modes(
    symbols: tuple[str, ...],
    n_components: int | None,
    properties: str,
    seed: int | None,
    output: str,
    picture: str | None,
    as_json: bool,
) -> None:
    """Show the modes of SYMBOLS, or of all elements, and the nearest elements of each.

    The modes included with the package are used if they match the options. Otherwise new
    modes are learned, which takes about ten seconds.
    """
    check_outputs(output, picture, inputs=[properties])
    import pandas as pd

    from sklearn_elmodes.autoencoder import ElementAutoencoder
    from sklearn_elmodes.cli._tables import write_table
    from sklearn_elmodes.elements import property_table
    from sklearn_elmodes.inspection import nearest_elements, reconstruction_r2
    from sklearn_elmodes.modes import DEFAULT_N_COMPONENTS, ElementModes

    named = properties in ("extended", "herr2019")
    table = property_table(properties) if named else _read_properties(properties)
    source = properties if named else table
    n_components = n_components or DEFAULT_N_COMPONENTS
    learner = None
    if seed is not None or not ElementModes.are_shipped(source, n_components):
        learner = ElementAutoencoder(random_state=seed or 0, verbose=int(sys.stderr.isatty()))
    learned = ElementModes.from_properties(source, n_components, learner)
    found = learned.to_frame()
    symbols = tuple(symbol for text in symbols for symbol in split_list(text))
    for symbol in symbols:
        if symbol not in found.index:
            raise ValueError(
                f"{symbol!r} is not an element with modes; write symbols such as Na K Cl."
            )
    if learned.autoencoder is not None:
        scores = reconstruction_r2(table, learned.autoencoder.inverse_transform(learned.values))
        worst = min(scores, key=lambda name: scores[name])
        mean = sum(scores.values()) / len(scores)
        click.echo(
            f"Learned {found.shape[1]} modes of {len(found)} elements; reconstruction R² of the "
            f"properties: mean {mean:.3f}, lowest {scores[worst]:.3f} ({worst}).",
            err=True,
        )
    shown = found.loc[list(symbols)] if symbols else found
    nearest = [" ".join(nearest_elements(found, symbol)[:3]) for symbol in shown.index]
    frame = shown.astype("float64").rename_axis("symbol").reset_index()
    write_table(frame.assign(nearest=pd.Series(nearest, dtype=object)), output, as_json=as_json)
    if picture is not None:
        _save_map(found, picture)


def _read_properties(path: str) -> Any:
    """Read a table of symbols and numeric properties, where cells may be empty."""
    import pandas as pd

    from sklearn_elmodes.cli._tables import read_table

    if not Path(path).is_file():
        raise ValueError(f'--properties {path} must be "extended", "herr2019" or an existing file.')
    frame = read_table(path)
    frame = frame.set_index(frame.columns[0])
    numbers = {}
    for name in frame:
        values = []
        for symbol, cell in frame[name].items():
            try:
                values.append(float("nan") if pd.isna(cell) or cell == "" else float(cell))
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}: {cell!r} for {symbol} in the column {name!r} is not a number; leave "
                    "unknown values empty."
                ) from None
        numbers[name] = values
    return pd.DataFrame(numbers, index=frame.index)


def _save_map(found: Any, path: str) -> None:
    import io

    from sklearn_elmodes._files import write_atomically
    from sklearn_elmodes.inspection import ModeMapDisplay, pyplot

    plt = pyplot()
    plt.switch_backend("agg")
    figure = ModeMapDisplay(found).plot().figure_
    picture = io.BytesIO()
    figure.savefig(picture, format=Path(path).suffix.removeprefix(".") or "png", dpi=150)
    plt.close(figure)
    write_atomically(path, picture.getvalue())
