"""Displays of predictions: parity, held-out elements and alchemical paths."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d

from sklearn_elmodes.elements import ATOMIC_NUMBERS, block_of
from sklearn_elmodes.inspection._drawing import BLOCK_COLOURS, pyplot, width_in_points
from sklearn_elmodes.inspection._scores import held_out_scores, scores_by_element
from sklearn_elmodes.occupations import alchemical_path

_ENERGY = "formation energy (eV/atom)"
_ERROR = "mean absolute error (eV/atom)"


class ParityDisplay:
    """True against predicted values, coloured by the standard deviation of the prediction.

    For predictions without a standard deviation use scikit-learn's
    ``PredictionErrorDisplay``.

    Parameters
    ----------
    y_true, y_pred, y_std : array-like of shape (n_samples,)
        True values, predictions and their standard deviations.
    label : str, default="formation energy (eV/atom)"
        Name and unit of the values.

    Raises
    ------
    ValueError
        If the lengths differ, or a value is not finite.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : PathCollection
        The samples, with the largest standard deviations on top.
    line_ : Line2D
        Line of perfect predictions.
    text_ : Text
        The mean absolute error.

    Examples
    --------
    >>> from sklearn_elmodes.inspection import ParityDisplay
    >>> display = ParityDisplay([-1.0, 0.0], [-0.9, 0.1], [0.1, 0.2]).plot()
    >>> display.text_.get_text()
    'MAE 0.100'
    """

    def __init__(self, y_true: Any, y_pred: Any, y_std: Any, *, label: str = _ENERGY) -> None:
        self.y_true = column_or_1d(y_true, dtype=float)
        self.y_pred = column_or_1d(y_pred, dtype=float)
        self.y_std = column_or_1d(y_std, dtype=float)
        check_consistent_length(self.y_true, self.y_pred, self.y_std)
        for name in ("y_true", "y_pred", "y_std"):
            assert_all_finite(getattr(self, name), input_name=name)
        self.label = label

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, label: str = _ENERGY, ax: Any = None
    ) -> ParityDisplay:
        """Predict X and plot.

        Parameters
        ----------
        estimator : FormationEnergyRegressor or a pipeline that ends in one
            Fitted, with at least two networks.
        X : array-like of shape (n_samples,) or (n_samples, n_features)
            Samples to predict.
        y : array-like of shape (n_samples,)
            True values.
        label : str, default="formation energy (eV/atom)"
            Name and unit of the values.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        ParityDisplay
        """
        return cls(y, *estimator.predict(X, return_std=True), label=label).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, y_std: Any, *, label: str = _ENERGY, ax: Any = None
    ) -> ParityDisplay:
        """Plot given predictions.

        Parameters
        ----------
        y_true, y_pred, y_std : array-like of shape (n_samples,)
            True values, predictions and their standard deviations.
        label : str, default="formation energy (eV/atom)"
            Name and unit of the values.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        ParityDisplay
        """
        return cls(y_true, y_pred, y_std, label=label).plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "viridis") -> ParityDisplay:
        """Plot the values.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.
        cmap : str, default="viridis"
            Colour map of the standard deviation.

        Returns
        -------
        self
        """
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 5), layout="constrained")
        order = np.argsort(self.y_std)
        self.points_ = ax.scatter(
            self.y_pred[order],
            self.y_true[order],
            c=self.y_std[order],
            s=10,
            cmap=cmap,
            vmax=np.quantile(self.y_std, 0.99),  # so that an outlier does not compress the scale
        )
        values = np.concatenate([self.y_true, self.y_pred])
        ends = [values.min(), values.max()]
        (self.line_,) = ax.plot(ends, ends, color="0.3", linewidth=0.8, zorder=0)
        error = np.abs(self.y_pred - self.y_true).mean()
        ax.set_aspect("equal")
        bar = ax.figure.colorbar(self.points_, ax=ax, extend="max")
        size = min(width_in_points(ax) / 18, 10)  # labels no longer than the axes
        ax.set_xlabel(f"predicted {self.label}", fontsize=size)
        ax.set_ylabel(f"true {self.label}", fontsize=size)
        bar.set_label("std of the prediction", fontsize=size)
        self.text_ = ax.text(
            0.05, 0.95, f"MAE {error:.3f}", transform=ax.transAxes, va="top", fontsize="small"
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


class HeldOutElementsDisplay:
    """Errors of models on the samples of an element that was held out from training.

    Parameters
    ----------
    scores : DataFrame
        Columns ``mae`` (mean absolute error), ``r2`` and ``n_samples``, indexed by element
        symbol; see :func:`held_out_scores`.
    label : str, default="mean absolute error (eV/atom)"
        Name and unit of the errors.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : BarContainer
        Bars in ascending order of error.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_elmodes.inspection import HeldOutElementsDisplay
    >>> scores = pd.DataFrame(
    ...     {"mae": [0.25, 0.07], "r2": [0.8, 0.98], "n_samples": [900, 950]}, index=["O", "Cl"]
    ... )
    >>> display = HeldOutElementsDisplay(scores).plot()
    >>> [text.get_text() for text in display.ax_.get_xticklabels()]
    ['Cl', 'O']
    """

    def __init__(self, scores: Any, *, label: str = _ERROR) -> None:
        self.scores = scores
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        cv: Any = None,
        n_jobs: int | None = None,
        label: str = _ERROR,
        ax: Any = None,
    ) -> HeldOutElementsDisplay:
        """Hold out every element in turn and plot the errors.

        Parameters
        ----------
        estimator : estimator
            Cloned and fitted for each element.
        X : sequence of shape (n_samples,) or (n_samples, n_sites)
            Compositions, or species per site.
        y : array-like of shape (n_samples,)
            Target.
        cv : LeaveOneElementOut, default=None
            None means ``LeaveOneElementOut()``, which holds out every element.
        n_jobs : int, default=None
            Number of elements to run in parallel.
        label : str, default="mean absolute error (eV/atom)"
            Name and unit of the errors.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        HeldOutElementsDisplay
        """
        scores = held_out_scores(estimator, X, y, cv=cv, n_jobs=n_jobs)
        return cls(scores, label=label).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, predictions: Any, *, label: str = _ERROR, ax: Any = None
    ) -> HeldOutElementsDisplay:
        """Plot the errors of given predictions.

        Parameters
        ----------
        predictions : DataFrame
            Columns ``held_out`` (the element), ``true`` and ``predicted``, as returned by
            :func:`~sklearn_elmodes.model_selection.predict_held_out`.
        label : str, default="mean absolute error (eV/atom)"
            Name and unit of the errors.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        HeldOutElementsDisplay
        """
        return cls(scores_by_element(predictions), label=label).plot(ax=ax)

    def plot(self, ax: Any = None) -> HeldOutElementsDisplay:
        """Plot a bar for each element, hollow if R² is below 0.95 and pale if it is NaN.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        self
        """
        plt = pyplot()
        scores = self.scores.sort_values("mae")
        if ax is None:
            width = min(max(4.0, 0.28 * len(scores)), 14)
            _, ax = plt.subplots(figsize=(width, 4), layout="constrained")
        # A group or period that was held out has no block.
        colours = [
            BLOCK_COLOURS[block_of(name)] if name in ATOMIC_NUMBERS else "0.4"
            for name in scores.index
        ]
        faces = [
            (colour, 0.3) if np.isnan(r2) else colour if r2 >= 0.95 else "none"
            for colour, r2 in zip(colours, scores["r2"], strict=True)
        ]
        self.bars_ = ax.bar(
            range(len(scores)), scores["mae"], color=faces, edgecolor=colours, linewidth=1.2
        )
        mean = scores["mae"].mean()
        line = ax.axhline(mean, color="0.4", linewidth=0.8, linestyle="--")
        ax.set(ylabel=self.label, xlim=(-0.8, len(scores) - 0.2))
        hollow = plt.Rectangle((0, 0), 1, 1, facecolor="none", edgecolor="0.4")
        ax.legend(
            [line, hollow], [f"mean {mean:.3f}", "R² below 0.95"], frameon=False, fontsize="small"
        )
        bar_width = width_in_points(ax) / len(scores)
        ax.set_xticks(
            range(len(scores)),
            scores.index,
            fontsize=min(max(0.75 * bar_width, 4), 9),
            rotation=90 if bar_width < 12 else 0,
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


class AlchemicalPathDisplay:
    """Predictions along the path from one crystal to another, with standard deviations.

    Parameters
    ----------
    x : array-like of shape (n_points,)
        Position of each crystal on the path, from 0 to 1.
    energy, std : array-like of shape (n_points,)
        Predictions and their standard deviations.
    start, end : str
        Names of the first and the last crystal.
    label : str, default="formation energy (eV/atom)"
        Name and unit of the prediction.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : Line2D
    band_ : PolyCollection
        Band of one standard deviation on either side.

    Examples
    --------
    >>> from sklearn_elmodes import load_pretrained
    >>> from sklearn_elmodes.inspection import AlchemicalPathDisplay
    >>> display = AlchemicalPathDisplay.from_estimator(
    ...     load_pretrained("elpasolites"), ["Na", "Al", "K", "F"], ["Na", "Al", "K", "Cl"]
    ... )
    >>> display.ax_.get_xlabel()
    'from Na Al K F to Na Al K Cl'
    """

    def __init__(
        self,
        x: Any,
        energy: Any,
        std: Any,
        *,
        start: str,
        end: str,
        label: str = _ENERGY,
    ) -> None:
        self.x = np.asarray(x)
        self.energy = np.asarray(energy)
        self.std = np.asarray(std)
        self.start = start
        self.end = end
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        start: Any,
        end: Any,
        *,
        n_points: int = 41,
        label: str = _ENERGY,
        ax: Any = None,
    ) -> AlchemicalPathDisplay:
        """Predict and plot :func:`~sklearn_elmodes.occupations.alchemical_path`.

        Parameters
        ----------
        estimator : Pipeline
            Fitted, with a prototype and at least two networks.
        start, end : sequence of species, of length n_sites
            Species per site of the first and the last crystal.
        n_points : int, default=41
            Number of crystals, including ``start`` and ``end``.
        label : str, default="formation energy (eV/atom)"
            Name and unit of the prediction.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        AlchemicalPathDisplay
        """
        x, crystals = alchemical_path(start, end, n_points)
        energy, std = estimator.predict(crystals, return_std=True)
        first, last = (" ".join(map(str, crystal)) for crystal in (start, end))
        return cls(x, energy, std, start=first, end=last, label=label).plot(ax=ax)

    def plot(self, ax: Any = None) -> AlchemicalPathDisplay:
        """Plot the path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        self
        """
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        (self.line_,) = ax.plot(self.x, self.energy, color=BLOCK_COLOURS["s"])
        self.band_ = ax.fill_between(
            self.x,
            self.energy - self.std,
            self.energy + self.std,
            color=BLOCK_COLOURS["s"],
            alpha=0.2,
            linewidth=0,
        )
        ax.set(xlabel=f"from {self.start} to {self.end}", ylabel=self.label, xlim=(0, 1))
        self.ax_, self.figure_ = ax, ax.figure
        return self
