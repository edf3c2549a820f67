"""Units of energies, told from a general model."""

import numpy as np
import pytest

from sklearn_elmodes import load_pretrained
from sklearn_elmodes._units import guess_unit
from sklearn_elmodes.formulas import parse_formulas

KJ_PER_MOL, KCAL_PER_MOL = 96.485, 23.061


@pytest.fixture(scope="module")
def measured(enthalpies):
    """Measured enthalpies, predictions, and atoms in the formula unit."""
    X, y = enthalpies
    compositions = parse_formulas(X)
    n_atoms = np.add.reduceat(compositions.amounts, compositions.starts[:-1])
    return y, load_pretrained("oqmd").predict(X), n_atoms


@pytest.mark.parametrize("n_rows", [20, 200, 2135])
@pytest.mark.parametrize(
    ("factor", "per_formula_unit", "unit"),
    [
        (1, False, "eV/atom"),
        (1000, False, "meV/atom"),
        (KJ_PER_MOL, False, "kJ/mol"),
        (KCAL_PER_MOL, False, "kcal/mol"),
        (1, True, "eV per formula unit"),
        (KJ_PER_MOL, True, "kJ/mol per formula unit"),
        (KCAL_PER_MOL, True, "kcal/mol per formula unit"),
    ],
)
def test_measured_enthalpies_in_all_units(measured, n_rows, factor, per_formula_unit, unit):
    y, predicted, n_atoms = (values[:: 2135 // n_rows] for values in measured)
    targets = factor * y * (n_atoms if per_formula_unit else 1)
    assert guess_unit(targets, predicted, n_atoms) == unit


def test_other_quantities_have_no_unit(measured):
    y, predicted, n_atoms = measured
    rng = np.random.RandomState(0)
    for scale in (0.1, 1, 10, 100, 1000):
        assert guess_unit(scale * rng.randn(len(y)), predicted, n_atoms) is None
        assert guess_unit(scale * rng.gamma(2, size=len(y)), predicted, n_atoms) is None
        assert guess_unit(-scale * y, predicted, n_atoms) is None
    assert guess_unit(3 * y, predicted, n_atoms) is None
    assert guess_unit(np.full(len(y), -1.0), predicted, n_atoms) is None
    assert guess_unit(y[:5], predicted[:5], n_atoms[:5]) is None  # too few to tell


@pytest.mark.parametrize("path", ["ssub_formation_enthalpy/ssub_expt.csv.gz"])
def test_no_false_alarm(shared_table, path):
    table = shared_table(path)
    y = table["e_form_ev_per_atom"].to_numpy()
    predicted = load_pretrained("oqmd").predict(table["formula"].to_numpy())
    assert guess_unit(y, predicted) == "eV/atom"
