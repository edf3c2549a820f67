"""Scores of elemental modes and of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import r2_score

from sklearn_elmodes import _inputs
from sklearn_elmodes._inputs import composition_groups, contained_elements
from sklearn_elmodes._validation import check_target
from sklearn_elmodes.compositions import format_composition
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, table_position
from sklearn_elmodes.formulas import parse_composition
from sklearn_elmodes.model_selection import LeaveOneElementOut, predict_held_out


def nearest_elements(modes: Any, symbol: str) -> list[str]:
    """Return all other elements in order of similarity of their modes.

    The similarity is measured by the Euclidean distance.

    Parameters
    ----------
    modes : DataFrame of shape (n_elements, n_components)
        Modes, or other features without NaN, by element symbol.
    symbol : str
        The element to compare with.

    Returns
    -------
    list of str
        Symbols, the most similar element first.

    Raises
    ------
    ValueError
        If ``symbol`` has no modes, the index contains an unknown symbol or a symbol
        twice, or a value is NaN.

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
    """Return the share of elements whose most similar element is a neighbour.

    Neighbours are elements of the same group, or in adjacent cells of the same row of the
    18-column periodic table with the f block below.

    Parameters
    ----------
    modes : DataFrame of shape (n_elements, n_components)
        Modes, or other features without NaN, by element symbol.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two elements, the index contains an unknown symbol or a
        symbol twice, or a value is NaN.

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
    """Score the reconstruction of properties from modes.

    Parameters
    ----------
    table : DataFrame of shape (n_elements, n_properties)
        Properties; NaN where unknown.
    restored : array-like of shape (n_elements, n_properties)
        Output of ``ElementAutoencoder.inverse_transform`` for their modes.

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


def held_out_scores(
    estimator: Any, X: Any, y: Any, *, cv: Any = None, n_jobs: int | None = None
) -> Any:
    """Score a model on the samples of each element, held out from training in turn.

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

    Returns
    -------
    DataFrame of shape (n_elements, 3)
        Columns ``mae`` (mean absolute error, in the unit of y), ``r2`` (NaN for a single
        sample) and ``n_samples``, indexed by element.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn_elmodes.inspection import held_out_scores
    >>> held_out_scores(DummyRegressor(), ["NaCl", "KCl", "KBr"], [1.0, 2.0, 4.0])["mae"]
    Na    2.0
    Cl    2.5
    K     2.0
    Br    2.5
    Name: mae, dtype: float64
    """
    cv = LeaveOneElementOut() if cv is None else cv
    return scores_by_element(predict_held_out(estimator, X, y, cv=cv, n_jobs=n_jobs))


def scores_by_element(predictions: Any) -> Any:
    """Score predictions of samples that were held out by element, per element."""
    import pandas as pd

    rows = {
        element: {
            "mae": float(np.abs(part["true"] - part["predicted"]).mean()),
            "r2": float(r2_score(part["true"], part["predicted"])) if len(part) > 1 else np.nan,
            "n_samples": len(part),
        }
        for element, part in predictions.groupby("held_out", sort=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def prediction_scores(predictions: Any) -> dict[str, float | None]:
    """Score predictions and, if given, their standard deviations.

    Parameters
    ----------
    predictions : DataFrame of shape (n_samples, n_columns)
        Columns ``true``, ``predicted`` and optionally ``std``, as returned by
        :func:`~sklearn_elmodes.model_selection.predict_held_out`.

    Returns
    -------
    dict of {str: float or None}
        In the unit of the target: ``mae``, ``median_error``, ``rmse`` and ``mae_of_mean``,
        the mean absolute error of predicting the mean of all rows. Without unit: ``r2`` and,
        with a column ``std``, ``rank_correlation``, the Spearman correlation of std and
        absolute error, ``within_one_std`` and ``within_two_stds``, the shares of rows whose
        absolute error is at most one and two std (0.68 and 0.95 for a normal distribution).
        Undefined scores are None.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_elmodes.inspection import prediction_scores
    >>> predictions = pd.DataFrame(
    ...     {"true": [-1.0, 0.0, 1.0], "predicted": [-1.0, 0.5, 1.0], "std": [0.1, 0.3, 0.2]}
    ... )
    >>> scores = prediction_scores(predictions)
    >>> round(scores["mae"], 3), scores["within_two_stds"]
    (0.167, 1.0)
    """
    from scipy.stats import spearmanr

    true = np.asarray(predictions["true"], dtype=float)
    predicted = np.asarray(predictions["predicted"], dtype=float)
    error = np.abs(predicted - true)
    scores: dict[str, float | None] = {
        "mae": float(error.mean()),
        "median_error": float(np.median(error)),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "r2": float(r2_score(true, predicted)) if np.ptp(true) else None,
        "mae_of_mean": float(np.abs(true - true.mean()).mean()),
    }
    if "std" in predictions:
        std = np.asarray(predictions["std"], dtype=float)
        varies = np.ptp(std) > 0 and np.ptp(error) > 0
        scores["rank_correlation"] = float(spearmanr(std, error).statistic) if varies else None
        scores["within_one_std"] = float((error <= std).mean())
        scores["within_two_stds"] = float((error <= 2 * std).mean())
    return scores


def error_by_element(X: Any, y_true: Any, y_pred: Any) -> Any:
    """Return the mean absolute error over all samples that contain an element.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, n_sites)
        Compositions, or species per site.
    y_true, y_pred : array-like of shape (n_samples,)
        True values and predictions.

    Returns
    -------
    DataFrame of shape (n_elements, 2)
        Columns ``mae``, in the unit of y, and ``n_samples``, indexed by element, in the
        order of the periodic table.

    Raises
    ------
    ValueError
        If a row cannot be read, or the lengths differ.

    Examples
    --------
    >>> from sklearn_elmodes.inspection import error_by_element
    >>> error_by_element(["NaCl", "KCl"], [-2.1, -2.3], [-2.0, -2.0]).round(2)
        mae  n_samples
    Na  0.1          1
    Cl  0.2          2
    K   0.3          1
    """
    import pandas as pd

    contained = contained_elements(X)
    error = np.abs(np.asarray(y_true, dtype=float) - np.asarray(y_pred, dtype=float))
    if error.shape != contained.shape[:1]:
        raise ValueError(
            f"X has {len(contained)} rows, but y_true - y_pred has the shape {error.shape}."
        )
    counts = contained.sum(axis=0)
    found = np.flatnonzero(counts)
    return pd.DataFrame(
        {"mae": error @ contained[:, found] / counts[found], "n_samples": counts[found]},
        index=[SYMBOLS[i] for i in found],
    )


def conflicting_targets(X: Any, y: Any) -> Any:
    """Find compositions that have several targets.

    A model that knows only the composition predicts one value for all of them.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, n_sites)
        Compositions, or species per site. Multiples are the same composition: NaCl and
        Na2Cl2.
    y : array-like of shape (n_samples,)
        Target.

    Returns
    -------
    DataFrame of shape (n_compositions, 5)
        Columns ``formula`` (as in its first row), ``n_rows``, ``lowest``, ``highest`` and
        ``range``, the largest range first. Without conflicts it has no rows.

    Raises
    ------
    RowError
        If a row of X cannot be read.
    ValueError
        If the lengths differ, or a target is missing.

    Examples
    --------
    >>> from sklearn_elmodes.inspection import conflicting_targets
    >>> conflicting_targets(["NaCl", "Na2Cl2", "KCl", "KCl"], [-2.1, -1.0, -2.3, -2.3])
      formula  n_rows  lowest  highest  range
    0    NaCl       2    -2.1     -1.0    1.1
    """
    import pandas as pd

    check_target(y)
    groups, target = composition_groups(X), np.asarray(y, dtype=float).ravel()
    if len(groups) != len(target):
        raise ValueError(f"X has {len(groups)} rows, but y has {len(target)}.")
    values = _inputs.values_of(_inputs.as_sequence(X))
    frame = pd.DataFrame({"row": np.arange(len(target)), "target": target})
    found = frame.groupby(groups).agg(
        row=("row", "first"),
        n_rows=("target", "size"),
        lowest=("target", "min"),
        highest=("target", "max"),
    )
    found["range"] = found["highest"] - found["lowest"]
    found = found[found["range"] > 0].sort_values(["range", "row"], ascending=[False, True])
    texts = [_as_text(values[row]) for row in found.pop("row")]
    found.insert(0, "formula", pd.Series(texts, index=found.index, dtype=object))
    return found.reset_index(drop=True)


def _as_text(row: Any) -> str:
    """Write a composition, or the species of a crystal."""
    if isinstance(row, (list, tuple, np.ndarray)):
        return " ".join(map(str, row))
    return row if isinstance(row, str) else format_composition(parse_composition(row))


def _check_modes(modes: Any) -> None:
    """Raise if an index is not an element symbol or occurs twice, or if a value is NaN."""
    for symbol in modes.index:
        if symbol not in ATOMIC_NUMBERS:
            raise ValueError(f"{symbol!r} is not an element symbol.")
    for message, wrong in (
        ("modes has several rows for {}.", modes.index.duplicated()),
        ("The modes of {} contain NaN.", modes.isna().any(axis=1).to_numpy()),
    ):
        if wrong.any():
            raise ValueError(message.format(modes.index[wrong][0]))
