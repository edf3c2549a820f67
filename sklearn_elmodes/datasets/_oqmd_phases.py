"""Stable phases of the Open Quantum Materials Database."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

from sklearn_elmodes.datasets._base import make_bunch


def load_oqmd_phases(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the stable phases of the Open Quantum Materials Database (regression).

    They are the reference for :class:`~sklearn_elmodes.CompetingPhases`, and included with
    the package.

    =============   ====================
    Samples total                 27,906
    Target          eV/atom, -4.6 to 0.0
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
        ``data`` of shape (27906,): formulas. ``target`` of shape (27906,): formation energy
        in eV/atom. Also ``feature_names``, ``target_names``, ``frame`` and ``DESCR``.

    Examples
    --------
    >>> from sklearn_elmodes import CompetingPhases
    >>> from sklearn_elmodes.datasets import load_oqmd_phases
    >>> hull = CompetingPhases("OQMD").fit(*load_oqmd_phases(return_X_y=True))
    >>> hull.decompose(["NaCl3"])
    [{'NaCl': 0.5, 'Cl': 0.5}]
    """
    import pandas as pd

    with as_file(files("sklearn_elmodes.datasets") / "data" / "oqmd_phases.csv.gz") as path:
        table = pd.read_csv(path, keep_default_na=False)  # NaN is a formula, too
    return make_bunch(
        "oqmd_phases",
        table["formula"].to_numpy(dtype=object),
        table["e_form_ev_per_atom"].to_numpy(),
        ["formula"],
        "formation_energy_ev_per_atom",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
