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
    """Mark the candidates that are neutral for some choice of one oxidation state per column.

    ``numbers`` and ``amounts`` have the shape (n_candidates, n_columns). The charges that all
    columns but the last can have are found once for each distinct beginning of a row; the last
    column is then a look-up.
    """
    unit = math.lcm(*(state.denominator for listed in states.values() for state in listed))
    whole = {z: [int(state * unit) for state in listed] for z, listed in states.items()}
    whole[0] = [0]  # no element, no charge
    largest = max(abs(state) for listed in whole.values() for state in listed)
    zero = largest * int(amounts.sum(axis=1).max(initial=0))
    species = numbers * 1024 + amounts
    begun, beginning = np.unique(species[:, :-1], axis=0, return_inverse=True)
    reached = np.zeros((len(begun), 2 * zero + 1), dtype=bool)
    reached[:, zero] = True
    for column in begun.T:
        before, reached = reached, np.zeros_like(reached)
        for kind in np.unique(column).tolist():
            rows = np.flatnonzero(column == kind)
            z, amount = divmod(kind, 1024)
            for state in whole.get(z, ()):
                reached[rows] |= np.roll(before[rows], state * amount, axis=1)
    balanced = np.zeros(len(numbers), dtype=bool)
    last = species[:, -1]
    for kind in np.unique(last).tolist():
        rows = np.flatnonzero(last == kind)
        z, amount = divmod(kind, 1024)
        for state in whole.get(z, ()):
            balanced[rows] |= reached[beginning.reshape(-1)[rows], zero - state * amount]
    return balanced
