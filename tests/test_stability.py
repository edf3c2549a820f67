"""Hulls: agreement with a linear-programming solver and pymatgen, and errors."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_elmodes import CompetingPhases, load_model
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.formulas import element_fractions

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
