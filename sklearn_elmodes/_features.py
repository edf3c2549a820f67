"""Features from modes: pooled over a composition, per element or per site."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sklearn_elmodes._rows import Reasons
from sklearn_elmodes.compositions import Compositions, reduce_amounts
from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.modes import ElementModes
from sklearn_elmodes.occupations import Occupations, _reasons_by_site
from sklearn_elmodes.prototypes import Prototype

_STATISTICS = ("mean", "std", "min", "max")
_POOLED_ROWS = 2048  # rows per block


class Layout(ABC):
    """Arrangement of modes in the features of a row."""

    holds_modes = True  # whether the features contain the modes themselves

    @abstractmethod
    def names(self, modes: ElementModes) -> list[str]:
        """Return the names of the features."""

    @abstractmethod
    def compute(self, matter: Any, modes: ElementModes, dtype: str) -> NDArray[Any]:
        """Compute the features; a row with an element without modes is all NaN."""

    @abstractmethod
    def without_modes(self, matter: Any, modes: ElementModes) -> Reasons:
        """Find the rows with an element without modes."""

    def without_room(self, matter: Any) -> Reasons:
        """Find the rows that do not fit the layout."""
        return {}


class _CompositionLayout(Layout):
    """Base of the layouts of compositions."""

    def without_modes(self, matter: Compositions, modes: ElementModes) -> Reasons:
        unknown = np.flatnonzero(_unknown(matter, modes))
        reasons: Reasons = {}
        rows = matter.rows if len(unknown) else np.empty(0, dtype=np.intp)
        for entry in unknown.tolist():
            symbol = SYMBOLS[matter.atomic_numbers[entry] - 1]
            row = int(rows[entry])
            if row not in reasons:
                reasons[row] = f"{matter.describe(row)}: {modes.explain_missing(symbol)}"
        return reasons


class Statistics(_CompositionLayout):
    """Statistics of the modes over a composition."""

    holds_modes = False

    def names(self, modes: ElementModes) -> list[str]:
        names = [f"{statistic}_{mode}" for statistic in _STATISTICS for mode in modes.names]
        first, second = np.triu_indices(modes.n_components, k=1)
        names += [
            f"covariance_{modes.names[i]}_{modes.names[j]}"
            for i, j in zip(first, second, strict=True)
        ]
        return [*names, "n_elements", "fraction_norm2", "fraction_norm3", "fraction_max"]

    def compute(self, matter: Compositions, modes: ElementModes, dtype: str) -> NDArray[Any]:
        by_number = modes.by_number
        first, second = np.triu_indices(modes.n_components, k=1)
        moments = np.hstack([by_number, by_number**2, by_number[:, first] * by_number[:, second]])
        # One feature per moment, minimum and maximum of each mode, four of the stoichiometry.
        n_features = moments.shape[1] + 2 * modes.n_components + 4
        features = np.empty((len(matter), n_features), dtype=dtype)
        for start in range(0, len(matter), _POOLED_ROWS):
            stop = start + _POOLED_ROWS
            _pool(matter.part(start, stop), by_number.astype(dtype), moments, features[start:stop])
        unknown = _unknown(matter, modes)
        if unknown.any():
            features[matter.rows[unknown]] = np.nan
        return features


class ByElement(_CompositionLayout):
    """Modes and amount of each element of the reduced formula unit."""

    def __init__(self, max_elements: int) -> None:
        self.max_elements = max_elements

    def names(self, modes: ElementModes) -> list[str]:
        blocks = [f"element{number + 1}" for number in range(self.max_elements)]
        return [f"{block}_{name}" for block in blocks for name in (*modes.names, "amount")]

    def without_room(self, matter: Compositions) -> Reasons:
        n_elements = np.diff(matter.starts)
        return {
            row: f"{matter.describe(row)} has {n_elements[row]} elements, more than "
            f"max_elements={self.max_elements}."
            for row in np.flatnonzero(n_elements > self.max_elements).tolist()
        }

    def compute(self, matter: Compositions, modes: ElementModes, dtype: str) -> NDArray[Any]:
        rows, numbers = matter.rows, matter.atomic_numbers
        order = np.lexsort([numbers, rows])
        place = np.arange(len(rows)) - matter.starts[rows]
        amounts = np.zeros((len(matter), self.max_elements))
        amounts[rows, place] = matter.amounts[order]
        features = np.zeros((*amounts.shape, modes.n_components + 1), dtype=dtype)
        features[:, :, -1] = reduce_amounts(amounts)
        features[rows, place, :-1] = modes.by_number.astype(dtype)[numbers[order]]
        unknown = _unknown(matter, modes)
        if unknown.any():
            features[rows[unknown]] = np.nan
        return features.reshape(len(features), -1)


class BySite(Layout):
    """Modes of the species on each site of a prototype."""

    def __init__(self, prototype: Prototype) -> None:
        self.prototype = prototype

    def names(self, modes: ElementModes) -> list[str]:
        return [f"{site}_{name}" for site in self.prototype.sites for name in modes.names]

    def without_modes(self, matter: Occupations, modes: ElementModes) -> Reasons:
        wrong = {}
        for index in matter.present.tolist():
            missing = modes.missing(matter.species[index])
            if missing:
                wrong[index] = modes.explain_missing(missing[0])
        return _reasons_by_site(matter, wrong, self.prototype.sites)

    def compute(self, matter: Occupations, modes: ElementModes, dtype: str) -> NDArray[Any]:
        by_species = np.zeros((len(matter.species), modes.n_components), dtype=dtype)
        for index in matter.present.tolist():
            by_species[index] = modes.mix(matter.species[index])
        features = by_species[matter.sites]  # (n_samples, n_sites, n_components)
        if np.isnan(by_species).any():
            features[np.isnan(features).any(axis=(1, 2))] = np.nan
        return features.reshape(len(features), -1)


def layout_of(prototype: Prototype | None, pooling: str | None, max_elements: int) -> Layout:
    """Return the layout for these parameters of the transformer."""
    if prototype is not None:
        return BySite(prototype)
    return ByElement(max_elements) if pooling is None else Statistics()


def _unknown(compositions: Compositions, modes: ElementModes) -> NDArray[np.bool_]:
    """Mark the entries whose element has no modes, shape (n_entries,)."""
    return np.isnan(modes.by_number[:, 0])[compositions.atomic_numbers]


def _pool(
    compositions: Compositions,
    modes: NDArray[Any],
    moments: NDArray[np.float64],
    features: NDArray[Any],
) -> None:
    """Fill in the statistics of a block of rows that is small enough for the CPU cache.

    ``modes`` and ``moments`` have a row for each atomic number, shape (119, n).
    """
    numbers, starts = compositions.atomic_numbers, compositions.starts[:-1]
    n_elements = np.diff(compositions.starts)
    fraction = compositions.fractions
    n_modes = modes.shape[1]
    first, second = np.triu_indices(n_modes, k=1)

    # Means of the modes and of their products, in double precision, because a covariance
    # is a small difference between them.
    weights = csr_array(
        (fraction, numbers, compositions.starts), shape=(len(compositions), len(moments))
    )
    means = np.asarray(weights @ moments)
    mean, square, product = np.split(means, [n_modes, 2 * n_modes], axis=1)
    mean = np.ascontiguousarray(mean)
    product -= np.take(mean, first, axis=1) * np.take(mean, second, axis=1)

    smallest = largest = np.take(modes, numbers[starts], axis=0)
    for place in range(1, n_elements.max()):
        # A formula with fewer elements repeats its last, which changes neither extreme.
        entries = starts + np.minimum(place, n_elements - 1)
        other = np.take(modes, numbers[entries], axis=0)
        smallest, largest = np.minimum(smallest, other), np.maximum(largest, other)

    statistics = [
        mean,
        np.sqrt(np.maximum(square - mean**2, 0.0)),
        smallest,
        largest,
        product,
        n_elements[:, None],
        np.add.reduceat(fraction**2, starts)[:, None] ** (1 / 2),
        np.add.reduceat(fraction**3, starts)[:, None] ** (1 / 3),
        np.maximum.reduceat(fraction, starts)[:, None],
    ]
    np.concatenate(statistics, axis=1, out=features, casting="same_kind")
