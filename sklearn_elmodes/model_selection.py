"""Cross-validation by element, and predictions of held-out samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d
from tqdm import tqdm

from sklearn_elmodes._inputs import contained_elements
from sklearn_elmodes._validation import check_target
from sklearn_elmodes.elements import SYMBOLS, atomic_number, table_position

Fold = tuple[str, NDArray[np.intp], NDArray[np.intp]]


class LeaveOneElementOut(BaseCrossValidator):
    """Leave-one-element-out cross-validator.

    Each fold tests on all samples that contain one element and trains on the samples
    without it, so its score measures how well a model extrapolates to that element. A
    sample of several elements is in several test sets. ``cross_val_predict`` requires
    test sets that partition the samples; it accepts this splitter only if every sample
    contains exactly one of the ``elements``, for example one halogen.

    Parameters
    ----------
    by : {"element", "group", "period"}, default="element"
        Whether a fold holds out one element, or all elements of one group or one
        period of the periodic table. Elements of the f block have no group.
    min_samples : int, default=1
        Skip elements (groups, periods) that occur in fewer samples. It is an error if
        they are listed in ``elements``.
    elements : sequence of str, default=None
        Elements to hold out; with ``by="group"`` or ``by="period"``, hold out their
        groups or periods. None holds out all that occur in some but not in all samples.

    Examples
    --------
    >>> from sklearn_elmodes.model_selection import LeaveOneElementOut
    >>> X = ["NaCl", "KCl", "KBr", "MgO"]
    >>> splitter = LeaveOneElementOut(min_samples=2)
    >>> for element, train, test in splitter.split_by_element(X):
    ...     print(element, train, test)
    Cl [2 3] [0 1]
    K [0 3] [1 2]
    >>> for group, train, test in LeaveOneElementOut(by="group").split_by_element(X):
    ...     print(group, train, test)
    group 1 [3] [0 1 2]
    group 2 [0 1 2] [3]
    group 16 [0 1 2] [3]
    group 17 [3] [0 1 2]
    """

    def __init__(
        self,
        *,
        by: str = "element",
        min_samples: int = 1,
        elements: Sequence[str] | None = None,
    ) -> None:
        self.by = by
        self.min_samples = min_samples
        self.elements = elements

    def split_by_element(self, X: Any) -> Iterator[Fold]:
        """Yield the held-out element and the indices of each fold, in periodic-table order.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            Compositions or species per site, as for :class:`ElementalModeTransformer`.

        Yields
        ------
        element : str
            Symbol of the held-out element, or name of the group or period, such as
            "group 17".
        train, test : ndarray
            Indices of the samples without and with the element.

        Raises
        ------
        ValueError
            If a row cannot be read, or an element of ``elements`` occurs in fewer than
            ``min_samples`` samples or in all of them.
        """
        for name, held_out in self._held_out(contained_elements(X)).items():
            yield name, np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the training and test indices of each fold.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            As for :meth:`split_by_element`, which also yields the elements.
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
            Not required if ``elements`` is given.
        y, groups : None
            Ignored.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If neither X nor ``elements`` is given.
        """
        if X is None:
            if self.elements is None:
                raise ValueError("The number of folds depends on X; pass X.")
            return len(self._chosen())
        return len(self._held_out(contained_elements(X)))

    def _held_out(self, contains: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """Return the mask of samples to hold out, by name of the element, group or period."""
        least = self.min_samples
        held_out = {
            name: np.asarray(contains[:, columns].any(axis=1))
            for name, columns in self._chosen().items()
        }
        if self.elements is None:
            usable = {
                name: rows for name, rows in held_out.items() if least <= rows.sum() < len(contains)
            }
            if not usable:
                raise ValueError(
                    f"No {self.by} occurs in at least {least} of the {len(contains)} "
                    "samples but not in all of them."
                )
            return usable
        for name, rows in held_out.items():
            if rows.sum() < least:
                raise ValueError(
                    f"{name} occurs in {rows.sum()} samples; at least {least} are needed to "
                    "hold it out."
                )
            if rows.all():
                raise ValueError(f"{name} occurs in every sample; none is left to train on.")
        return held_out

    def _chosen(self) -> dict[str, list[int]]:
        """Return the sets that contain one of ``elements``, or all sets."""
        if not isinstance(self.min_samples, Integral) or self.min_samples < 1:
            raise ValueError(f"min_samples={self.min_samples!r} must be an integer of at least 1.")
        sets = self._sets()
        if self.elements is None:
            return sets
        if isinstance(self.elements, str) or not isinstance(
            self.elements, (Sequence, Set, np.ndarray)
        ):
            raise ValueError(
                f"elements={self.elements!r} must be a sequence of symbols, such as ['Na', 'Cl']."
            )
        asked = {atomic_number(symbol) - 1 for symbol in self.elements}
        if not asked:
            raise ValueError("elements is empty; use None for all elements that occur.")
        homeless = asked.difference(*sets.values())
        if homeless:
            raise ValueError(
                f"{SYMBOLS[min(homeless)]} belongs to no {self.by} of the periodic table."
            )
        return {name: columns for name, columns in sets.items() if asked & set(columns)}

    def _sets(self) -> dict[str, list[int]]:
        """Return the elements, groups or periods by name, as columns of elements."""
        if self.by == "element":
            return {symbol: [column] for column, symbol in enumerate(SYMBOLS)}
        places = enumerate(map(table_position, SYMBOLS))
        if self.by == "group":
            numbers = {z: group for z, (row, group) in places if row <= 7}
        elif self.by == "period":
            # Rows 9 and 10 of the layout are the f block of periods 6 and 7.
            numbers = {z: row - 3 if row > 7 else row for z, (row, _) in places}
        else:
            raise ValueError(f"by={self.by!r} must be 'element', 'group' or 'period'.")
        return {
            f"{self.by} {number}": [z for z in numbers if numbers[z] == number]
            for number in sorted(set(numbers.values()))
        }


def predict_held_out(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predict samples by cross-validation, with standard deviations if available.

    In contrast to scikit-learn's ``cross_val_predict`` the test sets may overlap, as those
    of :class:`LeaveOneElementOut`, and the standard deviation of each prediction is returned.

    Parameters
    ----------
    estimator : estimator
        Cloned and fitted for each fold.
    X : sequence of length n_samples
        Compositions, or species per site.
    y : array-like of shape (n_samples,)
        Target.
    cv : int or splitter, default=5
        Number of folds, without shuffling, or a cross-validation splitter.
    groups : array-like of shape (n_samples,), default=None
        Group of each sample, passed to the splitter.
    n_jobs : int, default=None
        Number of folds to run in parallel; None means 1 unless in a
        ``joblib.parallel_config`` context.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    DataFrame
        One row per tested sample, ordered by fold. The columns are ``row`` (position in
        X); ``fold`` (from 0) or, with :class:`LeaveOneElementOut`, ``held_out`` (the
        element); ``true`` and ``predicted``; and ``std`` if ``predict`` takes
        ``return_std``, except for an ensemble of one network.

    Raises
    ------
    ValueError
        If X and y differ in length, or ``cv`` yields no fold.

    Notes
    -----
    If the estimator is fine-tuned from a ``pretrained`` model, that model may have been
    trained on held-out samples.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn_elmodes.model_selection import LeaveOneElementOut, predict_held_out
    >>> X, y = ["NaCl", "KCl", "KBr"], [1.0, 2.0, 4.0]
    >>> predict_held_out(DummyRegressor(), X, y, cv=LeaveOneElementOut(elements=["Cl", "Br"]))
       row held_out  true  predicted  std
    0    0       Cl   1.0        4.0     0.0
    1    1       Cl   2.0        4.0     0.0
    2    2       Br   4.0        1.5     0.0
    """
    check_target(y)
    y = column_or_1d(y, dtype=float)
    check_consistent_length(X, y)
    if isinstance(cv, LeaveOneElementOut):
        name, folds = "held_out", list(cv.split_by_element(X))
    else:
        name = "fold"
        splits = check_cv(cv).split(X, y, groups)
        folds = [(number, *split) for number, split in enumerate(splits)]
    if not folds:
        raise ValueError(f"cv={cv} makes no folds.")
    found = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit_and_predict)(estimator, X, y, train, test) for _, train, test in folds
    )
    bar = tqdm(found, total=len(folds), desc="Cross-validation", unit="fit", disable=not verbose)
    parts = [
        pd.DataFrame({"row": test, name: label, "true": y[test], **predicted})
        for (label, _, test), predicted in zip(folds, bar, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _fit_and_predict(
    estimator: Any, X: Any, y: NDArray[np.float64], train: Any, test: Any
) -> dict[str, NDArray[Any]]:
    model = clone(estimator).fit(_safe_indexing(X, train), y[train])
    last = model[-1] if isinstance(model, Pipeline) else model
    if "return_std" in signature(last.predict).parameters and getattr(last, "_has_std", True):
        predicted, std = model.predict(_safe_indexing(X, test), return_std=True)
        return {"predicted": predicted, "std": std}
    return {"predicted": model.predict(_safe_indexing(X, test))}
