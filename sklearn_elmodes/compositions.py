"""Amounts of the elements, atomic fractions and reduced formula units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._rows import number_rows
from sklearn_elmodes.elements import SYMBOLS

_MAX_UNIT_ATOMS = 150  # integer amounts of up to this many atoms are exact
_UNIT_ATOMS = np.arange(1, 25)  # sizes of the formula unit to try for other amounts
_CLOSE_TO_WHOLE = (0.2, 0.1, 0.05, 0.02)  # distances from an integer; the last that fits counts
_UNIT_ROWS = 4096  # rows per block


@dataclass(frozen=True, eq=False)
class Compositions:
    """Amounts of the elements in many formulas, stored as compressed sparse rows.

    Attributes
    ----------
    starts : ndarray of shape (n_samples + 1,)
        Formula ``i`` has the entries ``starts[i]`` to ``starts[i + 1] - 1``.
    atomic_numbers : ndarray of shape (n_entries,)
        One entry per element of a formula, in the order of the formula.
    amounts : ndarray of shape (n_entries,)
        Atoms of the element per formula unit, finite and positive.
    """

    starts: NDArray[np.intp]
    atomic_numbers: NDArray[np.intp]
    amounts: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def rows(self) -> NDArray[np.intp]:
        """Index of the formula to which each entry belongs, shape (n_entries,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def fractions(self) -> NDArray[np.float64]:
        """Atomic fraction of each entry, shape (n_entries,)."""
        totals = np.add.reduceat(self.amounts, self.starts[:-1]) if len(self) else self.amounts
        return self.amounts / np.repeat(totals, np.diff(self.starts))

    def part(self, start: int, stop: int) -> Compositions:
        """Return the formulas ``start`` to ``stop - 1``."""
        starts = self.starts[start : stop + 1]
        entries = slice(starts[0], starts[-1])
        return Compositions(starts - starts[0], self.atomic_numbers[entries], self.amounts[entries])

    def take(self, rows: NDArray[np.intp]) -> Compositions:
        """Return some of the formulas, in the order of ``rows``."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.repeat(self.starts[:-1][rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Compositions(starts, self.atomic_numbers[entries], self.amounts[entries])

    def content(self) -> Iterator[NDArray[Any]]:
        """Yield arrays that are equal for equal formulas, to compute a fingerprint."""
        order = np.lexsort([self.atomic_numbers, self.rows])
        yield self.starts.astype("<i8")
        yield self.atomic_numbers[order].astype("<i8")
        yield self.amounts[order].astype("<f8")

    def elements(self) -> NDArray[np.bool_]:
        """Mark the elements of each formula, shape (n_samples, 118); column Z - 1 for Z."""
        contains = np.zeros((len(self), len(SYMBOLS)), dtype=bool)
        contains[self.rows, self.atomic_numbers - 1] = True
        return contains

    def padded(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return atomic numbers, ascending, and fractions with one row per formula.

        Both have the shape (n_samples, n_elements) of the formula of the most elements;
        shorter formulas are padded with zeros at the end.
        """
        lengths = np.diff(self.starts)
        rows = self.rows
        order = np.lexsort([self.atomic_numbers, rows])
        shape = len(self), int(lengths.max(initial=0))
        numbers, fractions = np.zeros(shape, dtype=np.intp), np.zeros(shape)
        place = rows, np.arange(len(rows)) - np.repeat(self.starts[:-1], lengths)
        numbers[place], fractions[place] = self.atomic_numbers[order], self.fractions[order]
        return numbers, fractions

    def groups(self) -> NDArray[np.intp]:
        """Return a number for each formula, the same for equal compositions."""
        numbers, fractions = self.padded()
        return number_rows(np.hstack([numbers, fractions.round(6)]))

    def describe(self, row: int) -> str:
        """Format a formula for a message: ``Na1 Cl1``."""
        return format_composition(self[row])

    def __getitem__(self, row: int) -> dict[str, float]:
        row = range(len(self))[row]
        entries = slice(self.starts[row], self.starts[row + 1])
        symbols = (SYMBOLS[z - 1] for z in self.atomic_numbers[entries])
        return dict(zip(symbols, self.amounts[entries].tolist(), strict=True))


def format_composition(composition: Mapping[str, float]) -> str:
    """Format amounts for a message: ``Na1 Cl1``."""
    return " ".join(f"{symbol}{amount:g}" for symbol, amount in composition.items())


def write_formula(composition: Mapping[str, float]) -> str:
    """Write amounts as a formula that :func:`~sklearn_elmodes.formulas.parse_formula` reads.

    Parameters
    ----------
    composition : mapping of str to float
        Positive amounts by element symbol; at least one.

    Returns
    -------
    str
        Every amount is written, without an exponent, to 12 significant digits.

    Examples
    --------
    >>> from sklearn_elmodes.compositions import write_formula
    >>> write_formula({"Na": 1e-5, "Cl": 2.0})
    'Na0.00001Cl2'
    """
    return "".join(symbol + _write_amount(amount) for symbol, amount in composition.items())


def _write_amount(amount: float) -> str:
    """Write an amount without an exponent, to 12 significant digits."""
    return np.format_float_positional(float(amount), precision=12, fractional=False, trim="-")


def reduce_amounts(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale amounts to a reduced formula unit.

    Multiples of a formula with integer amounts have the same reduced unit, and so have
    multiples with decimal amounts. The two may differ, because integer amounts of up to 150
    atoms are taken as exact and decimal amounts as rounded: Fe19O20 is kept, and Fe0.95O,
    the same composition, is scaled to two atoms.

    Parameters
    ----------
    amounts : ndarray of shape (n_samples, n_elements)
        Finite and non-negative, with at least one positive amount per row.

    Returns
    -------
    ndarray of shape (n_samples, n_elements)
        Integer amounts divided by their greatest common divisor. Rows with other amounts,
        or with more than 150 atoms after the division, are scaled to the smallest number of
        atoms, between the number of elements and 24, for which each amount is within 0.02
        of an integer; failing that, within 0.05, 0.1 or 0.2; failing that, to the number of
        atoms for which the amounts are closest to integers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_elmodes.compositions import reduce_amounts
    >>> reduce_amounts(np.array([[2.0, 0.0, 4.0], [0.95, 0.0, 1.0], [333.0, 0, 667.0]])).round(3)
    array([[1.   , 0.   , 2.   ],
           [0.974, 0.   , 1.026],
           [0.999, 0.   , 2.001]])
    """
    # Every float from 2**53 on is an integer, whatever was written.
    whole = ((amounts == np.rint(amounts)) & (amounts < 2**53)).all(axis=1)
    reduced = np.empty_like(amounts)
    reduced[whole] = lowest_terms(amounts[whole].astype(np.int64))
    whole[whole] = reduced[whole].sum(axis=1) <= _MAX_UNIT_ATOMS
    rest = np.flatnonzero(~whole)
    for start in range(0, len(rest), _UNIT_ROWS):
        rows = rest[start : start + _UNIT_ROWS]
        reduced[rows] = _nearly_whole(amounts[rows])
    return reduced


def lowest_terms(amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Divide each row of integer amounts by its greatest common divisor."""
    return amounts // np.gcd.reduce(amounts, axis=1, keepdims=True)


def _nearly_whole(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to a small number of atoms for which their amounts are nearly integers."""
    fractions = amounts / amounts.max(axis=1, keepdims=True)
    fractions /= fractions.sum(axis=1, keepdims=True)
    scaled = fractions[:, None] * _UNIT_ATOMS[:, None]  # (n_rows, n_units, n_elements)
    distance = np.abs(scaled - np.rint(scaled)).max(axis=2).round(9)
    # A unit has at least one atom per element: Gd0.17Ni0.83 is not a unit of one atom.
    n_elements = np.minimum(np.count_nonzero(fractions, axis=1), len(_UNIT_ATOMS))
    distance[n_elements[:, None] > _UNIT_ATOMS] = np.inf
    unit = distance.argmin(axis=1)
    for limit in _CLOSE_TO_WHOLE:
        close = distance <= limit
        unit = np.where(close.any(axis=1), close.argmax(axis=1), unit)
    best = scaled[np.arange(len(unit)), unit]
    # Remove rounding errors from integers.
    return np.where(np.abs(best - np.rint(best)) < 1e-6, np.rint(best), best)
