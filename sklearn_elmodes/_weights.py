"""Sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight


def positive_weights(sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
    """Validate sample weights of rows; return None if all rows count the same.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.
    """
    if sample_weight is None:
        return None
    weights = np.array(_check_sample_weight(sample_weight, X, dtype=np.float64))
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(f"Negative values in sample_weight: row {row} has {weights[row]}.")
    if not weights.any():
        raise ValueError("All values of sample_weight are zero; there is no row to train on.")
    return _unless_equal(weights / weights.max())


def drop_weightless(
    X: Any, y: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[Any, NDArray[Any], NDArray[np.float64] | None]:
    """Drop the rows of weight zero, which must not influence the batches either."""
    if weights is None or weights.all():
        return X, y, weights
    kept = np.flatnonzero(weights)
    return X[kept], y[kept], _unless_equal(weights[kept])


def _unless_equal(weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
    return None if (weights == weights[0]).all() else weights
