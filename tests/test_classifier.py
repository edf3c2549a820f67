"""Classes instead of numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.compose import make_column_transformer
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes import (
    ElementalModeClassifier,
    ElementalModeTransformer,
    load_model,
    make_formation_energy_pipeline,
    save_model,
)

SMALL = {
    "n_estimators": 2,
    "encoder_layer_sizes": (8, 8),
    "hidden_layer_sizes": (16, 16),
    "activation": "silu",
    "max_iter": 30,
    "random_state": 0,
}
ANIONS = ("O", "F", "Cl")


def formulas(**parameters):
    return make_pipeline(
        ElementalModeTransformer(pooling=None),
        ElementalModeClassifier(architecture="set", **{**SMALL, **parameters}),
    )


@pytest.fixture(scope="module")
def data(request):
    """Formulas, and which of three anions each has."""
    from sklearn_elmodes.datasets import load_expt_formation_enthalpies
    from sklearn_elmodes.formulas import parse_formulas

    X, _ = load_expt_formation_enthalpies(return_X_y=True)
    rows = [[anion for anion in ANIONS if anion in formula] for formula in parse_formulas(X)]
    one = np.array([len(found) == 1 for found in rows])
    return X[one][:400], np.array([found[0] for found in rows if len(found) == 1])[:400]


def test_it_learns_classes_and_their_probabilities(data):
    X, y = data
    model = formulas().fit(X[:300], y[:300])
    assert model.classes_.tolist() == sorted(ANIONS)
    assert model.score(X[300:], y[300:]) > 0.95
    probability = model.predict_proba(X[300:])
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(
        model.classes_[probability.argmax(axis=1)], model.predict(X[300:])
    )
    shares = np.bincount(np.unique(y[:300], return_inverse=True)[1]) / 300
    assert log_loss(y[300:], probability) < 0.3 * log_loss(y[300:], np.tile(shares, (100, 1)))
    assert model[-1].loss_curve_[-1] < 0.5 * model[-1].loss_curve_[0]


def test_probabilities_are_the_mean_of_those_of_the_members(data):
    formulas_, classes = data
    model = formulas(n_estimators=3, max_iter=3).fit(formulas_, classes)
    outputs = model[-1]._outputs(model[:-1].transform(formulas_))
    expected = softmax(outputs, axis=2).mean(axis=0)
    np.testing.assert_allclose(model.predict_proba(formulas_), expected)
    assert np.abs(softmax(outputs.mean(axis=0), axis=1) - expected).max() > 1e-4


def test_rows_held_out_are_stratified_and_not_trained_on(monkeypatch):
    rng = np.random.RandomState(0)
    X, classes = rng.uniform(size=(200, 3)), np.repeat([0, 1, 2], [20, 60, 120])
    seen = []
    train = ElementalModeClassifier._train

    def spy(self, X, y, held_out, *args, **settings):
        seen.append((X, y, *held_out))
        return train(self, X, y, held_out, *args, **settings)

    monkeypatch.setattr(ElementalModeClassifier, "_train", spy)
    settings = {"hidden_layer_sizes": (4,), "max_iter": 2, "validation_fraction": 0.1}
    ElementalModeClassifier(early_stopping=True, random_state=0, **settings).fit(X, classes)
    rows, own, held_out, others = seen[0]
    assert np.bincount(others).tolist() == [2, 6, 12]
    assert np.bincount(own).tolist() == [18, 54, 108]
    together = {row.tobytes() for row in [*rows, *held_out]}
    assert together == {row.tobytes() for row in X}
    assert len(together) == len(rows) + len(held_out)


def test_early_stopping_holds_out_every_class(data):
    X, y = data
    rare = np.where(np.arange(len(y)) < 380, "common", "rare")
    model = formulas(early_stopping=True, max_iter=3).fit(X, rare)
    assert len(model[-1].validation_loss_curve_) == 3


@pytest.mark.parametrize("kind", [str, bool, int, float])
def test_model_files_keep_classes(kind, data, tmp_path):
    X, y = data
    classes = y if kind is str else (y == "O").astype(kind)
    model = formulas(max_iter=2).fit(X, classes)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_regressor_gives_its_encoder(data):
    X, y = data
    settings = {name: value for name, value in SMALL.items() if name != "max_iter"}
    energies = make_formation_energy_pipeline(max_iter=2, **settings).fit(X, range(len(X)))
    model = formulas(pretrained=energies, freeze="all_but_last", max_iter=2).fit(X, y)
    before, after = (m[-1].net_.module_.state_dict() for m in (energies, model))
    for name in before:
        if name.startswith("last"):
            assert after[name].shape != before[name].shape
        else:
            np.testing.assert_array_equal(after[name], before[name])


def test_other_classes_start_the_last_layer_afresh(data):
    X, y = data
    model = formulas(max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"\['Cl', 'F', 'O'\], not \['cl', 'f', 'o'\]"):
        model.fit(X, np.array([name.lower() for name in y]))
    again = formulas(max_iter=1, learning_rate_init=1e-12, pretrained=model)
    np.testing.assert_allclose(again.fit(X, y).predict_proba(X), model.predict_proba(X), atol=1e-5)
    other = again.fit(X, np.array([name.lower() for name in y])).predict_proba(X)
    assert np.abs(other - model.predict_proba(X)).max() > 0.01


def test_columns_beside_the_formula(data):
    """Whether a formula is an oxide, or hot."""
    X, y = data
    temperature = np.random.RandomState(0).uniform(300, 1500, len(X))
    frame = pd.DataFrame({"formula": X, "temperature": temperature})
    target = (y == "O") | (temperature > 1200)
    features = make_column_transformer(
        (ElementalModeTransformer(), "formula"), remainder="passthrough"
    )
    classifier = ElementalModeClassifier(**{**SMALL, "max_iter": 60})
    model = make_pipeline(features, StandardScaler(), classifier)
    model.fit(frame[:300], target[:300])
    assert model.score(frame[300:], target[300:]) > 0.8


def test_one_class(data):
    with pytest.raises(ValueError, match="only one class, 'salt'"):
        formulas().fit(data[0], ["salt"] * len(data[0]))
