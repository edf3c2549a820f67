import numpy as np
import pandas as pd
import pytest

from sklearn_elmodes.elements import (
    ATOMIC_NUMBERS,
    HERR2019_COLUMNS,
    PROPERTY_TABLES,
    SYMBOLS,
    property_table,
)
from sklearn_elmodes.tables import rebuild

NIST = "newer value in NIST's Atomic Spectra Database"
AFFINITY = "newer measurement or estimate, collected in pymatgen"
POLARIZABILITY = "2023 revision of the table of Schwerdtfeger and Nagle"

# Every value that differs by more than 2 % from the table of the paper's authors.
DIFFERENCES = {
    "first_ionization_energy_kj_mol": {"Tc": NIST, "Ta": NIST, "Os": NIST},
    "electron_affinity_ev": {
        "N": "the authors' -0.000725 is -0.07 eV divided by 96.485 by mistake",
        **dict.fromkeys(["Ar", "Sc", "Ti", "Ga", "Kr", "In", "Lu", "Hf", "Os", "Tl"], AFFINITY),
    },
    "polarizability_au": dict.fromkeys(
        (
            "Al Ca Sc Ti V Cr Co Ni Cu Ga Se Sr Y Zr Nb Mo Ru Rh Pd Ag In Sn Te I "
            "Lu Hf Ta W Re Ir Pt Tl Bi"
        ).split(),
        POLARIZABILITY,
    ),
}


def test_symbols():
    assert len(SYMBOLS) == 118
    assert [ATOMIC_NUMBERS[s] for s in ("H", "Ba", "La", "Lu", "Bi", "Og")] == [
        1,
        56,
        57,
        71,
        83,
        118,
    ]


def test_herr2019_has_ten_columns_of_69_elements_without_gaps():
    table = property_table("herr2019")
    assert table.shape == (69, 10)
    assert tuple(table.columns) == HERR2019_COLUMNS
    assert np.isfinite(table.to_numpy()).all()
    assert table["atomic_number"].tolist() == [*range(1, 57), *range(71, 84)]


def test_extended_covers_103_elements():
    table = property_table("extended")
    assert table.shape == (103, 25)
    assert table.index.tolist() == list(SYMBOLS[:103])
    assert not np.isinf(table.to_numpy()).any()
    assert table.notna().any().all()


def test_unknown_table():
    with pytest.raises(
        ValueError, match="No property table 'magpie'; choose one of herr2019, extended"
    ):
        property_table("magpie")


@pytest.mark.parametrize("name", PROPERTY_TABLES)
def test_tables_are_copies(name):
    table = property_table(name)
    table.loc["H", "mass_u"] = -1
    assert property_table(name).loc["H", "mass_u"] == 1.008


def test_known_errors_of_the_sources_are_absent():
    table = property_table("extended")
    # In matminer the Allen electronegativity is shifted by 14 rows from lanthanum on.
    assert table.loc["Lu", "electronegativity_allen"] == pytest.approx(1.09, abs=0.01)
    assert table.loc["Tl", "electronegativity_allen"] == pytest.approx(1.789)
    assert np.isnan(table.loc["Ce", "electronegativity_allen"])
    # matminer has 0.4 cubic ångström for bismuth, which is 2.7 atomic units.
    assert table.loc["Bi", "polarizability_au"] == pytest.approx(48)
    # mendeleev has -19.7 eV for the electron affinity of helium.
    assert table["electron_affinity_ev"].between(-2.5, 3.7).all()


def test_every_difference_from_the_authors_table_is_known(shared_table):
    theirs = shared_table("herr2019_properties.csv").set_index("symbol")
    ours = property_table("herr2019")
    assert theirs.index.equals(ours.index)
    for column in HERR2019_COLUMNS:
        reference = theirs[column].astype(float)
        differs = (ours[column] - reference).abs() > 0.02 * reference.abs()
        assert set(ours.index[differs]) == set(DIFFERENCES.get(column, ())), column


def test_a_rebuild_reproduces_the_bundled_table(tmp_path):
    import warnings

    pytest.importorskip("mendeleev")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of dependencies of the sources
        table = rebuild.build()
    rebuild.write(table, tmp_path / "elements.csv")
    rebuilt = pd.read_csv(
        tmp_path / "elements.csv", index_col="symbol", keep_default_na=False, na_values=[""]
    )
    pd.testing.assert_frame_equal(rebuilt.astype(float), property_table("extended"), rtol=1e-6)
