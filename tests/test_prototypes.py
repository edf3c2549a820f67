import numpy as np
import pytest

from sklearn_elmodes import Prototype
from sklearn_elmodes.elements import ATOMIC_NUMBERS
from sklearn_elmodes.formulas import parse_formula, parse_formulas


@pytest.mark.parametrize(
    ("formula", "sites", "multiplicities", "equivalent"),
    [
        ("ABC2D6", "ABCD", (1, 1, 2, 6), ()),
        ("elpasolite", "ABCD", (1, 1, 2, 6), (("A", "B"),)),
        ("AB", "AB", (1, 1), ()),
        ("rock-salt", "AB", (1, 1), (("A", "B"),)),
        ("ABX3", "ABX", (1, 1, 3), ()),
        ("perovskite", "ABX", (1, 1, 3), ()),
        ("A12B7", "AB", (12, 7), ()),
    ],
)
def test_reading(formula, sites, multiplicities, equivalent):
    prototype = Prototype(formula)
    assert prototype.sites == tuple(sites)
    assert prototype.multiplicities == multiplicities
    assert prototype.equivalent_sites == equivalent
    assert prototype.n_sites == len(sites)


@pytest.mark.parametrize(
    ("formula", "equivalent", "message"),
    [
        ("ABA2", None, "Cannot read the prototype 'ABA2'"),
        ("", None, "Cannot read the prototype ''"),
        ("ab", None, "Cannot read the prototype 'ab'"),
        ("A-B", None, "Cannot read the prototype 'A-B'"),
        ("A0B", None, "multiplicities lie between 1 and 999"),
        ("A" + "9" * 5000, None, "multiplicities lie between 1 and 999"),
        (5, None, "A prototype is a string"),
        ("ABX3", ("A", "B"), "must be a sequence of sets of two sites"),
        ("ABX3", "AB", "must be a sequence of sets of two sites"),
        ("ABX3", [("A",)], "must be a sequence of sets of two sites"),
        ("ABCDEFGHIJKLM", None, "more than 12 sites"),
        ("ABX3", [("A", "X")], "cannot be equivalent: their multiplicities differ"),
        ("ABX3", [("A", "Q")], "must name sites of 'ABX3', each once"),
        ("ABX3", [("A", "B"), ("B", "A")], "must name sites of 'ABX3', each once"),
    ],
)
def test_invalid_prototypes(formula, equivalent, message):
    with pytest.raises(ValueError, match=message):
        Prototype(formula, equivalent)


def test_equality_and_repr():
    assert Prototype("elpasolite") == Prototype("elpasolite", [("B", "A")])
    assert Prototype("ABC2D6", [("A", "B")]) == Prototype("ABC2D6", [("B", "A")])
    assert Prototype("elpasolite") != Prototype("elpasolite", ())
    assert Prototype("elpasolite", ()) == Prototype("ABC2D6")
    assert len({Prototype("rock-salt"), Prototype("rock-salt", [("A", "B")])}) == 1
    for prototype in (
        Prototype("elpasolite"),
        Prototype("ABC2D6"),
        Prototype("ABC2D6", [("A", "B")]),
        Prototype("ABC2D2", permutations=["BADC"]),
    ):
        assert eval(repr(prototype)) == prototype


def test_a_formula_does_not_determine_the_structure():
    """Rock salt, CsCl and zinc blende are all AB."""
    for name, formula in (("rock-salt", "AB"), ("perovskite", "ABX3"), ("elpasolite", "ABC2D6")):
        assert Prototype(name) != Prototype(formula)
        assert Prototype(name).formula == Prototype(formula).formula == formula
        assert (Prototype(name).name, Prototype(formula).name) == (name, None)
    # Another structure may have the symmetry of rock salt.
    assert Prototype("AB", [("A", "B")]) != Prototype("rock-salt")
    with pytest.raises(ValueError, match="name the structure if it is 'rock-salt', or declare"):
        Prototype("AB").assign(parse_formula("NaCl"))


def test_coupled_exchanges():
    coupled = Prototype("ABC2D2", permutations=["BADC"])
    assert coupled.permutations == ((0, 1, 2, 3), (1, 0, 3, 2))
    assert coupled.equivalent_sites == ()
    assert coupled != Prototype("ABC2D2")
    assert coupled != Prototype("ABC2D2", [("A", "B"), ("C", "D")])
    # Four assignments of two distinct crystals.
    with pytest.raises(ValueError, match="A=Na B=K C=F D=Cl or A=Na B=K C=Cl D=F"):
        coupled.assign({"Na": 1, "K": 1, "F": 2, "Cl": 2})
    assert coupled.assign({"Na": 1, "K": 1, "F": 4}) == ("Na", "K", "F", "F")
    free = Prototype("ABC2", permutations=[("B", "A", "C")])
    assert free == Prototype("ABC2", [("A", "B")])
    assert free.equivalent_sites == (("A", "B"),)


@pytest.mark.parametrize(
    ("permutations", "message"),
    [
        ("BA", "must be orders of the sites of 'ABC2'"),
        (["BA"], "must be orders of the sites of 'ABC2'"),
        (["BBC"], "must be orders of the sites of 'ABC2'"),
        ([], "must be orders of the sites of 'ABC2'"),
        (5, "must be orders of the sites of 'ABC2'"),
        (["CBA"], "Sites A, C of 'ABC2' cannot be equivalent: their multiplicities differ"),
    ],
)
def test_invalid_permutations(permutations, message):
    with pytest.raises(ValueError, match=message):
        Prototype("ABC2", permutations=permutations)


def test_permutations_must_form_a_group():
    with pytest.raises(ValueError, match="must form a group"):
        Prototype("ABC", permutations=["BCA"])
    assert len(Prototype("ABC", permutations=["BCA", "CAB"]).permutations) == 3
    with pytest.raises(ValueError, match="not both"):
        Prototype("AB", [("A", "B")], permutations=["BA"])


@pytest.mark.parametrize(
    ("prototype", "formula", "sites"),
    [
        ("elpasolite", "K2NaAlF6", "Na Al K F"),
        ("elpasolite", "AlNaK2F6", "Na Al K F"),
        ("elpasolite", "K4Na2Al2F12", "Na Al K F"),
        ("elpasolite", "KNa0.5Al0.5F3", "Na Al K F"),
        ("rock-salt", "NaCl", "Na Cl"),
        ("rock-salt", "ClNa", "Na Cl"),
        ("rock-salt", "Si", "Si Si"),
        ("A2B3", "Fe2O3", "Fe O"),
        ("A2B3", "Fe0.4O0.6", "Fe O"),
    ],
)
def test_assignment(prototype, formula, sites):
    prototype = Prototype(prototype)
    assert prototype.assign(parse_formula(formula)) == tuple(sites.split())
    numbers = prototype.assign_all(parse_formulas([formula]))
    assert numbers.tolist() == [[ATOMIC_NUMBERS[symbol] for symbol in sites.split()]]


def test_ambiguity_is_an_error_that_shows_two_ways():
    both = r"\(A=Ca B=Ti X=O or A=Ti B=Ca X=O\)"
    with pytest.raises(ValueError, match=f"in several ways {both}: pass the element of each site"):
        Prototype("ABX3").assign(parse_formula("CaTiO3"))
    with pytest.raises(ValueError, match=r"Row 0: .* in several ways"):
        Prototype("ABX3").assign_all(parse_formulas(["CaTiO3", "SrTiO3"]))


def test_equivalent_sites_resolve_the_ambiguity():
    prototype = Prototype("ABX3", equivalent_sites=[("A", "B")])
    assert prototype.assign(parse_formula("CaTiO3")) == ("Ca", "Ti", "O")


@pytest.mark.parametrize("formula", ["NaCl", "K2NaAlF5", "K2NaAlF6O", "K2.1Na0.9AlF6"])
def test_misfit_names_the_row(formula):
    with pytest.raises(ValueError, match=r"Row 1: .* does not fit the prototype ABC2D6"):
        Prototype("elpasolite").assign_all(parse_formulas(["K2NaAlF6", formula]))


def test_assignment_by_sorting_and_by_search_agree(elpasolites):
    X, _ = elpasolites
    prototype = Prototype("elpasolite")
    formulas = [f"{a}{b}{c}2{d}6" for a, b, c, d in X]
    numbers = prototype.assign_all(parse_formulas(formulas))
    for row in range(0, len(X), 50):
        found = prototype.assign(parse_formula(formulas[row]))
        assert [ATOMIC_NUMBERS[symbol] for symbol in found] == numbers[row].tolist()
    expected = np.vectorize(ATOMIC_NUMBERS.get)(X)
    np.testing.assert_array_equal(numbers[:, 2:], expected[:, 2:])
    np.testing.assert_array_equal(numbers[:, :2], np.sort(expected[:, :2], axis=1))


def test_long_values_are_cut_in_messages():
    with pytest.raises(ValueError, match="Cannot read the prototype") as caught:
        Prototype("x" * 10**6)
    assert len(str(caught.value)) < 300


def test_assignment_does_not_take_exponential_time():
    """Without a cache of dead ends a row takes minutes, and all twelve take hours."""
    letters, symbols = "ABCDEFGHIJKL", "Na K Rb Cs Li Be Mg Ca Sr Ba".split()
    prototype = Prototype("".join(f"{letter}2" for letter in letters))
    composition = dict.fromkeys(symbols, 2.0) | {"F": 1.0, "Cl": 3.0}
    for _ in range(12):
        with pytest.raises(ValueError, match="does not fit the prototype"):
            prototype.assign(composition)


def test_tiny_and_empty_compositions():
    prototype = Prototype("AB2")
    assert prototype.assign({"Na": 2e-310, "Cl": 1e-310}) == ("Cl", "Na")
    with pytest.raises(ValueError, match="does not fit the prototype AB2"):
        prototype.assign({"Na": 1e-310, "Cl": 1e-310})
    with pytest.raises(ValueError, match="is not a composition"):
        prototype.assign({})
    with pytest.raises(ValueError, match="unknown element symbol 'Xx'"):
        prototype.assign({"Xx": 1, "Na": 1})


def test_equivalent_sites_from_a_generator():
    assert Prototype("ABC2D6", (g for g in [("A", "B")])).equivalent_sites == (("A", "B"),)
    for wrong in (5, [5], [[["A"], ["B"]]], "AB", ["AB"], [("A",)]):
        with pytest.raises(ValueError, match="must be a sequence of sets of two sites or more"):
            Prototype("ABC2D6", wrong)
