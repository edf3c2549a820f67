"""
Search for settings
===================

The steps of a pipeline are ordinary estimators: scikit-learn's successive halving and Optuna tune
them as they tune any other.
"""

# %%
# 600 measured enthalpies, and a network for the statistics of their modes, which trains in a
# second.

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
# Successive halving tries all settings briefly and only the better ones for longer. The resource
# that it shares out may be the number of rows, as by default, or any parameter: here the passes
# over the data.

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
print(rounds.agg(passes=("n_resources", "first"), tried=("params", "size")))
print({name.removeprefix(network): value for name, value in halving.best_params_.items()})

# %%
# Optuna
# ------
# Optuna (``pip install 'sklearn-elmodes[search]'``) draws each trial in the light of those
# before. A trial is a call of scikit-learn.

import optuna
from sklearn.base import clone
from sklearn.model_selection import cross_val_score


def error(trial):
    """Mean absolute error of one choice of settings, in eV/atom."""
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
# The trials, in the plane of two settings:

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
# What counts is the error on rows that no search has seen.

from sklearn.metrics import mean_absolute_error

print(f"halving: {mean_absolute_error(y_test, halving.predict(X_test)):.3f} eV/atom")
