"""Sample weights, class weights, and rows that are NaN."""

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data

from sklearn_elmodes import (
    ElementalModeClassifier,
    ElementalModeTransformer,
    FormationEnergyRegressor,
    load_model,
    save_model,
)
from sklearn_elmodes._networks._layers import EnsembleCrossEntropy, EnsembleLoss
from sklearn_elmodes._regression import fit_std

SMALL = {
    "n_estimators": 2,
    "hidden_layer_sizes": (16, 16),
    "learning_rate_init": 0.01,
    "max_iter": 5,
    "random_state": 0,
}
# Batches of all rows without dropout: training is deterministic up to rounding.
FULL = {**SMALL, "dropout": 0.0, "batch_size": 10_000, "activation": "silu"}


@pytest.fixture
def table(rng):
    X = rng.uniform(-1, 1, (60, 4))
    return X, X[:, 0] + X[:, 1] * X[:, 2], rng.randint(0, 4, 60)


@pytest.mark.parametrize("kind", [FormationEnergyRegressor, ElementalModeClassifier])
def test_a_weight_counts_rows(kind, table):
    X, y, weight = table
    y = y if kind is FormationEnergyRegressor else (y > 0).astype(int) + (y > 0.5)
    weighted = kind(**FULL).fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(60), weight)
    repeated = kind(**FULL).fit(X[rows], y[rows])
    output = "predict" if kind is FormationEnergyRegressor else "predict_proba"
    found, expected = (getattr(model, output)(X) for model in (weighted, repeated))
    np.testing.assert_allclose(found, expected, atol=1e-8)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_)
    plain = getattr(kind(**FULL).fit(X, y), output)(X)
    assert np.abs(found - plain).max() > 1e-3
    if kind is FormationEnergyRegressor:
        assert weighted.target_mean_ == pytest.approx(repeated.target_mean_)
        assert weighted.target_scale_ == pytest.approx(repeated.target_scale_)


@pytest.mark.parametrize("kind", [FormationEnergyRegressor, ElementalModeClassifier])
def test_the_check_of_scikit_learn_holds_for_full_batches(kind):
    check_sample_weight_equivalence_on_dense_data(kind.__name__, kind(**{**FULL, "max_iter": 3}))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", [FormationEnergyRegressor, ElementalModeClassifier])
def test_equal_weights_change_nothing_and_zero_removes(kind, table, early_stopping):
    X, y, weight = table
    y = y if kind is FormationEnergyRegressor else y > 0
    settings = {**SMALL, "batch_size": 16, "early_stopping": early_stopping}
    output = "predict" if kind is FormationEnergyRegressor else "predict_proba"

    def fitted(*data):
        return getattr(kind(**settings).fit(*data), output)(X)

    np.testing.assert_array_equal(fitted(X, y, np.full(60, 0.3)), fitted(X, y))
    kept = weight > 0
    # Bitwise, with small batches and dropout, whatever the rows of weight zero contain.
    other = np.where(kept, y, ~y) if kind is ElementalModeClassifier else np.where(kept, y, 1e9)
    np.testing.assert_array_equal(fitted(X, other, weight), fitted(X[kept], y[kept], weight[kept]))
    assert np.isfinite(fitted(X, y, weight)).all()


def test_weights_in_validation_loss_and_calibration(table):
    X, y, _ = table
    weight = np.where(np.arange(60) % 2, 1e-9, 1.0)
    settings = {**SMALL, "early_stopping": True, "calibrate_std": True, "validation_fraction": 0.3}
    model = FormationEnergyRegressor(**{**settings, "max_iter": 1}).fit(X, y, sample_weight=weight)
    arguments = model._network_arguments(X, 0)
    seed = model._draw_seed()
    _, rest = model._hold_out(X, arguments, seed)
    members = model._members(X[rest])
    error = np.abs(members - y[rest])
    expected = np.average(error, axis=1, weights=weight[rest]).mean()
    assert model.validation_loss_curve_[0] == pytest.approx(expected)
    assert model.validation_loss_curve_[0] != pytest.approx(error.mean(), rel=1e-3)
    data = y[rest] - members.mean(axis=0), members.std(axis=0, ddof=1)
    found = model.std_floor_, model.std_scale_
    assert found == pytest.approx(fit_std(*data, weight[rest]), rel=1e-4)
    assert found != pytest.approx(fit_std(*data), rel=1e-3)


def test_calibration_counts_rows(rng):
    std, weight = rng.uniform(0.1, 2, 50), rng.randint(1, 4, 50)
    error = np.hypot(0.2, 1.5 * std) * rng.normal(size=50)
    repeated = np.repeat(error, weight), np.repeat(std, weight)
    np.testing.assert_allclose(fit_std(error, std, weight), fit_std(*repeated), rtol=1e-3)


@pytest.mark.parametrize("loss", [EnsembleLoss, EnsembleCrossEntropy])
def test_losses_with_weights(loss):
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    target = torch.randint(3, (2, 6), generator=generator)
    rows, weights = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([2.0, 1.0, 3.0]) / 2
    repeated = loss()(outputs[:, rows], target[:, rows])
    found = loss()(outputs[:, :3], (target[:, :3], weights.double().expand(2, -1)))
    torch.testing.assert_close(found, repeated)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0] * 59 + [-1.0], "Negative values in sample_weight: row 59"),
        ([0.0] * 60, "zero"),
        ([1.0] * 59, "sample_weight.shape"),
        ([np.nan] * 60, "NaN"),
    ],
)
def test_wrong_weights(table, weight, message):
    X, y, _ = table
    for model, target in ((FormationEnergyRegressor(), y), (ElementalModeClassifier(), y > 0)):
        with pytest.raises(ValueError, match=message):
            model.fit(X, target, sample_weight=weight)


def test_class_weights_are_sample_weights(tmp_path):
    X, y = make_classification(90, 5, weights=[0.8], n_classes=2, random_state=0)
    names = np.array(["common", "rare"])[y]
    share = np.bincount(y) / len(y)

    def probability(class_weight=None, sample_weight=None):
        model = ElementalModeClassifier(class_weight=class_weight, **FULL)
        return model.fit(X, names, sample_weight=sample_weight).predict_proba(X)

    balanced = probability("balanced")
    np.testing.assert_allclose(balanced, probability(None, 1 / share[y]), atol=1e-8)
    np.testing.assert_allclose(probability({"rare": 3}), probability(None, 1 + 2 * y), atol=1e-8)
    assert balanced[:, 1].mean() > probability()[:, 1].mean() + 0.01
    weight = np.where(np.arange(90) % 3, 1.0, 2.0)
    both = probability("balanced", weight)
    total = np.bincount(y, weight)
    np.testing.assert_allclose(both, probability(None, weight / total[y]), atol=1e-8)
    np.testing.assert_array_equal(probability({"common": 2, "rare": 2}), probability())
    with pytest.raises(ValueError, match="'class_weight' parameter"):
        ElementalModeClassifier(class_weight="even").fit(X, y)
    for weights in ({0: 1.0, 1: 2.5}, "balanced", None):
        model = make_pipeline(
            StandardScaler(), ElementalModeClassifier(class_weight=weights, **SMALL)
        )
        save_model(model.fit(X, y), tmp_path / "model.safetensors")
        loaded = load_model(tmp_path / "model.safetensors")
        assert loaded[-1].class_weight == weights
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_score_takes_weights(table):
    X, y, weight = table
    model = FormationEnergyRegressor(**SMALL).fit(X, y)
    expected = r2_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == pytest.approx(expected)
    classifier = ElementalModeClassifier(**SMALL).fit(X, y > 0)
    expected = accuracy_score(y > 0, classifier.predict(X), sample_weight=weight)
    assert classifier.score(X, y > 0, sample_weight=weight) == pytest.approx(expected)


def test_weights_are_routed_through_pipelines(table):
    X, y, weight = table
    model = FormationEnergyRegressor(**SMALL)
    scaled = StandardScaler().fit_transform(X)
    expected = FormationEnergyRegressor(**SMALL).fit(scaled, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(pipeline.predict(X), expected.predict(scaled))
        result = cross_validate(
            pipeline, X, y, params={"sample_weight": weight}, cv=2, error_score="raise"
        )
    assert np.isfinite(result["test_score"]).all()


def test_a_checkpoint_of_other_weights_is_refused(table, tmp_path, monkeypatch):
    X, y, weight = table
    monkeypatch.setattr("sklearn_elmodes._networks._training._CHECKPOINT_SECONDS", -1)
    kept = (tmp_path / "state").with_suffix(".kept")
    unlink = type(kept).unlink
    monkeypatch.setattr(
        type(kept), "unlink", lambda path, **_: path.replace(kept) if path != kept else unlink(path)
    )
    FormationEnergyRegressor(**SMALL).fit(X, y, weight, tmp_path / "state")
    with pytest.raises(ValueError, match="checkpoint of other data or settings"):
        FormationEnergyRegressor(**SMALL).fit(X, y, weight + 1, kept)


FORMULAS = ["NaCl", "KBr", "MgO", "CaF2", "Al2O3", "LiF", "KCl", "NaF"]
ENERGIES = [-2.1, -2.0, -3.0, -4.2, -3.4, -3.2, -2.2, -2.9]
ROWS = ["NaCl", "Na)Cl", "MgO", "OgO2"]


@pytest.mark.parametrize(
    ("architecture", "between"), [("sites", []), ("sites", [StandardScaler()]), ("set", [])]
)
def test_a_pipeline_predicts_nan_for_rows_that_cannot_be_read(architecture, between):
    settings = {**SMALL, "architecture": architecture}
    first = ElementalModeTransformer(
        pooling=None if architecture == "set" else "statistics",
        handle_invalid="nan",
        handle_unknown="nan",
    )
    model = make_pipeline(first, *between, FormationEnergyRegressor(**settings))
    model.fit(FORMULAS, ENERGIES)
    energy, std = model.predict(ROWS, return_std=True)
    assert np.isnan(energy).tolist() == np.isnan(std).tolist() == [False, True, False, True]
    expected = model.predict([ROWS[0], ROWS[2]], return_std=True)
    np.testing.assert_allclose((energy[[0, 2]], std[[0, 2]]), expected, rtol=1e-5)
    assert np.isnan(model.predict(["Na)Cl"])).all()
    with pytest.raises(ValueError, match="NaN"):
        model.score(ROWS, [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="all features of row 8 are NaN"):
        model.fit([*FORMULAS, "Na)Cl"], [*ENERGIES, 1.0])


def test_a_classifier_has_nan_probabilities_and_no_class_for_such_rows():
    model = make_pipeline(
        ElementalModeTransformer(handle_invalid="nan", handle_unknown="nan"),
        StandardScaler(),
        ElementalModeClassifier(**SMALL),
    ).fit(FORMULAS, ["a", "b"] * 4)
    probability = model.predict_proba(ROWS)
    assert np.isnan(probability).all(axis=1).tolist() == [False, True, False, True]
    np.testing.assert_allclose(probability[[0, 2]].sum(axis=1), 1)
    for use in (model.predict, lambda rows: model.score(rows, ["a", "b", "a", "b"])):
        with pytest.raises(
            ValueError, match=r"row 1 are NaN, so it has no class\. Use predict_proba"
        ):
            use(ROWS)
    with pytest.raises(ValueError, match="all features of row 1 are NaN"):
        model.fit(ROWS, ["a", "b"] * 2)


def test_rows_that_are_partly_nan_are_an_error(table):
    X, y, _ = table
    model = FormationEnergyRegressor(**SMALL).fit(X, y)
    X = X.copy()
    X[3] = np.nan
    X[5, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN: row 5 has NaN in column 2"):
        model.predict(X)
    X[5, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.predict(X)


@pytest.mark.slow
def test_intervals_cover_as_well_with_every_row_given_twice(rng):
    """If a held-out row had a twin in training, coverage would fall from 0.90 to 0.73."""
    X = rng.uniform(-1, 1, (700, 4))
    y = X[:, 0] * X[:, 1] + X[:, 2] + 0.2 * rng.normal(size=700)
    coverage = []
    for times in (1, 2):
        model = FormationEnergyRegressor(
            calibrate_std=True,
            hidden_layer_sizes=(64, 64),
            dropout=0.0,  # the network learns the noise of the training rows
            alpha=0.0,
            batch_size=32,
            max_iter=100,
            validation_fraction=0.25,
            random_state=0,
        ).fit(np.tile(X[:200], (times, 1)), np.tile(y[:200], times))
        energy, std = model.predict(X[200:], return_std=True)
        coverage.append(float(np.mean(np.abs(y[200:] - energy) <= 1.645 * std)))
    assert coverage[0] > 0.85
    assert coverage[1] > coverage[0] - 0.05, coverage
