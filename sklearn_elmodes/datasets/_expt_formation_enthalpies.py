"""Measured formation enthalpies in a data file of pymatgen."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_elmodes.datasets._base import make_bunch
from sklearn_elmodes.formulas import parse_formulas

# In releases from 2026 on, and in older ones.
_PLACES = (
    "analysis/compatibility/exp_compounds.json.gz",
    "entries/exp_compounds.json.gz",
)


def load_expt_formation_enthalpies(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load measured formation enthalpies of 2,135 compounds (regression).

    They are read from a file of pymatgen, a dependency of matminer; nothing is downloaded.

    =============   ====================
    Samples total                  2,135
    Target          eV/atom, -4.5 to 0.3
    =============   ====================

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, return pandas objects instead of arrays.

    Returns
    -------
    Bunch or (data, target)
        ``data`` of shape (2135,): formulas. ``target`` of shape (2135,):
        formation enthalpy in eV/atom. Also ``feature_names``,
        ``target_names``, ``frame`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError
        If pymatgen is not installed, or the file is not where it is expected in it.

    Examples
    --------
    >>> from sklearn_elmodes.datasets import load_expt_formation_enthalpies
    >>> X, y = load_expt_formation_enthalpies(return_X_y=True)
    >>> str(X[0]), float(y[0].round(3))
    ('Ag2CO3', -0.874)
    """
    with gzip.open(_find(), "rt", encoding="utf-8") as file:
        rows = json.load(file)
    formulas = np.array([row["formula"] for row in rows], dtype=object)
    energies = np.array([row["exp energy"] for row in rows], dtype=float)
    compositions = parse_formulas(formulas)
    atoms = np.add.reduceat(compositions.amounts, compositions.starts[:-1])
    return make_bunch(
        "expt_formation_enthalpies",
        formulas,
        energies / atoms,
        ["formula"],
        "formation_enthalpy_ev_per_atom",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _find() -> Path:
    spec = importlib.util.find_spec("pymatgen")
    roots = [] if spec is None else list(spec.submodule_search_locations or ())
    for root in roots:
        for place in _PLACES:
            path = Path(root) / place
            if path.is_file():
                return path
    raise FileNotFoundError(
        "The measured enthalpies come with pymatgen (pip install pymatgen), which was "
        f"{'not found' if spec is None else 'found without exp_compounds.json.gz'}."
    )
