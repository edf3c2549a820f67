"""Hulls: agreement with a linear-programming solver and pymatgen, and errors."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_elmodes import (
    CompetingPhases,
    Prototype,
    StabilityClassifier,
    StabilityRegressor,
    load_model,
    load_pretrained,
    make_formation_energy_pipeline,
    screen,
)
from sklearn_elmodes.candidates import FormulaCandidates
from sklearn_elmodes.datasets import load_oqmd_phases
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.formulas import element_fractions
from sklearn_elmodes.inspection import StabilityDisplay, pyplot
from sklearn_elmodes.stability import write_mixture

SYMBOLS = ["Li", "Mg", "Al", "Ti", "Fe", "O", "F", "P", "S", "K", "Ca", "Zn"]


def random_phases(n_phases, seed, n_elements=(2, 3, 4, 5)):
    """Return formulas and energies; some compositions occur several times."""
    rng = np.random.RandomState(seed)
    formulas = []
    for _ in range(n_phases):
        chosen = rng.choice(SYMBOLS[:7], rng.choice(n_elements), replace=False)
        formulas.append("".join(f"{symbol}{rng.randint(1, 4)}" for symbol in chosen))
    return np.array(formulas, dtype=object), rng.normal(-1, 1, n_phases)


def solved(formula, formulas, energies, exclude_self):
    """Return the energy of the hull as a general solver of linear programs finds it."""
    x = element_fractions([formula], dtype="float64")[0]
    phases = element_fractions(formulas, dtype="float64")
    inside = (phases[:, x == 0] == 0).all(axis=1)
    if exclude_self:
        inside &= np.abs(phases - x).max(axis=1) > 1e-6
    elements = np.eye(len(x))[x > 0]
    columns = np.vstack([phases[inside], elements])[:, x > 0].T
    costs = np.concatenate([energies[inside], np.zeros(len(elements))])
    return linprog(costs, A_eq=columns, b_eq=x[x > 0], method="highs").fun


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exclude_self", [False, True])
def test_hull_agrees_with_a_general_solver(seed, exclude_self):
    X, y = random_phases(400, seed)
    others, _ = random_phases(60, seed + 100, (1, 2, 3, 4, 5, 6, 7))
    found = CompetingPhases().fit(X, y).hull_energy([*X[:60], *others], exclude_self=exclude_self)
    expected = [solved(x, X, y, exclude_self) for x in [*X[:60], *others]]
    assert_allclose(found, expected, atol=1e-12)


def test_many_elements_are_compared_with_all_known_systems():
    X, y = random_phases(200, 0)
    X = np.append(X, ["".join(SYMBOLS[:11]), "".join(SYMBOLS), "".join(SYMBOLS[1:])])
    y = np.append(y, [-2.0, -3.0, -2.5])
    hull = CompetingPhases().fit(X, y)
    for exclude_self in (False, True):
        for formula in ("".join(SYMBOLS), "".join(SYMBOLS[:11]), "".join(SYMBOLS[:10])):
            assert_allclose(
                hull.hull_energy([formula], exclude_self=exclude_self),
                solved(formula, X, y, exclude_self),
                atol=1e-12,
            )


def test_stable_phases_are_those_of_pymatgen():
    X, y = random_phases(150, 5, (2, 3))
    totals = y * [Composition(x).num_atoms for x in X]
    entries = [PDEntry(Composition(x), total) for x, total in zip(X, totals, strict=True)]
    entries += [PDEntry(Composition(symbol), 0.0) for symbol in SYMBOLS[:7]]
    diagram = PhaseDiagram(entries)
    hull = CompetingPhases().fit(X, y)
    expected = {entry.composition.reduced_formula for entry in diagram.stable_entries}
    stable = {Composition(x).reduced_formula for x in hull.formulas_[hull.stable_]}
    assert stable | {Composition(symbol).reduced_formula for symbol in SYMBOLS[:7]} == expected
    above = [diagram.get_e_above_hull(entry) for entry in entries[:150]]
    assert_allclose(hull.decomposition_energy(X, y, exclude_self=False), above, atol=1e-9)


def test_attributes_describe_each_composition_once():
    hull = CompetingPhases().fit(
        ["O2Li4", "Li2O", "LiO8", "Li", "Li1O1", "NaCl"], [-1.9, -2.0, -0.1, 0.3, -1.65, -2.1]
    )
    assert_array_equal(hull.formulas_, ["Li2O", "Li1O1", "LiO8", "NaCl"])
    assert_array_equal(hull.energies_, [-2.0, -1.65, -0.1, -2.1])
    assert_array_equal(hull.stable_, [True, True, False, True])
    # Without Li2O, it is 4/3 as much lithium as Li1O1 has, and so on.
    assert_allclose(
        hull.decomposition_energies_, [-2.0 + 1.65 * 2 / 3, -1.65 + 1.5, -0.1 + 1.65 * 2 / 9, -2.1]
    )


def test_decomposition_energy_without_and_with_the_phase_itself():
    hull = CompetingPhases().fit(["Li2O", "Li2O2", "LiO8"], [-2.0, -1.65, -0.1])
    assert_allclose(hull.decomposition_energy(["Li2O2"], [-1.65]), -0.15)
    assert_allclose(hull.decomposition_energy(["Li2O2"], [-1.65], exclude_self=False), 0)
    assert_allclose(hull.decomposition_energy(["Li2O2"], [-1.4], exclude_self=False), 0.25)
    assert_allclose(hull.decomposition_energy(["Li", "Xe"], [0.2, 0.0]), [0.2, 0.0])


def test_unstable_phases_of_the_same_system_compete_with_a_stable_one():
    # Li3O2 is above the line from Li2O to Li2O2, but below that from Li2O to O.
    hull = CompetingPhases().fit(["Li2O", "Li2O2", "Li3O2"], [-2.0, -1.65, -1.75])
    assert hull.stable_.tolist() == [True, True, False]
    rest = CompetingPhases().fit(["Li2O", "Li3O2"], [-2.0, -1.75])
    assert_allclose(
        hull.hull_energy(["Li2O2"], exclude_self=True), rest.hull_energy(["Li2O2"]), rtol=1e-12
    )


def test_products_add_up_to_the_composition_and_to_the_energy():
    X, y = random_phases(300, 1)
    hull = CompetingPhases().fit(X, y)
    energies = dict(zip(hull.formulas_, hull.energies_, strict=True))
    for formula, products, energy in zip(
        X[:50], hull.decompose(X[:50]), hull.hull_energy(X[:50]), strict=True
    ):
        shares = np.array(list(products.values()))
        fractions = element_fractions(list(products), dtype="float64")
        assert_allclose(shares @ fractions, element_fractions([formula], dtype="float64")[0])
        assert_allclose(shares @ [energies.get(p, 0.0) for p in products], energy, atol=1e-12)
        assert list(shares) == sorted(shares, reverse=True)
        assert shares.min() > 0
    assert hull.decompose(["Xe2"]) == [{"Xe": 1.0}]


def test_other_elements_and_empty_systems_compete_with_the_elements():
    hull = CompetingPhases().fit(["NaCl"], [-2.1])
    assert_allclose(hull.hull_energy(["XeKr", "NaClXe2"]), [0, -1.05])
    assert hull.decompose(["XeKr3"]) == [{"Kr": 0.75, "Xe": 0.25}]
    assert hull.hull_energy([]).shape == (0,)
    # No compound at all is a hull of elements.
    assert_allclose(CompetingPhases().fit(["Na"], [0.1]).hull_energy(["NaCl"]), 0)


def test_degenerate_mixtures_end():
    # Many phases on one line and in one point.
    X = [f"Li{n}O{m}" for n in range(1, 30) for m in range(1, 30)]
    y = [-min(n, m) / (n + m) for n in range(1, 30) for m in range(1, 30)]
    hull = CompetingPhases().fit(X, y)
    assert hull.stable_.all()
    assert_allclose(hull.hull_energy(X), y, atol=1e-12)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_parts_are_put_together_in_order(monkeypatch, n_jobs):
    X, y = random_phases(100, 2)
    hull = CompetingPhases().fit(X, y)
    expected = hull.hull_energy(X)
    monkeypatch.setattr("sklearn_elmodes.stability._ROWS", 7)
    hull.set_params(n_jobs=n_jobs)
    assert_allclose(hull.hull_energy(X), expected, atol=1e-14)
    assert len(hull.decompose(X)) == 100
    with pytest.raises(RowError, match="Row 30: Cannot read the formula 'Qq2'"):
        hull.hull_energy([*X[:30], "Qq2", *X[30:]])


def test_entries_of_pymatgen_give_formation_energies():
    entries = [
        ComputedEntry("Li2", -3.8),
        ComputedEntry("Li", -1.8),
        ComputedEntry("O8", -39.6),
        ComputedEntry("Li2O", -14.31),
        ComputedEntry("LiO8", -43.0),
    ]
    hull = CompetingPhases().fit(entries)
    assert_array_equal(hull.formulas_, ["Li2O1", "Li1O8"])
    assert_allclose(hull.energies_, [(-14.31 + 3.8 + 4.95) / 3, (-43.0 + 1.9 + 39.6) / 9])
    with pytest.raises(ValueError, match=r"energies of the elements; there is no entry of Li, O\."):
        CompetingPhases().fit(entries[3:])
    with pytest.raises(ValueError, match="Row 0: 'Li2O' has no energy; pass formation energies"):
        CompetingPhases().fit(["Li2O"])


def test_saved_hull_is_the_same(tmp_path):
    X, y = random_phases(200, 3)
    hull = CompetingPhases("OQMD").fit(X, y)
    hull.save(tmp_path / "hull.safetensors")
    loaded = CompetingPhases.load(tmp_path / "hull.safetensors")
    assert loaded.source == "OQMD"
    for name in ("formulas_", "energies_", "decomposition_energies_", "stable_"):
        assert_array_equal(getattr(loaded, name), getattr(hull, name))
    for exclude_self in (False, True):
        assert_array_equal(
            loaded.hull_energy(X, exclude_self=exclude_self),
            hull.hull_energy(X, exclude_self=exclude_self),
        )
    with pytest.raises(ValueError, match=r"contains a hull, not a model; .*CompetingPhases.load"):
        load_model(tmp_path / "hull.safetensors")


def test_files_that_contain_no_hull_are_refused(tmp_path, monkeypatch):
    from sklearn_elmodes._model_files import find_model

    with pytest.raises(ValueError, match="contains a model, not a hull; read it with load_model"):
        CompetingPhases.load(find_model("elpasolites"))
    X, y = random_phases(20, 3)
    hull = CompetingPhases().fit(X, y)
    hull.formulas_ = hull.formulas_[::-1]
    with pytest.raises(ValueError, match="not sorted by chemical system"):
        hull.save(tmp_path / "hull.safetensors")
    assert not list(tmp_path.iterdir())


def test_clone_and_pickle_keep_the_phases():
    hull = CompetingPhases().fit(["NaCl"], [-2.1])
    assert clone(hull).hull_energy(["NaCl"]) == -2.1
    assert pickle.loads(pickle.dumps(hull)).hull_energy(["NaCl"]) == -2.1
    unfitted = clone(CompetingPhases("OQMD", n_jobs=2))
    assert unfitted.get_params() == {"source": "OQMD", "n_jobs": 2}
    with pytest.raises(NotFittedError):
        unfitted.hull_energy(["NaCl"])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([], [], "X is empty; a hull needs at least one phase"),
        (["NaCl", "KCl"], [-2.1], r"There are 2 formulas and energies of shape \(1,\)"),
        (["NaCl", "KCl"], [-2.1, np.nan], "Row 1: The energy is nan; it must be a finite number"),
        (["NaCl", "KCl"], [-2.1, -np.inf], "Row 1: The energy is -inf"),
        (["NaCl", "Foo"], [-2.1, -2.2], "Row 1: Cannot read the formula 'Foo'"),
        (["NaCl", "Na2"], [-2.1, -1.3], "Row 1: The element Na2 has the energy -1.3 eV/atom"),
        ("NaCl", [-2.1], "got the single value 'NaCl'"),
    ],
)
def test_fit_refuses_bad_input(X, y, message):
    with pytest.raises(ValueError, match=message):
        CompetingPhases().fit(X, y)


def test_bad_energies_of_compounds_are_refused():
    hull = CompetingPhases().fit(["NaCl"], [-2.1])
    with pytest.raises(ValueError, match="There are 1 formulas and energies of shape"):
        hull.decomposition_energy(["KCl"], [-2.0, -2.1])
    with pytest.raises(RowError, match="Row 0: The energy is inf"):
        hull.decomposition_energy(["KCl"], [np.inf])


def test_included_phases_are_a_complete_hull():
    X, y = load_oqmd_phases(return_X_y=True)
    hull = CompetingPhases("OQMD").fit(X, y)
    assert len(X) == 27906
    assert hull.stable_.sum() == 25263
    assert hull.decompose(["Na3AlF9"]) == [
        {"Na3AlF6": pytest.approx(10 / 13), "F": pytest.approx(3 / 13)}
    ]
    assert y.max() < 0


def quick_model():
    return make_formation_energy_pipeline(n_estimators=2, max_iter=3, random_state=0)


def test_regressor_trains_on_formation_energies_and_predicts_decomposition_energies():
    X, y = random_phases(60, 0)
    hull = CompetingPhases().fit(*random_phases(300, 1))
    model = StabilityRegressor(quick_model(), hull).fit(X, hull.decomposition_energy(X, y))
    alone = quick_model().fit(X, y)
    energy, std = model.predict(X, return_std=True)
    expected, expected_std = alone.predict(X, return_std=True)
    assert_allclose(energy, expected - hull.hull_energy(X, exclude_self=True), atol=1e-5)
    assert_allclose(std, expected_std, atol=1e-5)
    assert_array_equal(model.predict(X), energy)


def test_regressor_works_in_model_selection():
    X, y = random_phases(60, 0)
    hull = CompetingPhases().fit(X, y)
    model = StabilityRegressor(quick_model(), hull)
    search = GridSearchCV(
        model,
        {"model__formationenergyregressor__max_iter": [1, 3]},
        cv=2,
        scoring="neg_mean_absolute_error",
        error_score="raise",
    ).fit(X, hull.decomposition_energy(X, y))
    predicted = search.best_estimator_.predict(X)
    assert search.score(X, hull.decomposition_energy(X, y)) == pytest.approx(
        -np.abs(predicted - hull.decomposition_energy(X, y)).mean()
    )
    assert clone(search.best_estimator_).hull is hull


class Known:
    """A fitted model that returns given energies with an error of a known size."""

    def __init__(self, X, y):
        self.energies = dict(zip(X, y, strict=True))

    def fit(self, X, y):
        return self

    def predict(self, X):
        rng = np.random.RandomState(0)
        return np.array([self.energies[x] for x in X]) + rng.normal(0, 0.3, len(X))

    def __sklearn_is_fitted__(self):
        return True


def test_probabilities_agree_with_observed_shares():
    X, y = random_phases(4000, 0)
    X, rows = np.unique(X.astype(str), return_index=True)
    X, y = X.astype(object), y[rows]
    hull = CompetingPhases().fit(X, y)
    energies = hull.decomposition_energy(X, y)
    threshold = np.median(energies)
    model = StabilityClassifier(FrozenEstimator(Known(X, y)), hull, threshold)
    model.fit(X[::2], energies[::2])
    probability = model.predict_proba(X[1::2])[:, 1]
    stable = energies[1::2] <= threshold
    for low in (0.0, 0.25, 0.5, 0.75):
        here = (low <= probability) & (probability <= low + 0.25)
        assert here.sum() > 20
        assert stable[here].mean() == pytest.approx(probability[here].mean(), abs=0.12)
    assert_array_equal(model.classes_, [False, True])
    assert_allclose(model.predict_proba(X[:9]).sum(axis=1), 1)
    # The energy decides which are stable, with the threshold included.
    assert_array_equal(model.predict(X), model.decision_function(X) >= 0)
    assert model.score(X, energies) == model.score(X, energies <= threshold)
    assert model.score(X, energies) == np.mean(model.predict(X) == (energies <= threshold))


def test_classifier_calibrates_on_compositions_that_the_model_has_not_seen(monkeypatch):
    X, y = random_phases(100, 0)
    X, y = np.repeat(X, 2), np.repeat(y, 2)
    hull = CompetingPhases().fit(X, y)
    calls = []
    calibrate = StabilityClassifier._calibrate

    def spy(self, model, X, y):
        calls.append((model, X))
        calibrate(self, model, X, y)

    monkeypatch.setattr(StabilityClassifier, "_calibrate", spy)
    seen = []

    class Recording(DummyRegressor):
        def fit(self, X, y):
            seen.append(list(X))
            return super().fit(X, y)

    energies = hull.decomposition_energy(X, y)
    model = StabilityClassifier(Recording(), hull, random_state=0).fit(X, energies)
    ((_, held_out),) = calls
    assert not set(seen[0]) & set(held_out)
    assert sorted([*seen[0], *held_out]) == sorted(X) == sorted(seen[1])
    assert len(held_out) < 0.35 * len(X)
    assert model.predict(X[:3]).dtype == bool


def test_std_divides_the_distance_from_the_threshold():
    X, y = random_phases(60, 0)
    hull = CompetingPhases().fit(X, y)
    fitted = quick_model().fit(X, y)
    model = StabilityClassifier(FrozenEstimator(fitted), hull, threshold=0.1)
    model.fit(X, hull.decomposition_energy(X, y))
    predicted, std = fitted.predict(X, return_std=True)
    above = predicted - hull.hull_energy(X, exclude_self=True)
    assert_allclose(model.decision_function(X), (0.1 - above) / std, rtol=1e-5)


@pytest.mark.parametrize("kind", [StabilityRegressor, StabilityClassifier])
def test_meta_estimators_refuse_what_does_not_fit(kind):
    X, y = random_phases(20, 0)
    hull = CompetingPhases("Materials Project").fit(X, y)
    with pytest.raises(NotFittedError):
        kind(quick_model(), hull).predict(X)
    with pytest.raises(NotFittedError):
        kind(quick_model(), CompetingPhases()).fit(X, y)
    with pytest.raises(ValueError, match="hull must be a CompetingPhases, got 'oqmd'"):
        kind(quick_model(), "oqmd").fit(X, y)
    with pytest.raises(ValueError, match="the source 'OQMD', the hull has those of 'Materials Pro"):
        kind(FrozenEstimator(load_pretrained("oqmd")), hull).fit(X, y)
    with pytest.raises(RowError, match="Row 1: The energy is nan"):
        kind(quick_model(), hull).fit(X[:2], [0.1, np.nan])


def test_classifier_needs_energies_and_two_compositions():
    X, y = random_phases(20, 0)
    hull = CompetingPhases().fit(X, y)
    with pytest.raises(ValueError, match="y contains labels; it must contain decomposition"):
        StabilityClassifier(quick_model(), hull).fit(X, y < 0)
    with pytest.raises(ValueError, match="at least two compositions"):
        StabilityClassifier(quick_model(), hull).fit(["LiO", "Li2O2"], [0.1, 0.2])


def test_screening_by_decomposition_energy(tmp_path):
    model = load_pretrained("oqmd")
    hull = CompetingPhases("OQMD").fit(*load_oqmd_phases(return_X_y=True))
    space = FormulaCandidates(["Li", "Fe", "P", "O"], n_elements=3, max_atoms=12)
    X = space.to_numpy()
    expected = hull.decomposition_energy(X, model.predict(X))
    best = screen(model, space, 7, objective="decomposition_energy", hull=hull)
    assert_array_equal(best.index, np.argsort(expected, kind="stable")[:7])
    assert_allclose(best["decomposition_energy"], np.sort(expected)[:7], atol=1e-5)
    assert best["products"].iloc[0] == write_mixture(
        hull.decompose([best["formula"].iloc[0]], exclude_self=True)[0]
    )
    near = screen(model, space, 10**4, hull=hull, max_above_hull=0.02)
    assert len(near) == (expected <= 0.02).sum()
    assert near["predicted"].is_monotonic_increasing
    # Stored batches belong to one hull.
    settings = {"k": 3, "hull": hull, "output": tmp_path / "run", "batch_size": 100}
    stored = screen(model, space, **settings)
    pd.testing.assert_frame_equal(screen(model, space, **settings), stored)
    with pytest.raises(ValueError, match="hull"):
        screen(model, space, **{**settings, "hull": CompetingPhases().fit(["LiP"], [-0.5])})


def test_screening_of_sites_compares_whole_crystals():
    model = load_pretrained("elpasolites")
    hull = CompetingPhases().fit(*load_oqmd_phases(return_X_y=True))
    space = Prototype("elpasolite").candidates(
        {"A": ["Li", "Na"], "B": ["Al", "Ga"], "C": ["K", "Rb"], "D": ["F"]}
    )
    best = screen(model, space, 3, hull=hull, objective="decomposition_energy")
    formulas = [f"{a}{b}{c}2{d}6" for a, b, c, d in best[["A", "B", "C", "D"]].to_numpy()]
    assert_allclose(
        best["decomposition_energy"],
        hull.decomposition_energy(formulas, best["predicted"]),
        atol=1e-12,
    )
    mixed = screen(model, [["Na", "Al", "K0.5Rb0.5", "F"]], 1, hull=hull)
    assert_allclose(
        mixed["decomposition_energy"], hull.decomposition_energy(["NaAlKRbF6"], mixed["predicted"])
    )


def test_screening_needs_a_hull_for_decomposition_energies():
    for settings in ({"objective": "decomposition_energy"}, {"max_above_hull": 0.1}):
        with pytest.raises(ValueError, match="require the competing phases: pass hull"):
            screen(load_pretrained("oqmd"), ["NaCl"], **settings)
    hull = CompetingPhases("Materials Project").fit(["NaCl"], [-2.1])
    with pytest.raises(ValueError, match="they differ systematically"):
        screen(load_pretrained("oqmd"), ["NaCl"], hull=hull)


def test_display_of_two_elements():
    hull = CompetingPhases().fit(["Li2O", "Li2O2", "LiO8", "NaCl"], [-2.0, -1.65, -0.1, -2.1])
    display = StabilityDisplay(
        hull, ["Li", "O"], ["LiO2", "NaO", "Li3O"], [-1.0, 0, -1.4], [0.1, 0.2, 0.3]
    ).plot()
    assert_allclose(display.decomposition_energy, [0.1, 0.1])
    assert_allclose(display.std, [0.1, 0.3])
    assert_array_equal(display.names[display.is_stable], ["Li", "O", "Li2O", "Li2O2"])
    names = [[display.names[place] for place in pair] for pair in display.tie_lines()]
    assert names == [["Li", "Li2O"], ["Li2O", "Li2O2"], ["Li2O2", "O"]]
    assert_allclose(display.stable_.get_offsets()[2], [1 / 3, -2.0])
    assert_allclose(display.points_.get_offsets()[:, 1], [-1.4, -1.0])
    assert display.ax_.get_xlabel() == "fraction of O"
    pyplot().close(display.figure_)


def test_display_of_three_elements_has_the_tie_lines_of_pymatgen():
    X, y = random_phases(300, 4, (2, 3))
    hull = CompetingPhases().fit(X, y)
    display = StabilityDisplay(hull, ["Li", "Mg", "Al"])
    inside = [set(Composition(x).chemical_system_set) <= {"Li", "Mg", "Al"} for x in X]
    entries = [
        PDEntry(Composition(x), energy * Composition(x).num_atoms)
        for x, energy in zip(X[inside], y[inside], strict=True)
    ]
    diagram = PhaseDiagram([*entries, *(PDEntry(Composition(e), 0) for e in ("Li", "Mg", "Al"))])
    expected = {
        frozenset(diagram.qhull_entries[place].composition.fractional_composition for place in pair)
        for facet in diagram.facets
        for pair in itertools.combinations(facet, 2)
    }
    found = {
        frozenset(Composition(display.names[place]).fractional_composition for place in pair)
        for pair in display.tie_lines()
    }
    assert found == expected
    display.plot()
    assert display.points_ is None
    pyplot().close(display.figure_)


def test_display_from_an_estimator_and_of_bare_elements():
    hull = CompetingPhases("OQMD").fit(*load_oqmd_phases(return_X_y=True))
    model = load_pretrained("oqmd")
    display = StabilityDisplay.from_estimator(model, hull, ["Li", "Fe", "O"], ["LiFeO2", "LiFe5O8"])
    expected, std = model.predict(["LiFeO2", "LiFe5O8"], return_std=True)
    assert_allclose(display.energy, expected)
    assert_allclose(display.std, std)
    pyplot().close(display.figure_)
    bare = StabilityDisplay(CompetingPhases().fit(["NaCl"], [-2.1]), ["Li", "Fe", "O"])
    assert bare.tie_lines().tolist() == [[0, 1], [0, 2], [1, 2]]
    other = CompetingPhases("Materials Project").fit(["NaCl"], [-2.1])
    with pytest.raises(ValueError, match="they differ systematically"):
        StabilityDisplay.from_estimator(model, other, ["Na", "Cl"], ["NaCl"])
    for elements in (["Li"], ["Li", "Li"], ["Li", "Fe", "P", "O"]):
        with pytest.raises(ValueError, match="must be two or three different elements"):
            StabilityDisplay(hull, elements)
    with pytest.raises(ValueError, match="formulas and the energies of candidates together"):
        StabilityDisplay(hull, ["Li", "O"], ["LiO"])
