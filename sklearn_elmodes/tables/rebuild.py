"""Rebuild ``elements.csv`` from its published sources.

Run with ``python -m sklearn_elmodes.tables.rebuild [PATH]``. It needs pymatgen
and mendeleev (installed by the ``tests`` extra); reading the bundled table
needs neither. README.md in this folder lists the source of every column.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

MAX_ATOMIC_NUMBER = 103
KJ_PER_MOL_PER_EV = 96.48533212  # CODATA 2018
PAULING_UNITS_PER_EV = 2.300 / 13.61  # Mann et al. 2000: hydrogen, 13.61 eV, is 2.300

# Missing in mendeleev; from Mann, Meek and Allen (2000).
THALLIUM_ALLEN = 1.789
MONATOMIC_GASES = ["He", "Ne", "Ar", "Kr", "Xe", "Rn"]


def valence_electrons(configuration: str) -> dict[str, int]:
    """Count s, p, d and f electrons outside the noble-gas core.

    >>> valence_electrons("[Xe] 4f14 5d9 6s")
    {'s': 1, 'p': 0, 'd': 9, 'f': 14}
    """
    counts = dict.fromkeys("spdf", 0)
    for subshell, occupation in re.findall(r"\d([spdf])(\d*)", configuration.split("]")[-1]):
        counts[subshell] += int(occupation or 1)
    return counts


def build() -> pd.DataFrame:
    """Collect all columns for Z = 1 to 103, indexed by element symbol."""
    from mendeleev.fetch import fetch_table
    from pymatgen.core import Element

    source = fetch_table("elements").set_index("symbol").iloc[:MAX_ATOMIC_NUMBER]
    symbols = source.index
    elements = [Element(symbol) for symbol in symbols]

    valence = pd.DataFrame(
        [valence_electrons(text) for text in source["electronic_configuration"]], index=symbols
    )
    allen = source["en_allen"] * PAULING_UNITS_PER_EV
    allen["Tl"] = THALLIUM_ALLEN
    # Zero by definition, since the reference state is the monatomic gas.
    atomization = source["heat_of_formation"].copy()
    atomization[MONATOMIC_GASES] = 0.0
    ionization = fetch_table("ionizationenergies").pivot(
        index="atomic_number", columns="ion_charge", values="ionization_energy"
    )
    ionization = ionization.loc[source["atomic_number"]].set_axis(symbols)

    # Group 3 is Sc, Y, Lu, Lr; La and Ac belong to the f block (IUPAC, provisional
    # report on group 3, 2021).
    group = source["group_id"].copy()
    group[["La", "Ac"]] = np.nan
    group[["Lu", "Lr"]] = 3.0

    def from_pymatgen(key: str, scale: float = 1.0) -> pd.Series:
        values = [scale * float(element.data.get(key, np.nan)) for element in elements]
        return pd.Series(values, index=symbols)

    table = pd.DataFrame(
        {
            "atomic_number": source["atomic_number"],
            "mass_u": source["atomic_weight"],
            "valence_s": valence["s"],
            "valence_p": valence["p"],
            "valence_d": valence["d"],
            "electronegativity_allen": allen,
            "atomic_radius_calculated_pm": from_pymatgen("Atomic radius calculated", 100.0),
            "first_ionization_energy_kj_mol": ionization[0] * KJ_PER_MOL_PER_EV,
            "electron_affinity_ev": from_pymatgen("Electron affinity"),
            "polarizability_au": source["dipole_polarizability"],
            "period": source["period"],
            "group": group,
            "valence_f": valence["f"],
            "electronegativity_pauling": source["en_pauling"],
            "covalent_radius_pyykko_pm": source["covalent_radius_pyykko"],
            "atomic_radius_rahm_pm": source["atomic_radius_rahm"],
            "second_ionization_energy_kj_mol": ionization[1] * KJ_PER_MOL_PER_EV,
            "atomization_enthalpy_kj_mol": atomization,
            "melting_point_k": from_pymatgen("Melting point"),
            "boiling_point_k": from_pymatgen("Boiling point"),
            "molar_volume_cm3_mol": from_pymatgen("Molar volume"),
            "mendeleev_number": source["mendeleev_number"],
            "miedema_potential_v": source["en_miedema"],
            "miedema_electron_density": source["miedema_electron_density"],
            "miedema_molar_volume_cm3_mol": source["miedema_molar_volume"],
        }
    )
    table.index.name = "symbol"
    return table


def write(table: pd.DataFrame, path: Path) -> None:
    """Write the table with seven significant digits, so that rebuilds are identical."""
    table.to_csv(path, float_format="%.7g", lineterminator="\n")


if __name__ == "__main__":
    write(
        build(),
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("elements.csv"),
    )
