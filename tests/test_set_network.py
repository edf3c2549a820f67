"""The network over the elements of a formula."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline

from sklearn_elmodes import (
    ElementalModeTransformer,
    FormationEnergyRegressor,
    load_pretrained,
    make_formation_energy_pipeline,
)
from sklearn_elmodes._networks._sets import (
    N_AMOUNT_FEATURES,
    SetDataset,
    SetNetwork,
    amount_features,
)
from sklearn_elmodes.datasets import load_expt_formation_enthalpies
from sklearn_elmodes.elements import SYMBOLS

PIPELINE = {
    "n_estimators": 2,
    "encoder_layer_sizes": (8, 12),
    "hidden_layer_sizes": (16, 16, 16),
    "activation": "silu",
    "max_iter": 20,
    "batch_size": 32,
    "random_state": 0,
}
SMALL = {"architecture": "set", **PIPELINE}
FORMULAS = ["NaCl", "Fe2O3", "K2NaAlF6", "Si", "La0.85Sr0.15MnO3", "CaTiO3", "NaCl"]


@pytest.fixture(scope="module")
def features():
    return ElementalModeTransformer(pooling=None, max_elements=5).fit_transform(FORMULAS)


@pytest.fixture(scope="module")
def blocks():
    """Sets of up to four elements of two features, and a property of them."""
    rng = np.random.RandomState(0)
    table = rng.normal(size=(12, 2))
    X = np.zeros((300, 4, 3))
    y = np.zeros(300)
    for row in range(300):
        n = rng.randint(1, 5)
        elements = rng.choice(12, n, replace=False)
        amounts = rng.randint(1, 4, n)
        X[row, :n, :2] = table[elements]
        X[row, :n, 2] = amounts
        fractions = amounts / amounts.sum()
        mean = fractions @ table[elements]
        y[row] = fractions @ table[elements, 0] ** 2 - mean[0] ** 2 + mean[1]
    return X.reshape(300, -1), y


def by_hand(network, X, max_elements):
    """Compute a set network in NumPy, one row and one member at a time."""
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    def silu(x):
        return x / (1 + np.exp(-x))

    def linear(x, name, member):
        return x @ weights[f"{name}.weight"][member] + weights[f"{name}.bias"][member, 0]

    out = np.zeros((network.n_members, len(X)))
    for member in range(network.n_members):
        for row, elements in enumerate(X.reshape(len(X), max_elements, -1)):
            elements = elements[elements[:, -1] > 0]
            amounts, n = elements[:, -1], len(elements)
            known = amount_features(amounts, np.full(n, amounts.sum()), np.full(n, n))
            code = silu(linear(elements[:, :-1], "encoder.element.0", member))
            code = silu(linear(np.hstack([code, known]), "encoder.amount.0", member))
            x = silu(linear(code, "encoder.amount.2", member).sum(axis=0))
            for layer in (1, 2):
                read = x / np.sqrt((x**2).mean() + 1e-3)
                x = x + silu(linear(read, f"joint.{layer}.linear", member))
            out[member, row] = linear(x, "last", member)[0]
    return out


def make_network(**arguments):
    settings = {
        "n_members": 3,
        "n_outputs": 1,
        "n_element_features": 12,
        "encoder_layer_sizes": (8, 10),
        "hidden_layer_sizes": (16, 16, 16),
        "activation": "silu",
        "encoder_activation": "silu",
        "dropout": 0.1,
        "dtype": torch.float64,
        "seed": 0,
    }
    return SetNetwork(**{**settings, **arguments})


def test_training_and_prediction_compute_what_the_formula_says(features):
    X = features.astype(float)
    network = make_network()
    network.eval()
    dataset = SetDataset.from_arrays(X, None, 12, "cpu")
    expected = by_hand(network, X, 5)
    together = network.predict(**dataset.for_prediction())[..., 0]
    np.testing.assert_allclose(together, expected, rtol=1e-9)
    # Members that see rows of their own, some twice, in orders of their own.
    rows = torch.tensor([[0, 1, 2, 3], [6, 2, 2, 4], [5, 3, 1, 1]])
    with torch.no_grad():
        predicted = network(**dataset.inputs(rows))[..., 0].numpy()
    np.testing.assert_allclose(predicted, np.take_along_axis(expected, rows.numpy(), 1), rtol=1e-9)


def test_each_distinct_token_is_kept_once(features):
    dataset = SetDataset.from_arrays(features, None, 12, "cpu")
    assert dataset.element_features.shape == (13, 12)
    # The two rows of NaCl share theirs; O in Fe2O3, CaTiO3 and the manganite differs.
    assert len(dataset.elements) == 2 + 2 + 4 + 1 + 4 + 3
    assert dataset.amount_features.shape == (16, N_AMOUNT_FEATURES)
    np.testing.assert_array_equal(dataset.tokens[0], dataset.tokens[6])
    assert (dataset.tokens[3] >= 0).sum() == 1


def test_amount_features():
    amounts = np.array([1.0, 2.0, 3.0])
    known = amount_features(amounts, np.array([1.0, 4.0, 5.0]), np.array([1, 3, 6]))
    assert known.shape == (3, N_AMOUNT_FEATURES)
    np.testing.assert_allclose(known[:, 0], [1, 0.5, 0.6])
    np.testing.assert_allclose(known[1, 1:4], [0.5**0.5, 0.25, 0.5 * np.log(2)])
    np.testing.assert_array_equal(known[:, 8:12], [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert known[1, 12:18].argmax() == 1  # two atoms of it
    assert known[1, 18:27].argmax() == 2  # four atoms in all
    assert known[2, 27:].argmax() == 7  # three fifths
    tiny = amount_features(np.array([1e-300, 1e15]), np.array([1e-300, 1e15]), np.array([1, 1]))
    assert np.isfinite(tiny).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_learns_and_is_exactly_symmetric(blocks, dtype):
    X, y = blocks[0].astype(dtype), blocks[1]
    model = FormationEnergyRegressor(max_elements=4, **{**SMALL, "max_iter": 60}).fit(
        X[:250], y[:250]
    )
    assert model.score(X[250:], y[250:]) > 0.8
    shuffled = X.reshape(len(X), 4, 3)[:, [2, 0, 3, 1]].reshape(X.shape)
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(X))
    mean, std = model.predict(X[:5], return_std=True)
    assert mean.shape == std.shape == (5,)


def test_room_for_more_elements_changes_nothing():
    y = np.arange(len(FORMULAS), dtype=float)
    predictions = []
    for room in (5, 9):
        transformer = ElementalModeTransformer(pooling=None, max_elements=room)
        model = make_pipeline(transformer, FormationEnergyRegressor(max_elements=room, **SMALL))
        predictions.append(model.fit(FORMULAS, y).predict(FORMULAS))
    np.testing.assert_array_equal(*predictions)


def test_one_formula_in_many_spellings_has_one_energy(enthalpies):
    X, y = enthalpies
    model = make_formation_energy_pipeline(**{**PIPELINE, "max_iter": 2}).fit(X[:200], y[:200])
    for same in (
        ["Fe2O3", "O3Fe2", "Fe4O6", {"Fe": 0.4, "O": 0.6}, "Fe0.6666666666666666O"],
        ["Na0.5K0.5Cl", "NaKCl2", "K5Na5Cl10"],
        ["Fe0.95O", "Fe1.9O2", "OFe0.95"],
        ["Ni0.5301Ti0.4699", "Ni5301Ti4699", "Ti46.99Ni53.01"],
    ):
        energies = model.predict(same)
        np.testing.assert_array_equal(energies, energies[0])


def test_amounts_that_cannot_be():
    X = np.random.RandomState(0).uniform(1, 2, (20, 12))
    model = FormationEnergyRegressor(max_elements=3, **SMALL).fit(X, X[:, 1])
    X[3, 3] = -1
    for method in (lambda: model.predict(X), lambda: model.fit(X, X[:, 1])):
        with pytest.raises(ValueError, match="Negative values in data: row 3 has the amount -1"):
            method()


def test_the_empty_set(features):
    network = make_network(n_element_features=3).eval()
    for X in (np.zeros((1, 8)), np.eye(8)[:3]):
        dataset = SetDataset.from_arrays(X, None, 3, "cpu")
        np.testing.assert_allclose(
            network.predict(**dataset.for_prediction())[..., 0],
            by_hand(network, X, 2),
            rtol=1e-9,
        )
        rows = torch.zeros((3, 4), dtype=torch.long)
        with torch.no_grad():
            predicted = network(**dataset.inputs(rows))[..., 0].numpy()
        np.testing.assert_allclose(predicted, by_hand(network, X, 2)[:, [0] * 4], rtol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_elements": 12}, "at least one feature and the amount .* n_features=12"),
        (
            {"max_elements": 3, "equivalent_sites": [(0, 1)]},
            "equivalent_sites must be None with architecture=.set.",
        ),
        (
            {"max_elements": 3, "permutations": [(0, 1)]},
            "permutations must be None with architecture=.set.",
        ),
        ({"max_elements": 5}, "12 features, which is not a multiple of max_elements=5"),
    ],
)
def test_wrong_layouts(parameters, message):
    X = np.ones((20, 12))
    with pytest.raises(ValueError, match=message):
        FormationEnergyRegressor(**{**SMALL, **parameters}).fit(X, X[:, 0])


def test_pipeline():
    pipeline = make_formation_energy_pipeline()
    assert list(pipeline.named_steps) == ["elementalmodetransformer", "formationenergyregressor"]
    assert pipeline[-1].architecture == "set"
    assert pipeline[-1].max_elements == pipeline[0].max_elements == 10
    pipeline = make_formation_energy_pipeline(max_elements=4)
    assert pipeline[-1].max_elements == pipeline[0].max_elements == 4


def test_elements_have_the_energy_of_elements():
    energy, std = load_pretrained("oqmd").predict(SYMBOLS[:103], return_std=True)
    assert np.abs(energy).max() < 0.25
    assert np.median(np.abs(energy)) < 0.02
    assert std.max() < 0.1


def test_no_formula_makes_the_general_model_wild():
    rng = np.random.RandomState(0)
    formulas = [
        "".join(
            f"{symbol}{amount}"
            for symbol, amount in zip(
                rng.choice(SYMBOLS[:94], n, replace=False), rng.randint(1, 100, n), strict=True
            )
        )
        for n in rng.randint(2, 8, 5000)
    ]
    formulas += ["Li2O5", "Na2O5", "Fe99C", "H999999O"]
    energy, std = load_pretrained("oqmd").predict(formulas, return_std=True)
    assert -6 < energy.min() < energy.max() < 5
    assert std.max() < 2


def test_no_measured_compound_makes_the_general_model_wild():
    """Among them are Gd171Ni829 and other formulas unlike those that it was trained on."""
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    error = np.abs(load_pretrained("oqmd").predict(X) - y)
    assert error.max() < 2.5
    assert error.mean() < 0.15
