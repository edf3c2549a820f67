"""Formulas as people type, paste and print them: what is cleaned, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition
from test_formulas import READABLE, formulas_generated

from sklearn_elmodes import ElementalModeTransformer, LeaveOneElementOut, load_model, save_model
from sklearn_elmodes.formulas import CleanedFormula, clean_formula, parse_formula, parse_formulas
from sklearn_elmodes.pipelines import make_formation_energy_pipeline

CLEANED = {
    "Al₂O₃": ("Al2O3", "subscript digits"),
    "Li₀.₅CoO₂": ("Li0.5CoO2", "subscript digits"),
    "[Co(NH₃)₆]Cl₃": ("[Co(NH3)6]Cl3", "subscript digits"),
    "CuSO₄·5H₂O": ("CuSO4·5H2O", "subscript digits"),
    "CuSO₄.5H₂O": ("CuSO4·5H2O", "subscript digits"),
    "Co₂.5H₂O": ("Co2·5H2O", "subscript digits"),
    "H２O": ("H2O", "Unicode characters"),
    r"$\mathrm{Al_2O_3}$": ("Al2O3", "LaTeX", "subscript digits"),
    r"\mathrm{Al}_{2}\mathrm{O}_{3}": ("Al2O3", "LaTeX", "subscript digits"),
    "Al_{2}O_{3}": ("Al2O3", "LaTeX", "subscript digits"),
    "La_{0.85}Sr_{0.15}MnO_3": ("La0.85Sr0.15MnO3", "LaTeX", "subscript digits"),
    r"\ce{CuSO4 \cdot 5H2O}": ("CuSO4·5H2O", "LaTeX", "blanks"),
    "La_0.5Sr_0.5MnO_3": ("La0.5Sr0.5MnO3", "LaTeX", "subscript digits"),
    r"$\alpha$-Al$_2$O$_3$": ("Al2O3", "LaTeX", "subscript digits", "phase label"),
    "Al<sub>2</sub>O<sub>3</sub>": ("Al2O3", "HTML", "subscript digits"),
    "<i>α</i>-Fe<sub>2</sub>O<sub>3</sub>": ("Fe2O3", "HTML", "subscript digits", "phase label"),
    "Al&#8322;O&#8323;": ("Al2O3", "HTML", "subscript digits"),
    "CuSO4&middot;5H2O": ("CuSO4·5H2O", "HTML"),
    "\ufeffNaCl": ("NaCl", "invisible characters"),
    "Na\u200bCl": ("NaCl", "invisible characters"),
    "Na\u00a0Cl": ("NaCl", "Unicode characters", "blanks"),
    "NaCl\u00a0(s)": ("NaCl", "Unicode characters", "phase label"),
    "Al2 O3": ("Al2O3", "blanks"),
    "CuSO4 · 5 H2O": ("CuSO4·5H2O", "blanks"),
    "CuSO4×5H2O": ("CuSO4·5H2O", "Unicode characters"),
    "NaCl(s)": ("NaCl", "phase label"),
    "NaCl (aq)": ("NaCl", "phase label"),
    "NaCl (rock salt)": ("NaCl", "phase label"),
    "SiO2 (alpha quartz)": ("SiO2", "phase label"),
    "SiO2 (α-quartz)": ("SiO2", "phase label"),
    "α-Al2O3": ("Al2O3", "phase label"),
    "δ-Bi2O3": ("Bi2O3", "phase label"),
    "beta-SiC": ("SiC", "phase label"),
    "c-ZrO2": ("ZrO2", "phase label"),
    "4H-SiC": ("SiC", "phase label"),
    "TiO2-rutile": ("TiO2", "phase label"),
    "TiO2_rutile": ("TiO2", "phase label"),
    "TiO2 rutile": ("TiO2", "phase label"),
    "rutile TiO2": ("TiO2", "phase label"),
    "Fe3O4 (magnetite), cubic": ("Fe3O4", "phase label"),
    "CaSO4·½H2O": ("CaSO4·0.5H2O", "fractions"),
    "CaSO4·1½H2O": ("CaSO4·1.5H2O", "fractions"),
    "CaSO4·1/2H2O": ("CaSO4·0.5H2O", "fractions"),
    "CaSO4·1⁄2H2O": ("CaSO4·0.5H2O", "Unicode characters", "fractions"),
    "Na₁/₂K₁/₂Cl": ("Na0.5K0.5Cl", "subscript digits", "fractions"),
    "Fe3/4O": ("Fe0.75O", "fractions"),
    "Na9e-05Cl1": ("Na0.00009Cl1", "scientific notation"),
    "Na1E+02Cl": ("Na100Cl", "scientific notation"),
    "0.9PbTiO3-0.1BiFeO3": ("(PbTiO3)0.9(BiFeO3)0.1", "mixture"),
    "0.9 PbTiO3 – 0.1 BiFeO3": ("(PbTiO3)0.9(BiFeO3)0.1", "Unicode characters", "mixture"),
    "0.33Li2O+0.33B2O3+0.34SiO2": ("(Li2O)0.33(B2O3)0.33(SiO2)0.34", "mixture"),
    "D2O": ("H2O", "heavy hydrogen as hydrogen"),
    "CaSO4·2D2O": ("CaSO4·2H2O", "heavy hydrogen as hydrogen"),
    "T2O": ("H2O", "heavy hydrogen as hydrogen"),
}

# Each might be read in several ways, or as another substance.
REFUSED = {
    "CuSO₄5H₂O": "a '·' may be missing between two numbers at position 5",
    "CuSO<sub>4</sub>5H<sub>2</sub>O": "unexpected '<' at position 4",
    "CuSO_45H_2O": "unexpected '_' at position 4",
    "CuSO_4.5H_2O": "unexpected '_' at position 4",
    "B_12": "unexpected '_' at position 1",
    "Fe₂.5O₄": "'₂' is not a plain digit 0-9 at position 2",
    "CuSO4 5H2O": "unexpected white space at position 5",
    "NaCl KBr": "unexpected white space at position 4",
    "CaSO4½H2O": "'½' is not a plain digit 0-9 at position 5",
    "CaSO41/2H2O": "unexpected '/' at position 6",
    "CuSO4\u200b5H2O": "unexpected '\\u200b' at position 5",
    r"CuSO4\,5H2O": "unexpected '\\\\' at position 5",
    r"\mathrm{CuSO4}5H2O": "unexpected '\\\\' at position 0",
    "CuSO4$5H2O$": "unexpected '$' at position 5",
    "<b>CuSO4</b>5H2O": "unexpected '<' at position 0",
    "Al$_2O3": "unexpected '$' at position 2",
    "CuSO4·₅H₂O": "'₅' is not a plain digit 0-9 at position 6",
    "CaSO4½(H2O)": "'½' is not a plain digit 0-9 at position 5",
    "CaSO41/2(H2O)": "unexpected '/' at position 6",
    "SiO2 (doped)": "unknown label 'doped' (leave it out)",
    "H2O-ice": "unknown label 'ice' (leave it out)",
    "TiO2 (P42/mnm)": "unexpected white space at position 4",
    "Na1e200Cl": "an element symbol cannot begin with 'e' at position 3",
    "Fe^{2+}": "unexpected charge (leave it out) at position 2",
    "Fe(3+)2O3": "unexpected charge (leave it out) at position 2",
    "Fe³⁺": "unexpected charge (leave it out) at position 2",
    "Fe<sup>3+</sup>": "unexpected charge (leave it out) at position 2",
    "Li0,5CoO2": "decimal comma (write 0.5) at position 2",
    "(La,Sr)MnO3": "unknown amounts of La and Sr (write each, such as (La0.5Sr0.5)) at position 0",
    "Ti-6Al-4V": "it looks like an alloy in percent by weight; convert it to atomic amounts",
    "0.6Sn-0.4Pb": "it looks like an alloy in percent by weight",
    "60Sn-40Pb": "it looks like an alloy in percent by weight",
    "Fe-Ni": "its parts have no amounts (write a formula, such as Fe0.5Ni0.5)",
    "PbTiO3-BiFeO3": "its parts have no amounts (write a formula, such as Fe0.5Ni0.5)",
    "Fe2O3/Al2O3": "its parts have no amounts (write a formula, such as Fe0.5Ni0.5)",
    "70SiO2-30Na2O": "it looks like a mixture whose amounts are not mole fractions of compounds",
    "0.9PbTiO3-0.2BiFeO3": "it looks like a mixture whose amounts are not mole fractions",
    "Fe1-xO": "'x' is a variable (write its value) at position 4",
    "LaNiO3-δ": "'δ' is a variable (write its value) at position 7",
    r"LaNiO$_{3-\delta}$": "'\\\\delta' is a variable (write its value) at position 10",
    "Fe₁₋ₓO": "'ₓ' is a variable (write its value) at position 4",
    "LixCoO2": "'x' is a variable (write its value) at position 2",
    "TiOx": "'x' is a variable (write its value) at position 3",
    "(1-x)PbTiO3-xBiFeO3": "'x' is a variable (write its value) at position 3",
    "water": "it looks like the name of a compound; write its formula, such as NaCl",
    "iron(III) oxide": "it looks like the name of a compound; write its formula, such as NaCl",
    "TiO2 nanoparticles": "unknown label 'nanoparticles' (leave it out)",
    "Sodium chloride": "it looks like the name of a compound; write its formula, such as NaCl",
    "mp-149": "it looks like the identifier of a database entry; look up its formula",
    "ICSD 52176": "it looks like the identifier of a database entry; look up its formula",
    "7647-14-5": "it looks like a CAS number; look up its formula",
    "Cu(II)O": "(II) may be an oxidation state (leave it out) or iodine (write I2) at position 2",
}


@pytest.mark.parametrize("text", CLEANED)
def test_cleaned(text):
    formula, *changes = CLEANED[text]
    assert clean_formula(text) == CleanedFormula(formula, tuple(changes))
    assert clean_formula(formula) == CleanedFormula(formula, ())
    with pytest.raises(ValueError, match="Cannot read the formula") as strict:
        parse_formula(text)
    assert str(strict.value).endswith(f"; clean_formula reads it as {formula!r}.")


def test_the_amounts_of_cleaned_formulas():
    for text, same in [
        ("0.9PbTiO3-0.1BiFeO3", "Pb0.9Bi0.1Ti0.9Fe0.1O3"),
        ("CaSO4·½H2O", "CaSO4.5H"),
        ("Na9e-05Cl1", "Na0.00009Cl"),
    ]:
        expected = Composition(same).get_el_amt_dict()
        assert parse_formula(clean_formula(text).formula) == pytest.approx(expected)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_ambiguous_is_refused_in_both_modes(text):
    for read in (parse_formula, clean_formula):
        with pytest.raises(ValueError, match="Cannot read the formula") as raised:
            read(text)
        assert f"Cannot read the formula {text!r}: {REFUSED[text]}" in str(raised.value)
        assert "clean" not in str(raised.value)
        assert "allow_charge" not in str(raised.value)
    with pytest.raises(ValueError, match="Row 0: Cannot read the formula"):
        ElementalModeTransformer(formulas="clean").fit([text])


@pytest.mark.parametrize("text", [*READABLE, "NaCl(S)", "δ" * 300 + "NaCl", "Na" * 300, None])
def test_what_the_strict_reader_reads_is_not_changed(text):
    if text in READABLE or text == "NaCl(S)" or text == "Na" * 300:
        assert clean_formula(text) == CleanedFormula(text.strip(), ())
    else:
        with pytest.raises(ValueError, match="Cannot read"):
            clean_formula(text)


@given(st.text(alphabet="NaClOHDsx0129.()[]{}·*+-/^_$\\<>&; \n₂½éα\u200b\ufeff", max_size=14))
@settings(max_examples=500, deadline=None)
def test_cleaning_any_text_gives_a_formula_or_an_error(text):
    try:
        cleaned = clean_formula(text)
    except ValueError as error:
        assert len(str(error)) < 400
        with pytest.raises(ValueError, match="Cannot read the formula"):
            parse_formula(text)
        return
    amounts = parse_formula(cleaned.formula)
    assert clean_formula(cleaned.formula) == CleanedFormula(cleaned.formula, ())
    if not cleaned.changes:
        assert parse_formula(text) == amounts
    clean = ElementalModeTransformer(formulas="clean", handle_unknown="nan")
    np.testing.assert_array_equal(clean.fit_transform([text]), clean.transform([cleaned.formula]))


def printed(formula, left, right):
    """Write each number of a formula between two marks."""
    import re

    return re.sub(r"([0-9]+(?:\.[0-9]+)?)", rf"{left}\1{right}", formula)


@given(formulas_generated)
@settings(max_examples=200, deadline=None)
def test_every_notation_of_a_formula_has_its_amounts(formula):
    try:
        expected = parse_formula(formula)
    except ValueError:  # an oxidation state, or a full stop that may be crystal water
        assume(False)
    subscripts = formula.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
    notations = [
        subscripts,
        f"$\\mathrm{{{printed(formula, '_{', '}')}}}$" if "{" not in formula else subscripts,
        printed(formula, "<sub>", "</sub>"),
        "\ufeff" + formula + "\u200b",
        f"{formula} (s)",
        f"β-{formula}",
        f"{formula}-rutile",
    ]
    for text in notations:
        if len(text) <= 200:
            assert parse_formula(clean_formula(text).formula) == expected, text


LONG = """
import resource
from sklearn_elmodes.formulas import clean_formula
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for n in (12, 45, 250_000):
    for text in ("_{" * n, "alpha-" * n, "rutile " * n + "X", "1/" * n, "0.1A-" * n, "1e5" * n,
                 "&amp;" * n, "(" * n + "s)", "$" * n, "(II" * n, "I" * n, "x" * n, "aaaa " * n,
                 "(La," * n, "1," * n, "A-6" * n, "1A-" * n, "1 " * n):
        try:
            clean_formula(text)
        except ValueError as error:
            assert len(str(error)) < 400, error
"""


def test_no_text_takes_long():
    subprocess.run([sys.executable, "-c", LONG], check=True)


class TestTransformer:
    texts = ("NaCl", "Al₂O₃", "TiO2 (rutile)", "D2O", "Ca(OH)2", {"D": 2, "O": 1})
    plain = ("NaCl", "Al2O3", "TiO2", "H2O", "Ca(OH)2", "H2O")

    def test_clean_features_are_those_of_the_plain_formulas(self):
        clean = ElementalModeTransformer(formulas="clean")
        np.testing.assert_array_equal(
            clean.fit_transform(list(self.texts)), clean.transform(self.plain)
        )
        valid, rejected = clean.check_rows([*self.texts, "Fe1-xO"])
        assert valid.tolist() == list(range(6))
        assert rejected.loc[6, "reason"].endswith(
            "'x' is a variable (write its value) at position 4."
        )

    def test_strict_is_the_default_and_says_what_clean_would_read(self):
        strict = ElementalModeTransformer().fit(["NaCl"])
        valid, rejected = strict.check_rows(list(self.texts))
        assert valid.tolist() == [0, 4]
        assert rejected.loc[1, "reason"] == (
            "Cannot read the formula 'Al₂O₃': '₂' is not a plain digit 0-9 at position 2; "
            "formulas=\"clean\" reads it as 'Al2O3'."
        )
        assert rejected.loc[5, "reason"].endswith(
            "unknown element 'D' (deuterium); formulas=\"clean\" reads it as hydrogen."
        )

    def test_messages_name_only_parameters_that_there_are(self):
        transformer = ElementalModeTransformer()
        reasons = transformer.check_rows(["SO4^2-", "Na-1", "Fe2+", "D2O"])[1]["reason"]
        assert not reasons.str.contains("allow_charge|deuterium_as").any()
        assert reasons[0].endswith("unexpected charge (leave it out) at position 3.")
        assert reasons[1].endswith("negative amount (leave out charges) at position 2.")
        assert reasons[2].endswith("unexpected '+' (leave out charges) at position 3.")
        with pytest.raises(ValueError, match="see allow_charge"):
            parse_formulas(["Na-1"])

    def test_species_on_sites(self):
        clean = ElementalModeTransformer(prototype="elpasolite", formulas="clean")
        found = clean.fit_transform([["Na₀.₅K₀.₅", "Al", "K", "F"], ["D", "Al", "K", "F"]])
        expected = clean.transform([["Na0.5K0.5", "Al", "K", "F"], ["H", "Al", "K", "F"]])
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(clean.transform(["K₂NaAlF₆"]), clean.transform(["K2NaAlF6"]))
        with pytest.raises(
            ValueError, match=r"site A: .* formulas=.clean. reads it as 'Na0.5K0.5'"
        ):
            clean.set_params(formulas="strict").transform([["Na₀.₅K₀.₅", "Al", "K", "F"]])

    def test_cross_validation_and_model_files(self, tmp_path):
        texts, y = ["Al₂O₃", "NaCl (s)", "MgO", "KBr"], [-3.4, -2.1, -3.1, -2.0]
        assert len(list(LeaveOneElementOut(min_samples=1).split(texts))) == 7
        pipeline = make_formation_energy_pipeline(
            formulas="clean", n_estimators=1, max_iter=1, random_state=0
        ).fit(texts, y)
        save_model(pipeline, tmp_path / "m.safetensors")
        loaded = load_model(tmp_path / "m.safetensors")
        assert loaded[0].formulas == "clean"
        np.testing.assert_array_equal(loaded.predict(texts), pipeline.predict(texts))

    def test_unknown_values_are_refused(self):
        with pytest.raises(ValueError, match="'formulas' parameter"):
            ElementalModeTransformer(formulas="lenient").fit(["NaCl"])


@pytest.mark.parametrize("schema", [1, 2, 3, 4])
def test_models_of_earlier_schemas_are_strict(schema):
    from pathlib import Path

    model = load_model(Path(__file__).parent / "data" / f"model_schema_{schema}.safetensors")
    assert model[0].formulas == "strict"
