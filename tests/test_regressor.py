import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from skorch import NeuralNet

from sklearn_elmodes import (
    ElementalModeClassifier,
    FormationEnergyRegressor,
    make_formation_energy_pipeline,
)
from sklearn_elmodes._networks._batches import distinct_rows
from sklearn_elmodes._networks._sites import SiteDataset
from sklearn_elmodes._regression import fit_std
from sklearn_elmodes.model_selection import predict_held_out

SMALL = {
    "n_estimators": 2,
    "encoder_layer_sizes": (16, 4),
    "hidden_layer_sizes": (32, 32),
    "batch_size": 32,
    "max_iter": 15,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def crystals():
    """Four sites of two features; the first two sites count alike."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (300, 8))
    return X, X[:, 0] * X[:, 2] + X[:, 4] - 2 * X[:, 6]


def test_it_learns_and_beats_the_mean(crystals):
    X, y = crystals
    model = FormationEnergyRegressor(4, **{**SMALL, "max_iter": 60}).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.9
    assert len(model.loss_curve_) == model.n_iter_ == 60
    assert model.loss_curve_[-1] < 0.3 * model.loss_curve_[0]


def test_it_owns_a_skorch_net(crystals):
    model = FormationEnergyRegressor(4, **SMALL).fit(*crystals)
    assert type(model.net_) is NeuralNet


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equivalent_sites_are_exactly_equivalent(crystals, dtype):
    X, y = crystals
    X = X.astype(dtype)
    model = FormationEnergyRegressor(4, equivalent_sites=[(0, 1)], **SMALL).fit(X, y)
    swapped = X.reshape(-1, 4, 2)[:, [1, 0, 2, 3]].reshape(-1, 8)
    np.testing.assert_array_equal(model.predict(swapped), model.predict(X))
    other = X.reshape(-1, 4, 2)[:, [0, 2, 1, 3]].reshape(-1, 8)
    assert np.abs(model.predict(other) - model.predict(X)).max() > 0.01
    _mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(std, model.predict(swapped, return_std=True)[1])
    assert next(model.net_.module_.parameters()).dtype == getattr(torch, np.dtype(dtype).name)


@pytest.mark.parametrize("groups", [[(0, 1, 2)], [(0, 1), (2, 3)], [(3, 0)]])
@pytest.mark.parametrize("n_rows", [1, 3, 33])
def test_any_equivalence_is_exact_for_any_number_of_rows(crystals, groups, n_rows):
    X, y = crystals
    model = FormationEnergyRegressor(4, equivalent_sites=groups, **SMALL).fit(X, y)
    sites = X[:n_rows].reshape(-1, 4, 2)
    for order in itertools.permutations(range(4)):
        grouped = [site for group in groups for site in group]
        fixed = all(order[site] == site for site in range(4) if site not in grouped)
        if fixed and all({order[site] for site in group} == set(group) for group in groups):
            moved = sites[:, order].reshape(-1, 8)
            np.testing.assert_array_equal(model.predict(moved), model.predict(X[:n_rows]))


def test_exchange_symmetry_of_real_elpasolites(elpasolites):
    X, y = elpasolites
    pipeline = make_formation_energy_pipeline("elpasolite", **{**SMALL, "max_iter": 2})
    pipeline.fit(X[:500], y[:500])
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.predict(X[:, [1, 0, 2, 3]]))


def test_return_std_is_the_std_of_the_members(crystals):
    X, y = crystals
    model = FormationEnergyRegressor(4, **{**SMALL, "n_estimators": 3}).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    members = model._predict_members(X)
    assert members.shape == (3, 300)
    np.testing.assert_array_equal(mean, members.mean(axis=0))
    np.testing.assert_array_equal(std, members.std(axis=0, ddof=1))
    assert std.min() > 0
    single = FormationEnergyRegressor(4, **{**SMALL, "n_estimators": 1}).fit(X, y)
    with pytest.raises(ValueError, match="return_std=True needs n_estimators of at least 2"):
        single.predict(X, return_std=True)


def test_calibrated_std_is_a_standard_deviation(elpasolites):
    X, y = elpasolites
    settings = {"max_iter": 15, "n_estimators": 4, "hidden_layer_sizes": (64, 64)}
    settings |= {"encoder_layer_sizes": (32, 8), "random_state": 0}
    bare = make_formation_energy_pipeline("elpasolite", **settings).fit(X[:2000], y[:2000])
    calibrated = make_formation_energy_pipeline("elpasolite", calibrate_std=True, **settings)
    calibrated.fit(X[:2000], y[:2000])
    energy, std = bare.predict(X[2000:], return_std=True)
    same, scaled = calibrated.predict(X[2000:], return_std=True)
    np.testing.assert_array_equal(energy, same)  # all rows are learnt from in the end
    regressor = calibrated[-1]
    expected = np.hypot(regressor.std_floor_, regressor.std_scale_ * std)
    np.testing.assert_allclose(scaled, expected)
    error = np.abs(y[2000:] - energy)
    assert (error <= 1.645 * std).mean() < 0.75
    assert 0.86 < (error <= 1.645 * scaled).mean() < 0.96
    assert (bare[-1].std_floor_, bare[-1].std_scale_) == (0, 1)


def test_conformal_intervals_cover_held_out_elpasolites(elpasolites):
    regression = pytest.importorskip("mapie.regression")
    X, y = elpasolites
    model = make_formation_energy_pipeline("elpasolite", **{**SMALL, "max_iter": 20})
    model.fit(X[:2000], y[:2000])
    intervals = regression.SplitConformalRegressor(
        model, confidence_level=[0.5, 0.9], prefit=True
    ).conformalize(X[2000:4000], y[2000:4000])
    energy, limits = intervals.predict_interval(X[4000:])
    np.testing.assert_array_equal(energy, model.predict(X[4000:]))
    inside = (limits[:, 0] <= y[4000:, None]) & (y[4000:, None] <= limits[:, 1])
    np.testing.assert_allclose(inside.mean(axis=0), [0.5, 0.9], atol=0.03)


def test_calibration_uses_the_rows_of_early_stopping(crystals):
    X, y = crystals
    settings = {**SMALL, "early_stopping": True, "max_iter": 5}
    plain = FormationEnergyRegressor(4, **settings).fit(X, y)
    model = FormationEnergyRegressor(4, calibrate_std=True, **settings).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert model.std_floor_ > 0
    with pytest.raises(ValueError, match="calibrate_std=True needs n_estimators of at least 2"):
        FormationEnergyRegressor(4, calibrate_std=True, n_estimators=1).fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_calibration_sees_rows_that_training_did_not(crystals, monkeypatch, early_stopping):
    X, y = crystals
    trainings, held_out, stds = [], [], []
    train, calibrate = FormationEnergyRegressor._train, FormationEnergyRegressor._calibrate

    def spy_on_training(self, X, *args, **settings):
        trainings.append({row.tobytes() for row in X})
        return train(self, X, *args, **settings)

    def spy_on_calibration(self, X, y):
        held_out.append({row.tobytes() for row in X})
        members = self._members(X)
        calibrate(self, X, y)
        error = y * self.target_scale_ + self.target_mean_ - members.mean(axis=0)
        stds.append((error, members.std(axis=0, ddof=1)))

    monkeypatch.setattr(FormationEnergyRegressor, "_train", spy_on_training)
    monkeypatch.setattr(FormationEnergyRegressor, "_calibrate", spy_on_calibration)
    settings = {**SMALL, "max_iter": 2, "early_stopping": early_stopping}
    model = FormationEnergyRegressor(4, calibrate_std=True, **settings).fit(X, y)
    everything = {row.tobytes() for row in X.astype(X.dtype)}
    assert not trainings[0] & held_out[0]
    assert trainings[0] | held_out[0] == everything
    assert len(held_out[0]) == pytest.approx(0.1 * len(everything), abs=2)
    assert trainings[1:] == ([] if early_stopping else [everything])
    # The standard deviation of a sample, as predict returns it.
    assert (model.std_floor_, model.std_scale_) == fit_std(*stds[0])


@pytest.mark.parametrize("layout", ["table", "sites", "set"])
def test_equal_rows_are_held_out_together(layout):
    rng = np.random.RandomState(0)
    if layout == "set":
        X = np.zeros((60, 2, 3))
        X[:, :, :2], X[:, :, 2] = rng.uniform(-1, 1, (60, 2, 2)), 1
        same, X = X[:, ::-1].reshape(60, -1), X.reshape(60, -1)
        settings = {"architecture": "set", "max_elements": 2}
    else:
        X = rng.uniform(-1, 1, (60, 4))
        same = X if layout == "table" else X[:, [1, 0, 2, 3]]
        settings = {} if layout == "table" else {"n_sites": 4, "equivalent_sites": [(0, 1)]}
    model = FormationEnergyRegressor(validation_fraction=0.25, **settings)
    twice = np.concatenate([X, same])
    arguments = model._network_arguments(twice, seed=0)
    part, rest = model._hold_out(twice, arguments, seed=0)
    assert sorted([*part, *rest]) == list(range(120))
    assert len(rest) == 30
    assert not set(part % 60) & set(rest % 60)
    # Without equal rows, a split like that of train_test_split.
    expected = train_test_split(np.arange(60), test_size=0.25, random_state=0)
    for found, rows in zip(model._hold_out(X, arguments, seed=0), expected, strict=True):
        np.testing.assert_array_equal(found, rows)


def test_a_single_row_is_worth_a_warning():
    with pytest.warns(UserWarning, match="a single row: the model predicts its target everywhere"):
        FormationEnergyRegressor(max_iter=1, batch_size=1).fit([[1.0, 2.0]], [3.0])


def test_fit_std_finds_floor_and_scale():
    rng = np.random.RandomState(0)
    std = rng.gamma(2, 0.02, 20_000)
    error = rng.normal(scale=np.hypot(0.03, 2.5 * std))
    np.testing.assert_allclose(fit_std(error, std), (0.03, 2.5), rtol=0.1)
    np.testing.assert_allclose(fit_std(1e6 * error, 1e6 * std), (3e4, 2.5), rtol=0.1)
    assert fit_std(np.zeros(3), np.ones(3)) == (0, 1)
    assert fit_std(np.ones(3), np.zeros(3)) == (1, 1)


@pytest.mark.parametrize("n_distinct", [3, 600])
def test_fast_prediction_is_that_of_the_network(n_distinct, rng):
    """Few descriptions are tabulated, many are not; both equal the plain forward pass."""
    features = rng.normal(size=(n_distinct, 5))
    sites = rng.randint(n_distinct, size=(700, 3))
    X = features[sites].reshape(700, 15)
    model = FormationEnergyRegressor(
        3, equivalent_sites=[(0, 2)], **{**SMALL, "n_estimators": 3}
    ).fit(X, X.sum(axis=1))
    network = model.net_.module_
    data = SiteDataset.from_arrays(X, None, 3, [(0, 1, 2), (2, 1, 0)], "cpu")
    rows = torch.arange(700).expand(3, -1)
    with torch.inference_mode():
        plain = network(**data.inputs(rows))
    fast = network.predict(data.site_features, data.sites)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-12)


def test_early_stopping_keeps_the_best_weights():
    """Noise is learnt by heart, so that the last weights are far from the best."""
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(200, 4)), rng.normal(size=200)
    settings = {**SMALL, "max_iter": 200, "early_stopping": True, "n_iter_no_change": 30}
    model = FormationEnergyRegressor(
        tol=0.0,
        hidden_layer_sizes=(64, 64),
        **{name: value for name, value in settings.items() if name != "hidden_layer_sizes"},
    ).fit(X, y)
    curve = model.validation_loss_curve_
    best = int(np.argmin(curve))
    assert model.n_iter_ == len(curve) == best + 1 + 30 < 200
    assert curve[-1] > curve[best] + 0.05
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    _, held_out, _, truth = train_test_split(X, y, test_size=0.1, random_state=seed)
    found = np.abs(model._predict_members(held_out) - truth).mean()
    assert found == pytest.approx(curve[best], rel=1e-6)
    assert FormationEnergyRegressor(**SMALL).fit(X, y).validation_loss_curve_ is None


def test_interrupted_training_keeps_the_weights_and_warns(crystals, monkeypatch):
    calls = []

    def interrupt(self, net, **kwargs):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_elmodes._networks._training.Progress.on_epoch_end", interrupt)
    model = FormationEnergyRegressor(4, **{**SMALL, "verbose": 1})
    with pytest.warns(ConvergenceWarning, match=r"interrupted in epoch \d+ of 15; the weights"):
        model.fit(*crystals)
    assert 4 <= model.n_iter_ <= 5
    assert np.isfinite(model.predict(crystals[0])).all()
    calls[:] = [1, 1, 1]
    monkeypatch.setattr(
        "sklearn_elmodes._networks._training.StopOnDivergence.on_batch_end",
        lambda *a, **k: interrupt(None, None) or interrupt(None, None),
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(*crystals)


def test_a_fitted_model_carries_neither_data_nor_optimizer_state(crystals):
    X, y = crystals
    settings = {**SMALL, "hidden_layer_sizes": (128, 128), "early_stopping": True}
    model = FormationEnergyRegressor(4, **settings).fit(X, y)
    weights = sum(tensor.nbytes for tensor in model.net_.module_.state_dict().values())
    assert len(pickle.dumps(model)) < 1.3 * weights + 20_000
    assert X[0, 0].tobytes() not in pickle.dumps(model)


def test_training_in_threads_gives_the_same_models(crystals):
    X, y = crystals
    state = torch.get_rng_state()

    def fit(seed):
        model = FormationEnergyRegressor(4, **{**SMALL, "random_state": seed, "dropout": 0.3})
        return model.fit(X, y).predict(X)

    alone = [fit(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(fit, range(3)))
    np.testing.assert_array_equal(alone, together)
    assert torch.equal(torch.get_rng_state(), state)


def test_numpy_integers_are_integers(crystals):
    settings = {name: np.int64(2) for name in ("n_estimators", "max_iter", "batch_size")}
    settings |= {"hidden_layer_sizes": np.array([8, 8]), "random_state": np.int64(0)}
    model = FormationEnergyRegressor(np.int64(4), equivalent_sites=np.array([[0, 1]]), **settings)
    X, y = crystals
    assert model.fit(X[:20], y[:20]).predict(X[:3]).shape == (3,)


def test_progress_at_verbose(crystals, capsys):
    FormationEnergyRegressor(4, **{**SMALL, "max_iter": 2, "verbose": 1}).fit(*crystals)
    assert "Training" in capsys.readouterr().err
    FormationEnergyRegressor(4, **{**SMALL, "max_iter": 2}).fit(*crystals)
    out = capsys.readouterr()
    assert out.err == out.out == ""


@pytest.mark.parametrize(("name", "module"), [(None, "SiLU"), ("tanh", "Tanh")])
def test_encoder_activation(crystals, name, module):
    chosen = {} if name is None else {"encoder_activation": name}
    model = FormationEnergyRegressor(4, **chosen, **{**SMALL, "max_iter": 1}).fit(*crystals)
    assert type(model.net_.module_.encoder[1]).__name__ == module
    assert not any(type(layer).__name__ == module for layer in model.net_.module_.joint.modules())


def test_one_site_has_no_encoder(crystals):
    model = FormationEnergyRegressor(**SMALL).fit(*crystals)
    assert len(model.net_.module_.encoder) == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_sites": 3}, "X has 8 features, which is not a multiple of n_sites=3"),
        ({"n_sites": 4, "equivalent_sites": [(0, 4)]}, "must be sets of sites from 0 to 3"),
        ({"n_sites": 4, "equivalent_sites": [(0, 1), (1, 2)]}, "each site in one set at most"),
        ({"n_sites": 4, "equivalent_sites": (0, 1)}, "must be sets of sites"),
        ({"n_sites": 4, "equivalent_sites": [(0.9, 1.2)]}, "must be sets of sites"),
        ({"n_sites": 4, "equivalent_sites": ["AB"]}, "must be sets of sites"),
        ({"n_sites": 8, "equivalent_sites": [range(8)]}, "more than 24 orders"),
        ({"n_sites": 4, "permutations": [(0, 1, 2, 4)]}, "must be orders of the sites 0 to 3"),
        ({"n_sites": 4, "permutations": [(1, 2, 3, 0)]}, "must form a group"),
        (
            {"n_sites": 4, "permutations": [(1, 0, 2, 3)], "equivalent_sites": [(0, 1)]},
            "either equivalent_sites or permutations",
        ),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes must be a sequence of positive"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes must be a sequence of positive"),
        ({"encoder_layer_sizes": (2.5,), "n_sites": 4}, "encoder_layer_sizes must be a sequence"),
        ({"hidden_layer_sizes": [[8, 8]]}, "hidden_layer_sizes must be a sequence of positive"),
        ({"hidden_layer_sizes": ("a",)}, "hidden_layer_sizes must be a sequence of positive"),
        ({"learning_rate_init": 1e200}, "Training diverged in epoch .*lower learning_rate_init"),
        (
            {"learning_rate_init": 1e300, "max_iter": 1, "batch_size": 300, "alpha": 1e100},
            "diverged in its last step.*[Ll]ower learning_rate_init",
        ),
    ],
)
def test_wrong_settings(crystals, parameters, message):
    with pytest.raises(ValueError, match=message):
        FormationEnergyRegressor(**{**SMALL, **parameters}).fit(*crystals)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exchanges_that_go_together(crystals, dtype):
    X, y = crystals
    X = X.astype(dtype)
    model = FormationEnergyRegressor(4, permutations=[(1, 0, 3, 2)], **SMALL).fit(X, y)
    sites = X.reshape(-1, 4, 2)

    def predict(order):
        return np.array(model.predict(sites[:, order].reshape(-1, 8), return_std=True))

    as_it_is = predict([0, 1, 2, 3])
    np.testing.assert_array_equal(predict([1, 0, 3, 2]), as_it_is)
    for half in ([1, 0, 2, 3], [0, 1, 3, 2], [2, 3, 0, 1]):
        assert np.abs(predict(half) - as_it_is).max() > 0.01


def test_permutations_say_the_same_as_equivalent_sites(crystals):
    X, y = crystals
    sets = FormationEnergyRegressor(4, equivalent_sites=[(0, 1)], **SMALL).fit(X, y)
    listed = FormationEnergyRegressor(4, permutations=[(1, 0, 2, 3)], **SMALL).fit(X, y)
    np.testing.assert_array_equal(listed.predict(X), sets.predict(X))


@pytest.mark.parametrize(
    "y", [np.zeros(40), np.arange(40), np.linspace(0, 1e12, 40), np.ones(40, np.float32)]
)
def test_extreme_targets(y):
    X = np.random.RandomState(0).normal(size=(40, 4))
    predicted = FormationEnergyRegressor(**SMALL).fit(X, y).predict(X)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    if y.std() == 0:
        np.testing.assert_allclose(predicted, y, atol=0.5)


def test_numbers_beyond_the_type():
    X = np.random.RandomState(0).normal(size=(40, 4)).astype("f4")
    with pytest.raises(ValueError, match="The target is too large to be scaled"):
        FormationEnergyRegressor(**SMALL).fit(X, np.linspace(0, 1e200, 40))
    model = FormationEnergyRegressor(**SMALL).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="too large for float32"):
        model.predict(np.full((1, 4), 1e200))


def test_two_rows():
    model = FormationEnergyRegressor(**SMALL).fit([[0.0], [1.0]], [1.0, 2.0])
    assert model.predict([[0.5]]).shape == (1,)


def test_distinct_rows():
    rng = np.random.RandomState(0)
    for dtype in (np.float32, np.float64):
        rows = rng.randint(0, 3, (1000, 4)).astype(dtype)
        first, inverse = distinct_rows(rows)
        assert len(first) == len(np.unique(rows, axis=0)) == 81
        np.testing.assert_array_equal(rows[first][inverse], rows)
        np.testing.assert_array_equal(rows[first], np.unique(rows, axis=0))


def test_distinct_sites_are_encoded_once_and_give_the_same_numbers(crystals):
    """Many distinct sites take the way of encoding each batch by itself."""
    X, y = crystals
    few = np.round(X) + 0.0  # no negative zeros
    model = FormationEnergyRegressor(4, **SMALL).fit(few, y)
    dataset = SiteDataset.from_arrays(few, None, 4, [range(4)], "cpu")
    assert len(dataset.site_features) == 9
    together = model.predict(few)
    np.testing.assert_allclose(
        [model.predict(row[None])[0] for row in few[:20]], together[:20], rtol=1e-9
    )
    model = FormationEnergyRegressor(4, **SMALL).fit(X, y)
    assert len(SiteDataset.from_arrays(X, None, 4, [range(4)], "cpu").site_features) == 1200
    np.testing.assert_allclose(
        [model.predict(row[None])[0] for row in X[:20]], model.predict(X)[:20], rtol=1e-9
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu(crystals):
    X, y = crystals
    model = FormationEnergyRegressor(4, device="cuda", **SMALL).fit(X, y)
    assert model.score(X, y) > 0.3


def test_interrupted_calibration_trains_no_second_time(crystals, monkeypatch):
    X, y = crystals

    def interrupt(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        "sklearn_elmodes._networks._training.StopOnDivergence.on_epoch_end", interrupt
    )
    model = FormationEnergyRegressor(4, calibrate_std=True, **{**SMALL, "max_iter": 15})
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch") as warned:
        model.fit(X, y)
    assert len(warned) == 1
    assert model.n_iter_ <= 3
    assert (model.std_floor_, model.std_scale_) == (0, 1)
    assert np.isfinite(model.predict(X, return_std=True)).all()


def test_interrupted_training_with_early_stopping_keeps_the_best_weights(crystals, monkeypatch):
    X, y = crystals
    settings = {**SMALL, "early_stopping": True, "n_iter_no_change": 20, "verbose": 1}
    expected = FormationEnergyRegressor(4, **{**settings, "verbose": 0}).fit(X, y)
    best = int(np.argmin(expected.validation_loss_curve_))
    calls = []

    def interrupt(self, net, **kwargs):
        calls.append(1)
        if len(calls) == SMALL["max_iter"]:
            raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_elmodes._networks._training.Progress.on_epoch_end", interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = FormationEnergyRegressor(4, **settings).fit(X, y)
    assert len(calls) == SMALL["max_iter"]
    assert best == int(np.argmin(model.validation_loss_curve_))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_targets_that_are_tiny_or_missing(crystals):
    X, y = crystals
    tiny = FormationEnergyRegressor(4, **SMALL).fit(X, y * 1e-200)
    assert np.abs(tiny.predict(X)).max() < 1e-198
    missing = y.astype(object)
    missing[3] = None
    with pytest.raises(ValueError, match=r"row 3|NaN"):
        FormationEnergyRegressor(4, **SMALL).fit(X, missing)


@pytest.mark.parametrize(
    "y",
    [
        [1.0, 2.0, np.nan, None],
        [1.0, 2.0, None, np.nan],
        pd.Series([1, 2, None, pd.NA], dtype="Int64", index=[5, 6, 7, 8]),
        pd.DataFrame({"y": [1.0, 2.0, np.nan, np.nan]}),
        np.array(["a", "b", None, None], dtype=object),
    ],
)
@pytest.mark.parametrize("kind", [FormationEnergyRegressor, ElementalModeClassifier])
def test_missing_targets_are_named_by_their_row(kind, y):
    X = np.eye(4)
    with pytest.raises(
        ValueError, match=r"Input y contains NaN: the target of row 2 \(and 1 more\)"
    ):
        kind(max_iter=1).fit(X, y)


def test_held_out_predictions_name_the_row_of_the_whole_table():
    y = [1.0, 2.0, 3.0, np.nan]
    with pytest.raises(ValueError, match="the target of row 3 is missing"):
        predict_held_out(FormationEnergyRegressor(max_iter=1), np.eye(4), y, cv=2)
