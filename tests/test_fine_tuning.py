"""Training that goes on from weights, and training that was broken off."""

import contextlib
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_elmodes import (
    ElementalModeTransformer,
    FormationEnergyRegressor,
    load_model,
    load_pretrained,
    make_formation_energy_pipeline,
    save_model,
)
from sklearn_elmodes._networks import _training

SMALL = {
    "n_estimators": 2,
    "encoder_layer_sizes": (8, 8),
    "hidden_layer_sizes": (16, 16, 16),
    "batch_size": 32,
    "max_iter": 5,
    "random_state": 0,
}


def formulas(**parameters):
    return make_formation_energy_pipeline(**{**SMALL, **parameters})


@pytest.fixture(scope="module")
def data():
    from sklearn_elmodes.datasets import load_expt_formation_enthalpies

    X, y = load_expt_formation_enthalpies(return_X_y=True)
    return X[:300], y[:300]


@pytest.fixture(scope="module")
def general(data):
    """A pipeline fitted on the first 200 rows."""
    return formulas(max_iter=20).fit(data[0][:200], data[1][:200])


def weights(model):
    return {name: tensor.numpy() for name, tensor in model[-1].net_.module_.state_dict().items()}


def same_weights(one, other):
    return {name for name, array in weights(one).items() if (array == weights(other)[name]).all()}


def test_it_starts_from_what_was_learnt(general, data):
    X, y = data[0][200:], data[1][200:]
    before = weights(general)
    # A step size of nearly nothing leaves the pretrained model as it was.
    still = formulas(pretrained=general, max_iter=1, learning_rate_init=1e-12).fit(X, y)
    np.testing.assert_allclose(still.predict(X), general.predict(X), atol=1e-5)
    tuned = formulas(pretrained=general, max_iter="auto", learning_rate_init=0.001).fit(X, y)
    assert tuned[-1].n_iter_ == 30
    error = np.abs(tuned.predict(X) - y).mean()
    assert error < 0.9 * np.abs(general.predict(X) - y).mean()
    assert (tuned[-1].target_mean_, tuned[-1].target_scale_) == (
        general[-1].target_mean_,
        general[-1].target_scale_,
    )
    for name, array in weights(general).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [(None, set()), ("encoder", {"encoder"}), ("all_but_last", {"encoder", "joint"})],
)
def test_frozen_weights_stay_and_others_move(general, data, freeze, frozen):
    tuned = formulas(pretrained=general, freeze=freeze, max_iter=2).fit(*data)
    stay = {name for name in weights(general) if name.split(".")[0] in frozen}
    assert same_weights(tuned, general) == stay
    # The fit of a new model is not held back by it.
    new = formulas(freeze=freeze, max_iter=2)
    with contextlib.nullcontext() if freeze is None else pytest.warns(match="has no effect"):
        assert not same_weights(new.fit(*data), general)


def test_freezing_the_encoder_of_a_site_network(elpasolites):
    X, y = elpasolites[0][:200], elpasolites[1][:200]
    first = make_formation_energy_pipeline("elpasolite", **SMALL).fit(X, y)
    tuned = make_formation_energy_pipeline(
        "elpasolite", **SMALL, pretrained=first, freeze="encoder"
    ).fit(X[::-1], y[::-1])
    assert {name.split(".")[0] for name in same_weights(tuned, first)} == {"encoder"}


def test_warm_start(data):
    X, y = data
    model = formulas(warm_start=True, max_iter=5).fit(X, y)
    first = model[-1].loss_curve_
    model.fit(X, y)
    assert model[-1].loss_curve_[-1] < first[-1]
    model.set_params(formationenergyregressor__freeze="all_but_last")
    before = weights(model)
    model.fit(X, y)
    after = weights(model)
    assert {name for name in after if (after[name] != before[name]).any()} == {
        "last.weight",
        "last.bias",
    }
    model.set_params(formationenergyregressor__hidden_layer_sizes=(8, 8))
    with pytest.raises(ValueError, match=r"last fit.* hidden_layer_sizes \(16, 16, 16\) instead"):
        model.fit(X, y)


def test_sources(general, data, tmp_path):
    """A pipeline, a regressor, a file and a path object start from the same weights."""
    path = tmp_path / "general.safetensors"
    save_model(general, path)
    settings = {"max_iter": 1}
    expected = formulas(pretrained=general, **settings).fit(*data).predict(data[0])
    frozen_step = make_pipeline(general[0], FrozenEstimator(general[-1]))
    for source in (general[-1], FrozenEstimator(general), frozen_step, str(path), path):
        tuned = formulas(pretrained=source, **settings).fit(*data)
        np.testing.assert_array_equal(tuned.predict(data[0]), expected)


def test_clones_and_pickles_keep_the_fit(general, data):
    X, y = data
    tuned = formulas(pretrained=general[-1])
    copy = clone(tuned)
    assert copy[-1].pretrained is general[-1]
    again = pickle.loads(pickle.dumps(tuned)).fit(X, y)
    np.testing.assert_array_equal(copy.fit(X, y).predict(X), again.predict(X))
    third = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(third.predict(X), copy.predict(X))


def test_a_saved_model_is_whole_without_its_source(general, data, tmp_path):
    tuned = formulas(pretrained=general).fit(*data)
    save_model(tuned, tmp_path / "tuned.safetensors")
    loaded = load_model(tmp_path / "tuned.safetensors")
    np.testing.assert_array_equal(loaded.predict(data[0]), tuned.predict(data[0]))
    assert loaded[-1].pretrained is None
    tuned.set_params(formationenergyregressor__pretrained=tmp_path / "tuned.safetensors")
    save_model(tuned, tmp_path / "again.safetensors")
    assert load_model(tmp_path / "again.safetensors")[-1].pretrained is None
    tuned.set_params(formationenergyregressor__pretrained="elpasolites")
    save_model(tuned, tmp_path / "named.safetensors")
    assert load_model(tmp_path / "named.safetensors")[-1].pretrained == "elpasolites"


@pytest.mark.filterwarnings("ignore:freeze=.* has no effect")
def test_grid_search_over_what_to_start_from(general, data):
    grid = {
        "formationenergyregressor__freeze": [None, "encoder", "all_but_last"],
        "formationenergyregressor__pretrained": [None, FrozenEstimator(general)],
    }
    search = GridSearchCV(
        formulas(learning_rate_init="auto"),
        grid,
        cv=2,
        n_jobs=2,
        scoring="neg_mean_absolute_error",
        error_score="raise",
    ).fit(*data)
    scores = search.cv_results_["mean_test_score"].reshape(3, 2)
    assert (scores[:, 1] > scores[:, 0]).all()
    np.testing.assert_allclose(scores[:, 0], scores[0, 0])  # nothing to freeze


def test_another_quantity_is_scaled_anew(general, data):
    X, y = data
    moduli = 100 - 60 * y  # of the size of bulk moduli in GPa
    with pytest.warns(UserWarning, match="treated as a different quantity"):
        tuned = formulas(pretrained=general, max_iter="auto").fit(X, moduli)
    assert tuned[-1].target_mean_ == pytest.approx(moduli.mean())
    assert tuned[-1].target_scale_ == pytest.approx(moduli.std())
    assert np.abs(tuned.predict(X) - moduli).mean() < 0.2 * moduli.std()
    with pytest.warns(UserWarning, match="treated as a different quantity"):
        frozen = formulas(pretrained=general, freeze="all_but_last", max_iter=2).fit(X, moduli)
    assert {name.split(".")[0] for name in weights(general)} - {
        name.split(".")[0] for name in same_weights(frozen, general)
    } == {"last"}


def test_another_unit_is_named(data):
    X, y = data
    message = "different quantity: .* It looks like kJ/mol, if the model predicts eV/atom"
    with pytest.warns(UserWarning, match=message):
        make_formation_energy_pipeline(pretrained="oqmd", max_iter=1).fit(X, 96.485 * y)


def test_a_few_odd_rows_do_not_make_another_quantity(general, data):
    X, y = data
    y = np.where(np.arange(len(y)) % 20 == 0, 1e3, y)
    tuned = formulas(pretrained=general, max_iter=1).fit(X, y)
    assert tuned[-1].target_scale_ == general[-1].target_scale_


@pytest.mark.parametrize("unit", [0.1, 1e-3])
def test_a_quantity_of_small_numbers_is_scaled_anew(unit, general, data):
    X, y = data
    with pytest.warns(UserWarning, match="treated as a different quantity"):
        tuned = formulas(pretrained=general, max_iter="auto").fit(X, unit * y)
    assert np.abs(tuned.predict(X) - unit * y).mean() < 0.4 * unit * y.std()


def test_warm_start_keeps_the_scale(data):
    X, y = data
    model = formulas(warm_start=True, max_iter=1).fit(X[:60], y[:60])
    scale = model[-1].target_mean_, model[-1].target_scale_
    model.fit(X, 3 * y - 1.5)
    assert (model[-1].target_mean_, model[-1].target_scale_) == scale


def test_room_for_more_or_fewer_elements_than_the_source_had(general, data):
    for room in (8, 12):
        tuned = formulas(
            pretrained=general, max_elements=room, max_iter=1, learning_rate_init=1e-12
        )
        predicted = tuned.fit(*data).predict(data[0])
        np.testing.assert_allclose(predicted, general.predict(data[0]), atol=1e-5)


def test_a_failed_fit_leaves_the_last_one(data):
    X, y = data
    model = formulas().fit(X, y)
    expected = model.predict(X)
    for settings, error in (
        ({"learning_rate_init": 1e200}, "diverged"),
        ({"pretrained": "no such model"}, "neither an included model"),
    ):
        failing = {f"formationenergyregressor__{name}": v for name, v in settings.items()}
        with pytest.raises(ValueError, match=error):
            model.set_params(**failing).fit(X, 1000 * y)
        np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("max_iter", range(1, 13))
def test_trainings_of_a_few_steps(max_iter):
    salts = ["NaCl", "KBr", "LiF", "CsI"]
    model = formulas(max_iter=max_iter, n_estimators=1).fit(salts, [-2.1, -2.0, -3.2, -1.8])
    assert np.isfinite(model.predict(salts)).all()


def test_statistics_start_from_no_other_model(general):
    with pytest.raises(
        ValueError,
        match=r"cannot be combined with pooling=.statistics., whose features are scaled for each",
    ):
        make_formation_energy_pipeline(pooling="statistics", pretrained=general)


def test_names_come_before_folders_and_paths_must_exist(data, tmp_path, monkeypatch, elpasolites):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elpasolites").mkdir()
    shipped = load_pretrained("elpasolites")
    pipeline = make_formation_energy_pipeline("elpasolite", pretrained="elpasolites", max_iter=1)
    X, y = elpasolites[0][:40], elpasolites[1][:40]
    np.testing.assert_allclose(pipeline.fit(X, y).predict(X), shipped.predict(X), atol=0.1)
    for path in ("nosuch/model", "model.safetensors"):
        with pytest.raises(FileNotFoundError):
            formulas(pretrained=path).fit(*data)


def test_more_members_than_the_source(general, data):
    tuned = formulas(pretrained=general, n_estimators=5, max_iter=1, learning_rate_init=1e-12).fit(
        *data
    )
    members = tuned[-1]._predict_members(tuned[0].transform(data[0]))
    assert len(members) == 5
    np.testing.assert_allclose(members[2], members[0], atol=1e-5)
    assert np.abs(members[1] - members[0]).max() > 0.01


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (16, 16)}, r"hidden_layer_sizes \(16, 16, 16\) instead of"),
        ({"activation": "tanh"}, "activation 'silu' instead of 'tanh'"),
    ],
)
def test_other_layers_are_refused(general, data, parameters, message):
    with pytest.raises(ValueError, match=message):
        formulas(pretrained=general, **parameters).fit(*data)


def test_other_modes_are_refused(general, data):
    pipeline = formulas(pretrained=general)
    pipeline.set_params(elementalmodetransformer__n_components=4)
    with pytest.raises(ValueError, match="n_element_features 12 instead of 4"):
        pipeline.fit(*data)
    other = ElementalModeTransformer(properties="herr2019", pooling=None)
    salts = ["NaCl", "KBr", "LiF", "CsI"]
    with pytest.raises(ValueError, match="trained with other elemental modes than those in X"):
        make_pipeline(other, pipeline[-1]).fit(salts, [-2.1, -2.0, -3.2, -1.8])


def test_another_architecture_is_refused(data):
    pooled = make_formation_energy_pipeline(pooling="statistics", **SMALL).fit(*data)
    with pytest.raises(ValueError, match="architecture 'sites' instead of 'set'"):
        formulas(pretrained=pooled).fit(*data)


@pytest.mark.parametrize(
    ("pretrained", "error", "message"),
    [
        ("no such model", ValueError, "'no such model' is neither an included model"),
        (ElementalModeTransformer(), ValueError, "not a ElementalModeTransformer"),
        (3, ValueError, "not a int"),
        (FormationEnergyRegressor(), NotFittedError, "FrozenEstimator"),
    ],
)
def test_what_is_no_model(data, pretrained, error, message):
    with pytest.raises(error, match=message):
        formulas(pretrained=pretrained).fit(*data)


class StopError(Exception):
    pass


@pytest.fixture
def stop_after(monkeypatch):
    """Write a checkpoint after every pass, and break off after some."""
    monkeypatch.setattr(_training, "_CHECKPOINT_SECONDS", 0)

    def patch(n_passes, error=StopError):
        def stop(self, net, **kwargs):
            if len(net.history) == n_passes:
                raise error

        name = "sklearn_elmodes._networks._training.StopOnDivergence.on_epoch_begin"
        monkeypatch.setattr(name, stop, raising=False)

    return patch


@pytest.mark.parametrize(
    "further",
    [{"pooling": "statistics"}, {"pooling": None}, {"freeze": "all_but_last"}],
)
def test_a_checkpoint_goes_on_to_the_same_end(further, general, data, tmp_path, stop_after):
    X, y = data
    settings = {**SMALL, "max_iter": 6, **further}
    if "freeze" in further:
        settings["pretrained"] = general
    expected = make_formation_energy_pipeline(**settings).fit(X, y)
    path = tmp_path / "state"
    state = {"formationenergyregressor__checkpoint": path}
    for n_passes in (3, 5):
        stop_after(n_passes)
        with pytest.raises(StopError):
            make_formation_energy_pipeline(**settings).fit(X, y, **state)
        assert path.exists()
    stop_after(-1)
    model = make_formation_energy_pipeline(**settings).fit(X, y, **state)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    assert model[-1].loss_curve_ == expected[-1].loss_curve_
    assert not path.exists()


def test_ctrl_c_leaves_the_checkpoint(data, tmp_path, stop_after):
    path = tmp_path / "state"
    stop_after(3, KeyboardInterrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = formulas().fit(*data, formationenergyregressor__checkpoint=path)
    assert model[-1].n_iter_ < 5
    assert path.exists()


def test_checkpoints_of_others_are_refused(data, tmp_path, stop_after):
    X, y = data
    path = tmp_path / "state"
    state = {"formationenergyregressor__checkpoint": path}
    stop_after(2)
    with pytest.raises(StopError):
        formulas().fit(X, y, **state)
    for other in (
        lambda: formulas(alpha=0.5).fit(X, y, **state),
        lambda: formulas().fit(X, -y, **state),
    ):
        with pytest.raises(ValueError, match="other data or settings"):
            other()
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="not a checkpoint, or is corrupted"):
        formulas().fit(X, y, **state)
    rng = np.random.RandomState(0)
    for position in rng.randint(len(whole), size=10):  # a flipped bit
        content = bytearray(whole)
        content[position] ^= 1 << rng.randint(8)
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a checkpoint, or is corrupted"):
            formulas().fit(X, y, **state)
    torch.save({"fingerprint": formulas}, path)  # a pickle of code
    with pytest.raises(ValueError, match="not a checkpoint, or is corrupted"):
        formulas().fit(X, y, **state)
    with pytest.raises(ValueError, match="integer random_state, not None"):
        formulas(random_state=None).fit(X, y, **state)
    with pytest.raises(
        FileNotFoundError, match=r"Cannot write the checkpoint: the folder .* does not exist"
    ):
        formulas().fit(X, y, formationenergyregressor__checkpoint=tmp_path / "none" / "state")
    with pytest.raises(ValueError, match="cannot be combined with early_stopping or calibrate_std"):
        formulas(early_stopping=True).fit(X, y, **state)
