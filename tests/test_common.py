"""scikit-learn's own checks over every public estimator."""

import inspect
import pickle
import warnings
from importlib.util import find_spec

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.exceptions import SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_elmodes
from sklearn_elmodes import (
    CompetingPhases,
    ElementalModeTransformer,
    ElementAutoencoder,
    FormationEnergyRegressor,
    make_formation_energy_pipeline,
)

# Small settings, so that the checks take seconds; the network must still learn.
SETTINGS = {
    "CompetingPhases": {},
    "ElementAutoencoder": {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 20},
    "ElementalModeTransformer": {},
    "FormationEnergyRegressor": {
        "n_estimators": 2,
        "hidden_layer_sizes": (32, 32),
        "batch_size": 16,
        "max_iter": 20,
        "learning_rate_init": 0.02,
    },
}


SETTINGS["ElementalModeClassifier"] = SETTINGS["FormationEnergyRegressor"]
for name in ("StabilityRegressor", "StabilityClassifier"):
    SETTINGS[name] = {"model": make_formation_energy_pipeline(), "hull": CompetingPhases()}


def public_estimators():
    for name in sklearn_elmodes.__all__:
        kind = getattr(sklearn_elmodes, name)
        if inspect.isclass(kind) and issubclass(kind, BaseEstimator):
            yield kind(**SETTINGS[name])


with warnings.catch_warnings():
    # scikit-learn says that it makes no strings; the checks below do.
    warnings.simplefilter("ignore", SkipTestWarning)
    set_network = FormationEnergyRegressor(
        architecture="set",
        max_elements=1,
        encoder_layer_sizes=(16, 32),
        **{**SETTINGS["FormationEnergyRegressor"], "hidden_layer_sizes": (32, 32, 32)},
    )
    scikit_learn_checks = parametrize_with_checks(
        [*public_estimators(), set_network],
        expected_failed_checks=lambda estimator: (
            (
                {"check_fit_non_negative": "amounts must not be negative, but modes may"}
                if getattr(estimator, "architecture", None) == "set"
                else {}
            )
            | (
                {
                    "check_sample_weight_equivalence_on_dense_data": "batches and dropout are "
                    "random; test_weights.py runs the check with full batches"
                }
                if hasattr(estimator, "set_fit_request") and hasattr(estimator, "n_estimators")
                else {}
            )
        ),
    )


@scikit_learn_checks
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_no_estimator_is_forgotten():
    assert {type(estimator).__name__ for estimator in public_estimators()} == set(SETTINGS)


FORMULAS = np.array([["NaCl"], ["Ca(OH)2"], ["Fe2O3"], ["CuSO4·5H2O"], ["Si"]], dtype=object)
SITES = np.array(
    [
        ["Na", "Al", "K", "F"],
        ["K", "Ga", "Rb", "Cl"],
        ["Na0.5K0.5", "In", "Cs", "Br"],
        ["Li", "Tl", "K", "O"],
    ],
    dtype=object,
)

# Not yielded for string input, but each holds for it. Left out are those that
# compute y from X, which needs numbers; test_transformer.py does their work.
TRANSFORMER_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_fit_idempotent",
    "check_global_output_transform_pandas",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_readonly_memmap_input",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_transformer_general",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]
if find_spec("polars"):
    TRANSFORMER_CHECKS += [
        "check_global_set_output_transform_polars",
        "check_set_output_transform_polars",
    ]
NOT_FOR_ONE_COLUMN = {
    "check_dataframe_column_names_consistency": "drops and reorders columns",
    "check_n_features_in_after_fitting": "drops a column",
    "check_transformer_get_feature_names_out": "drops the name of a column",
}
NOT_FOR_SITES = {
    "check_n_features_in_after_fitting": "one column of formulas is as good as four of species",
    "check_transformer_general": "one column of formulas is as good as four of species",
}


class TwoDimensional(ElementalModeTransformer):
    """Claims numeric input, or the checks would return at once."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = False
        return tags


def transformer_checks():
    for check_name in TRANSFORMER_CHECKS:
        if check_name not in NOT_FOR_ONE_COLUMN:
            yield check_name, None
        if check_name not in NOT_FOR_SITES:
            yield check_name, "elpasolite"


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize(("check_name", "prototype"), list(transformer_checks()))
def test_scikit_learn_checks_on_species(check_name, prototype, monkeypatch):
    """Give the checks species where they made numbers, in the same number of rows."""
    rows = FORMULAS if prototype is None else SITES

    def species(X):
        return np.resize(rows, (len(X), rows.shape[1])).copy()

    def to_species(estimator, X, X_test=None, **kwargs):
        return species(X) if X_test is None else (species(X), species(X_test))

    monkeypatch.setattr(estimator_checks, "_enforce_estimator_tags_X", to_species)
    transformer = TwoDimensional(prototype=prototype, dtype="float64")
    if check_name == "check_parameters_default_constructible":
        transformer = ElementalModeTransformer()
    getattr(estimator_checks, check_name)(type(transformer).__name__, transformer)


def test_pipeline_in_a_grid_search_with_two_jobs(enthalpies):
    X, y = enthalpies
    pipeline = make_formation_energy_pipeline(
        n_estimators=2, hidden_layer_sizes=(16,), max_iter=3, random_state=0
    )
    grid = {
        "elementalmodetransformer__n_components": [3, 12],
        "elementalmodetransformer__autoencoder": [ElementAutoencoder(max_iter=20, random_state=0)],
        "formationenergyregressor__hidden_layer_sizes": [(8,), (16, 16)],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X[:200], y[:200])
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline.set_params(**search.best_params_)
    scores = cross_val_score(pipeline, X[:200], y[:200], cv=2, error_score="raise")
    np.testing.assert_allclose(scores.mean(), search.best_score_, rtol=1e-5)


def test_column_transformer_adds_numbers_to_modes(enthalpies):
    X, y = enthalpies
    frame = pd.DataFrame(
        {"formula": X[:60], "temperature": np.linspace(0, 1, 60)}, index=range(9, 69)
    )
    for column in ("formula", ["formula"]):
        features = make_column_transformer(
            (ElementalModeTransformer(), column), remainder="passthrough"
        ).set_output(transform="pandas")
        out = features.fit_transform(frame)
        assert out.index.equals(frame.index)
        assert out.shape == (60, 119)
        assert out.columns[-1] == "remainder__temperature"
    model = FormationEnergyRegressor(max_iter=2, n_estimators=1).fit(out, y[:60])
    assert model.feature_names_in_[0] == "elementalmodetransformer__mean_mode1"


@pytest.mark.parametrize("dump", ["pickle", "joblib"])
def test_fitted_pipelines_survive_pickle_and_joblib(dump, tmp_path, elpasolites):
    X, y = elpasolites
    pipeline = make_formation_energy_pipeline(
        "elpasolite", n_estimators=2, max_iter=2, random_state=0
    )
    pipeline.fit(X[:300], y[:300])
    if dump == "pickle":
        copy = pickle.loads(pickle.dumps(pipeline))
    else:
        joblib.dump(pipeline, tmp_path / "model.joblib")
        copy = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(copy.predict(X[300:350]), pipeline.predict(X[300:350]))


def test_fitting_leaves_inputs_and_global_random_state_alone(elpasolites):
    X, y = elpasolites  # both read-only
    before = X.copy(), y.copy(), torch.get_rng_state(), np.random.get_state()[1].copy()
    pipeline = make_formation_energy_pipeline(
        "elpasolite", n_estimators=2, max_iter=2, random_state=0
    )
    pipeline.fit(X[:300], y[:300]).predict(X[:10])
    ElementAutoencoder(2, max_iter=2, random_state=0).fit(np.arange(30.0).reshape(10, 3) % 7)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    np.testing.assert_array_equal(np.random.get_state()[1], before[3])


def test_equal_random_state_gives_equal_models(enthalpies):
    X, y = enthalpies
    predictions = [
        make_formation_energy_pipeline(n_estimators=2, max_iter=3, random_state=seed)
        .fit(X[:200], y[:200])
        .predict(X[200:])
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert np.abs(predictions[0] - predictions[2]).max() > 0.01
