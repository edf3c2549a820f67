"""Rebuild ``oqmd_phases.csv.gz``, the included phases of the OQMD.

Run with ``python -m sklearn_elmodes.datasets.rebuild FOLDER``. The folder contains the published
split of the OQMD, ``train.csv.gz``, ``val.csv.gz`` and ``test.csv.gz`` with the columns
"formula" and "e_form_ev_per_atom". Written are the phases on the convex hull of all parts, and
those that would be on it if one of them were missing. With them, energies of the hull are the
same as with all rows, also without the phases of one composition.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_elmodes.datasets import load_oqmd_phases
from sklearn_elmodes.elements import property_table
from sklearn_elmodes.formulas import parse_formula
from sklearn_elmodes.stability import CompetingPhases

PATH = Path(__file__).parent / "data" / "oqmd_phases.csv.gz"


def rewritten(formula: str) -> str:
    """Write a formula with integer amounts as chemists do: NaCl for Cl1Na1."""
    electronegativity = property_table("extended")["electronegativity_pauling"].fillna(9)
    amounts = sorted(parse_formula(formula).items(), key=lambda pair: electronegativity[pair[0]])
    return "".join(f"{symbol}{amount:g}" if amount > 1 else symbol for symbol, amount in amounts)


def main(folder: Path) -> None:
    """Find the phases, write them, and compare the hulls."""
    parts = [
        pd.read_csv(folder / f"{part}.csv.gz", keep_default_na=False)  # NaN is a formula, too
        for part in ("train", "val", "test")
    ]
    table = pd.concat(parts)
    table = table[table["e_form_ev_per_atom"].abs() <= 5]  # others are errors of the database
    formulas = table["formula"].to_numpy(dtype=object)
    energies = table["e_form_ev_per_atom"].to_numpy()
    hull = CompetingPhases().fit(formulas, energies)
    stable = hull.formulas_[hull.stable_]
    needed = {*stable}.union(*hull.decompose(stable, exclude_self=True))
    rows = [
        f"{rewritten(formula)},{energy:.6f}\n"
        for formula, energy in zip(hull.formulas_, hull.energies_, strict=True)
        if formula in needed
    ]
    text = "formula,e_form_ev_per_atom\n" + "".join(rows)
    PATH.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    written = CompetingPhases().fit(*load_oqmd_phases(return_X_y=True))
    differences = written.decomposition_energy(formulas, energies)
    differences -= hull.decomposition_energy(formulas, energies)
    print(
        f"{hull.stable_.sum():,} of {len(hull.stable_):,} compositions are stable; {len(rows):,} "
        f"written, {PATH.stat().st_size:,} bytes; largest difference "
        f"{np.abs(differences).max():.1e} eV/atom"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
