"""Test spaces of candidates against brute force."""

import itertools
import math
import pickle
import time
from fractions import Fraction

import numpy as np
import pytest

from sklearn_elmodes import ElementalModeTransformer, Prototype, _oxidation_states
from sklearn_elmodes.candidates import FormulaCandidates
from sklearn_elmodes.elements import SYMBOLS, property_table
from sklearn_elmodes.formulas import parse_formula

FEW = ["Li", "Na", "Al", "Ga", "O", "F"]
STATES = {"Li": [1], "Na": [1], "Al": [3], "Ga": [1, 3], "O": [-2], "F": [-1], "S": [-2, 4, 6]}


def canonical(crystal, groups):
    crystal = list(crystal)
    for group in groups:
        for site, symbol in zip(
            group, sorted((crystal[s] for s in group), key=SYMBOLS.index), strict=True
        ):
            crystal[site] = symbol
    return tuple(crystal)


def all_crystals(lists, groups):
    return {
        canonical(crystal, groups)
        for crystal in itertools.product(*lists)
        if len(set(crystal)) == len(crystal)
    }


def balanced(amounts):
    charges = [[s * amount for s in STATES.get(symbol, [])] for symbol, amount in amounts.items()]
    return any(sum(choice) == 0 for choice in itertools.product(*charges))


@pytest.mark.parametrize("prototype", ["rock-salt", "AB", "ABX3", "elpasolite", "A", "A2B3C5"])
@pytest.mark.parametrize("distinct", [True, False])
def test_every_crystal_occurs_once(prototype, distinct):
    prototype = Prototype(prototype)
    space = prototype.candidates(FEW, distinct=distinct)
    groups = prototype.equivalent_site_indices if distinct else ()
    found = [canonical(crystal, groups) for crystal in space.to_numpy().tolist()]
    assert len(found) == len(set(found)) == len(space)
    assert set(found) == all_crystals([FEW] * prototype.n_sites, groups)


def test_several_groups_of_equivalent_sites():
    prototype = Prototype("ABCDE2", equivalent_sites=[("A", "C", "D")])
    found = [canonical(crystal, [(0, 2, 3)]) for crystal in prototype.candidates(FEW)]
    assert len(found) == len(set(found))
    assert set(found) == all_crystals([FEW] * 5, [(0, 2, 3)])
    both = Prototype("ABCD", equivalent_sites=[("A", "D"), ("B", "C")])
    assert len(both.candidates(FEW)) == 6 * 5 * 4 * 3 / 4


@pytest.mark.parametrize(
    "lists",
    [
        [["Li", "Na"], ["Al", "Ga"], ["Li", "K"], ["F", "Cl", "Li"]],
        [["Li", "Na", "Al"], ["Na", "Al", "Ga"], ["K"], ["F", "O"]],
        [["Li"], ["Li", "Na"], ["Li", "Na", "K"], ["F"]],
    ],
)
def test_elements_by_site(lists):
    elpasolite = Prototype("elpasolite")
    space = elpasolite.candidates(dict(zip("ABCD", lists, strict=True)))
    found = [canonical(crystal, [(0, 1)]) for crystal in space]
    assert len(found) == len(set(found)) == len(space)
    assert set(found) == all_crystals(lists, [(0, 1)])
    assert all(crystal[site] in lists[site] for crystal in space for site in range(4))


@pytest.mark.parametrize(
    "lists",
    [
        [["Na", "K"], ["K", "Rb"], ["Rb", "Na"], ["F", "Cl"]],
        [["Na", "K", "Rb"], ["K", "Rb"], ["Na", "K", "Rb"], ["Na", "F"]],
        [FEW, FEW, FEW, FEW],
    ],
)
@pytest.mark.parametrize(
    "symmetry",
    [
        {"equivalent_sites": [("A", "B", "C")]},
        {"permutations": ["BADC"]},
        {"permutations": ["BCAD", "CABD"]},
    ],
)
def test_any_symmetry_and_any_elements(lists, symmetry):
    prototype = Prototype("ABCD", **symmetry)
    space = prototype.candidates(dict(zip("ABCD", lists, strict=True)))
    orbits = {
        frozenset(tuple(crystal[i] for i in order) for order in prototype.permutations)
        for crystal in itertools.product(*lists)
        if len(set(crystal)) == 4
    }
    found = list(space)
    assert len(space) == len(found) == len(orbits)
    assert all(sum(crystal in orbit for orbit in orbits) == 1 for crystal in found)
    assert all(crystal[site] in lists[site] for crystal in found for site in range(4))
    known = prototype.candidates(dict(zip("ABCD", lists, strict=True)), exclude=found[:3])
    assert list(known) == found[3:]


def test_the_space_of_the_paper(elpasolites):
    elements = np.unique(elpasolites[0])
    prototype = Prototype("elpasolite")
    assert len(prototype.candidates(elements, distinct=False)) == 1_974_024
    space = prototype.candidates(elements)
    assert len(space) == 987_012
    rest = prototype.candidates(elements, exclude=elpasolites[0])
    pairs = {canonical(crystal, [(0, 1)]) for crystal in elpasolites[0].tolist()}
    assert len(rest) == 987_012 - len(pairs)
    assert not pairs & set(map(tuple, rest[100_000:200_000].tolist()))


def test_huge_spaces_are_counted_without_being_listed():
    start = time.process_time()
    space = Prototype("ABCDEFGH").candidates(SYMBOLS[:100])
    assert len(space) == math.perm(100, 8)
    assert len(set(space[-1])) == 8
    assert space[len(space) - 3 : len(space)].shape == (3, 8)
    assert len(space.shard(3, 1000)) == math.perm(100, 8) // 1000
    assert time.process_time() - start < 5
    with pytest.raises(ValueError, match="more than can be counted"):
        Prototype("ABCDEFGHIJ").candidates(SYMBOLS)
    with pytest.raises(ValueError, match="can be filtered"):
        len(Prototype("ABCDEFGH").candidates(SYMBOLS, constraints=lambda sites: sites["A"] == "H"))


def test_slices_shards_and_positions():
    space = Prototype("elpasolite").candidates([*FEW, "K"], constraints=lambda s: s["D"] != "Li")
    rows = space.to_numpy()
    assert space.shape == rows.shape
    assert list(space) == [tuple(row) for row in rows.tolist()]
    for part in (slice(3, 17), slice(None, None, 7), slice(None, None, -1), slice(5, 5)):
        np.testing.assert_array_equal(space[part], rows[part])
    assert space[-1] == tuple(rows[-1])
    shards = [space.shard(i, 5) for i in range(5)]
    np.testing.assert_array_equal(np.concatenate([s.to_numpy() for s in shards]), rows)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shards[2].shape == shards[2].to_numpy().shape
    np.testing.assert_array_equal(shards[2][3:9], shards[2].to_numpy()[3:9])
    np.testing.assert_array_equal(shards[2][::-1], shards[2].to_numpy()[::-1])
    assert shards[2][1] == tuple(shards[2].to_numpy()[1])
    assert list(shards[2]) == [tuple(row) for row in shards[2].to_numpy().tolist()]
    parts = [shards[2].shard(i, 3).to_numpy() for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), shards[2].to_numpy())
    with pytest.raises(IndexError):
        space[len(space)]
    with pytest.raises(TypeError, match="integer or a slice"):
        space["A"]
    with pytest.raises(ValueError, match="no shard 5"):
        space.shard(5, 5)


def test_transformer_takes_a_space_and_a_shard():
    space = Prototype("elpasolite").candidates(FEW)
    transformer = ElementalModeTransformer(prototype="elpasolite").fit(space)
    np.testing.assert_array_equal(
        transformer.transform(space), transformer.transform(space.to_numpy())
    )
    assert len(transformer.transform(space.shard(1, 3))) == len(space.shard(1, 3))


def test_spaces_are_pickled_with_their_filters_applied():
    space = Prototype("ABX3").candidates(FEW, oxidation_states=STATES)
    expected = space.to_numpy()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(space)).to_numpy(), expected)


def test_exclude_takes_formulas_and_sites():
    elpasolite = Prototype("elpasolite")
    space = elpasolite.candidates(FEW)
    for known in (["Ga2LiNaO6"], [["Na", "Li", "Ga", "O"]], [[11, 3, 31, 8]], ["Ga2LiNaO6"] * 2):
        rest = elpasolite.candidates(FEW, exclude=known)
        assert len(rest) == len(space) - 1
        assert ("Li", "Na", "Ga", "O") not in set(rest)
    assert len(elpasolite.candidates(FEW, exclude=["Cs2NaBiCl6"])) == len(space)
    with pytest.raises(ValueError, match=r"Row 1: .*does not fit"):
        elpasolite.candidates(FEW, exclude=["Ga2LiNaO6", "NaCl"])
    with pytest.raises(ValueError, match="3 columns"):
        elpasolite.candidates(FEW, exclude=[["Na", "Li", "Ga"]])


def test_charge_balance_of_crystals():
    space = Prototype("elpasolite").candidates(FEW, oxidation_states=STATES)
    expected = {
        crystal
        for crystal in all_crystals([FEW] * 4, [(0, 1)])
        if balanced(dict(zip(crystal, (1, 1, 2, 6), strict=True)))
    }
    assert {canonical(crystal, [(0, 1)]) for crystal in space} == expected
    assert expected


def test_an_element_without_oxidation_states_is_never_neutral(monkeypatch):
    states = {"Na": [1], "Cl": [-1]}
    for most in (0, 10**9):  # in sets, and in a table
        monkeypatch.setattr(_oxidation_states, "_MAX_CHARGE", most)
        space = FormulaCandidates(
            ["Na", "Cl", "Ne"], n_elements=(1, 2, 3), amounts=range(1, 3), oxidation_states=states
        )
        assert list(space) == ["NaCl"]
        crystals = Prototype("ABC").candidates(["Na", "Cl", "Ne"], oxidation_states=states)
        assert len(crystals) == 0


@pytest.mark.parametrize("most", [0, 10**9])  # in sets, and in a table
def test_fractions_of_a_charge(monkeypatch, most):
    """Mean oxidation states take little memory and time."""
    states = {"Fe": ["8/3", "5/2"], "Mn": ["23/7", 3], "Co": ["30/11"], "O": [-2], "F": [-1]}
    monkeypatch.setattr(_oxidation_states, "_MAX_CHARGE", most)
    monkeypatch.setattr(_oxidation_states, "_MAX_CELLS", 10**5)
    space = FormulaCandidates(
        states, n_elements=(2, 3), amounts=range(1, 9), oxidation_states=states
    )
    expected = set()
    for formula in FormulaCandidates(states, n_elements=(2, 3), amounts=range(1, 9)):
        charges = [
            [Fraction(state) * int(amount) for state in states[symbol]]
            for symbol, amount in parse_formula(formula).items()
        ]
        if any(sum(choice) == 0 for choice in itertools.product(*charges)):
            expected.add(formula)
    assert set(space) == expected
    assert len(expected) > 20


def test_common_oxidation_states():
    perovskites = Prototype("ABX3").candidates(["Ca", "Ti", "O", "Ne"], oxidation_states="common")
    assert ("Ca", "Ti", "O") in set(perovskites)
    assert "Ne" not in perovskites.to_numpy()
    mean = FormulaCandidates(["Fe", "O"], n_elements=2, oxidation_states={"Fe": 8 / 3, "O": -2})
    assert list(mean) == ["Fe3O4"]


def test_constraints_get_symbols():
    electronegativity = property_table("extended")["electronegativity_pauling"]
    space = Prototype("ABX3").candidates(
        FEW,
        constraints=[
            lambda sites: sites["X"].isin(["O", "F"]),
            lambda sites: sites["A"].map(electronegativity) < sites["B"].map(electronegativity),
        ],
    )
    expected = [
        crystal
        for crystal in all_crystals([FEW] * 3, ())
        if crystal[2] in ("O", "F")
        and electronegativity[crystal[0]] < electronegativity[crystal[1]]
    ]
    assert sorted(space) == sorted(expected)


def test_formulas_against_brute_force():
    space = FormulaCandidates(FEW, n_elements=(1, 2, 3), amounts=range(1, 5))
    found = [frozenset(parse_formula(formula).items()) for formula in space]
    expected = {
        frozenset(zip(chosen, map(float, amounts), strict=True))
        for n in (1, 2, 3)
        for chosen in itertools.combinations(FEW, n)
        for amounts in itertools.product(range(1, 5), repeat=n)
        if math.gcd(*amounts) == 1
    }
    assert len(found) == len(set(found)) == len(space)
    assert set(found) == expected
    np.testing.assert_array_equal(space[10:20], space.to_numpy()[10:20])
    assert space.shape == (len(space),)
    assert isinstance(space[3], str)


def test_the_smallest_formula_of_a_composition_is_kept():
    space = FormulaCandidates(["Na", "Cl"], n_elements=2, amounts=[2, 4])
    assert sorted(space) == ["Na2Cl2", "Na2Cl4", "Na4Cl2"]


def test_limits_of_formulas():
    small = FormulaCandidates(FEW, amounts=range(1, 7), max_atoms=5)
    atoms = [sum(parse_formula(formula).values()) for formula in small]
    assert max(atoms) == 5
    oxides = FormulaCandidates(FEW, constraints=lambda amounts: amounts["O"] >= 2)
    assert all(parse_formula(formula)["O"] >= 2 for formula in oxides)
    charged = FormulaCandidates([*FEW, "S"], amounts=range(1, 4), oxidation_states=STATES)
    neutral = [
        formula
        for formula in FormulaCandidates([*FEW, "S"], amounts=range(1, 4))
        if balanced(parse_formula(formula))
    ]
    assert list(charged) == neutral
    assert neutral
    known = FormulaCandidates(FEW, exclude=["Li2O", "O4Al2Li2", "CsCl", "Li7O"])
    rest = set(FormulaCandidates(FEW)) - set(known)
    assert rest == {"Li2O", "LiAlO2"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elements": []}, "elements is empty"),
        ({"elements": "Li"}, "list of symbols"),
        ({"elements": ["Li", "Xx"]}, "unknown element symbol 'Xx'"),
        ({"n_elements": 0}, "between 1 and 6"),
        ({"n_elements": 7}, "between 1 and 6"),
        ({"amounts": [0.5]}, "must be integers"),
        ({"amounts": []}, "must be integers"),
        ({"amounts": range(1, 1000), "n_elements": 3}, r"more than 10\*\*7 combinations"),
        ({"max_atoms": 0}, "max_atoms=0"),
        ({"oxidation_states": "usual"}, "'common' or a mapping of symbols to lists"),
        ({"oxidation_states": {"Xx": [1]}}, "'Xx'"),
        ({"oxidation_states": {"Li": ["one"]}}, "oxidation_states of 'Li'"),
        ({"oxidation_states": {"Li": [100]}}, "between -20 and 20"),
        ({"constraints": 3}, "constraints=3"),
        ({"exclude": ["NaXx"]}, "Row 0: .*'Xx'"),
    ],
)
def test_invalid_parameters(settings, message):
    with pytest.raises(ValueError, match=message):
        FormulaCandidates(**{"elements": FEW, **settings})


def test_few_elements_and_single_sites():
    assert list(FormulaCandidates(["Na", "Cl"], amounts=[1])) == ["NaCl"]
    assert list(FormulaCandidates(["Na"])) == ["Na"]
    assert list(FormulaCandidates(["Fe", "O"], oxidation_states={"Fe": "8/3", "O": -2})) == [
        "Fe3O4"
    ]
    for known in (["Na"], np.array(["Na"])):
        assert list(Prototype("A2").candidates(["Na", "K"], exclude=known)) == [("K",)]


def test_constraints_get_equivalent_crystals_once():
    elpasolite = Prototype("elpasolite")
    assert not len(elpasolite.candidates(FEW, constraints=lambda sites: sites["B"] == "Li"))
    ordered = elpasolite.candidates(
        FEW, distinct=False, constraints=lambda sites: sites["B"] == "Li"
    )
    assert len(ordered) == 5 * 4 * 3


def test_invalid_sites_and_constraints():
    with pytest.raises(ValueError, match="one key per site, A, B"):
        Prototype("AB").candidates({"A": ["Na"]})
    with pytest.raises(ValueError, match="elements for the site B is empty"):
        Prototype("AB").candidates({"A": ["Na"], "B": []})
    for constraint in (lambda sites: [1.0] * len(sites), lambda sites: [True]):
        with pytest.raises(ValueError, match="one bool for each of"):
            len(Prototype("AB").candidates(FEW, constraints=constraint))
    assert len(Prototype("elpasolite").candidates(["Na", "Cl"])) == 0
    assert Prototype("elpasolite").candidates(["Na", "Cl"]).to_numpy().shape == (0, 4)
