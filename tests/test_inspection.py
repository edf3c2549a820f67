import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_elmodes import ElementalModeTransformer, LeaveOneElementOut, load_pretrained
from sklearn_elmodes.elements import SYMBOLS, block_of, property_table, table_position
from sklearn_elmodes.inspection import (
    AlchemicalPathDisplay,
    HeldOutElementsDisplay,
    ModeMapDisplay,
    ParityDisplay,
    PeriodicTableDisplay,
    conflicting_targets,
    error_by_element,
    held_out_scores,
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


def test_layout_has_118_cells_and_agrees_with_the_table():
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
    assert display.text_["H"].get_color() == "white"  # readable on a dark cell
    assert display.figure_.axes[1].get_ylabel() == "a value (eV)"


def test_periodic_table_of_a_mode(transformer):
    _, ax = plt.subplots()
    display = PeriodicTableDisplay.from_estimator(transformer, mode=2, ax=ax)
    assert display.ax_ is ax
    pd.testing.assert_series_equal(
        pd.Series(display.values), transformer.modes_["mode2"], check_names=False
    )


def test_missing_values_of_any_kind_are_hatched():
    for gap in (None, np.nan, pd.NA):
        display = PeriodicTableDisplay({"H": 1.0, "He": 2, "Li": gap}).plot()
        assert display.cells_["Li"].get_hatch() == "////"
        assert display.cells_["He"].get_hatch() is None


def test_displays_of_a_pipeline_in_a_subfigure(transformer):
    _, part = plt.figure().subfigures(1, 2)
    display = PeriodicTableDisplay.from_estimator(load_pretrained("oqmd"), ax=part.subplots())
    assert display.values == transformer.modes_["mode1"].to_dict()
    with pytest.raises(ValueError, match=r"Ridge\(\) has no modes"):
        ModeMapDisplay.from_estimator(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]))


def test_invalid_values(transformer):
    with pytest.raises(ValueError, match="mode=99 must lie between 1 and 12"):
        PeriodicTableDisplay.from_estimator(transformer, mode=99)
    with pytest.raises(ValueError, match="'Xx' is not an element symbol"):
        PeriodicTableDisplay({"Xx": 1.0}).plot()
    with pytest.raises(ValueError, match="no finite value"):
        PeriodicTableDisplay({"H": np.nan}).plot()


def test_mode_map(transformer):
    display = ModeMapDisplay.from_estimator(transformer, pair=(1, 3))
    assert len(display.text_) == 103
    expected = transformer.modes_[["mode1", "mode3"]].to_numpy()
    np.testing.assert_array_equal(display.points_.get_offsets(), expected)
    assert display.ax_.get_xlabel() == "mode 1"
    assert display.text_["Na"].get_text() == "Na"


def test_nearest_elements_and_neighbours(transformer):
    modes = transformer.modes_
    order = nearest_elements(modes, "Cl")
    assert sorted([*order, "Cl"]) == sorted(modes.index)
    distances = np.linalg.norm(modes.loc[order] - modes.loc["Cl"], axis=1)
    assert (np.diff(distances) >= 0).all()
    line = pd.DataFrame({"x": [0.0, 1.0, 2.5, 10.0, 11.0]}, index=["Na", "K", "Rb", "Cl", "Ce"])
    # Na, K and Rb are in one group; Cl and Ce are not neighbours of each other.
    assert share_of_neighbours(line) == 3 / 5
    with pytest.raises(ValueError, match="'Xx' has no modes"):
        nearest_elements(modes, "Xx")
    gap = line.replace(1.0, np.nan)
    for call in (share_of_neighbours, lambda frame: nearest_elements(frame, "Na")):
        with pytest.raises(ValueError, match=r"The modes of K contain NaN"):
            call(gap)
        with pytest.raises(ValueError, match="modes has several rows for Na"):
            call(line.loc[["K", "Na", "Na"]])
        with pytest.raises(ValueError, match="'Xx' is not an element symbol"):
            call(line.rename(index={"Ce": "Xx"}))
    with pytest.raises(ValueError, match="At least two elements"):
        share_of_neighbours(line.iloc[:1])


def overlaps(texts):
    boxes = [text.get_window_extent() for text in texts]
    return [(a, b) for a in range(len(boxes)) for b in range(a) if boxes[a].overlaps(boxes[b])]


@pytest.mark.parametrize("size", [(10, 7), (5, 4)])
@pytest.mark.parametrize("settings", [{}, {"colour_by": "group", "projection": PCA(2)}])
def test_labels_of_the_mode_map_do_not_collide(transformer, size, settings):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    display = ModeMapDisplay.from_estimator(transformer, ax=ax, **settings)
    figure.draw_without_rendering()
    assert not overlaps(display.text_.values())
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= ax.get_window_extent().x1  # beside the axes
    assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("size", [(11, 6), (4, 2.4)])
def test_symbols_fit_their_cells(transformer, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    display = PeriodicTableDisplay.from_estimator(transformer, ax=ax)
    figure.draw_without_rendering()
    for symbol, text in display.text_.items():
        cell, box = display.cells_[symbol].get_window_extent(), text.get_window_extent()
        assert cell.x0 <= box.x0 < box.x1 <= cell.x1, symbol
        assert cell.y0 <= box.y0 < box.y1 <= cell.y1, symbol


def test_mode_map_by_group(transformer):
    display = ModeMapDisplay.from_estimator(transformer, colour_by="group")
    colour = {symbol: text.get_color() for symbol, text in display.text_.items()}
    assert list(colour["F"]) == list(colour["Cl"])
    assert list(colour["F"]) != list(colour["Ne"])
    assert colour["La"] == colour["U"]
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == [*(f"group {n}" for n in range(1, 19)), "f block"]


def test_mode_map_of_a_projection(transformer):
    display = ModeMapDisplay(transformer.modes_, projection=PCA(2)).plot()
    expected = PCA(2).fit_transform(transformer.modes_.to_numpy())
    np.testing.assert_allclose(display.points_.get_offsets(), expected)
    assert display.ax_.get_xlabel() == "PCA, first axis"
    with pytest.raises(
        ValueError, match=r"PCA\(n_components=3\) must return 2 columns, not \(3,\)"
    ):
        ModeMapDisplay(transformer.modes_, projection=PCA(3)).plot()
    with pytest.raises(ValueError, match=r"pair=\(1, 99\): there is no mode 99"):
        ModeMapDisplay(transformer.modes_, pair=(1, 99)).plot()
    with pytest.raises(ValueError, match="colour_by='row' must be 'block' or 'group'"):
        ModeMapDisplay(transformer.modes_, colour_by="row").plot()


def test_parity_with_std():
    rng = np.random.RandomState(0)
    y, std = rng.randn(200), rng.rand(200)
    predicted = y + 0.1
    display = ParityDisplay.from_predictions(y, predicted, std)
    order = np.argsort(std)  # the largest std on top
    np.testing.assert_allclose(display.points_.get_offsets(), np.c_[predicted, y][order])
    np.testing.assert_allclose(display.points_.get_array(), std[order])
    assert display.text_.get_text() == "MAE 0.100"
    model = load_pretrained("elpasolites")
    X = [["Na", "Al", "K", "F"], ["K", "Al", "Na", "F"], ["Cs", "Ga", "Rb", "Cl"]]
    display = ParityDisplay.from_estimator(model, X, [-2.8, -2.9, -2.0])
    energy, std = model.predict(X, return_std=True)
    order = np.argsort(std)
    np.testing.assert_allclose(display.points_.get_offsets()[:, 0], energy[order])
    np.testing.assert_allclose(display.points_.get_array(), std[order])
    gap = ParityDisplay.from_predictions(energy, energy, std, label="band gap (eV)")
    assert gap.ax_.get_xlabel() == "predicted band gap (eV)"
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ParityDisplay(energy, energy, [0.1])
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        ParityDisplay(energy, [np.nan, 0, 0], std)


FORMULAS = ["NaCl", "KCl", "KBr", "NaBr", "MgO", "CaO", "CaS"]
ENERGIES = [-2.1, -2.2, -2.0, -1.9, -3.1, -3.2, -2.4]


def test_held_out_scores_are_those_of_models_without_the_element():
    model = make_pipeline(ElementalModeTransformer(), Ridge())
    scores = held_out_scores(model, FORMULAS, ENERGIES, n_jobs=2)
    assert list(scores.index) == ["O", "Na", "Mg", "S", "Cl", "K", "Ca", "Br"]
    X, y = np.array(FORMULAS), np.array(ENERGIES)
    without = np.array(["Ca" not in formula for formula in X])
    error = np.abs(model.fit(X[without], y[without]).predict(X[~without]) - y[~without])
    assert scores.loc["Ca", "mae"] == pytest.approx(error.mean())
    assert scores.loc["Ca", "n_samples"] == 2
    assert np.isnan(scores.loc["S", "r2"])
    display = HeldOutElementsDisplay(scores).plot()
    heights = [bar.get_height() for bar in display.bars_]
    assert heights == sorted(scores["mae"])
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == list(
        scores.sort_values("mae").index
    )
    opacity = [bar.get_facecolor()[3] for bar in display.bars_]
    assert opacity == [
        0.3 if np.isnan(r2) else float(r2 >= 0.95) for r2 in scores.sort_values("mae")["r2"]
    ]
    drawn = HeldOutElementsDisplay.from_estimator(
        model, FORMULAS, ENERGIES, cv=LeaveOneElementOut(by="group")
    )
    assert set(drawn.scores.index) == {f"group {n}" for n in (1, 2, 16, 17)}
    given = HeldOutElementsDisplay.from_predictions(
        pd.DataFrame({"held_out": "O", "true": [1.0, 2.0], "predicted": [1.5, 2.5]})
    )
    assert given.bars_[0].get_height() == 0.5


def test_error_by_element():
    found = error_by_element(FORMULAS, ENERGIES, np.add(ENERGIES, np.arange(7) / 10))
    assert found.loc["Ca", "mae"] == pytest.approx(0.55)
    assert found.loc["Mg", "mae"] == pytest.approx(0.4)
    assert dict(found["n_samples"]) == {
        "Na": 2,
        "Cl": 2,
        "K": 2,
        "Br": 2,
        "Mg": 1,
        "O": 2,
        "Ca": 2,
        "S": 1,
    }
    with pytest.raises(ValueError, match=r"X has 7 rows, but y_true - y_pred has the shape \(1,\)"):
        error_by_element(FORMULAS, [1.0], [1.0])


def test_alchemical_path():
    model = load_pretrained("elpasolites")
    ends = ["Na", "Al", "K", "F"], ["Na", "Al", "K", "Cl"]
    display = AlchemicalPathDisplay.from_estimator(model, *ends, n_points=5)
    x, energies = display.line_.get_data()
    np.testing.assert_allclose(x, [0, 0.25, 0.5, 0.75, 1])
    energy, std = model.predict(ends, return_std=True)
    np.testing.assert_allclose(energies[[0, -1]], energy, rtol=1e-5)
    low, high = np.array(display.band_.get_paths()[0].get_extents().get_points())[:, 1]
    assert low < energies.min() < energies.max() < high
    np.testing.assert_allclose(display.std[[0, -1]], std, rtol=1e-4)


def test_conflicting_targets_are_found_however_a_formula_is_written():
    X = ["Al2O3", "KCl", {"O": 6, "Al": 4}, "Fe0.95O", "Fe19O20", "KCl", "LiF"]
    y = [-3.4, -2.3, -2.4, -1.0, -0.5, -2.3, -3.2]
    found = conflicting_targets(X, y)
    assert found["formula"].tolist() == ["Al2O3", "Fe0.95O"]
    assert found["n_rows"].tolist() == [2, 2]
    np.testing.assert_allclose(found["range"], [1.0, 0.5])
    sites = [["Na", "Al"], ["Al", "Na"], [11, 13], ["Na0.5K0.5", "Al"], ["KNa", "Al"]]
    found = conflicting_targets(sites, [1.0, 2.0, 3.0, 4.0, 4.5])
    assert found["formula"].tolist() == ["Na Al", "Na0.5K0.5 Al"]
    assert found["range"].tolist() == [2.0, 0.5]
    assert conflicting_targets(["NaCl", "KCl"], [1, 2]).empty
    with pytest.raises(ValueError, match="X has 2 rows, but y has 1"):
        conflicting_targets(["NaCl", "KCl"], [1])
