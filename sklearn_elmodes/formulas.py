"""Strict parsing of chemical formulas into amounts per element.

Plain formulas such as ``"Na2CO3"`` are read together as one array of bytes. Everything else
(brackets, hydrates, mappings, pymatgen compositions, invalid formulas) is read row by row:
:func:`parse_formula` implements the whole grammar and raises the errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._plain_formulas import read_plain
from sklearn_elmodes._rows import Reading, Reasons
from sklearn_elmodes._validation import shown
from sklearn_elmodes.compositions import Compositions
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"(?P<symbol>[A-Z][a-z]?)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<open>[(\[{])|(?P<close>[)\]}])"
)
_DOTS = "·*⋅•"  # middle dot, asterisk, dot operator, bullet
# Crystal water at the end, "CuSO4.5H2O": an integer of at least 2 after an anion or bracket,
# then the number of waters. "WO3.0H2O" and "Li0.5H2O" have decimals.
_WATER = re.compile(
    r"(?:[OFINS]|Cl|Br|[)\]}])(?:[2-9]|[1-9][0-9]+)(?P<dot>\.)"
    r"(?!0+(?:\.0*)?[HD])(?=[0-9]+(?:\.[0-9]+)?[HD]2O\Z)"
)
# After any other number, such as in "Co2.5H2O", the full stop is ambiguous.
_MAYBE_WATER = re.compile(r"[1-9][0-9]*\.(?!0+[HD])[0-9]+[HD]2O\Z")
_MAX_AMOUNT = 1e100  # sums of amounts stay finite
_CHARGE = re.compile(r"(?:\^[0-9]*[+-]|\^[+-][0-9]+|(?<![0-9+-])[+-]+)\Z")


def parse_formula(
    formula: str, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> dict[str, float]:
    """Read one chemical formula.

    Parameters
    ----------
    formula : str
        Symbols with amounts, nested brackets ``()``, ``[]`` and ``{}``, and
        parts joined by ``·`` or ``*``, each with an optional coefficient:
        ``"CuSO4·5H2O"``. A full stop also joins parts if it cannot be a decimal
        point (``"CaSO4.H2O"``), and before crystal water at the end
        (``"CuSO4.5H2O"``).
    deuterium_as_hydrogen : bool, default=False
        Read ``D`` as hydrogen. If False, ``D`` is an error.
    allow_charge : bool, default=False
        Ignore a charge at the end, written ``^2-``, ``^+2``, ``+`` or ``-``. If
        False, a charge is an error.

    Returns
    -------
    dict of {str: float}
        Atoms of each element per formula unit, in the order of appearance.

    Raises
    ------
    ValueError
        If the formula is invalid. The message contains the formula and the
        position of the error, counted from 0.

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
    """Read one formula from left to right, without recursion."""

    def __init__(self, formula: str, deuterium_as_hydrogen: bool, allow_charge: bool) -> None:
        self.formula = formula
        self.text = formula.strip()
        self.offset = len(formula) - len(formula.lstrip())
        self.deuterium_as_hydrogen = deuterium_as_hydrogen
        self.position = 0
        charge = _CHARGE.search(self.text)
        if charge and not allow_charge:
            raise self.fail("unexpected charge (see allow_charge)", charge.start())
        if charge:
            self.text = self.text[: charge.start()]
        water = _WATER.search(self.text)
        self.water_dot = water.start("dot") if water else -1  # its full stop
        self.first_seen: dict[str, int] = {}
        self.amounts: dict[str, float] = {}  # of the completed parts
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
            raise self.fail(f"unmatched {token.group()!r}", self.position)
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
        """Read the amount after an atom or bracket, or the coefficient ``before`` a part.

        Without a number return 1.
        """
        start = self.position
        number = _TOKEN.match(self.text, start)
        if number is None or number.lastgroup != "number":
            return 1.0
        stop = number.end()
        if not before and start < self.water_dot < stop:
            stop = self.water_dot
        elif not before and _MAYBE_WATER.match(self.text, start):
            raise self.fail("ambiguous '.' (write '·' before water, or use brackets)", start)
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
            raise self.fail(f"unclosed {opened!r}", position)
        if not self.group:
            raise self.fail("expected an element", self.position)
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
        return "ambiguous '.' (write 0.5 for an amount, '·' between parts)"
    if not character.isascii() and (character.isdigit() or character.isnumeric()):
        return f"{character!r} is not a plain digit 0-9"
    if character.isspace():
        return "unexpected white space"
    if character.isascii() and character.islower():
        return f"an element symbol cannot begin with {character!r}"
    return f"unexpected {character!r}"


def parse_composition(
    value: Any, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> dict[str, float]:
    """Read a formula, a ``{symbol: amount}`` mapping or a pymatgen ``Composition``.

    Parameters
    ----------
    value : str, mapping of str to float, or Composition
        The composition.
    deuterium_as_hydrogen, allow_charge : bool, default=False
        As in :func:`parse_formula`.

    Returns
    -------
    dict of {str: float}
        Atoms of each element per formula unit, in the order of appearance.

    Raises
    ------
    ValueError
        If ``value`` is none of these, a formula is invalid, a symbol is unknown, or an
        amount is not a positive number.

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


def parse_formulas(
    X: Any, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> Compositions:
    """Read a column of compositions.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, 1)
        Formula strings, ``{symbol: amount}`` mappings or pymatgen
        ``Composition`` objects, or a mixture of them, as a list, an array, a Series
        or a DataFrame of one column.
    deuterium_as_hydrogen, allow_charge : bool, default=False
        As in :func:`parse_formula`.

    Returns
    -------
    Compositions

    Raises
    ------
    RowError
        If a row cannot be read. It is a ``ValueError`` with the position of the row,
        counted from 0.

    Examples
    --------
    >>> from sklearn_elmodes.formulas import parse_formulas
    >>> compositions = parse_formulas(["NaCl", "Ca(OH)2"])
    >>> compositions.amounts
    array([1., 1., 1., 2., 2.])
    >>> compositions[1]
    {'Ca': 1.0, 'O': 2.0, 'H': 2.0}
    """
    return _read_formulas(
        X, deuterium_as_hydrogen=deuterium_as_hydrogen, allow_charge=allow_charge
    ).complete()


def _read_formulas(X: Any, **options: bool) -> Reading[Compositions]:
    """Read a column of compositions and reject bad rows; options are those of parse_formula."""
    column = _as_column(X)
    n_samples = len(column)
    plain, rows, atomic_numbers, amounts = read_plain(column)
    rejected: Reasons = {}
    if not plain.all():
        other_rows: list[int] = []
        other_numbers: list[int] = []
        other_amounts: list[float] = []
        for row in np.flatnonzero(~plain).tolist():
            try:
                parsed = parse_composition(column[row], **options)
            except ValueError as error:
                rejected[row] = str(error)
                continue
            other_rows += [row] * len(parsed)
            other_numbers += [ATOMIC_NUMBERS[symbol] for symbol in parsed]
            other_amounts += parsed.values()
        rows = np.concatenate([rows, np.array(other_rows, dtype=np.intp)])
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        atomic_numbers = np.concatenate([atomic_numbers, np.array(other_numbers, dtype=np.intp)])
        amounts = np.concatenate([amounts, np.array(other_amounts, dtype=np.float64)])
        atomic_numbers, amounts = atomic_numbers[order], amounts[order]
        if rejected:
            rows = np.searchsorted(np.delete(np.arange(n_samples), list(rejected)), rows)
    starts = np.searchsorted(rows, np.arange(n_samples - len(rejected) + 1))
    return Reading.of(Compositions(starts, atomic_numbers, amounts), n_samples, rejected)


def element_fractions(X: Any, dtype: str = "float32") -> NDArray[Any]:
    """Return the atomic fraction of every element.

    The features are the simplest baseline for :class:`~sklearn_elmodes.ElementalModeTransformer`.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, 1)
        As for :func:`parse_formulas`.
    dtype : {"float32", "float64"}, default="float32"
        Type of the output.

    Returns
    -------
    ndarray of shape (n_samples, 118)
        Column Z - 1 contains the fraction of the element of atomic number Z.

    Raises
    ------
    RowError
        If a row cannot be read.
    ValueError
        If ``dtype`` is not one of the two.

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


def _as_column(X: Any) -> list[Any]:
    """Convert any accepted container of compositions to a list, one item per row."""
    if isinstance(X, (str, bytes, Mapping)) or callable(getattr(X, "get_el_amt_dict", None)):
        raise ValueError(
            f"Expected a sequence of formulas, got the single value {shown(X)}. "
            "Pass a list: [formula]."
        )
    shape = getattr(X, "shape", None)
    if shape is not None:
        if len(shape) == 2 and shape[1] == 1:
            X = X.to_numpy(dtype=object) if hasattr(X, "to_numpy") else np.asarray(X)
            X = X[:, 0]
        elif len(shape) != 1:
            raise ValueError(
                f"Expected one column of formulas, got an array of shape {tuple(shape)}. "
                "Species per site require a prototype."
            )
        return list(X.tolist())
    if not isinstance(X, Iterable) or isinstance(X, Set):
        raise ValueError(f"Expected a sequence of formulas, got {shown(X)}.")
    column = list(X)
    if not any(issubclass(kind, (list, tuple, np.ndarray)) for kind in set(map(type, column))):
        return column
    # Nested lists form a matrix. NumPy would take mappings apart, so unwrap in Python.
    lengths = [
        len(item) if isinstance(item, (list, tuple)) or np.ndim(item) else 0 for item in column
    ]
    if min(lengths) > 1:
        raise ValueError(
            "Expected one column of formulas, got rows of several values. "
            "Species per site require a prototype."
        )
    return [item[0] if length == 1 else item for item, length in zip(column, lengths, strict=True)]
