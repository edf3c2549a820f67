import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from sklearn_elmodes import ElementalModeTransformer
from sklearn_elmodes.elements import SYMBOLS, block_of, property_table, table_position
from sklearn_elmodes.inspection import (
    ModeMapDisplay,
    PeriodicTableDisplay,
    nearest_elements,
    share_of_neighbours,
)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def transformer():
    return ElementalModeTransformer().fit(["NaCl"])


def test_layout_has_118_places_and_agrees_with_the_table():
    places = [table_position(symbol) for symbol in SYMBOLS]
    assert len(set(places)) == 118
    table = property_table("extended").dropna(subset="group")
    for symbol, row in table.iterrows():
        assert table_position(symbol) == (row["period"], row["group"]), symbol
    assert set(SYMBOLS[:103]) - set(table.index) == {s for s in SYMBOLS if block_of(s) == "f"}
    assert [s for s in SYMBOLS if block_of(s) == "f"] == list(SYMBOLS[56:70] + SYMBOLS[88:102])
    assert table_position("Lu") == (6, 3)


def test_periodic_table_colours_and_hatches():
    display = PeriodicTableDisplay({"H": 0.0, "Fe": 1.0, "U": np.nan}, label="a value (eV)").plot()
    assert len(display.cells_) == len(display.text_) == 118
    viridis = plt.get_cmap("viridis")
    assert display.cells_["H"].get_facecolor() == viridis(0.0)
    assert display.cells_["Fe"].get_facecolor() == viridis(1.0)
    for symbol in ("U", "O"):
        assert display.cells_[symbol].get_hatch() == "////"
        assert display.cells_[symbol].get_facecolor() == to_rgba("white")
    assert display.text_["H"].get_color() == "white"  # readable on dark
    assert display.figure_.axes[1].get_ylabel() == "a value (eV)"


def test_periodic_table_of_a_mode(transformer):
    _, ax = plt.subplots()
    display = PeriodicTableDisplay.from_estimator(transformer, mode=2, ax=ax)
    assert display.ax_ is ax
    pd.testing.assert_series_equal(
        pd.Series(display.values), transformer.modes_["mode2"], check_names=False
    )


def test_bad_values(transformer):
    with pytest.raises(ValueError, match="mode=99 must lie between 1 and 12"):
        PeriodicTableDisplay.from_estimator(transformer, mode=99)
    with pytest.raises(ValueError, match="'Xx' is no element symbol"):
        PeriodicTableDisplay({"Xx": 1.0}).plot()
    with pytest.raises(ValueError, match="no finite value"):
        PeriodicTableDisplay({"H": np.nan}).plot()


def test_mode_map(transformer):
    display = ModeMapDisplay.from_estimator(transformer, pair=(1, 3))
    assert len(display.text_) == 103
    points = np.vstack([c.get_offsets() for c in display.ax_.collections])
    expected = transformer.modes_[["mode1", "mode3"]].to_numpy()
    np.testing.assert_allclose(np.sort(points, axis=0), np.sort(expected, axis=0))
    assert display.ax_.get_xlabel() == "mode 1"
    assert display.text_["Na"].xy == pytest.approx(expected[transformer.modes_.index.get_loc("Na")])


def test_nearest_elements_and_neighbours(transformer):
    modes = transformer.modes_
    order = nearest_elements(modes, "Cl")
    assert sorted([*order, "Cl"]) == sorted(modes.index)
    distances = np.linalg.norm(modes.loc[order] - modes.loc["Cl"], axis=1)
    assert (np.diff(distances) >= 0).all()
    line = pd.DataFrame({"x": [0.0, 1.0, 2.5, 10.0, 11.0]}, index=["Na", "K", "Rb", "Cl", "Ce"])
    # Na, K and Rb are of one group; neither Cl and Ce, nor Ce and Cl, are near.
    assert share_of_neighbours(line) == 3 / 5
    with pytest.raises(ValueError, match="'Xx' has no modes"):
        nearest_elements(modes, "Xx")
    gap = line.replace(1.0, np.nan)
    for call in (share_of_neighbours, lambda frame: nearest_elements(frame, "Na")):
        with pytest.raises(ValueError, match=r"The modes of K hold NaN"):
            call(gap)
        with pytest.raises(ValueError, match="several rows for Na"):
            call(line.loc[["K", "Na", "Na"]])
        with pytest.raises(ValueError, match="'Xx' is no element symbol"):
            call(line.rename(index={"Ce": "Xx"}))
    with pytest.raises(ValueError, match="At least two elements"):
        share_of_neighbours(line.iloc[:1])
