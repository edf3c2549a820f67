"""Chemical formulas to amounts per element: strict, and vectorised for long columns.

Plain formulas such as ``"Na2CO3"`` or ``"Li0.5CoO2"`` are read together as one
array of bytes. Everything else (brackets, hydrates, mappings, pymatgen
compositions, and all that is wrong) goes through :func:`parse_formula`, which
alone knows the whole grammar and writes the error messages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._validation import shown
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"(?P<symbol>[A-Z][a-z]?)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<open>[(\[{])|(?P<close>[)\]}])"
)
_DOTS = "·*⋅•"  # middle dot, asterisk, dot operator, bullet
# Crystal water at the end, "CuSO4.5H2O": a whole number of at least two anions,
# then a number of waters. "WO3.0H2O" and "Li0.5H2O" are decimals.
_WATER = re.compile(
    r"(?:[OFINS]|Cl|Br|[)\]}])(?:[2-9]|[1-9][0-9]+)(?P<dot>\.)"
    r"(?!0+(?:\.0*)?[HD])(?=[0-9]+(?:\.[0-9]+)?[HD]2O\Z)"
)
# The same after any other number of atoms could be either.
_MAYBE_WATER = re.compile(r"[1-9][0-9]*\.(?!0+[HD])[0-9]+[HD]2O\Z")
_MAX_AMOUNT = 1e100  # sums of amounts stay finite
# Atoms in a formula unit of whole amounts at most, and in one of amounts that are not whole;
# how close these come to whole numbers, the best limit last; rows treated together.
_MAX_UNIT_ATOMS = 150
_UNIT_ATOMS = np.arange(1, 25)
_CLOSE_TO_WHOLE = (0.2, 0.1, 0.05, 0.02)
_UNIT_ROWS = 4096
_CHARGE = re.compile(r"(?:\^[0-9]*[+-]|\^[+-][0-9]+|(?<![0-9+-])[+-]+)\Z")


@dataclass(frozen=True, eq=False)
class Compositions:
    """Amounts of the elements in many formulas, one run of entries per formula.

    Attributes
    ----------
    starts : ndarray of shape (n_samples + 1,)
        Formula ``i`` owns the entries ``starts[i]`` to ``starts[i + 1]``.
    atomic_numbers : ndarray of shape (n_entries,)
        One entry per element of a formula, in the order in which it is written.
    amounts : ndarray of shape (n_entries,)
        Atoms of that element per formula unit, finite and positive.
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
        """Return the formulas from ``start`` up to ``stop``."""
        starts = self.starts[start : stop + 1]
        entries = slice(starts[0], starts[-1])
        return Compositions(starts - starts[0], self.atomic_numbers[entries], self.amounts[entries])

    def __getitem__(self, row: int) -> dict[str, float]:
        row = range(len(self))[row]
        entries = slice(self.starts[row], self.starts[row + 1])
        symbols = (SYMBOLS[z - 1] for z in self.atomic_numbers[entries])
        return dict(zip(symbols, self.amounts[entries].tolist(), strict=True))


def parse_formula(
    formula: str, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> dict[str, float]:
    """Read one chemical formula.

    Parameters
    ----------
    formula : str
        Symbols with amounts, nested brackets ``()``, ``[]`` and ``{}``, and
        parts joined by ``·`` or ``*``, each with a leading coefficient if
        wanted: ``"CuSO4·5H2O"``. A full stop joins parts too where it cannot
        be a decimal point (``"CaSO4.H2O"``), and before crystal water at the
        end (``"CuSO4.5H2O"``).
    deuterium_as_hydrogen : bool, default=False
        Read ``D`` as hydrogen instead of refusing it.
    allow_charge : bool, default=False
        Drop a charge at the end, written ``^2-``, ``^+2``, ``+`` or ``-``,
        instead of refusing it.

    Returns
    -------
    dict of {str: float}
        Atoms of each element per formula unit, in the order of appearance.

    Raises
    ------
    ValueError
        If the text is no formula; the message gives the text and the position
        (counted from 0).

    Examples
    --------
    >>> from sklearn_elmodes.formulas import parse_formula
    >>> parse_formula("Ca(OH)2")
    {'Ca': 1.0, 'O': 2.0, 'H': 2.0}
    >>> parse_formula("NaXx")
    Traceback (most recent call last):
    ...
    ValueError: Cannot read the formula 'NaXx': unknown element 'Xx' at position 2.
    """
    if not isinstance(formula, str):
        raise ValueError(f"Cannot read {shown(formula)} as a formula: expected a string.")
    return _FormulaReader(formula, deuterium_as_hydrogen, allow_charge).read()


class _FormulaReader:
    """Reads one formula from left to right, without recursion."""

    def __init__(self, formula: str, deuterium_as_hydrogen: bool, allow_charge: bool) -> None:
        self.formula = formula
        self.text = formula.strip()
        self.offset = len(formula) - len(formula.lstrip())
        self.deuterium_as_hydrogen = deuterium_as_hydrogen
        self.position = 0
        charge = _CHARGE.search(self.text)
        if charge and not allow_charge:
            raise self.fail("a charge is not part of a composition", charge.start())
        if charge:
            self.text = self.text[: charge.start()]
        water = _WATER.search(self.text)
        self.water_dot = water.start("dot") if water else -1  # where crystal water is joined
        self.first_seen: dict[str, int] = {}
        self.amounts: dict[str, float] = {}  # of the parts that are complete
        self.group: dict[str, float] = {}  # of the innermost open bracket
        self.outer: list[tuple[dict[str, float], str, int]] = []  # the brackets around it
        self.coefficient: float | None = None  # of this part

    def fail(self, reason: str, position: int) -> ValueError:
        return ValueError(
            f"Cannot read the formula {shown(self.formula)}: {reason} "
            f"at position {position + self.offset}."
        )

    def read(self) -> dict[str, float]:
        if not self.text:
            raise ValueError(f"Cannot read the formula {shown(self.formula)}: it is empty.")
        while self.position < len(self.text):
            token = _TOKEN.match(self.text, self.position)
            if token and token.lastgroup == "symbol":
                self.read_atom(token)
            elif token and token.lastgroup == "open":
                self.outer.append((self.group, token.group(), self.position))
                self.group, self.position = {}, token.end()
            elif token and token.lastgroup == "close":
                self.close_bracket(token)
            elif token and not self.group and not self.outer and self.coefficient is None:
                self.read_coefficient()
            elif self.joins_parts():
                self.finish_part()
                self.position += 1
            else:
                raise self.fail(_complaint(self.text, self.position), self.position)
        self.finish_part()
        for symbol, amount in self.amounts.items():
            if not 0.0 < amount < _MAX_AMOUNT:
                reason = f"amount of {symbol} out of range ({amount})"
                raise self.fail(reason, self.first_seen[symbol])
        return self.amounts

    def read_atom(self, token: re.Match[str]) -> None:
        symbol = token.group()
        if symbol == "D" and self.deuterium_as_hydrogen:
            symbol = "H"
        if symbol not in ATOMIC_NUMBERS:
            hint = " (deuterium; see deuterium_as_hydrogen)" if symbol == "D" else ""
            raise self.fail(f"unknown element {symbol!r}{hint}", self.position)
        self.first_seen.setdefault(symbol, self.position)
        self.position = token.end()
        self.group[symbol] = self.group.get(symbol, 0.0) + self.read_amount()

    def close_bracket(self, token: re.Match[str]) -> None:
        if not self.outer:
            raise self.fail(f"bracket {token.group()!r} was never opened", self.position)
        inner, (self.group, opened, _) = self.group, self.outer.pop()
        if token.group() != _CLOSING[opened]:
            raise self.fail(f"{token.group()!r} closes {opened!r}", self.position)
        if not inner:
            raise self.fail("empty brackets", self.position)
        self.position = token.end()
        times = self.read_amount()
        for symbol, amount in inner.items():
            self.group[symbol] = self.group.get(symbol, 0.0) + times * amount

    def read_coefficient(self) -> None:
        if not self.amounts and not any(dot in self.text for dot in _DOTS + "."):
            raise self.fail("a formula cannot begin with a number", self.position)
        self.coefficient = self.read_amount(before=True)

    def read_amount(self, *, before: bool = False) -> float:
        """Read the number here, after an atom or bracket or before a part; 1 if there is none."""
        start = self.position
        number = _TOKEN.match(self.text, start)
        if number is None or number.lastgroup != "number":
            return 1.0
        stop = number.end()
        if not before and start < self.water_dot < stop:
            stop = self.water_dot
        elif not before and _MAYBE_WATER.match(self.text, start):
            raise self.fail("unclear '.' (write '·' before crystal water, or brackets)", start)
        value = float(self.text[start:stop])
        if not 0.0 < value < _MAX_AMOUNT:
            reason = "zero amount" if value == 0.0 else "amount too large"
            raise self.fail(f"{reason} {shown(self.text[start:stop])}", start)
        self.position = stop
        return value

    def joins_parts(self) -> bool:
        if self.text[self.position] == ".":
            return self.position == self.water_dot or _opens_part(self.text, self.position + 1)
        return self.text[self.position] in _DOTS

    def finish_part(self) -> None:
        if self.outer:
            _, opened, position = self.outer[-1]
            raise self.fail(f"bracket {opened!r} is never closed, opened", position)
        if not self.group:
            raise self.fail("an element is missing", self.position)
        times = 1.0 if self.coefficient is None else self.coefficient
        for symbol, amount in self.group.items():
            self.amounts[symbol] = self.amounts.get(symbol, 0.0) + times * amount
        self.group, self.coefficient = {}, None


def _opens_part(text: str, position: int) -> bool:
    return text[position : position + 1].isalpha() or text[position : position + 1] in _CLOSING


def _complaint(text: str, position: int) -> str:
    character = text[position]
    if character == "-":
        return "negative amount (write a charge as ^2-, and see allow_charge)"
    if character == "+":
        return "unexpected '+' (write a charge as ^2+, and see allow_charge)"
    if character == "." and text[position + 1 : position + 2].isdigit():
        return "unclear '.' (write 0.5 for an amount, '·' between parts)"
    if not character.isascii() and (character.isdigit() or character.isnumeric()):
        return f"{character!r} is not a plain digit 0-9"
    if character.isspace():
        return "white space"
    if character.isascii() and character.islower():
        return f"{character!r} begins no element symbol"
    return f"unexpected {character!r}"


def parse_composition(
    value: Any, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> dict[str, float]:
    """Read a formula, a ``{symbol: amount}`` mapping or a pymatgen ``Composition``.

    Parameters and errors are those of :func:`parse_formula`.

    Examples
    --------
    >>> from sklearn_elmodes.formulas import parse_composition
    >>> parse_composition({"Na": 2, "O": 1})
    {'Na': 2.0, 'O': 1.0}
    """
    if isinstance(value, str):
        return parse_formula(
            value, deuterium_as_hydrogen=deuterium_as_hydrogen, allow_charge=allow_charge
        )
    if callable(getattr(value, "get_el_amt_dict", None)):  # pymatgen, without importing it
        value = value.get_el_amt_dict()
    if not isinstance(value, Mapping):
        raise ValueError(
            f"Cannot read {shown(value)} as a composition: expected a formula string, "
            "a {symbol: amount} mapping or a pymatgen Composition."
        )
    if not value:
        raise ValueError("Cannot read the composition {}: it is empty.")
    amounts: dict[str, float] = {}
    for key, raw in value.items():
        symbol = str(getattr(key, "symbol", key))
        if symbol == "D" and deuterium_as_hydrogen:
            symbol = "H"
        if symbol not in ATOMIC_NUMBERS:
            raise ValueError(
                f"Cannot read the composition {shown(value)}: unknown element {shown(symbol)}."
            )
        try:
            refused = isinstance(raw, (bool, np.bool_, str, bytes))
            amount = math.nan if refused else float(raw)
        except (TypeError, ValueError, OverflowError):
            amount = math.nan
        if not 0.0 < amount < _MAX_AMOUNT:
            raise ValueError(
                f"Cannot read the composition {shown(value)}: the amount of {symbol} must be "
                f"a positive number, got {shown(raw)}."
            )
        amounts[symbol] = amounts.get(symbol, 0.0) + amount
    return amounts


class RowError(ValueError):
    """A row is at fault.

    Attributes
    ----------
    row : int
        Which one, counted from 0.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(row, reason)
        self.row = row

    def __str__(self) -> str:
        return f"Row {self.row}: {self.args[1]}"


class RowErrors:
    """Reasons against rows, collected over steps of which each drops the rows it refuses.

    Attributes
    ----------
    rows : ndarray
        Rows of X that no step has refused so far, in order.
    reasons : dict of {int: str}
        Why the others were refused, by row of X.
    """

    def __init__(self, n_rows: int) -> None:
        self.rows = np.arange(n_rows)
        self.reasons: dict[int, str] = {}


def refuse(found: Mapping[int, str], errors: RowErrors | None) -> None:
    """Raise for the first of the rows at fault, or drop them all where errors are collected.

    Rows are counted among those that are left.
    """
    if not found:
        return
    if errors is None:
        row = min(found)
        raise RowError(row, found[row])
    errors.reasons |= {int(errors.rows[row]): reason for row, reason in found.items()}
    errors.rows = np.delete(errors.rows, list(found))


def readable_rows(
    rows: Iterable[int],
    read: Callable[[int], Any],
    found: dict[int, str],
    errors: RowErrors | None,
) -> Iterator[tuple[int, Any]]:
    """Yield each row with what ``read`` makes of it; reasons against the others go to ``found``.

    Where errors are not collected, the first one ends it.
    """
    for row in rows:
        try:
            result = read(row)
        except ValueError as error:
            found[row] = str(error)
            if errors is None:
                return
        else:
            yield row, result


def parse_formulas(
    X: Any,
    *,
    deuterium_as_hydrogen: bool = False,
    allow_charge: bool = False,
    errors: RowErrors | None = None,
) -> Compositions:
    """Read a column of compositions.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, 1)
        Formula strings, ``{symbol: amount}`` mappings or pymatgen
        ``Composition`` objects, mixed as you like: a list, an array, a Series
        or a frame of one column.
    deuterium_as_hydrogen, allow_charge : bool, default=False
        As in :func:`parse_formula`.
    errors : RowErrors, default=None
        Takes the rows that cannot be read, in place of an exception; the result
        lacks them.

    Returns
    -------
    Compositions

    Raises
    ------
    ValueError
        If a row cannot be read; the message gives the row, counted from 0.

    Examples
    --------
    >>> from sklearn_elmodes.formulas import parse_formulas
    >>> compositions = parse_formulas(["NaCl", "Ca(OH)2"])
    >>> compositions.amounts
    array([1., 1., 1., 2., 2.])
    >>> compositions[1]
    {'Ca': 1.0, 'O': 2.0, 'H': 2.0}
    """
    column = as_column(X)
    n_samples = len(column)
    plain, rows, atomic_numbers, amounts = _parse_plain(column)
    if not plain.all():
        slow_rows: list[int] = []
        slow_numbers: list[int] = []
        slow_amounts: list[float] = []
        found: dict[int, str] = {}

        def read(row: int) -> dict[str, float]:
            return parse_composition(
                column[row],
                deuterium_as_hydrogen=deuterium_as_hydrogen,
                allow_charge=allow_charge,
            )

        for row, parsed in readable_rows(np.flatnonzero(~plain).tolist(), read, found, errors):
            slow_rows += [row] * len(parsed)
            slow_numbers += [ATOMIC_NUMBERS[symbol] for symbol in parsed]
            slow_amounts += parsed.values()
        refuse(found, errors)
        rows = np.concatenate([rows, np.array(slow_rows, dtype=np.intp)])
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        atomic_numbers = np.concatenate([atomic_numbers, np.array(slow_numbers, dtype=np.intp)])[
            order
        ]
        amounts = np.concatenate([amounts, np.array(slow_amounts)])[order]
        if found:
            kept = np.delete(np.arange(n_samples), list(found))
            rows, n_samples = np.searchsorted(kept, rows), len(kept)
    starts = np.searchsorted(rows, np.arange(n_samples + 1))
    return Compositions(starts, atomic_numbers, amounts)


def format_composition(composition: Mapping[str, float]) -> str:
    """Write amounts for a message: ``Na1 Cl1``."""
    return " ".join(f"{symbol}{amount:g}" for symbol, amount in composition.items())


def reduce_amounts(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale amounts to a reduced formula unit, whatever multiple of it is written.

    Whole amounts of up to 150 atoms are taken at their word: Fe19O20 is no rounded
    FeO, as Fe0.95O may be.

    Parameters
    ----------
    amounts : ndarray of shape (n_samples, n_elements)
        Finite and not negative, with at least one positive amount in each row.

    Returns
    -------
    ndarray of shape (n_samples, n_elements)
        Whole amounts divided by their greatest common divisor. Rows that are not whole,
        or still have more than 150 atoms, are scaled to the smallest whole number of
        atoms, from the number of elements up to 24, for which each amount lies within
        0.02 of a whole number; if there is none, within 0.05, 0.1 or 0.2; if there is
        none, to that for which they lie closest.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_elmodes.formulas import reduce_amounts
    >>> reduce_amounts(np.array([[2.0, 0.0, 4.0], [0.95, 0.0, 1.0], [333.0, 0, 667.0]])).round(3)
    array([[1.   , 0.   , 2.   ],
           [0.974, 0.   , 1.026],
           [0.999, 0.   , 2.001]])
    """
    # Beyond 2**53 neighbouring numbers are further apart than 1.
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
    """Divide rows of whole amounts by their greatest common divisors."""
    return amounts // np.gcd.reduce(amounts, axis=1, keepdims=True)


def _nearly_whole(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to a small number of atoms for which their amounts are nearly whole."""
    fractions = amounts / amounts.max(axis=1, keepdims=True)
    fractions /= fractions.sum(axis=1, keepdims=True)
    scaled = fractions[:, None] * _UNIT_ATOMS[:, None]  # (n_rows, n_units, n_elements)
    distance = np.abs(scaled - np.rint(scaled)).max(axis=2).round(9)
    # One atom of Gd0.17Ni0.83 is no formula unit, however near to one atom of nickel.
    n_elements = np.minimum(np.count_nonzero(fractions, axis=1), len(_UNIT_ATOMS))
    distance[n_elements[:, None] > _UNIT_ATOMS] = np.inf
    unit = distance.argmin(axis=1)
    for limit in _CLOSE_TO_WHOLE:
        close = distance <= limit
        unit = np.where(close.any(axis=1), close.argmax(axis=1), unit)
    best = scaled[np.arange(len(unit)), unit]
    # What is whole but for rounding is whole.
    return np.where(np.abs(best - np.rint(best)) < 1e-6, np.rint(best), best)


def element_fractions(X: Any, dtype: str = "float32") -> NDArray[Any]:
    """Return the atomic fraction of every element, the simplest features there are.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, 1)
        As for :func:`parse_formulas`.
    dtype : {"float32", "float64"}, default="float32"
        Type of the output, as of :class:`~sklearn_elmodes.ElementalModeTransformer`.

    Returns
    -------
    ndarray of shape (n_samples, 118)
        Column Z - 1 holds the fraction of the element of atomic number Z.

    Examples
    --------
    >>> from sklearn_elmodes.formulas import element_fractions
    >>> element_fractions(["H2O"])[0, [0, 7]].round(2)
    array([0.67, 0.33], dtype=float32)
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float64'.")
    compositions = parse_formulas(X)
    fractions = np.zeros((len(compositions), len(SYMBOLS)), dtype=dtype)
    fractions[compositions.rows, compositions.atomic_numbers - 1] = compositions.fractions
    return fractions


def as_column(X: Any) -> list[Any]:
    """Turn any accepted container of compositions into a list, one item per row."""
    if isinstance(X, (str, bytes, Mapping)) or callable(getattr(X, "get_el_amt_dict", None)):
        raise ValueError(
            f"Expected a sequence of formulas, got the single value {shown(X)}. "
            "Put it into a list: [formula]."
        )
    shape = getattr(X, "shape", None)
    if shape is not None:
        if len(shape) == 2 and shape[1] == 1:
            X = X.to_numpy(dtype=object) if hasattr(X, "to_numpy") else np.asarray(X)
            X = X[:, 0]
        elif len(shape) != 1:
            raise ValueError(
                f"Expected one column of formulas, got an array of shape {tuple(shape)}. "
                "Species per site need a prototype."
            )
        return list(X.tolist())
    if not isinstance(X, Iterable) or isinstance(X, Set):
        raise ValueError(f"Expected a sequence of formulas, got {shown(X)}.")
    column = list(X)
    if not any(issubclass(kind, (list, tuple, np.ndarray)) for kind in set(map(type, column))):
        return column
    # A nested list is a matrix; NumPy would split mappings, so unwrap by hand.
    lengths = [
        len(item) if isinstance(item, (list, tuple)) or np.ndim(item) else 0 for item in column
    ]
    if min(lengths) > 1:
        raise ValueError(
            "Expected one column of formulas, got rows of several values. "
            "Species per site need a prototype."
        )
    return [item[0] if length == 1 else item for item, length in zip(column, lengths, strict=True)]


# Kinds of byte; every byte that is none of these sends its formula to parse_formula.
_OTHER, _UPPER, _LOWER, _DIGIT, _POINT, _END = range(6)
_KIND = np.full(256, _OTHER, dtype=np.uint8)
_KIND[ord("A") : ord("Z") + 1] = _UPPER
_KIND[ord("a") : ord("z") + 1] = _LOWER
_KIND[ord("0") : ord("9") + 1] = _DIGIT
_KIND[ord(".")] = _POINT
_KIND[ord("\n")] = _END

# Which kind of byte may follow which in a plain formula; rows are the first.
_MAY_FOLLOW = np.zeros((6, 6), dtype=bool)
_MAY_FOLLOW[_UPPER, [_UPPER, _LOWER, _DIGIT, _END]] = True
_MAY_FOLLOW[_LOWER, [_UPPER, _DIGIT, _END]] = True
_MAY_FOLLOW[_DIGIT, [_UPPER, _DIGIT, _POINT, _END]] = True
_MAY_FOLLOW[_POINT, _DIGIT] = True
_MAY_FOLLOW[_END, _UPPER] = True

# Atomic number by first letter and second letter (0: none); 0 where there is none.
_ATOMIC_NUMBER = np.zeros((26, 27), dtype=np.intp)
for _z, _symbol in enumerate(SYMBOLS, start=1):
    _ATOMIC_NUMBER[ord(_symbol[0]) - 65, ord(_symbol[1]) - 96 if len(_symbol) > 1 else 0] = _z

_MAX_DIGITS = 15  # an integer of 15 digits is exact in float64, and so is 10**15


def _lines(column: list[str]) -> NDArray[np.uint8]:
    """Return the bytes of all formulas, each ended by a line break."""
    return np.frombuffer(("\n".join(column) + "\n").encode("latin-1"), dtype=np.uint8)


def _parse_plain(
    column: list[Any],
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Read all plain formulas at once.

    Returns which rows were read, shape (n_samples,), and row, atomic number
    and amount of each of their entries, shape (n_entries,).
    """
    none = np.empty(0, dtype=np.intp)
    n_samples = len(column)
    if not n_samples:
        return np.ones(0, dtype=bool), none, none, np.empty(0)
    try:
        buffer = _lines(column)
    except (TypeError, UnicodeEncodeError):
        # Blank what is no byte string; an empty line is never plain.
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

    # The characters of a number follow its symbol directly.
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

    # "CuSO4.5H2O": only parse_formula knows crystal water.
    with_point = np.searchsorted(ends, np.flatnonzero(kind == _POINT))
    for row in np.unique(with_point).tolist():
        if plain[row] and column[row].endswith(("H2O", "D2O")):
            plain[row] = False

    # Repeated elements are merged by parse_formula.
    keys = np.sort(rows * 128 + atomic_numbers)
    plain[keys[1:][keys[1:] == keys[:-1]] // 128] = False

    keep = plain[rows]
    return plain, rows[keep], atomic_numbers[keep], amounts[keep]
