"""What the modes keep, in numbers and in displays; matplotlib is imported only to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, block_of, table_position

# Okabe and Ito's colours, which the colour-blind tell apart.
_BLOCK_COLOURS = {"s": "#0072B2", "p": "#E69F00", "d": "#009E73", "f": "#CC79A7"}


def pyplot() -> Any:
    """Import matplotlib, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "Pictures need matplotlib: pip install 'sklearn-elmodes[plots]'."
        ) from None
    return plt


def nearest_elements(modes: Any, symbol: str) -> list[str]:
    """Return all other elements, the one with the most similar modes first.

    Parameters
    ----------
    modes : DataFrame of shape (n_elements, n_components)
        Modes, or any other numbers without gaps, by element symbol.
    symbol : str

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such element, or it is there twice, or a number is NaN.

    Examples
    --------
    >>> from sklearn_elmodes import ElementalModeTransformer
    >>> from sklearn_elmodes.inspection import nearest_elements
    >>> modes = ElementalModeTransformer().fit(["NaCl"]).modes_
    >>> nearest_elements(modes, "K")[0]
    'Rb'
    """
    _check_modes(modes)
    if symbol not in modes.index:
        raise ValueError(f"{symbol!r} has no modes.")
    distance = ((modes - modes.loc[symbol]) ** 2).sum(axis=1)
    return list(distance.drop(symbol).sort_values().index)


def share_of_neighbours(modes: Any) -> float:
    """Return for how many elements the most similar one is near in the periodic table.

    Near means in the same group, or in the next cell of the same row of the
    usual layout with 18 columns and the f block below.

    Parameters
    ----------
    modes : DataFrame of shape (n_elements, n_components)
        Modes, or any other numbers without gaps, by element symbol.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two elements, an index is no element symbol or
        is there twice, or a number is NaN.

    Examples
    --------
    >>> from sklearn_elmodes import ElementalModeTransformer
    >>> from sklearn_elmodes.inspection import share_of_neighbours
    >>> modes = ElementalModeTransformer().fit(["NaCl"]).modes_
    >>> share_of_neighbours(modes.loc[["Li", "Na", "K", "Rb"]])
    1.0
    """
    _check_modes(modes)
    if len(modes) < 2:
        raise ValueError("At least two elements are needed.")
    distances = squareform(pdist(modes.to_numpy()))
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    rows, columns = np.array([table_position(symbol) for symbol in modes.index]).T
    group = (columns == columns[nearest]) & (np.maximum(rows, rows[nearest]) < 9)
    beside = (rows == rows[nearest]) & (np.abs(columns - columns[nearest]) == 1)
    return float((group | beside).mean())


def reconstruction_r2(table: Any, restored: Any) -> dict[str, float]:
    """Score how well properties come back from the modes.

    Parameters
    ----------
    table : DataFrame of shape (n_elements, n_properties)
        Properties, NaN where unknown.
    restored : array-like of shape (n_elements, n_properties)
        What ``inverse_transform`` made of their modes.

    Returns
    -------
    dict of {str: float}
        R² of each column over its known values.

    Examples
    --------
    >>> from sklearn_elmodes import ElementAutoencoder
    >>> from sklearn_elmodes.elements import property_table
    >>> from sklearn_elmodes.inspection import reconstruction_r2
    >>> table = property_table("herr2019")
    >>> autoencoder = ElementAutoencoder(4, random_state=0)
    >>> restored = autoencoder.inverse_transform(autoencoder.fit_transform(table))
    >>> reconstruction_r2(table, restored)["atomic_number"] > 0.9
    True
    """
    known = table.notna().to_numpy()
    values, restored = table.to_numpy(dtype=float), np.asarray(restored)
    return {
        str(name): float(r2_score(values[known[:, i], i], restored[known[:, i], i]))
        for i, name in enumerate(table.columns)
    }


def _check_modes(modes: Any) -> None:
    """Refuse what has no distances or no places in the periodic table."""
    for symbol in modes.index:
        if symbol not in ATOMIC_NUMBERS:
            raise ValueError(f"{symbol!r} is no element symbol.")
    for message, wrong in (
        ("There are several rows for {}.", modes.index.duplicated()),
        ("The modes of {} hold NaN.", modes.isna().any(axis=1).to_numpy()),
    ):
        if wrong.any():
            raise ValueError(message.format(modes.index[wrong][0]))


class PeriodicTableDisplay:
    """Values of the elements, as colours in the periodic table.

    Parameters
    ----------
    values : mapping of str to float
        Value by element symbol; elements left out are hatched.
    label : str, default=""
        Name and unit, for the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    cells_ : dict of {str: Rectangle}
    text_ : dict of {str: Text}

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
        """Draw one mode of a fitted :class:`ElementalModeTransformer`.

        Parameters
        ----------
        estimator : ElementalModeTransformer
        mode : int, default=1
            Number of the mode, from 1.
        ax : matplotlib Axes, default=None

        Returns
        -------
        PeriodicTableDisplay
        """
        check_is_fitted(estimator)
        if not 1 <= mode <= estimator.modes_.shape[1]:
            raise ValueError(f"mode={mode} must lie between 1 and {estimator.modes_.shape[1]}.")
        modes = estimator.modes_[f"mode{mode}"]
        return cls(modes.to_dict(), label=f"mode {mode}").plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "viridis") -> PeriodicTableDisplay:
        """Draw the table.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str, default="viridis"
            Colour map.

        Returns
        -------
        self
        """
        plt = pyplot()
        import matplotlib as mpl
        from matplotlib.patches import Rectangle

        known = {s: float(v) for s, v in dict(self.values).items() if np.isfinite(v)}
        unknown = set(known) - set(SYMBOLS)
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]!r} is no element symbol.")
        if not known:
            raise ValueError("There is no finite value to draw.")
        if ax is None:
            _, ax = plt.subplots(figsize=(11, 6), layout="constrained")
        norm = mpl.colors.Normalize(min(known.values()), max(known.values()))
        colours = mpl.colormaps[cmap]
        mapper = mpl.cm.ScalarMappable(norm, colours)
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
                fontsize=10,
                color="white" if dark else "0.1" if symbol in known else "0.55",
            )
        ax.set(xlim=(0.4, 18.6), ylim=(10.6, 0.4), aspect="equal")
        ax.axis("off")
        ax.figure.colorbar(mapper, ax=ax, label=self.label, shrink=0.6, pad=0.02)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ModeMapDisplay:
    """Elements in the plane of two modes, coloured by block.

    Parameters
    ----------
    modes : DataFrame of shape (n_elements, n_components)
        Modes by element symbol.
    pair : tuple of int, default=(1, 2)
        Numbers of the two modes, from 1.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    text_ : dict of {str: Text}

    Examples
    --------
    >>> from sklearn_elmodes import ElementalModeTransformer
    >>> from sklearn_elmodes.inspection import ModeMapDisplay
    >>> transformer = ElementalModeTransformer().fit(["NaCl"])
    >>> display = ModeMapDisplay.from_estimator(transformer)
    >>> display.text_["Na"].get_text()
    'Na'
    """

    def __init__(self, modes: Any, *, pair: tuple[int, int] = (1, 2)) -> None:
        self.modes = modes
        self.pair = pair

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, pair: tuple[int, int] = (1, 2), ax: Any = None
    ) -> ModeMapDisplay:
        """Draw two modes of a fitted :class:`ElementalModeTransformer`.

        Parameters
        ----------
        estimator : ElementalModeTransformer
        pair : tuple of int, default=(1, 2)
        ax : matplotlib Axes, default=None

        Returns
        -------
        ModeMapDisplay
        """
        check_is_fitted(estimator)
        return cls(estimator.modes_, pair=pair).plot(ax=ax)

    def plot(self, ax: Any = None) -> ModeMapDisplay:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self
        """
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(figsize=(9, 7), layout="constrained")
        points = self.modes[[f"mode{number}" for number in self.pair]].to_numpy()
        blocks = np.array([block_of(symbol) for symbol in self.modes.index])
        for block, colour in _BLOCK_COLOURS.items():
            inside = blocks == block
            ax.scatter(*points[inside].T, s=14, color=colour, label=f"{block} block")
        self.text_ = {}
        middle = points.mean(axis=0)
        for symbol, point, block in zip(self.modes.index, points, blocks, strict=True):
            outward = np.sign(point - middle)
            self.text_[symbol] = ax.annotate(
                symbol,
                point,
                xytext=4 * outward,
                textcoords="offset points",
                ha="left" if outward[0] > 0 else "right",
                va="bottom" if outward[1] > 0 else "top",
                fontsize=8,
                color=_BLOCK_COLOURS[block],
            )
        ax.set(xlabel=f"mode {self.pair[0]}", ylabel=f"mode {self.pair[1]}")
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
