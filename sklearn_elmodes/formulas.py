"""Reading and cleaning of chemical formulas: amounts per element.

Plain formulas such as ``"Na2CO3"`` are read together as one array of bytes. Everything else
(brackets, hydrates, mappings, pymatgen compositions, invalid formulas) is read row by row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._cleaning import tidy
from sklearn_elmodes._formula_grammar import (
    ISOTOPES,
    MAX_AMOUNT,
    OF_ESTIMATORS,
    Rules,
    read_formula,
    unknown,
)
from sklearn_elmodes._misreadings import explain
from sklearn_elmodes._plain_formulas import read_plain
from sklearn_elmodes._rows import Reading, Reasons
from sklearn_elmodes._validation import shown
from sklearn_elmodes.compositions import Compositions
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS


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
    _check_is_text(formula)
    return _read_text(formula, Rules(deuterium_as_hydrogen, allow_charge))


@dataclass(frozen=True)
class CleanedFormula:
    """A formula, as cleaned, and the changes.

    Attributes
    ----------
    formula : str
        A formula that :func:`parse_formula` reads.
    changes : tuple of str
        What was changed, such as ``"subscript digits"``; empty if nothing was.
    """

    formula: str
    changes: tuple[str, ...]


def clean_formula(formula: str) -> CleanedFormula:
    r"""Rewrite a formula as people type, paste and print it into a plain formula.

    These notations are rewritten:

    - subscript and full-width digits, ``Al₂O₃``; HTML, ``Al<sub>2</sub>O<sub>3</sub>``;
      LaTeX, ``$\mathrm{Al_2O_3}$``;
    - invisible characters, special blanks, hyphens and dots, and blanks between elements,
      ``Al2 O3``;
    - labels of phases before or after the formula: ``NaCl(s)``, ``NaCl (rock salt)``,
      ``α-Al2O3``, ``TiO2-rutile``;
    - fractions, ``CaSO4·½H2O``, and scientific notation, ``Na9e-05Cl``;
    - mixtures of compounds whose mole fractions sum to one, ``0.9PbTiO3-0.1BiFeO3``;
    - deuterium and tritium, which become hydrogen.

    A formula that :func:`parse_formula` reads is not changed. Anything else is an error, such
    as ``CuSO₄5H₂O``, where a dot is missing, or ``Fe1-xO``.

    Parameters
    ----------
    formula : str
        At most 200 characters, unless :func:`parse_formula` reads it.

    Returns
    -------
    CleanedFormula
        The formula, and what was changed.

    Raises
    ------
    ValueError
        If the formula cannot be read, even after cleaning.

    Examples
    --------
    >>> from sklearn_elmodes.formulas import clean_formula
    >>> clean_formula("Al₂O₃ (corundum)")
    CleanedFormula(formula='Al2O3', changes=('subscript digits', 'phase label'))
    >>> clean_formula("0.9PbTiO3-0.1BiFeO3").formula
    '(PbTiO3)0.9(BiFeO3)0.1'
    """
    rules = Rules(has_options=False)
    _check_is_text(formula)
    try:
        read_formula(formula, rules)
    except ValueError as error:
        cleaned = _cleaned(formula, rules)
        if cleaned is None:
            raise _explained(formula, error) from None
        return cleaned
    return CleanedFormula(formula.strip(), ())


def _check_is_text(formula: Any) -> None:
    if not isinstance(formula, str):
        raise ValueError(f"Cannot read {shown(formula)} as a formula: expected a string.")


def _read_text(formula: str, rules: Rules) -> dict[str, float]:
    """Read a formula; say what it looks like, or what cleaning makes of it, if it is invalid."""
    try:
        return read_formula(formula, rules)
    except ValueError as error:
        cleaned = _cleaned(formula, rules)
        if cleaned is None:
            raise _explained(formula, error) from None
        if rules.clean:
            return read_formula(cleaned.formula, rules)
        reason = str(error).removesuffix(".")
        raise ValueError(
            f"{reason}; {rules.cleaner} reads it as {shown(cleaned.formula)}."
        ) from None


def _cleaned(formula: str, rules: Rules) -> CleanedFormula | None:
    """Clean a formula; return None if the strict reader refuses the result, too."""
    text, changes = tidy(formula)
    try:
        read_formula(text, rules)
    except ValueError:
        return None
    return CleanedFormula(text, changes)


def _explained(formula: str, error: ValueError) -> ValueError:
    """Say what a text that is not a formula looks like, if that is known."""
    explanation = explain(formula)
    if explanation is None:
        return error
    return ValueError(f"Cannot read the formula {shown(formula)}: {explanation}.")


def parse_composition(
    value: Any, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> dict[str, float]:
    """Read a formula, a ``{symbol: amount}`` mapping, or an object of pymatgen or ASE.

    Parameters
    ----------
    value : str, mapping of str to float, Composition, Structure, Molecule or Atoms
        The composition, or atoms in space, of which only the composition is read.
    deuterium_as_hydrogen, allow_charge : bool, default=False
        As in :func:`parse_formula`.

    Returns
    -------
    dict of {str: float}
        Atoms of each element per formula unit, in the order of appearance.

    Raises
    ------
    ValueError
        If ``value`` has another type, the formula is invalid, a symbol is unknown, or an
        amount is not a positive number.

    Examples
    --------
    >>> from sklearn_elmodes.formulas import parse_composition
    >>> parse_composition({"Na": 2, "O": 1})
    {'Na': 2.0, 'O': 1.0}
    """
    return _read_composition(value, Rules(deuterium_as_hydrogen, allow_charge))


def _read_composition(value: Any, rules: Rules) -> dict[str, float]:
    """Read one composition, as :func:`parse_composition` does."""
    if isinstance(value, str):
        return _read_text(value, rules)
    found = _amounts_of(value)
    if found is None:
        raise ValueError(
            f"Cannot read {shown(value)} as a composition: expected a formula string, "
            "a {symbol: amount} mapping, a pymatgen Composition or Structure, or ASE Atoms."
        )
    if not found:
        raise ValueError(f"Cannot read the composition {shown(value)}: it is empty.")
    amounts: dict[str, float] = {}
    for key, raw in found.items():
        symbol = str(getattr(key, "symbol", key))
        if symbol in ISOTOPES and (rules.clean or (symbol == "D" and rules.deuterium_as_hydrogen)):
            symbol = "H"
        if symbol not in ATOMIC_NUMBERS:
            reason = unknown(symbol, rules)
            if symbol in ISOTOPES and rules.cleaner != Rules.cleaner:  # the caller's own cleaner
                reason += f"; {rules.cleaner} reads it as hydrogen"
            raise ValueError(f"Cannot read the composition {shown(value)}: {reason}.")
        try:
            refused = isinstance(raw, (bool, np.bool_, str, bytes))
            amount = math.nan if refused else float(raw)
        except (TypeError, ValueError, OverflowError):
            amount = math.nan
        if not 0.0 < amount < MAX_AMOUNT:
            raise ValueError(
                f"Cannot read the composition {shown(value)}: the amount of {symbol} must be "
                f"a positive number, got {shown(raw)}."
            )
        amounts[symbol] = amounts.get(symbol, 0.0) + amount
    return amounts


def _amounts_of(value: Any) -> Mapping[Any, Any] | None:
    """Return the amounts of a composition that is not text, or None for another object.

    pymatgen and ASE are not imported.
    """
    if isinstance(value, Mapping) and not callable(getattr(value, "get_el_amt_dict", None)):
        return value
    for composition in (value, getattr(value, "composition", None)):  # Structure, Molecule
        if callable(getattr(composition, "get_el_amt_dict", None)):
            return _of_pymatgen(composition)
    if callable(getattr(value, "get_chemical_symbols", None)):  # ASE
        return Counter(value.get_chemical_symbols())
    return None


def _of_pymatgen(composition: Any) -> Mapping[Any, Any]:
    """Return the amounts by symbol; pymatgen itself counts deuterium as hydrogen."""
    amounts: Mapping[Any, Any] = composition.get_el_amt_dict()
    elements = [getattr(kind, "element", kind) for kind in getattr(composition, "elements", ())]
    if any(getattr(element, "name", None) in ISOTOPES for element in elements):
        by_name: Counter[str] = Counter()
        for kind, amount in composition.items():
            by_name[getattr(kind, "element", kind).name] += amount
        return by_name
    return amounts


def parse_formulas(
    X: Any, *, deuterium_as_hydrogen: bool = False, allow_charge: bool = False
) -> Compositions:
    """Read a column of compositions.

    Parameters
    ----------
    X : sequence of shape (n_samples,) or (n_samples, 1)
        Formula strings, ``{symbol: amount}`` mappings, pymatgen ``Composition``,
        ``Structure`` or ``Molecule`` objects, ASE ``Atoms``, or a mixture of them, as a
        list, an array, or a Series or DataFrame of one column of pandas or polars.
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
    return _read_formulas(X, Rules(deuterium_as_hydrogen, allow_charge)).complete()


def _read_formulas(X: Any, rules: Rules = OF_ESTIMATORS) -> Reading[Compositions]:
    """Read a column of compositions and reject bad rows."""
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
                parsed = _read_composition(column[row], rules)
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
    if isinstance(X, (str, bytes)) or _amounts_of(X) is not None:
        raise ValueError(
            f"Expected a sequence of formulas, got the single value {shown(X)}. "
            "Pass a list: [formula]."
        )
    shape = getattr(X, "shape", None)
    if shape is not None:
        if len(shape) == 2 and shape[1] == 1:
            # By its name, a column of a frame keeps its type.
            names = getattr(X, "columns", None)
            X = np.asarray(X)[:, 0] if names is None else X[names[0]]
        elif len(shape) != 1:
            raise ValueError(
                f"Expected one column of formulas, got an array of shape {tuple(shape)}. "
                "Species per site require a prototype."
            )
        return list(X.tolist() if hasattr(X, "tolist") else X.to_list())
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
