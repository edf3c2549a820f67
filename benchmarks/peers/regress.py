"""Time, memory and predictions of one regressor.

Each function takes validation rows, a seed and further settings. It returns a transformer of the
rows, or None if there is no separate one, and a regressor.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _worker import answer, measure

# A transformer or None, and an object with fit and predict.
Steps = tuple[Any, Any]


def pipeline(_: Any, seed: int, **settings: Any) -> Steps:
    from sklearn_elmodes import make_formation_energy_pipeline

    model = make_formation_energy_pipeline(random_state=seed, **settings)
    return model[:-1], model[-1]


def paper_recipe(validation: Any, seed: int, **settings: Any) -> Steps:
    sys.path.append(str(Path(__file__).parents[1]))
    from _peers import PaperRecipe

    return None, PaperRecipe(validation, random_state=seed, **settings)


def perceptron(_: Any, seed: int, **settings: Any) -> Steps:
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPRegressor(random_state=seed, **settings)
    return None, make_pipeline(SimpleImputer(), StandardScaler(), network)


def boosting(_: Any, seed: int, **settings: Any) -> Steps:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return None, HistGradientBoostingRegressor(random_state=seed, **settings)


def extra_trees(_: Any, seed: int, **settings: Any) -> Steps:
    from sklearn.ensemble import ExtraTreesRegressor

    return None, ExtraTreesRegressor(random_state=seed, **settings)


def crabnet(validation: Any, seed: int, n_passes: int, batch_size: int) -> Steps:
    import pandas as pd
    from crabnet.crabnet_ import CrabNet
    from crabnet.utils.optim import SWA

    # A second training in one process needs these attributes with current torch.
    SWA._optimizer_step_pre_hooks = SWA._optimizer_step_post_hooks = {}

    def table(formulas: Any, energies: Any) -> pd.DataFrame:
        return pd.DataFrame({"formula": formulas, "target": energies})

    class Regressor:
        def fit(self, X: Any, y: Any) -> None:
            # One cycle of the learning rate; the weights of the last epoch are averaged.
            self.network = CrabNet(
                epochs=n_passes,
                epochs_step=n_passes // 2,
                batch_size=batch_size,
                random_state=seed,
                compute_device="cpu",
                verbose=False,
                losscurve=False,
                learningcurve=False,
                save=False,
            )
            self.network.fit(table(X, y), table(*validation))

        def predict(self, X: Any) -> Any:
            return self.network.predict(table(X, 0.0))

    return None, Regressor()


def main(
    function: str, seed: int, settings: dict[str, Any], least_seconds: float
) -> dict[str, Any]:
    """Measure features, one fit and predictions of one regressor on the rows in this folder."""
    warnings.simplefilter("ignore")
    X, y, X_test = (np.load(f"{rows}.npy") for rows in ("X_train", "y_train", "X_test"))
    validation = np.load("X_validation.npy"), np.load("y_validation.npy")
    features, model = globals()[function](validation, seed, **settings)
    found: dict[str, Any] = {}
    if features is not None:
        features.fit(X[:1])
        found["features"] = measure(features.transform, X, least_seconds)
        X, X_test = features.transform(X), features.transform(X_test)
    found["fit"] = measure(lambda some: model.fit(X[some], y[some]), np.arange(len(y)), 0.0)
    found["predict"] = measure(model.predict, X_test, least_seconds)
    return {**found, "predicted": np.asarray(model.predict(X_test)).tolist()}


if __name__ == "__main__":
    answer(main)
