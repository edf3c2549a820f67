"""Species per site: symbols, atomic numbers and mixtures in the columns of a matrix."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from numbers import Integral, Number, Real
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._validation import shown
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, atomic_number
from sklearn_elmodes.formulas import RowErrors, parse_composition, parse_formulas, refuse


def count_columns(X: Any) -> int:
    """Return the number of columns of compositions or species; 1 for a plain sequence."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return 1 if len(shape) < 2 else int(shape[1])
    first = next(iter(X), None) if isinstance(X, (list, tuple)) else None
    return len(first) if isinstance(first, (list, tuple, np.ndarray)) else 1


def parse_species(species: Any) -> dict[str, float]:
    """Read what sits on one site: a symbol, an atomic number or a mixture.

    Examples
    --------
    >>> from sklearn_elmodes.occupations import parse_species
    >>> parse_species(11), parse_species("Na0.5K0.5")
    ({'Na': 1.0}, {'Na': 0.5, 'K': 0.5})
    """
    if isinstance(species, Real):
        return {SYMBOLS[atomic_number(species) - 1]: 1.0}
    return parse_composition(species)


def alchemical_path(
    start: Sequence[Any], end: Sequence[Any], n_points: int = 11
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Change one crystal into another of the same structure, in equal steps.

    On every site the amounts go linearly from the one species to the other:
    ``Na``, ``Na0.9K0.1``, …, ``K``. The ends are the crystals themselves.

    Parameters
    ----------
    start, end : sequence of species, of length n_sites
        A symbol, an atomic number or a mixture for each site.
    n_points : int, default=11
        Number of crystals, with both ends.

    Returns
    -------
    x : ndarray of shape (n_points,)
        How far along each crystal lies, from 0 to 1.
    crystals : ndarray of shape (n_points, n_sites)
        Species per site, for :class:`~sklearn_elmodes.ElementalModeTransformer` with a prototype.

    Raises
    ------
    ValueError
        If the crystals differ in their number of sites, a species cannot be
        read or ``n_points`` is below 2.

    Examples
    --------
    >>> from sklearn_elmodes.occupations import alchemical_path
    >>> x, crystals = alchemical_path(["Na", "Al", "K", "F"], ["K", "Al", "K", "F"], n_points=3)
    >>> x.tolist()
    [0.0, 0.5, 1.0]
    >>> crystals[:, 0].tolist()
    ['Na', 'Na0.5K0.5', 'K']
    """
    sequences = all(isinstance(crystal, (list, tuple, np.ndarray)) for crystal in (start, end))
    if not sequences or len(start) != len(end):
        raise ValueError(
            f"start={start!r} and end={end!r} must be lists of species, one for each site."
        )
    if not isinstance(n_points, Integral) or n_points < 2:
        raise ValueError(
            f"n_points={n_points!r} must be an integer of at least 2: a path has two ends."
        )
    x = np.linspace(0, 1, n_points)
    crystals = np.empty((n_points, len(start)), dtype=object)
    for site, (first, last) in enumerate(zip(start, end, strict=True)):
        try:
            ends = _shares(first), _shares(last)
        except ValueError as error:
            raise ValueError(f"Site {site + 1}: {error}") from None
        crystals[:, site] = [_mixture(*ends, share) for share in x.tolist()]
    return x, crystals


def _shares(species: Any) -> dict[str, float]:
    """Read a species as shares of its site."""
    amounts = parse_species(species)
    total = sum(amounts.values())
    return {symbol: amount / total for symbol, amount in amounts.items()}


def _mixture(first: dict[str, float], last: dict[str, float], share: float) -> str:
    """Write what lies a share of the way between two species, given as shares."""
    amounts: defaultdict[str, float] = defaultdict(float)
    for species, weight in ((first, 1 - share), (last, share)):
        for symbol, amount in species.items():
            amounts[symbol] += weight * amount
    written = {symbol: f"{amount:.12f}" for symbol, amount in amounts.items()}
    present = {symbol: text for symbol, text in written.items() if float(text)}
    if len(present) == 1:
        return next(iter(present))
    return "".join(symbol + text.rstrip("0") for symbol, text in present.items())


def factorize_sites(X: Any, errors: RowErrors | None = None) -> tuple[NDArray[np.intp], list[Any]]:
    """Give numbers to the distinct entries of a matrix of species.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_sites)
    errors : RowErrors, default=None
        Takes rows of another length than the first and entries that are no
        species, in place of an exception; the result lacks them.

    Returns
    -------
    sites : ndarray of shape (n_samples, n_sites)
        Index of each entry in ``species``.
    species : list
        The distinct entries.
    """
    import pandas as pd

    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    elif not isinstance(X, np.ndarray):
        X = rows_of_equal_length(X, errors)
    if X.ndim != 2:
        raise ValueError(f"Expected an array of shape (n_samples, n_sites), got {X.shape}.")
    flat = np.ascontiguousarray(X).reshape(-1)
    if flat.dtype.kind in "iu" and flat.size and flat.min() >= 0 and flat.max() < 1024:
        return X.astype(np.intp, copy=False), list(range(int(flat.max()) + 1))
    if flat.dtype.kind == "U" and flat.dtype.itemsize == 8:  # symbols of two characters
        codes, distinct = pd.factorize(flat.view(np.uint64))
        return codes.reshape(X.shape), distinct.view(flat.dtype).tolist()
    numbers: defaultdict[Any, int] = defaultdict(itertools.count().__next__)
    entries = flat.tolist()
    try:
        codes = np.fromiter(map(numbers.__getitem__, entries), dtype=np.intp, count=flat.size)
    except TypeError:  # a list or a mapping, which is no species
        found = {
            row: f"{shown(entry)} is neither a symbol, nor an atomic number, nor a mixture "
            'such as "Na0.5K0.5".'
            for row, species in enumerate(X.tolist())
            for entry in species
            if not isinstance(entry, (str, Number, NoneType))
        }
        refuse(found, errors)
        return factorize_sites(np.delete(X, list(found), axis=0), errors)
    return codes.reshape(X.shape), list(numbers)


def rows_of_equal_length(X: Any, errors: RowErrors | None = None) -> NDArray[np.object_]:
    """Make a matrix of rows of species; the first row tells how long they are."""
    rows = [list(row) if isinstance(row, (list, tuple, np.ndarray)) else [row] for row in X]
    expected = len(rows[0]) if rows else 0
    found = {
        number: f"it has {len(row)} sites where row 0 has {expected}."
        for number, row in enumerate(rows)
        if len(row) != expected
    }
    refuse(found, errors)
    kept = [row for number, row in enumerate(rows) if number not in found]
    matrix = np.empty((len(kept), expected), dtype=object)
    for number, row in enumerate(kept):
        matrix[number] = row
    return matrix


def read_species(
    sites: NDArray[np.intp],
    species: Sequence[Any],
    read: Callable[[Any], Any],
    names: Sequence[Any],
    errors: RowErrors | None = None,
) -> dict[int, Any]:
    """Apply ``read`` to every species that occurs.

    Parameters
    ----------
    sites, species
        As :func:`factorize_sites` returns them.
    read : callable
        Raises ``ValueError`` if it cannot read a species.
    names : sequence of length n_sites
        Of the sites, for the message.
    errors : RowErrors, default=None
        Takes the rows at fault, in place of an exception.

    Returns
    -------
    dict
        What was read, by index in ``species``.
    """
    used = np.zeros(len(species), dtype=bool)
    used[sites.ravel()] = True
    results: dict[int, Any] = {}
    reasons: dict[int, str] = {}
    for index in np.flatnonzero(used).tolist():
        try:
            results[index] = read(species[index])
        except ValueError as error:
            reasons[index] = str(error)
    if reasons:
        found: dict[int, str] = {}
        for row, column in np.argwhere(np.isin(sites, list(reasons))).tolist():
            found.setdefault(row, f"site {names[column]}: {reasons[int(sites[row, column])]}")
            if errors is None:
                break
        refuse(found, errors)
    return results


def contained_elements(X: Any) -> NDArray[np.bool_]:
    """Tell which elements each row contains, be it a composition or a row of species.

    Returns
    -------
    ndarray of shape (n_samples, 118)
        Column Z - 1 is True where the element of atomic number Z occurs.
    """
    if count_columns(X) == 1:
        compositions = parse_formulas(X)
        contains = np.zeros((len(compositions), len(SYMBOLS)), dtype=bool)
        contains[compositions.rows, compositions.atomic_numbers - 1] = True
        return contains
    sites, species = factorize_sites(X)
    contains = np.zeros((len(species), len(SYMBOLS)), dtype=bool)
    names = range(1, sites.shape[1] + 1)
    for index, amounts in read_species(sites, species, parse_species, names).items():
        contains[index, [ATOMIC_NUMBERS[symbol] - 1 for symbol in amounts]] = True
    return np.asarray(contains[sites].any(axis=1))
