"""Vectorised reader of plain formulas, which are read together as one array of bytes.

A formula is plain if it consists of symbols and amounts only and repeats no element:
``Na2CO3``, ``Li0.5CoO2``. :mod:`sklearn_elmodes.formulas` reads all others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes.elements import SYMBOLS

# Kinds of byte. A formula with a byte of the kind _OTHER is not plain.
_OTHER, _UPPER, _LOWER, _DIGIT, _POINT, _END = range(6)
_KIND = np.full(256, _OTHER, dtype=np.uint8)
_KIND[ord("A") : ord("Z") + 1] = _UPPER
_KIND[ord("a") : ord("z") + 1] = _LOWER
_KIND[ord("0") : ord("9") + 1] = _DIGIT
_KIND[ord(".")] = _POINT
_KIND[ord("\n")] = _END

# Whether the kind of a column may follow the kind of a row in a plain formula.
_MAY_FOLLOW = np.zeros((6, 6), dtype=bool)
_MAY_FOLLOW[_UPPER, [_UPPER, _LOWER, _DIGIT, _END]] = True
_MAY_FOLLOW[_LOWER, [_UPPER, _DIGIT, _END]] = True
_MAY_FOLLOW[_DIGIT, [_UPPER, _DIGIT, _POINT, _END]] = True
_MAY_FOLLOW[_POINT, _DIGIT] = True
_MAY_FOLLOW[_END, _UPPER] = True

# Atomic number by first letter and second letter (0 for a symbol of one letter); 0 for a
# combination that is not a symbol.
_ATOMIC_NUMBER = np.zeros((26, 27), dtype=np.intp)
for _z, _symbol in enumerate(SYMBOLS, start=1):
    _ATOMIC_NUMBER[ord(_symbol[0]) - 65, ord(_symbol[1]) - 96 if len(_symbol) > 1 else 0] = _z

_MAX_DIGITS = 15  # an integer of 15 digits is exact in float64, and so is 10**15


def _lines(column: list[str]) -> NDArray[np.uint8]:
    """Return the bytes of all formulas, each followed by a line break."""
    return np.frombuffer(("\n".join(column) + "\n").encode("latin-1"), dtype=np.uint8)


def read_plain(
    column: list[Any],
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Read all plain formulas at once.

    Returns a mask of the rows that were read, shape (n_samples,), and the row, atomic
    number and amount of each of their entries, shape (n_entries,).
    """
    none = np.empty(0, dtype=np.intp)
    n_samples = len(column)
    if not n_samples:
        return np.ones(0, dtype=bool), none, none, np.empty(0)
    try:
        buffer = _lines(column)
    except (TypeError, UnicodeEncodeError):
        # Blank rows that are not ASCII strings; an empty line is never plain.
        column = [item if isinstance(item, str) and item.isascii() else "" for item in column]
        buffer = _lines(column)
    if np.count_nonzero(buffer == ord("\n")) != n_samples:  # a line break inside a formula
        column = [item if "\n" not in item else "" for item in column]
        buffer = _lines(column)
    kind = _KIND[buffer]
    ends = np.flatnonzero(kind == _END)

    previous = np.empty_like(kind)
    previous[0] = _END
    previous[1:] = kind[:-1]
    wrong = np.flatnonzero(~_MAY_FOLLOW[previous, kind])
    plain = np.ones(n_samples, dtype=bool)
    plain[np.searchsorted(ends, wrong)] = False

    symbol_at = np.flatnonzero(kind == _UPPER)
    second = np.where(kind[symbol_at + 1] == _LOWER, buffer[symbol_at + 1] - np.uint8(96), 0)
    atomic_numbers = _ATOMIC_NUMBER[buffer[symbol_at] - np.uint8(65), second]
    rows = np.searchsorted(ends, symbol_at)
    plain[rows[atomic_numbers == 0]] = False

    # An amount is everything between its symbol and the next symbol or the end.
    number_at = symbol_at + 1 + (second > 0)
    stop_at = np.append(symbol_at[1:], len(buffer))
    stop_at = np.minimum(stop_at, ends[rows])
    length = stop_at - number_at
    plain[rows[length > _MAX_DIGITS + 1]] = False
    amounts = np.ones(len(symbol_at))
    numbered = np.flatnonzero((length > 0) & plain[rows])
    mantissa = np.zeros(len(numbered), dtype=np.int64)
    decimals = np.zeros(len(numbered), dtype=np.int64)
    at, left = number_at[numbered], length[numbered]
    points = np.zeros(len(numbered), dtype=np.int64)
    for step in range(int(left.max(initial=0))):
        active = left > step
        here = np.minimum(at + step, len(buffer) - 1)
        digit = active & (kind[here] == _DIGIT)
        mantissa = np.where(digit, 10 * mantissa + (buffer[here].astype(np.int64) - 48), mantissa)
        decimals += digit & (points > 0)
        points += active & (kind[here] == _POINT)
    amounts[numbered] = mantissa / 10.0**decimals
    unreadable = (points > 1) | (mantissa == 0)
    plain[rows[numbered[unreadable]]] = False

    # Leave crystal water, "CuSO4.5H2O", to parse_formula.
    with_point = np.searchsorted(ends, np.flatnonzero(kind == _POINT))
    for row in np.unique(with_point).tolist():
        if plain[row] and column[row].endswith(("H2O", "D2O")):
            plain[row] = False

    # Leave repeated elements to parse_formula, which adds up their amounts.
    keys = np.sort(rows * 128 + atomic_numbers)
    plain[keys[1:][keys[1:] == keys[:-1]] // 128] = False

    keep = plain[rows]
    return plain, rows[keep], atomic_numbers[keep], amounts[keep]
