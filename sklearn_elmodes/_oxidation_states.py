"""Charge balance by oxidation states."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._validation import shown
from sklearn_elmodes.elements import atomic_number

_MAX_AMOUNT = 1024  # amounts of candidates are smaller
_MAX_CHARGE = 20_000  # of the table of charges, in units of the smallest fraction; then use sets
_MAX_CELLS = 2**25  # cells of the table per block: 32 MB


def read_oxidation_states(states: Any, elements: Sequence[str]) -> dict[int, list[Fraction]] | None:
    """Return oxidation states by atomic number."""
    if states is None:
        return None
    if isinstance(states, str) and states == "common":
        from pymatgen.core import Element

        states = {symbol: Element(symbol).common_oxidation_states for symbol in elements}
    if not isinstance(states, Mapping):
        raise ValueError(
            f"oxidation_states={shown(states)} must be 'common' or a mapping of symbols to lists, "
            "such as {'O': [-2]}."
        )
    read = {}
    for symbol, values in states.items():
        single = isinstance(values, str) or not isinstance(values, Iterable)
        listed = (values,) if single else values
        try:
            # A mean oxidation state such as 8/3 may be given as a decimal.
            read[atomic_number(symbol)] = [Fraction(v).limit_denominator(12) for v in listed]
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"oxidation_states of {shown(symbol)}: {error}") from None
        if any(abs(value) > 20 for value in read[atomic_number(symbol)]):
            raise ValueError(f"oxidation_states of {shown(symbol)} must be between -20 and 20.")
    return read


def charge_balanced(
    numbers: NDArray[np.intp], amounts: NDArray[np.intp], states: dict[int, list[Fraction]]
) -> NDArray[np.bool_]:
    """Mark the candidates that are neutral for some choice of one oxidation state per element.

    Parameters
    ----------
    numbers, amounts : ndarray of shape (n_samples, n_elements)
        Atomic numbers and amounts; both are 0 in columns without an element.
    states : dict of {int: list of Fraction}
        Oxidation states by atomic number.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    unit = math.lcm(*(state.denominator for listed in states.values() for state in listed))
    whole = {z: [int(state * unit) for state in listed] for z, listed in states.items()}
    whole[0] = [0]  # no element, no charge
    largest = max(abs(state) for listed in whole.values() for state in listed)
    zero = largest * int(amounts.sum(axis=1).max(initial=0))
    species = numbers * _MAX_AMOUNT + amounts
    # Compute the charges that all elements but the last can have once for each distinct
    # beginning of a row; the last element is then a look-up.
    begun, beginning = np.unique(species[:, :-1], axis=0, return_inverse=True)
    beginning = beginning.reshape(-1)
    if zero > _MAX_CHARGE:
        return _balanced_by_sets(begun, beginning, species[:, -1], whole)
    balanced = np.zeros(len(numbers), dtype=bool)
    order = np.argsort(beginning, kind="stable")
    n_together = max(1, _MAX_CELLS // (2 * zero + 1))
    for start in range(0, len(begun), n_together):
        reached = _reached(begun[start : start + n_together], whole, zero)
        first, last = np.searchsorted(beginning, [start, start + n_together], sorter=order)
        rows = order[first:last]
        for kind in np.unique(species[rows, -1]).tolist():
            here = rows[species[rows, -1] == kind]
            z, amount = divmod(kind, _MAX_AMOUNT)
            for state in whole.get(z, ()):
                balanced[here] |= reached[beginning[here] - start, zero - state * amount]
    return balanced


def _reached(begun: NDArray[np.intp], whole: dict[int, list[int]], zero: int) -> NDArray[np.bool_]:
    """Mark the possible charges of each beginning, shape (n_begun, 2 * zero + 1)."""
    reached = np.zeros((len(begun), 2 * zero + 1), dtype=bool)
    reached[:, zero] = True
    for column in begun.T:
        before, reached = reached, np.zeros_like(reached)
        for kind in np.unique(column).tolist():
            rows = np.flatnonzero(column == kind)
            z, amount = divmod(kind, _MAX_AMOUNT)
            for state in whole.get(z, ()):
                reached[rows] |= np.roll(before[rows], state * amount, axis=1)
    return reached


def _balanced_by_sets(
    begun: NDArray[np.intp],
    beginning: NDArray[np.intp],
    last: NDArray[np.intp],
    whole: dict[int, list[int]],
) -> NDArray[np.bool_]:
    """Compute ``charge_balanced`` with sets instead of a table, which would be too large."""

    def charges(kind: int) -> list[int]:
        z, amount = divmod(kind, _MAX_AMOUNT)
        return [state * amount for state in whole.get(z, ())]

    reached = []
    for kinds in begun.tolist():
        sums = {0}
        for kind in kinds:
            sums = {charge + more for charge in sums for more in charges(kind)}
        reached.append(sums)
    return np.array(
        [
            any(-charge in reached[row] for charge in charges(kind))
            for row, kind in zip(beginning.tolist(), last.tolist(), strict=True)
        ],
        dtype=bool,
    )
