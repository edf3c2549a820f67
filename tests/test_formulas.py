import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Molecule, Structure

from sklearn_elmodes import ElementalModeTransformer
from sklearn_elmodes.compositions import reduce_amounts, write_formula
from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.formulas import (
    element_fractions,
    parse_composition,
    parse_formula,
    parse_formulas,
)

READABLE = {
    "NaCl": {"Na": 1, "Cl": 1},
    "Ca(OH)2": {"Ca": 1, "O": 2, "H": 2},
    "Li0.5CoO2": {"Li": 0.5, "Co": 1, "O": 2},
    "CH3COOH": {"C": 2, "H": 4, "O": 2},
    "[Cu(NH3)4]SO4": {"Cu": 1, "N": 4, "H": 12, "S": 1, "O": 4},
    "{[(H2)2]3}0.5O": {"H": 6, "O": 1},
    "CuSO4·5H2O": {"Cu": 1, "S": 1, "O": 9, "H": 10},
    "CuSO4*5H2O": {"Cu": 1, "S": 1, "O": 9, "H": 10},
    "CuSO4.5H2O": {"Cu": 1, "S": 1, "O": 9, "H": 10},
    "CaSO4.H2O": {"Ca": 1, "S": 1, "O": 5, "H": 2},
    "CaSO4.0.5H2O": {"Ca": 1, "S": 1, "O": 4.5, "H": 1},
    "CaSO4·0.5H2O": {"Ca": 1, "S": 1, "O": 4.5, "H": 1},
    "3CaO·2SiO2·3H2O": {"Ca": 3, "O": 10, "Si": 2, "H": 6},
    "Ca(NO3)2.4H2O": {"Ca": 1, "N": 2, "O": 10, "H": 8},
    "MgCl2.6H2O": {"Mg": 1, "Cl": 2, "H": 12, "O": 6},
    "Na0.5H2O": {"Na": 0.5, "H": 2, "O": 1},
    "WO3.0H2O": {"W": 1, "O": 4, "H": 2},
    "Na1.5(H2O)": {"Na": 1.5, "H": 2, "O": 1},
    "CaSO4·1.5H2O": {"Ca": 1, "S": 1, "O": 5.5, "H": 3},
    "YBa2Cu3O6.5": {"Y": 1, "Ba": 2, "Cu": 3, "O": 6.5},
    " NaCl ": {"Na": 1, "Cl": 1},
    "NaN": {"Na": 1, "N": 1},
    # Iodine and vanadium, not oxidation states.
    "NH4(I3)": {"N": 1, "H": 4, "I": 3},
    "K(I3)": {"K": 1, "I": 3},
    "(I3)": {"I": 3},
    "Pb(I2)": {"Pb": 1, "I": 2},
    "C(I)4": {"C": 1, "I": 4},
    "Ca(IO3)2": {"Ca": 1, "I": 2, "O": 6},
    "RbVI3": {"Rb": 1, "V": 1, "I": 3},
    "Fe(VO4)": {"Fe": 1, "V": 1, "O": 4},
    "HgI2·2AgI": {"Hg": 1, "I": 4, "Ag": 2},
}

UNREADABLE = {
    "NaXx": "unknown element 'Xx' at position 2",
    "A": "unknown element 'A' at position 0",
    "Na-1": "negative amount (write a charge as ^2-, and see allow_charge) at position 2",
    "H0O": "zero amount '0' at position 1",
    "H0.0O": "zero amount '0.0' at position 1",
    "(NaCl": "unclosed '(' at position 0",
    "NaCl)": "unmatched ')' at position 4",
    "(Na]": "']' closes '(' at position 3",
    "()2": "empty brackets at position 1",
    "Na()": "empty brackets at position 3",
    "": "it is empty",
    "  ": "it is empty",
    "Na+": "unexpected charge (see allow_charge) at position 2",
    "SO4^2-": "unexpected charge (see allow_charge) at position 3",
    "H２O": "'２' is not a plain digit 0-9 at position 1",
    "H₂O": "'₂' is not a plain digit 0-9 at position 1",
    "nacl": "an element symbol cannot begin with 'n' at position 0",
    "Na Cl": "unexpected white space at position 2",
    " NaXx": "unknown element 'Xx' at position 3",
    "2H2O": "a formula cannot begin with a number at position 0",
    "NaCl·": "expected an element at position 5",
    "·NaCl": "expected an element at position 0",
    "Li1.5.2": "ambiguous '.' (write 0.5 for an amount, '·' between parts) at position 5",
    "H.5O": "ambiguous '.' (write 0.5 for an amount, '·' between parts) at position 1",
    "Na2e5": "an element symbol cannot begin with 'e' at position 3",
    "D2O": "unknown element 'D' (deuterium; see deuterium_as_hydrogen) at position 0",
    "Na\nCl": "unexpected white space at position 2",
    "NaCl,": "unexpected ',' at position 4",
    "Na1.5H2O": "ambiguous '.' (write '·' before water, or use brackets) at position 2",
    "FeO1.5H2O": "ambiguous '.' (write '·' before water, or use brackets) at position 3",
    "Co2.5H2O": "ambiguous '.' (write '·' before water, or use brackets) at position 2",
    "H" + "9" * 400: "amount too large",
    "(SO4)2-": "negative amount (write a charge as ^2-, and see allow_charge) at position 6",
    "Fe(III)2O3": "(III) may be an oxidation state (leave it out) or iodine (write I3) at position",
    "Fe(II)O": "(II) may be an oxidation state (leave it out) or iodine (write I2) at position 2",
    "Fe2(III)O3": "(III) may be an oxidation state (leave it out) or iodine (write I3) at position",
    "Cu(I)2O": "(I) may be an oxidation state (leave it out) or iodine (write I) at position 2",
    "Pb(I)2": "(I) may be an oxidation state (leave it out) or iodine (write I) at position 2",
    "V(V)2O5": "(V) may be an oxidation state (leave it out) or vanadium (write V) at position 1",
    "Ti(IV)O2": "(IV) may be an oxidation state (leave it out) or iodine and vanadium (write IV)",
    "S(VI)O3": "(VI) may be an oxidation state (leave it out) or iodine and vanadium (write VI)",
    "Os(VIII)O4": "(VIII) may be an oxidation state (leave it out) or iodine and vanadium",
    "Fe[III]2O3": "[III] may be an oxidation state (leave it out) or iodine (write I3) at position",
    "Fe{II}O": "{II} may be an oxidation state (leave it out) or iodine (write I2) at position 2",
    "Fe(II,III)3O4": "(II,III) may be an oxidation state (leave it out) or iodine (write I2)",
    "Pb(II)(IV)O3": "(II) may be an oxidation state (leave it out) or iodine (write I2) at",
    "(UO2)(II)": "(II) may be an oxidation state (leave it out) or iodine (write I2) at position 5",
    "FeIIIO": "III may be an oxidation state (leave it out) or iodine (write I3) at position 2",
    " Fe(II)O": "(II) may be an oxidation state (leave it out) or iodine (write I2) at position 3",
    "T2O": "unknown element 'T' (tritium) at position 0",
}


@pytest.mark.parametrize("formula", READABLE)
def test_readable(formula):
    assert parse_formula(formula) == READABLE[formula]
    assert parse_formulas(["Fe2O3", formula])[1] == READABLE[formula]


@pytest.mark.parametrize("formula", UNREADABLE)
def test_unreadable_names_text_reason_and_position(formula):
    with pytest.raises(ValueError, match="Cannot read the formula") as raised:
        parse_formula(formula)
    assert UNREADABLE[formula] in str(raised.value)
    with pytest.raises(ValueError, match="Row 2: Cannot read the formula") as raised:
        parse_formulas(["NaCl", "Ca(OH)2", formula])
    assert UNREADABLE[formula] in str(raised.value)


def test_elements_keep_the_order_of_appearance():
    assert list(parse_formula("Ca(OH)2")) == ["Ca", "O", "H"]
    assert list(parse_formulas(["ONaCl"])[0]) == ["O", "Na", "Cl"]


def test_deuterium_and_charges_on_request():
    assert parse_formula("D2O", deuterium_as_hydrogen=True) == {"H": 2, "O": 1}
    assert parse_formula("HDO", deuterium_as_hydrogen=True) == {"H": 2, "O": 1}
    assert parse_formula("SO4^2-", allow_charge=True) == {"S": 1, "O": 4}
    assert parse_formula("Na+", allow_charge=True) == {"Na": 1}
    assert parse_formula("Fe^+3", allow_charge=True) == {"Fe": 1}
    assert parse_formulas(["D2O"], deuterium_as_hydrogen=True)[0] == {"H": 2, "O": 1}
    with pytest.raises(ValueError, match=r"write a charge as \^2\+"):
        parse_formula("Fe2+", allow_charge=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "Row 1: Cannot read None as a composition"),
        (np.nan, "Row 1: Cannot read nan as a composition"),
        (3, "Row 1: Cannot read 3 as a composition"),
        (b"NaCl", "Row 1: Cannot read b'NaCl' as a composition"),
        ({}, "Row 1: Cannot read the composition {}: it is empty"),
        ({"Xx": 1}, "Row 1: .* unknown element 'Xx'"),
        ({"Na": 0}, "Row 1: .* the amount of Na must be a positive number, got 0"),
        ({"Na": -1.0}, "Row 1: .* the amount of Na must be a positive number, got -1.0"),
        ({"Na": np.nan}, "Row 1: .* the amount of Na must be a positive number, got nan"),
        ({"Na": np.inf}, "Row 1: .* the amount of Na must be a positive number, got inf"),
        ({"Na": "2"}, "Row 1: .* the amount of Na must be a positive number, got '2'"),
        ({"Na": b"2"}, "Row 1: .* the amount of Na must be a positive number, got b'2'"),
        ({"Na": 1e300}, r"Row 1: .* the amount of Na must be a positive number, got 1e\+300"),
        ({"Na": True}, "Row 1: .* the amount of Na must be a positive number, got True"),
    ],
)
def test_bad_values_name_the_row(value, message):
    with pytest.raises(ValueError, match=message):
        parse_formulas(["NaCl", value])


def test_negative_rows_count_from_the_end():
    compositions = parse_formulas(["NaCl", "KBr"])
    assert compositions[-1] == {"K": 1, "Br": 1}
    with pytest.raises(IndexError):
        compositions[2]


@pytest.mark.parametrize("value", ["NaCl", {"Na": 1}, Composition("NaCl"), 5, {"NaCl", "KBr"}])
def test_a_single_value_is_not_a_column(value):
    with pytest.raises(ValueError, match="Expected a sequence of formulas"):
        parse_formulas(value)


def test_containers():
    formulas = ["NaCl", "Ca(OH)2", "K2NaAlF6"]
    expected = [parse_formula(formula) for formula in formulas]
    series = pd.Series(formulas, index=[5, 3, 1])
    containers = [
        formulas,
        tuple(formulas),
        (formula for formula in formulas),
        np.array(formulas),
        np.array(formulas, dtype=object)[:, None],
        [[formula] for formula in formulas],
        series,
        series.astype("string"),
        series.astype("category"),
        series.to_frame(),
        expected,
        [Composition(formula) for formula in formulas],
        [formulas[0], expected[1], Composition(formulas[2])],
    ]
    for container in containers:
        compositions = parse_formulas(container)
        assert [compositions[row] for row in range(3)] == expected


def test_two_columns_raise():
    for X in (np.array([["Na", "Cl"]]), [["Na", "Cl"]], pd.DataFrame([["Na", "Cl"]])):
        with pytest.raises(ValueError, match="one column of formulas"):
            parse_formulas(X)


def test_no_rows():
    assert len(parse_formulas([])) == 0


def test_species_of_a_composition():
    assert parse_composition(Composition({"Fe3+": 2, "O2-": 3})) == {"Fe": 2, "O": 3}


def test_deuterium_in_a_composition_is_not_hydrogen_without_a_word():
    heavy = Composition("D2O")
    assert heavy.get_el_amt_dict() == {"H": 2, "O": 1}  # pymatgen says no more than this
    for value in (heavy, {"D": 2, "O": 1}, "D2O"):
        with pytest.raises(ValueError, match=r"unknown element 'D' \(deuterium"):
            parse_composition(value)
        assert parse_composition(value, deuterium_as_hydrogen=True) == {"H": 2, "O": 1}
    assert parse_composition(Composition("H2O")) == {"H": 2, "O": 1}


class Atoms:
    """Stands in for ASE's."""

    def __init__(self, symbols):
        self.symbols = symbols

    def __len__(self):
        return len(self.symbols)

    def __iter__(self):
        return iter(self.symbols)

    def get_chemical_symbols(self):
        return list(self.symbols)


def test_atoms_in_space_give_their_composition():
    rock_salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    water = Molecule("HHO", [[0, 0, 1], [0, 1, 0], [0, 0, 0]])
    mixed = Structure(Lattice.cubic(4), [{"Na": 0.25, "K": 0.75}, "Cl"], [[0, 0, 0], [0.5] * 3])
    rows = [rock_salt, water, Atoms(["O", "H", "H"]), mixed, "NaCl"]
    expected = [
        {"Na": 4, "Cl": 4},
        {"H": 2, "O": 1},
        {"O": 1, "H": 2},
        {"Na": 0.25, "K": 0.75, "Cl": 1},
        {"Na": 1, "Cl": 1},
    ]
    compositions = parse_formulas(rows)
    for row, amounts in enumerate(expected):
        assert parse_composition(rows[row]) == amounts
        assert compositions[row] == amounts
    for single in (rock_salt, water, Atoms(["O"])):
        for read in (parse_formulas, ElementalModeTransformer().check_rows):
            with pytest.raises(ValueError, match="Expected a sequence of formulas, got the single"):
                read(single)
    with pytest.raises(ValueError, match=r"Row 0: .* unknown element 'X'"):
        parse_formulas([Atoms(["X"])])
    with pytest.raises(ValueError, match=r"Row 0: .* it is empty"):
        parse_formulas([Atoms([])])


@given(st.dictionaries(st.sampled_from(SYMBOLS), st.floats(1e-90, 1e90), min_size=1, max_size=5))
def test_written_formulas_are_read_again(amounts):
    assert parse_formula(write_formula(amounts)) == pytest.approx(amounts, rel=1e-11)


def test_amounts_are_written_without_exponents():
    assert write_formula({"Na": 1e-5, "Cl": 2.0, "O": 0.1 + 0.2}) == "Na0.00001Cl2O0.3"
    assert parse_formula(write_formula({"Co": 2.5, "H": 2, "O": 1})) == {"Co": 2.5, "H": 2, "O": 1}


def test_element_fractions():
    fractions = element_fractions(["H2O", "Og"])
    assert fractions.shape == (2, 118)
    np.testing.assert_allclose(fractions.sum(axis=1), 1, rtol=1e-6)
    assert fractions[0, 7] == pytest.approx(1 / 3)
    assert fractions[1, 117] == 1
    assert fractions.dtype == "float32"
    with pytest.raises(ValueError, match="dtype='int' must be 'float32' or 'float64'"):
        element_fractions(["H2O"], dtype="int")


@pytest.mark.parametrize(
    "path",
    [
        "elpasolites/elpasolites_10590.csv.gz",
        "oqmd_formation_enthalpy/val.csv.gz",
        "oqmd_formation_enthalpy/test.csv.gz",
        "oqmd_formation_enthalpy/train.csv.gz",
        "mp_formation_energy/val.csv.gz",
        "mp_formation_energy/test.csv.gz",
        "mp_formation_energy/train.csv.gz",
        "ssub_formation_enthalpy/ssub_expt.csv.gz",
    ],
)
def test_every_shared_formula_agrees_with_pymatgen(shared_table, path):
    formulas = shared_table(path)["formula"].tolist()
    compositions = parse_formulas(formulas)
    for row, formula in enumerate(formulas):
        composition = compositions[row]
        assert composition == parse_formula(formula)
        assert composition == Composition(formula).get_el_amt_dict(), formula


def test_measured_enthalpies_agree_with_pymatgen(enthalpies):
    formulas = enthalpies[0]
    compositions = parse_formulas(formulas)
    for row, formula in enumerate(formulas):
        assert compositions[row] == pytest.approx(Composition(formula).get_el_amt_dict())


amounts = st.one_of(
    st.just(""),
    # pymatgen fails on products of amounts that Python writes with an exponent.
    st.integers(1, 30).map(str),
    st.decimals("0.1", "9", places=2).map(str),
)
atoms = st.tuples(st.sampled_from(SYMBOLS), amounts).map("".join)
groups = st.recursive(
    st.lists(atoms, min_size=1, max_size=4).map("".join),
    lambda inner: st.tuples(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.sampled_from(["()", "[]", "{}"]),
        amounts,
    ).map(lambda g: f"{g[1][0]}{g[0]}{g[1][1]}{g[2]}"),
    max_leaves=6,
)
formulas_generated = st.lists(groups, min_size=1, max_size=4).map("".join)


@given(formulas_generated)
@settings(max_examples=300, deadline=None)
def test_generated_formulas_agree_with_pymatgen(formula):
    if formula.endswith("H2O"):  # ".5H2O" may be crystal water
        formula += "2"
    round_brackets = formula.translate(str.maketrans("[]{}", "()()"))  # all versions read these
    assume(not re.search(r"[([{][IV]+[)\]}]|II", formula))  # perhaps oxidation states
    expected = pytest.approx(Composition(round_brackets).get_el_amt_dict(), rel=1e-6)
    assert parse_formula(formula) == expected
    assert parse_formulas(["NaCl", formula, "K"])[1] == expected


@given(st.lists(st.text(alphabet="NaClOHDXx0123456789.()[]{}·*+-^ \n₂é", max_size=12), max_size=6))
@settings(max_examples=500, deadline=None)
def test_vectorised_and_single_reader_agree_on_any_text(texts):
    try:
        expected = [parse_formula(text) for text in texts]
    except ValueError:
        with pytest.raises(ValueError, match=r"Row \d+: Cannot read"):
            parse_formulas(texts)
        return
    compositions = parse_formulas(texts)
    for row, composition in enumerate(expected):
        assert compositions[row] == composition


LONG = """
import resource
from sklearn_elmodes.formulas import parse_formula
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
n = 250_000
for text in ("(" * n, "(" * n + "H" + ")" * n, "+" * n + "x", "H" * n, ".1" * n, "^" * n + "x",
             "H999999999" * n, "Na" + "·" * n, "9" * n, "H2." * n + "H2O", "O2.9" * n + "H2O"):
    try:
        parse_formula(text)
    except ValueError as error:
        assert len(str(error)) < 300, error
"""


def test_long_input_takes_linear_time():
    """Takes about ten seconds of CPU time; a reader of quadratic cost would take hours."""
    subprocess.run([sys.executable, "-c", LONG], check=True)


@pytest.mark.parametrize(
    ("formula", "reduced"),
    [
        ("Fe4O6", {"Fe": 2, "O": 3}),
        ("Fe0.4O0.6", {"Fe": 2, "O": 3}),
        ("Na0.5K0.5Cl", {"Na": 1, "K": 1, "Cl": 2}),
        ("La0.75Sr0.25MnO3", {"La": 3, "Sr": 1, "Mn": 4, "O": 12}),
        ("La0.85Sr0.15MnO3", {"La": 0.85, "Sr": 0.15, "Mn": 1, "O": 3}),
        ("La1.7Sr0.3Mn2O6", {"La": 0.85, "Sr": 0.15, "Mn": 1, "O": 3}),
        ("Fe0.5", {"Fe": 1}),
        ("H9007199254740993", {"H": 1}),
        ("Fe19O20", {"Fe": 19, "O": 20}),
        ("Gd333Al667", {"Gd": 0.999, "Al": 2.001}),
        ("Gd171Ni829", {"Gd": 1.026, "Ni": 4.974}),  # not Gd0.171Ni0.829
        ("Al0.99Mg0.01", {"Al": 1.98, "Mg": 0.02}),
    ],
)
def test_reduced_formula_units(formula, reduced):
    amounts = np.array([list(parse_formula(formula).values())])
    np.testing.assert_allclose(reduce_amounts(amounts)[0], list(reduced.values()), rtol=1e-9)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_reduction_is_independent_of_the_scale(amounts, scale):
    whole = np.array([amounts], dtype=float)
    reduced = reduce_amounts(whole)
    unit = whole / np.gcd.reduce(whole.astype(int), axis=1)[0]
    assert (reduced == unit).all() == (unit.sum() <= 150)
    np.testing.assert_array_equal(reduce_amounts(whole * 7), reduced)
    scaled = whole / 3.7 * scale
    assume((scaled != np.rint(scaled)).any())  # whole amounts are taken at their word
    fractional = reduce_amounts(whole / 3.7)
    np.testing.assert_allclose(reduce_amounts(scaled), fractional, rtol=1e-6)
    np.testing.assert_allclose(
        fractional / fractional.sum(), whole / whole.sum(), rtol=1e-5, atol=1e-9
    )
