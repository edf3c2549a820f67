"""Cross-validation by element, and the predictions of rows that a model never saw."""

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
from sklearn_elmodes.elements import SYMBOLS, atomic_number, table_position

Fold = tuple[str, NDArray[np.intp], NDArray[np.intp]]


class LeaveOneElementOut(BaseCrossValidator):
    """Hold out, in turn, every sample that contains a given element.

    The training set of a fold is free of that element, so that its score tells
    how well a model extrapolates to it. A sample of several elements is tested
    once for each of them: the test sets overlap. ``cross_val_predict`` wants a
    partition, and takes this splitter only if every sample contains exactly one
    of the ``elements``, as with the halides of several halogens.

    Parameters
    ----------
    by : {"element", "group", "period"}, default="element"
        What to hold out at a time: an element, or all elements of a group or a
        period of the periodic table. The f block belongs to no group.
    min_samples : int, default=1
        Do not hold out what fewer samples contain.
    elements : sequence of str, default=None
        Elements to hold out, or elements whose groups or periods to hold out;
        None takes all that occur, but not in every sample.

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
        """Yield what is held out with its fold, in the order of the periodic table.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            Whatever :class:`ElementalModeTransformer` takes: compositions, or
            species per site.

        Yields
        ------
        element : str
            The symbol, or the name of the group or period, as "group 17".
        train, test : ndarray
            Indices of the samples without and with the element.

        Raises
        ------
        ValueError
            If a row cannot be read, an element asked for occurs in too few
            samples, or in all of them.
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
            return len(self._chosen())
        return len(self._held_out(contained_elements(X)))

    def _held_out(self, contains: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """Choose what to hold out, and mark the samples that contain it."""
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
        """Return the sets that hold ``elements``, or all, as columns of elements."""
        if not isinstance(self.min_samples, Integral) or self.min_samples < 1:
            raise ValueError(f"min_samples={self.min_samples!r} must be an integer of at least 1.")
        sets = self._sets()
        if self.elements is None:
            return sets
        if isinstance(self.elements, str) or not isinstance(
            self.elements, (Sequence, Set, np.ndarray)
        ):
            raise ValueError(
                f"elements={self.elements!r} must be a sequence of symbols: [{self.elements!r}]."
            )
        asked = {atomic_number(symbol) - 1 for symbol in self.elements}
        if not asked:
            raise ValueError("elements is empty; None takes all that occur.")
        homeless = asked.difference(*sets.values())
        if homeless:
            raise ValueError(
                f"{SYMBOLS[min(homeless)]} belongs to no {self.by} of the periodic table."
            )
        return {name: columns for name, columns in sets.items() if asked & set(columns)}

    def _sets(self) -> dict[str, list[int]]:
        """Return what can be held out: columns of elements by name."""
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
    """Predict every row by models that did not see it, with the std if there is one.

    scikit-learn's ``cross_val_predict`` returns one number for each row; here a row has
    its std, too, and may be held out several times, as by :class:`LeaveOneElementOut`.

    Parameters
    ----------
    estimator : estimator
        Cloned and fitted for each fold.
    X : sequence of length n_samples
        Compositions, or species per site.
    y : array-like of shape (n_samples,)
        Target.
    cv : int or splitter, default=5
        Number of folds, in order, or what makes them.
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    n_jobs : int, default=None
        Folds at a time.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    DataFrame
        Columns ``row`` (in X), ``fold`` (from 0) or, of a :class:`LeaveOneElementOut`,
        ``held_out`` (the element), ``true``, ``predicted`` and, if ``predict`` offers
        ``return_std``, ``std``; one fold after the other.

    Raises
    ------
    ValueError
        If X and y differ in length, or there are no folds.

    Notes
    -----
    A ``pretrained`` model that the estimator starts from may have seen what is held out.

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
    # An ensemble of one has no std.
    if "return_std" in signature(last.predict).parameters and getattr(last, "n_estimators", 2) > 1:
        predicted, std = model.predict(_safe_indexing(X, test), return_std=True)
        return {"predicted": predicted, "std": std}
    return {"predicted": model.predict(_safe_indexing(X, test))}
