"""Cross-validation by element: how a model does on an element that it never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from sklearn_elmodes.elements import SYMBOLS, atomic_number
from sklearn_elmodes.sites import contained_elements

Fold = tuple[str, NDArray[np.intp], NDArray[np.intp]]


class LeaveOneElementOut(BaseCrossValidator):
    """Hold out, in turn, every sample that contains a given element.

    The training set of a fold is free of that element, so that its score tells
    how well a model extrapolates to it. A sample of several elements is tested
    once for each of them: the test sets overlap, and ``cross_val_predict``,
    which wants a partition, refuses this splitter.

    Parameters
    ----------
    min_samples : int, default=1
        Leave out elements that fewer samples contain.
    elements : sequence of str, default=None
        Elements to hold out; None takes all that occur, but not in every sample.

    Examples
    --------
    >>> from sklearn_elmodes.model_selection import LeaveOneElementOut
    >>> X = ["NaCl", "KCl", "KBr", "MgO"]
    >>> splitter = LeaveOneElementOut(min_samples=2)
    >>> for element, train, test in splitter.split_by_element(X):
    ...     print(element, train, test)
    Cl [2 3] [0 1]
    K [0 3] [1 2]
    >>> splitter
    LeaveOneElementOut(elements=None, min_samples=2)
    """

    def __init__(self, *, min_samples: int = 1, elements: Sequence[str] | None = None) -> None:
        self.min_samples = min_samples
        self.elements = elements

    def split_by_element(self, X: Any) -> Iterator[Fold]:
        """Yield each held-out element with its fold, in order of atomic number.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            Whatever :class:`ElementalModeTransformer` takes: compositions, or
            species per site.

        Yields
        ------
        element : str
        train, test : ndarray
            Indices of the samples without and with the element.

        Raises
        ------
        ValueError
            If a row cannot be read, an element asked for occurs in too few
            samples, or in all of them.
        """
        contains = contained_elements(X)  # (n_samples, 118)
        for number in self._held_out(contains):
            with_element = contains[:, number - 1]
            yield (
                SYMBOLS[number - 1],
                np.flatnonzero(~with_element),
                np.flatnonzero(with_element),
            )

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the training and test indices of each fold.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            As for :meth:`split_by_element`, which also tells the elements.
        y, groups : None
            Ignored.

        Yields
        ------
        train, test : ndarray
        """
        for _, train, test in self.split_by_element(X):
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            Not needed if ``elements`` are given.
        y, groups : None
            Ignored.

        Returns
        -------
        int
        """
        if X is None:
            if self.elements is None:
                raise ValueError("The number of folds depends on X; pass it.")
            return len(self._asked_for())
        return len(self._held_out(contained_elements(X)))

    def _held_out(self, contains: NDArray[np.bool_]) -> list[int]:
        """Choose the atomic numbers to hold out."""
        counts = contains.sum(axis=0)
        if self.elements is None:
            usable = (counts >= max(self.min_samples, 1)) & (counts < len(contains))
            chosen = (np.flatnonzero(usable) + 1).tolist()
            if not chosen:
                raise ValueError(
                    f"No element occurs in at least {self.min_samples} of the {len(contains)} "
                    "samples but not in all of them."
                )
            return list(chosen)
        chosen = self._asked_for()
        for number in chosen:
            count, symbol = int(counts[number - 1]), SYMBOLS[number - 1]
            if count < max(self.min_samples, 1):
                raise ValueError(
                    f"{symbol} occurs in {count} samples; at least "
                    f"{max(self.min_samples, 1)} are needed to hold it out."
                )
            if count == len(contains):
                raise ValueError(f"{symbol} occurs in every sample; none is left to train on.")
        return chosen

    def _asked_for(self) -> list[int]:
        """Return the atomic numbers of ``elements``."""
        if isinstance(self.elements, str):
            raise ValueError(
                f"elements={self.elements!r} must be a sequence of symbols: [{self.elements!r}]."
            )
        return sorted({atomic_number(symbol) for symbol in self.elements or ()})
