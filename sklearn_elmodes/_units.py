"""Units of energies that are taken for eV/atom by mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# CODATA 2018: the energy of one mole in kJ and kcal, if that of one entity is 1 eV.
_FACTORS = {"kJ/mol": 96.485332, "kcal/mol": 23.060548, "meV": 1000.0}
_WITHIN = 0.2  # of the factor; energies of other sources differ by some per cent
_LEAST_CORRELATION = 0.8
_LEAST_ROWS = 10


def guess_unit(
    y: NDArray[np.float64], reference: NDArray[np.float64], n_atoms: Any = None
) -> str | None:
    """Compare targets with energies in eV/atom, and name the unit that they seem to have.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Targets.
    reference : ndarray of shape (n_samples,)
        Energies of the same compositions in eV/atom, such as predictions.
    n_atoms : ndarray of shape (n_samples,), default=None
        Atoms in the formula unit of each row.

    Returns
    -------
    str or None
        Such as "kJ/mol", "eV per formula unit" or "eV/atom"; None if no unit explains y.
    """
    y, reference = np.asarray(y, dtype=float), np.asarray(reference, dtype=float)
    if len(y) < _LEAST_ROWS:
        return None
    amounts: dict[str, Any] = {"atom": np.ones(len(y))}
    if n_atoms is not None and np.ptp(n_atoms) > 0:
        amounts["formula unit"] = np.asarray(n_atoms, dtype=float)
    best, error = None, np.inf
    for amount, atoms in amounts.items():
        for unit, factor in {"eV": 1.0, **_FACTORS}.items():
            expected = factor * atoms * reference
            scale = np.abs(expected).mean()
            # The ratio of medians, so that a few odd rows do not decide.
            slope = np.median(np.abs(y)) / max(np.median(np.abs(expected)), 1e-300)
            if not scale or abs(slope - 1) > _WITHIN or not np.ptp(y) or not np.ptp(expected):
                continue
            distance = np.median(np.abs(y - expected)) / scale
            if np.corrcoef(y, expected)[0, 1] > _LEAST_CORRELATION and distance < error:
                named = f"{unit} per formula unit" if amount == "formula unit" else unit
                best, error = {"eV": "eV/atom", "meV": "meV/atom"}.get(named, named), distance
    return best
