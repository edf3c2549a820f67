"""Phase diagrams: binary hulls and ternary triangles, with candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes.elements import atomic_number
from sklearn_elmodes.formulas import element_fractions
from sklearn_elmodes.inspection._drawing import pyplot, width_in_points
from sklearn_elmodes.stability import CompetingPhases

_CORNERS = np.array([[0, 0], [1, 0], [0.5, np.sqrt(0.75)]])
_NEAR = 0.1  # eV/atom above the hull; colours and sizes saturate there


class StabilityDisplay:
    """Phase diagram of two or three elements, with candidates coloured by stability.

    Parameters
    ----------
    hull : CompetingPhases
        Fitted.
    elements : sequence of str
        Two symbols for a diagram of composition and energy, three for a triangle.
    X : sequence of shape (n_samples,), default=None
        Formulas of candidates. Those with other elements are left out.
    energy : array-like of shape (n_samples,), default=None
        Their formation energies in eV/atom; needed with X.
    std : array-like of shape (n_samples,), default=None
        Their standard deviations: bars in a diagram of two elements, and smaller points for
        uncertain candidates in a triangle.

    Raises
    ------
    ValueError
        If there are not two or three different elements, or X and energy do not match.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : LineCollection
        The hull: tie lines between phases that can coexist.
    stable_ : PathCollection
        The stable phases.
    points_ : PathCollection or None
        The candidates, coloured by their decomposition energy.

    Examples
    --------
    >>> from sklearn_elmodes import CompetingPhases
    >>> from sklearn_elmodes.inspection import StabilityDisplay
    >>> hull = CompetingPhases().fit(["Li2O", "Li2O2"], [-2.0, -1.65])
    >>> display = StabilityDisplay(hull, ["Li", "O"], ["LiO2", "NaO2"], [-1.0, -0.9]).plot()
    >>> display.decomposition_energy.round(2)
    array([0.1])
    """

    def __init__(
        self,
        hull: CompetingPhases,
        elements: Sequence[str],
        X: Any = None,
        energy: Any = None,
        std: Any = None,
    ) -> None:
        check_is_fitted(hull)
        columns = np.array([atomic_number(element) - 1 for element in elements])
        if len(columns) not in (2, 3) or len(set(columns.tolist())) < len(columns):
            raise ValueError(f"elements={elements!r} must be two or three different elements.")
        if (X is None) != (energy is None):
            raise ValueError("Pass the formulas and the energies of candidates together.")
        self.elements = tuple(elements)
        fractions, inside = _within(hull.formulas_, columns)
        energies, stable = hull.energies_[inside], hull.stable_[inside]
        # The elements themselves are phases, too.
        self.fractions = np.concatenate([np.eye(len(columns)), fractions])
        self.energies = np.concatenate([np.zeros(len(columns)), energies])
        self.is_stable = np.concatenate([np.ones(len(columns), dtype=bool), stable])
        self.names = np.array([*elements, *hull.formulas_[inside]], dtype=object)
        self.candidates: NDArray[np.float64] = np.zeros((0, len(columns)))
        self.energy = self.decomposition_energy = np.zeros(0)
        self.std: NDArray[np.float64] | None = None
        if X is not None:
            X = np.asarray(X, dtype=object)
            self.decomposition_energy = hull.decomposition_energy(X, energy)
            self.candidates, inside = _within(X, columns)
            self.energy = np.asarray(energy, dtype=float)[inside]
            self.decomposition_energy = self.decomposition_energy[inside]
            self.std = None if std is None else np.asarray(std, dtype=float)[inside]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        hull: CompetingPhases,
        elements: Sequence[str],
        X: Any,
        *,
        ax: Any = None,
    ) -> StabilityDisplay:
        """Predict formation energies of candidates and plot.

        Parameters
        ----------
        estimator : FormationEnergyRegressor or a pipeline that ends in one
            Fitted, with at least two networks.
        hull : CompetingPhases
            Fitted, with energies like those of the estimator.
        elements : sequence of str
            Two or three symbols.
        X : sequence of shape (n_samples,)
            Formulas.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        StabilityDisplay
        """
        hull._check_source(estimator)
        return cls(hull, elements, X, *estimator.predict(X, return_std=True)).plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "viridis_r") -> StabilityDisplay:
        """Plot the phases, the hull and the candidates.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.
        cmap : str, default="viridis_r"
            Colour map of the decomposition energy.

        Returns
        -------
        self
        """
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 5), layout="constrained")
        is_binary = len(self.elements) == 2
        phases = self._places(self.fractions, self.energies)
        candidates = self._places(self.candidates, self.energy)
        from matplotlib.collections import LineCollection

        self.lines_ = ax.add_collection(
            LineCollection([phases[list(pair)] for pair in self.tie_lines()], colors="0.6", lw=0.8)
        )
        self.stable_ = ax.scatter(*phases[self.is_stable].T, c="black", s=18, zorder=3)
        if is_binary:  # in a triangle, unstable phases would hide the tie lines
            low = ~self.is_stable & (self.energies <= 0)
            ax.scatter(*phases[low].T, c="none", edgecolors="0.6", s=14, zorder=2)
        self.points_ = None
        if len(candidates):
            self._plot_candidates(ax, candidates, cmap, is_binary)
        self._label(ax, phases)
        if is_binary:
            ax.set_xlabel(f"fraction of {self.elements[1]}")
            ax.set_ylabel("formation energy (eV/atom)")
        else:
            ax.set_aspect("equal")
            ax.axis("off")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _label(self, ax: Any, phases: NDArray[np.float64]) -> None:
        """Write the formulas of the stable phases beside their points, without overlap."""
        from textalloc import allocate

        ax.margins(0.08)
        ax.autoscale_view()
        width_in_points(ax)  # lays out the figure
        x, y = phases[self.is_stable].T
        allocate(
            ax,
            x,
            y,
            self.names[self.is_stable].tolist(),
            x_scatter=x,
            y_scatter=y,
            textsize=7,
            linecolor="0.6",
            linewidth=0.5,
        )

    def _plot_candidates(
        self, ax: Any, places: NDArray[np.float64], cmap: str, is_binary: bool
    ) -> None:
        sizes: Any = 30
        if self.std is not None and is_binary:
            ax.errorbar(*places.T, self.std, fmt="none", ecolor="0.7", lw=0.7, zorder=1)
        elif self.std is not None:
            sizes = 8 + 40 * np.clip(1 - self.std / _NEAR, 0, 1)
        order = np.argsort(-self.decomposition_energy)  # the most stable on top
        self.points_ = ax.scatter(
            *places[order].T,
            c=self.decomposition_energy[order],
            s=sizes if np.isscalar(sizes) else sizes[order],
            cmap=cmap,
            vmin=-_NEAR,
            vmax=_NEAR,
            marker="D",
            zorder=4,
        )
        bar = ax.figure.colorbar(self.points_, ax=ax, extend="both")
        bar.set_label("decomposition energy (eV/atom)")

    def _places(
        self, fractions: NDArray[np.float64], energies: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the place of each composition in the diagram, shape (n, 2)."""
        if len(self.elements) == 2:
            return np.stack([fractions[:, 1], energies], axis=1)
        return np.asarray(fractions @ _CORNERS)

    def tie_lines(self) -> NDArray[np.intp]:
        """Return the pairs of stable phases that can coexist, by their position in ``names``.

        Returns
        -------
        ndarray of shape (n_lines, 2)
        """
        stable = np.flatnonzero(self.is_stable)
        if len(self.elements) == 2:
            path = stable[np.argsort(self.fractions[stable, 1], kind="stable")]
            return np.stack([path[:-1], path[1:]], axis=1)
        if (
            self.energies[stable] > -1e-9
        ).all():  # elements only: there is no surface to triangulate
            return np.array([[0, 1], [0, 2], [1, 2]])
        from scipy.spatial import ConvexHull

        points = np.column_stack([self.fractions[stable, :2], self.energies[stable]])
        surface = ConvexHull(points)
        triangles = surface.simplices[surface.equations[:, 2] < -1e-9]
        sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [0, 2]], triangles[:, [1, 2]]])
        return stable[np.unique(np.sort(sides, axis=1), axis=0)]


def _within(
    formulas: Any, columns: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return fractions of the elements, and the rows that contain no other element."""
    fractions = element_fractions(formulas, dtype="float64")
    part = fractions[:, columns]
    rows = np.flatnonzero(part.sum(axis=1) > 1 - 1e-9)
    return part[rows], rows
