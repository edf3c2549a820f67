"""Plotting helpers shared by the displays."""

from __future__ import annotations

from typing import Any

# Colours of Okabe and Ito, distinguishable with colour vision deficiency.
BLOCK_COLOURS = {"s": "#0072B2", "p": "#E69F00", "d": "#009E73", "f": "#CC79A7"}


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``; raise an ImportError with instructions if it is missing."""
    try:
        import matplotlib.pyplot as plt
        import textalloc  # noqa: F401
    except ImportError:
        raise ImportError(
            "Plotting requires matplotlib and textalloc: pip install 'sklearn-elmodes[plots]'."
        ) from None
    return plt


def width_in_points(ax: Any) -> float:
    """Return the width of the axes in points, after laying out the figure."""
    figure = ax.figure
    while figure.figure is not figure:  # a subfigure
        figure = figure.figure
    figure.draw_without_rendering()
    return float(ax.get_window_extent().width * 72 / figure.dpi)
