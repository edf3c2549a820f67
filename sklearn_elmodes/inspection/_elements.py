"""Displays of elements: the periodic table and a map of two modes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes.elements import SYMBOLS, block_of, table_position
from sklearn_elmodes.inspection._drawing import BLOCK_COLOURS, pyplot, width_in_points


def _modes_of(estimator: Any) -> Any:
    """Return the modes of a fitted transformer or of the first step of a pipeline."""
    first = estimator[0] if isinstance(estimator, Pipeline) else estimator
    check_is_fitted(first)
    if not hasattr(first, "modes_"):
        raise ValueError(f"{first!r:.200} has no modes; pass an ElementalModeTransformer.")
    return first.modes_


class PeriodicTableDisplay:
    """Periodic table coloured by a value of each element.

    Parameters
    ----------
    values : mapping of str to float
        Value by element symbol; elements without a finite value are hatched.
    label : str, default=""
        Name and unit of the values, for the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    cells_ : dict of {str: Rectangle}
        Cell by element symbol.
    text_ : dict of {str: Text}
        Label by element symbol.

    Examples
    --------
    >>> from sklearn_elmodes.elements import property_table
    >>> from sklearn_elmodes.inspection import PeriodicTableDisplay
    >>> values = property_table("extended")["electronegativity_allen"].dropna()
    >>> display = PeriodicTableDisplay(values, label="Allen electronegativity").plot()
    >>> len(display.cells_)
    118
    """

    def __init__(self, values: Mapping[str, float], *, label: str = "") -> None:
        self.values = values
        self.label = label

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, mode: int = 1, ax: Any = None
    ) -> PeriodicTableDisplay:
        """Plot one mode of a fitted :class:`~sklearn_elmodes.ElementalModeTransformer`.

        Parameters
        ----------
        estimator : ElementalModeTransformer, or a pipeline that starts with one
            Fitted.
        mode : int, default=1
            Number of the mode, from 1.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        PeriodicTableDisplay

        Raises
        ------
        ValueError
            If the estimator has no modes, or not the mode asked for.
        """
        modes = _modes_of(estimator)
        if not 1 <= mode <= modes.shape[1]:
            raise ValueError(f"mode={mode} must lie between 1 and {modes.shape[1]}.")
        return cls(modes[f"mode{mode}"].to_dict(), label=f"mode {mode}").plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "viridis") -> PeriodicTableDisplay:
        """Plot the table; the font size of the symbols fits the current size of the axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.
        cmap : str, default="viridis"
            Colour map.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``values`` contains an unknown symbol, or no finite value.
        """
        plt = pyplot()
        import matplotlib as mpl
        from matplotlib.patches import Rectangle

        values = pd.to_numeric(pd.Series(dict(self.values), dtype=object)).astype(float)
        known: dict[str, float] = {str(s): v for s, v in values[np.isfinite(values)].items()}
        unknown = set(known) - set(SYMBOLS)
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]!r} is not an element symbol.")
        if not known:
            raise ValueError("values contains no finite value to plot.")
        if ax is None:
            _, ax = plt.subplots(figsize=(11, 6), layout="constrained")
        ax.set(xlim=(0.4, 18.6), ylim=(10.6, 0.4), aspect="equal")
        ax.axis("off")
        norm = mpl.colors.Normalize(min(known.values()), max(known.values()))
        colours = mpl.colormaps[cmap]
        mapper = mpl.cm.ScalarMappable(norm, colours)
        ax.figure.colorbar(mapper, ax=ax, label=self.label, shrink=0.6, pad=0.02)
        cell_width = width_in_points(ax) / 18.2
        self.cells_, self.text_ = {}, {}
        for symbol in SYMBOLS:
            row, column = table_position(symbol)
            if symbol in known:
                colour = colours(norm(known[symbol]))
                style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white"}
                dark = np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.5
            else:
                style = {"facecolor": "white", "edgecolor": "0.75", "hatch": "////"}
                dark = False
            cell = Rectangle((column - 0.5, row - 0.5), 1, 1, linewidth=1, **style)
            self.cells_[symbol] = ax.add_patch(cell)
            self.text_[symbol] = ax.text(
                column,
                row,
                symbol,
                ha="center",
                va="center",
                fontsize=min(0.45 * cell_width, 12),
                color="white" if dark else "0.1" if symbol in known else "0.55",
            )
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ModeMapDisplay:
    """Map of the elements by two modes, or by a projection of all modes.

    textalloc places the labels without overlap.

    Parameters
    ----------
    modes : DataFrame of shape (n_elements, n_components)
        Modes by element symbol.
    pair : tuple of int, default=(1, 2)
        Numbers of the two modes, from 1.
    projection : transformer, default=None
        Transformer from all modes to two dimensions, such as
        ``TSNE(perplexity=12, random_state=0)``, instead of ``pair``. It is cloned.
    colour_by : {"block", "group"}, default="block"
        Whether the colour is the block or the group of the periodic table. The f block,
        which has no group, has its own colour.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : PathCollection
    text_ : dict of {str: Text}
        Label by element symbol.

    Examples
    --------
    >>> from sklearn_elmodes import ElementalModeTransformer
    >>> from sklearn_elmodes.inspection import ModeMapDisplay
    >>> transformer = ElementalModeTransformer().fit(["NaCl"])
    >>> display = ModeMapDisplay.from_estimator(transformer)
    >>> display.text_["Na"].get_text()
    'Na'
    """

    def __init__(
        self,
        modes: Any,
        *,
        pair: tuple[int, int] = (1, 2),
        projection: Any = None,
        colour_by: str = "block",
    ) -> None:
        self.modes = modes
        self.pair = pair
        self.projection = projection
        self.colour_by = colour_by

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        pair: tuple[int, int] = (1, 2),
        projection: Any = None,
        colour_by: str = "block",
        ax: Any = None,
    ) -> ModeMapDisplay:
        """Plot the modes of a fitted :class:`~sklearn_elmodes.ElementalModeTransformer`.

        Parameters
        ----------
        estimator : ElementalModeTransformer, or a pipeline that starts with one
            Fitted.
        pair : tuple of int, default=(1, 2)
            Numbers of the two modes, from 1.
        projection : transformer, default=None
            Transformer from all modes to two dimensions, instead of ``pair``.
        colour_by : {"block", "group"}, default="block"
            Whether the colour is the block or the group of the periodic table.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        ModeMapDisplay
        """
        modes = _modes_of(estimator)
        display = cls(modes, pair=pair, projection=projection, colour_by=colour_by)
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> ModeMapDisplay:
        """Plot the map; the labels are placed for the current size of the axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a mode of ``pair`` does not exist, ``colour_by`` is invalid, or the
            projection does not return two columns.
        """
        points, names = self._points()
        plt = pyplot()
        from textalloc import allocate

        colours, handles = self._colours(plt)
        if ax is None:
            _, ax = plt.subplots(figsize=(10, 7), layout="constrained")
        self.points_ = ax.scatter(*points.T, s=12, c=colours)
        ax.margins(0.06)
        ax.set(xlabel=names[0], ylabel=names[1])
        # Beside the axes, so that it does not cover elements.
        ax.legend(
            handles=handles,
            frameon=False,
            fontsize="small",
            loc="upper left",
            bbox_to_anchor=(1, 1),
        )
        width = width_in_points(ax)
        symbols = list(self.modes.index)
        _, _, texts, _ = allocate(
            ax,
            *points.T,
            symbols,
            scatter_plot=self.points_,
            textsize=8 if width > 360 else 6,
            textcolor=colours,
            max_distance=0.3,
            nbr_candidates=400,
            linecolor="0.6",
            linewidth=0.5,
        )
        self.text_ = dict(zip(symbols, texts, strict=True))
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _points(self) -> tuple[Any, list[str]]:
        """Return the coordinates of the elements and the names of the two axes."""
        if self.projection is None:
            names = [f"mode{number}" for number in self.pair]
            for name, number in zip(names, self.pair, strict=True):
                if name not in self.modes:
                    raise ValueError(f"pair={self.pair}: there is no mode {number}.")
            return self.modes[names].to_numpy(), [f"mode {number}" for number in self.pair]
        points = np.asarray(clone(self.projection).fit_transform(self.modes.to_numpy()))
        if points.shape != (len(self.modes), 2):
            raise ValueError(f"{self.projection} must return 2 columns, not {points.shape[1:]}.")
        name = type(self.projection).__name__
        return points, [f"{name}, first axis", f"{name}, second axis"]

    def _colours(self, plt: Any) -> tuple[list[Any], list[Any]]:
        """Return the colour of each element and the handles of the legend."""
        from matplotlib.lines import Line2D

        symbols = list(self.modes.index)
        if self.colour_by == "block":
            names = [f"{block_of(symbol)} block" for symbol in symbols]
            palette: dict[str, Any] = {f"{b} block": c for b, c in BLOCK_COLOURS.items()}
        elif self.colour_by == "group":
            places = [table_position(symbol) for symbol in symbols]
            names = [f"group {column}" if row < 9 else "f block" for row, column in places]
            shades = plt.get_cmap("cividis")(np.linspace(0, 0.95, 18))
            palette = {f"group {n}": shade for n, shade in enumerate(shades, start=1)}
            palette["f block"] = BLOCK_COLOURS["f"]
        else:
            raise ValueError(f"colour_by={self.colour_by!r} must be 'block' or 'group'.")
        handles = [
            Line2D([], [], marker="o", linestyle="", color=colour, label=name)
            for name, colour in palette.items()
            if name in names
        ]
        return [palette[name] for name in names], handles
