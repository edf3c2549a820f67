"""What all displays draw with."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's colours, which the colour-blind tell apart.
BLOCK_COLOURS = {"s": "#0072B2", "p": "#E69F00", "d": "#009E73", "f": "#CC79A7"}


def pyplot() -> Any:
    """Import matplotlib, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
        import textalloc  # noqa: F401
    except ImportError:
        raise ImportError(
            "Pictures need matplotlib and textalloc: pip install 'sklearn-elmodes[plots]'."
        ) from None
    return plt


def width_in_points(ax: Any) -> float:
    """Return how wide the axes are, once the figure has its layout."""
    figure = ax.figure
    while figure.figure is not figure:  # of a part of a figure
        figure = figure.figure
    figure.draw_without_rendering()
    return float(ax.get_window_extent().width * 72 / figure.dpi)
