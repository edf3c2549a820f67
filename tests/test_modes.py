"""Elemental modes without a transformer."""

import numpy as np
import pandas as pd
import pytest

from sklearn_elmodes import ElementalModeTransformer, ElementAutoencoder
from sklearn_elmodes.elements import PROPERTY_TABLES, property_table
from sklearn_elmodes.modes import DEFAULT_N_COMPONENTS, ElementModes


@pytest.mark.parametrize("name", PROPERTY_TABLES)
def test_shipped_modes_need_no_training(name):
    modes = ElementModes.from_properties(name)
    assert ElementModes.are_shipped(name)
    assert modes.autoencoder is None
    assert modes.symbols == tuple(property_table(name).index)
    assert modes.values.shape == (len(modes), DEFAULT_N_COMPONENTS)
    assert np.isfinite(modes.values).all()
    frame = modes.to_frame()
    np.testing.assert_array_equal(frame.to_numpy(), modes.values)
    assert frame.columns.tolist() == modes.names == [f"mode{i}" for i in range(1, 13)]


def test_other_settings_are_trained():
    learner = ElementAutoencoder(max_iter=5, random_state=0)
    table = property_table("herr2019")
    modes = ElementModes.from_properties(table, 3, learner)
    assert not ElementModes.are_shipped("herr2019", 3)
    assert not ElementModes.are_shipped(table)
    assert not ElementModes.are_shipped("herr2019", autoencoder=learner)
    assert not hasattr(learner, "encoder_")  # a clone was trained
    assert modes.n_components == modes.autoencoder.n_components == 3
    np.testing.assert_allclose(modes.autoencoder.transform(table), modes.values)
    again = ElementModes.from_properties("herr2019", 3, learner)
    np.testing.assert_array_equal(again.values, modes.values)


def test_elements_and_mixtures():
    modes = ElementModes(["Na", "Cl"], [[1.0, 2.0], [3.0, 4.0]], source="table of mine")
    assert "Na" in modes
    assert "K" not in modes
    assert modes.missing(["Na", "K", "Og"]) == ["K", "Og"]
    np.testing.assert_array_equal(modes["Cl"], modes[17])
    np.testing.assert_array_equal(modes.mix({"Na": 3, "Cl": 1}), [1.5, 2.5])
    assert np.isnan(modes.mix({"Na": 1, "K": 1})).all()
    assert modes.by_number.shape == (119, 2)
    assert np.flatnonzero(~np.isnan(modes.by_number[:, 0])).tolist() == [11, 17]
    with pytest.raises(KeyError, match="no modes for the element K, which the table of mine lacks"):
        modes["K"]
    with pytest.raises(ValueError, match="unknown element symbol 'Xx'"):
        modes["Xx"]
    modes["Na"][:] = 0
    np.testing.assert_array_equal(modes["Na"], [1.0, 2.0])


def test_the_transformer_takes_them_from_here():
    table = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 5.0]}, index=["Na", "K", "Cl"])
    learner = ElementAutoencoder(max_iter=3, random_state=1)
    transformer = ElementalModeTransformer(2, properties=table, autoencoder=learner).fit(["NaCl"])
    modes = ElementModes.from_properties(table, 2, learner)
    np.testing.assert_array_equal(transformer.element_modes_.values, modes.values)
    pd.testing.assert_frame_equal(transformer.modes_, modes.to_frame())


def test_rows_are_checked_before_fit():
    transformer = ElementalModeTransformer(prototype="perovskite", handle_unknown="nan")
    valid, rejected = transformer.check_rows([["Ca", "Ti", "O"], ["Ca", "Og", "O"]])
    assert valid.tolist() == [0]
    assert rejected.index.tolist() == [1]
    assert not vars(transformer).keys() & {"element_modes_", "prototype_", "n_features_in_"}
    frame = pd.DataFrame({"formula": ["NaCl", "Xx"]})
    assert ElementalModeTransformer().check_rows(frame)[0].tolist() == [0]
