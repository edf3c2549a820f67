"""The recommended pipelines, and where their parameters go."""

import pandas as pd
import pytest

from sklearn_elmodes import ElementAutoencoder, Prototype, make_formation_energy_pipeline
from sklearn_elmodes.elements import property_table


def test_parameters_go_to_the_step_that_has_them():
    autoencoder = ElementAutoencoder(max_iter=5, random_state=0)
    table = property_table("herr2019")
    pipeline = make_formation_energy_pipeline(
        n_components=3,
        properties=table,
        handle_unknown="nan",
        autoencoder=autoencoder,
        dtype="float64",
        max_elements=4,
        alpha=0.5,
        n_estimators=3,
        random_state=7,
    )
    modes, network = pipeline[0].get_params(deep=False), pipeline[-1].get_params(deep=False)
    assert (modes["n_components"], modes["handle_unknown"], modes["dtype"]) == (3, "nan", "float64")
    pd.testing.assert_frame_equal(modes["properties"], table)
    assert modes["autoencoder"] is autoencoder
    assert modes["max_elements"] == network["max_elements"] == 4
    assert (network["alpha"], network["n_estimators"], network["random_state"]) == (0.5, 3, 7)
    assert pipeline.fit(["NaCl", "KBr"], [-2.1, -2.0])[0].modes_.shape == (69, 3)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ["elementalmodetransformer", "formationenergyregressor"]),
        (
            {"pooling": "statistics"},
            ["elementalmodetransformer", "standardscaler", "formationenergyregressor"],
        ),
        ({"prototype": "ABX3"}, ["elementalmodetransformer", "formationenergyregressor"]),
    ],
)
def test_steps(arguments, names):
    pipeline = make_formation_energy_pipeline(n_components=4, **arguments)
    assert [name for name, _ in pipeline.steps] == names
    assert pipeline[0].n_components == 4


def test_symmetry_of_a_prototype_may_be_replaced():
    default = make_formation_energy_pipeline("elpasolite")[-1]
    assert (default.n_sites, default.equivalent_sites) == (4, ((0, 1),))
    none = make_formation_energy_pipeline("elpasolite", equivalent_sites=None)[-1]
    assert none.equivalent_sites is None
    other = make_formation_energy_pipeline("elpasolite", permutations=[(1, 0, 2, 3)])[-1]
    assert (other.equivalent_sites, other.permutations) == (None, [(1, 0, 2, 3)])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"alfa": 1},
            TypeError,
            "no parameters alfa; its steps have the parameters .*alpha.*dtype",
        ),
        ({"architecture": "set"}, TypeError, "no parameters architecture"),
        ({"n_sites": 4}, TypeError, "no parameters n_sites"),
        ({"pooling": "mean"}, ValueError, "pooling must be \"statistics\" or None, not 'mean'"),
        ({"prototype": "AB", "pooling": "statistics"}, ValueError, "leave out one of them"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_formation_energy_pipeline(**arguments)


def test_a_prototype_hands_on_exchanges_that_go_together():
    coupled = Prototype("ABC2D2", permutations=["BADC"])
    pipeline = make_formation_energy_pipeline(coupled, max_iter=2, n_estimators=2, random_state=0)
    assert pipeline[-1].permutations == ((0, 1, 2, 3), (1, 0, 3, 2))
    assert pipeline[-1].equivalent_sites is None
    X = [["Na", "K", "F", "Cl"], ["Li", "Rb", "Br", "I"]]
    both, half = [["K", "Na", "Cl", "F"]], [["K", "Na", "F", "Cl"]]
    pipeline.fit(X, [-2.0, -1.0])
    assert pipeline.predict(both) == pipeline.predict(X[:1])
    assert pipeline.predict(half) != pipeline.predict(X[:1])
