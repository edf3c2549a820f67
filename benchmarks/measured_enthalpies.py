"""Five-fold cross-validation (shuffled, seed 0) on 2,135 measured formation enthalpies.

Hyperparameters were selected on held-out parts of the training folds. The baselines are
extra trees on Magpie statistics, element fractions and the mean.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from _common import parse_arguments, write_results
from _peers import magpie_features
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_elmodes import ElementalModeTransformer, make_formation_energy_pipeline
from sklearn_elmodes.datasets import load_expt_formation_enthalpies
from sklearn_elmodes.formulas import element_fractions


def main() -> None:
    """Cross-validate all models on the same folds."""
    arguments = parse_arguments(__doc__)
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    settings: dict[str, Any] = {"random_state": 0}
    n_trees = 300
    if arguments.quick:
        X, y, n_trees = X[::20], y[::20], 10
        settings |= {"max_iter": 3, "n_estimators": 2}
    pipeline = make_formation_energy_pipeline(**settings)
    statistics = make_formation_energy_pipeline(pooling="statistics", **settings)
    trees = ExtraTreesRegressor(n_trees, random_state=0, n_jobs=arguments.threads)
    magpie = magpie_features(X)
    models = {
        "elemental modes, default pipeline": (pipeline, X),
        "a single network of it": (
            make_formation_energy_pipeline(**{**settings, "n_estimators": 1}),
            X,
        ),
        "fine-tuned from the general model": (
            make_formation_energy_pipeline(**settings, pretrained="oqmd"),
            X,
        ),
        "network for statistics of the modes": (statistics, X),
        "element fractions, that network": (
            make_pipeline(
                FunctionTransformer(element_fractions), StandardScaler(), clone(statistics[-1])
            ),
            X,
        ),
        "extra trees on pooled modes": (make_pipeline(ElementalModeTransformer(), trees), X),
        "extra trees on Magpie": (trees, magpie),
        "mean of the training data": (DummyRegressor(), X),
    }
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    results: dict[str, Any] = {"n_rows": len(y)}
    for name, (model, features) in models.items():
        predicted = np.empty(len(y))
        start = time.perf_counter()
        for train, test in folds:
            predicted[test] = clone(model).fit(features[train], y[train]).predict(features[test])
        error = np.abs(predicted - y)
        by_fold = [float(error[test].mean()) for _, test in folds]
        results[name] = {
            "mae": float(error.mean()),
            "mae_by_fold": by_fold,
            "seconds": time.perf_counter() - start,
        }
        print(
            f"{name:<34} MAE {results[name]['mae']:.4f} eV/atom (folds ± "
            f"{np.std(by_fold, ddof=1):.4f})",
            flush=True,
        )
    mae = {name: results[name]["mae"] for name in models}
    ours = mae["elemental modes, default pipeline"]
    claims = {
        "default pipeline below 0.10 eV/atom": ours < 0.10,
        "better than element fractions": ours < mae["element fractions, that network"],
        "better than extra trees on Magpie": ours < mae["extra trees on Magpie"],
    }
    write_results("measured_enthalpies", results, claims, arguments)


if __name__ == "__main__":
    main()
