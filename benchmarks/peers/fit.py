"""Time and memory of features and one fit of the default pipeline."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from _worker import answer, measure

from sklearn_elmodes import make_formation_energy_pipeline


def main(**settings: Any) -> dict[str, dict[str, float]]:
    """Measure both, on the rows in this folder."""
    warnings.simplefilter("ignore")
    X, y = np.load("X.npy"), np.load("y.npy")
    pipeline = make_formation_energy_pipeline(**settings)
    features, model = pipeline[:-1], pipeline[-1]
    features.fit(X[:1])
    found = {"features": measure(features.transform, X, 0.1)}
    X = features.transform(X)
    # Both are cut alike where the first rows alone are read.
    return {**found, "fit": measure(lambda rows: model.fit(X[rows], y[rows]), np.arange(len(y)), 0)}


if __name__ == "__main__":
    answer(main)
