"""
Hyperparameter search
=====================

The steps of a pipeline are ordinary estimators, so scikit-learn's successive halving and Optuna can
tune them.
"""

# %%
# 600 measured enthalpies, and a network that reads statistics of the modes and trains in a second.

import numpy as np

from sklearn_elmodes import make_formation_energy_pipeline
from sklearn_elmodes.datasets import load_expt_formation_enthalpies

X, y = load_expt_formation_enthalpies(return_X_y=True)
rows = np.random.RandomState(0).permutation(len(y))
X_train, y_train, X_test, y_test = X[rows[:600]], y[rows[:600]], X[rows[600:]], y[rows[600:]]
pipeline = make_formation_energy_pipeline(pooling="statistics", n_estimators=1, random_state=0)

# %%
# Halving
# -------
# Successive halving tries all settings with few resources and the better ones with more. The
# resource is the number of rows by default, and may be any parameter: here the number of epochs.

import pandas as pd
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV

network = "formationenergyregressor__"
grid = {
    network + "learning_rate_init": [0.001, 0.003, 0.01],
    network + "hidden_layer_sizes": [(32,), (128, 128)],
    network + "alpha": [0.01, 0.1],
}
halving = HalvingGridSearchCV(
    pipeline,
    grid,
    resource=network + "max_iter",
    min_resources=3,
    max_resources=27,
    scoring="neg_mean_absolute_error",
    cv=2,
    random_state=0,
)
halving.fit(X_train, y_train)
rounds = pd.DataFrame(halving.cv_results_).groupby("iter")
print(rounds.agg(epochs=("n_resources", "first"), tried=("params", "size")))
print({name.removeprefix(network): value for name, value in halving.best_params_.items()})

# %%
# Optuna
# ------
# Optuna (``pip install 'sklearn-elmodes[search]'``) chooses each trial based on the earlier ones.
# Each trial is a cross-validation.

import optuna
from sklearn.base import clone
from sklearn.model_selection import cross_val_score


def error(trial):
    """Compute the cross-validated error of one trial, in eV/atom."""
    settings = {
        "learning_rate_init": trial.suggest_float("learning_rate_init", 3e-4, 3e-2, log=True),
        "alpha": trial.suggest_float("alpha", 1e-3, 1.0, log=True),
        "hidden_layer_sizes": (trial.suggest_int("width", 16, 192, log=True),) * 2,
        "max_iter": 8,
    }
    candidate = clone(pipeline).set_params(**{network + k: v for k, v in settings.items()})
    scores = cross_val_score(candidate, X_train, y_train, cv=2, scoring="neg_mean_absolute_error")
    return -scores.mean()


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(error, n_trials=10)
print(study.best_params)

# %%
# The trials, by learning rate and layer width:

import matplotlib.pyplot as plt

trials = study.trials_dataframe()
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
points = ax.scatter(
    trials["params_learning_rate_init"], trials["params_width"], c=trials["value"], s=60
)
ax.set(xscale="log", xlabel="learning rate", ylabel="width of the layers")
ax.figure.colorbar(points, label="cross-validated error (eV/atom)")
plt.show()

# %%
# The error on rows that neither search has used:

from sklearn.metrics import mean_absolute_error

print(f"halving: {mean_absolute_error(y_test, halving.predict(X_test)):.3f} eV/atom")
