"""Reliability of predictions: largest useful std, and distance from the training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes.exceptions import RowError


def widest_std(model: Any) -> float:
    """Return the standard deviation above which a prediction carries no information.

    Parameters
    ----------
    model : FormationEnergyRegressor, or a Pipeline that ends in one
        Fitted.

    Returns
    -------
    float
        Standard deviation of the training targets, in their unit. If the members of an
        ensemble disagree by more, the mean of the training targets is a better prediction.

    Examples
    --------
    >>> from sklearn_elmodes import load_pretrained
    >>> from sklearn_elmodes.applicability import widest_std
    >>> round(widest_std(load_pretrained("elpasolites")), 2)
    0.93
    """
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return float(last.target_scale_)


class TrainingDistance:
    """Distance of samples from the nearest training sample, in feature space.

    A large distance means that the model extrapolates.

    Parameters
    ----------
    estimator : Pipeline
        Fitted pipeline of at least one transformer and a regressor or classifier.
    X_train : array-like of shape (n_train,) or (n_train, n_sites)
        Samples on which it was trained.

    Raises
    ------
    ValueError
        If ``estimator`` is not a pipeline of at least two steps, or a training sample
        cannot be read.

    Notes
    -----
    The distance is Euclidean and has no unit; it compares the input of the last step of
    the pipeline. With a prototype it is the smallest distance under all symmetries of
    the structure. The features of ``ElementalModeTransformer(pooling=None)`` cannot be
    compared between formulas, since they list different elements; the standardised
    statistics of the modes are compared instead.

    Examples
    --------
    >>> from sklearn_elmodes import load_pretrained
    >>> from sklearn_elmodes.applicability import TrainingDistance
    >>> distance = TrainingDistance(load_pretrained("elpasolites"), ["K2NaAlF6", "Cs2NaBiCl6"])
    >>> distance.of(["Cs2NaBiCl6", "K2NaGaF6"]).round(1)
    array([0. , 3.3])
    """

    def __init__(self, estimator: Any, X_train: Any) -> None:
        import pandas as pd
        from sklearn.neighbors import NearestNeighbors

        if not hasattr(estimator, "steps") or len(estimator.steps) < 2:
            raise ValueError("Distances from the training data need a pipeline with a transformer.")
        first, between = estimator[0], estimator[1:-1]
        comparable = getattr(first, "_comparable", lambda: first)()
        try:
            features = comparable.transform(X_train)
        except RowError as error:
            raise ValueError(f"X_train: {error}") from None
        if comparable is not first:
            between = make_pipeline(StandardScaler().fit(features))
        steps = (comparable, *(step for _, step in between.steps))
        self._transform = make_pipeline(*steps).transform
        prototype = getattr(first, "prototype_", None)
        if prototype is not None:
            columns = np.arange(features.shape[1]).reshape(prototype.n_sites, -1)
            moved = [
                np.asarray(features)[:, columns[list(order)].ravel()]
                for order in prototype.permutations
            ]
            names = getattr(features, "columns", None)
            features = np.concatenate(moved)
            if names is not None:
                features = pd.DataFrame(features, columns=names)
        if between.steps:
            features = between.transform(features)
        self._nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(features)

    def of(self, X: Any) -> NDArray[np.float64]:
        """Return the distance of each sample from the nearest training sample.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_sites)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        RowError
            If a row of X cannot be read.
        """
        return np.asarray(self._nearest.kneighbors(self._transform(X))[0][:, 0])
