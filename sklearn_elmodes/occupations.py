"""Species per site: symbols, atomic numbers and mixtures, one column for each site."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Number, Real
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._formula_grammar import OF_ESTIMATORS, Rules
from sklearn_elmodes._rows import Reading, Reasons, number_rows
from sklearn_elmodes._validation import shown
from sklearn_elmodes.compositions import _write_amount
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, atomic_number
from sklearn_elmodes.formulas import _read_composition


@dataclass(frozen=True, eq=False)
class Occupations:
    """Species on the sites of many crystals of the same structure.

    Attributes
    ----------
    sites : ndarray of shape (n_samples, n_sites)
        Index into ``species`` for each site.
    species : sequence of dict of {str: float}
        Amounts by element symbol: one element, or a mixture.
    """

    sites: NDArray[np.intp]
    species: Sequence[dict[str, float]]

    @classmethod
    def of_elements(cls, atomic_numbers: NDArray[np.intp]) -> Occupations:
        """Create occupations from atomic numbers, shape (n_samples, n_sites)."""
        return cls(atomic_numbers, _PURE)

    def __len__(self) -> int:
        return len(self.sites)

    def take(self, rows: NDArray[np.intp]) -> Occupations:
        """Return some of the crystals, in the order of ``rows``."""
        return Occupations(self.sites[rows], self.species)

    @cached_property
    def present(self) -> NDArray[np.intp]:
        """Indices of the species that occur, ascending."""
        present = np.zeros(len(self.species), dtype=bool)
        present[self.sites.ravel()] = True
        return np.flatnonzero(present)

    def content(self) -> Iterator[NDArray[Any]]:
        """Yield arrays that are equal for equal crystals, to compute a fingerprint."""
        amounts = np.zeros((len(self.species), len(SYMBOLS)))
        for index in self.present.tolist():
            for symbol, amount in self.species[index].items():
                amounts[index, ATOMIC_NUMBERS[symbol] - 1] = amount
        # Number the species that occur by their amounts, not in the order of their notation.
        present = self.present
        distinct, rank = np.unique(amounts[present], axis=0, return_inverse=True)
        number = np.zeros(len(self.species), dtype="<i8")
        number[present] = rank.reshape(-1)
        yield distinct.astype("<f8")
        yield number[self.sites]

    def elements(self) -> NDArray[np.bool_]:
        """Mark the elements of each crystal, shape (n_samples, 118); column Z - 1 for Z."""
        contains = np.zeros((len(self.species), len(SYMBOLS)), dtype=bool)
        for index in self.present.tolist():
            contains[index, [ATOMIC_NUMBERS[symbol] - 1 for symbol in self.species[index]]] = True
        return np.asarray(contains[self.sites].any(axis=1))

    def groups(self) -> NDArray[np.intp]:
        """Return a number for each crystal, the same for equal species on all sites."""
        numbers: dict[Any, int] = {}
        kind = np.zeros(len(self.species), dtype=np.intp)
        for index in self.present.tolist():
            shares = frozenset(_shares(self.species[index]).items())
            kind[index] = numbers.setdefault(shares, len(numbers))
        return number_rows(kind[self.sites])

    def describe(self, row: int) -> str:
        """Format a crystal for a message: ``Na Al K F``."""
        return " ".join(_written(self.species[index]) for index in self.sites[row].tolist())


_PURE: tuple[dict[str, float], ...] = ({}, *({symbol: 1.0} for symbol in SYMBOLS))


def parse_species(species: Any) -> dict[str, float]:
    """Read the species on one site.

    Parameters
    ----------
    species : str, int or mapping of str to float
        A symbol, an atomic number, or a mixture as a formula or ``{symbol: amount}``.

    Returns
    -------
    dict of {str: float}
        Amounts by element symbol.

    Raises
    ------
    ValueError
        If the species cannot be read.

    Examples
    --------
    >>> from sklearn_elmodes.occupations import parse_species
    >>> parse_species(11), parse_species("Na0.5K0.5")
    ({'Na': 1.0}, {'Na': 0.5, 'K': 0.5})
    """
    return _parse_species(species, OF_ESTIMATORS)


def _parse_species(species: Any, rules: Rules) -> dict[str, float]:
    if isinstance(species, Real):
        return {SYMBOLS[atomic_number(species) - 1]: 1.0}
    return _read_composition(species, rules)


def alchemical_path(
    start: Sequence[Any], end: Sequence[Any], n_points: int = 11
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Interpolate between two crystals of the same structure, in equal steps.

    On every site the amounts change linearly from the species of ``start`` to that of
    ``end``: ``Na``, ``Na0.9K0.1``, …, ``K``. Amounts are shares of a site: they sum to one.

    Parameters
    ----------
    start, end : sequence of species, of length n_sites
        A symbol, an atomic number or a mixture for each site.
    n_points : int, default=11
        Number of crystals, including ``start`` and ``end``.

    Returns
    -------
    x : ndarray of shape (n_points,)
        Position of each crystal on the path, from 0 (``start``) to 1 (``end``).
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
    """Read a species as amounts that sum to one."""
    amounts = parse_species(species)
    total = sum(amounts.values())
    return {symbol: amount / total for symbol, amount in amounts.items()}


def _mixture(first: dict[str, float], last: dict[str, float], share: float) -> str:
    """Format the mixture of ``1 - share`` of ``first`` and ``share`` of ``last``."""
    amounts: defaultdict[str, float] = defaultdict(float)
    for species, weight in ((first, 1 - share), (last, share)):
        for symbol, amount in species.items():
            amounts[symbol] += weight * amount
    return _written(amounts)


def _written(amounts: Mapping[str, float]) -> str:
    """Format a species so that ``parse_species`` can read it."""
    rounded = {symbol: round(amount, 12) for symbol, amount in amounts.items()}
    present = {symbol: amount for symbol, amount in rounded.items() if amount}
    if len(present) == 1:
        return next(iter(present))
    return "".join(symbol + _write_amount(amount) for symbol, amount in present.items())


def _read_occupations(
    X: Any, names: Sequence[Any] | None = None, rules: Rules = OF_ESTIMATORS
) -> Reading[Occupations]:
    """Read a matrix of species and reject bad rows; ``names`` are the names of the sites."""
    return (
        _as_matrix(X)
        .then(_factorize)
        .then(lambda factorized: _read_species(*factorized, names, rules))
    )


def _as_matrix(X: Any) -> Reading[NDArray[Any]]:
    """Convert to an array of shape (n_samples, n_sites); row 0 of a list sets the width."""
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.ndim != 2:
            raise ValueError(f"Expected an array of shape (n_samples, n_sites), got {X.shape}.")
        return Reading.of(X, len(X), {})
    rows = [list(row) if isinstance(row, (list, tuple, np.ndarray)) else [row] for row in X]
    expected = len(rows[0]) if rows else 0
    rejected = {
        number: f"expected {expected} sites, as in row 0, got {len(row)}."
        for number, row in enumerate(rows)
        if len(row) != expected
    }
    kept = [row for number, row in enumerate(rows) if number not in rejected]
    matrix = np.empty((len(kept), expected), dtype=object)
    for number, row in enumerate(kept):
        matrix[number] = row
    return Reading.of(matrix, len(rows), rejected)


Factorized = tuple[NDArray[np.intp], list[Any]]


def _factorize(X: NDArray[Any]) -> tuple[Factorized, Reasons]:
    """Find the distinct entries of a matrix, and their indices, shape (n_samples, n_sites)."""
    import pandas as pd

    flat = np.ascontiguousarray(X).reshape(-1)
    if flat.dtype.kind in "iu" and flat.size and flat.min() >= 0 and flat.max() < 1024:
        return (X.astype(np.intp, copy=False), list(range(int(flat.max()) + 1))), {}
    if flat.dtype.kind == "U" and flat.dtype.itemsize == 8:  # strings of up to two characters
        codes, distinct = pd.factorize(flat.view(np.uint64))
        return (codes.reshape(X.shape), distinct.view(flat.dtype).tolist()), {}
    numbers: defaultdict[Any, int] = defaultdict(itertools.count().__next__)
    try:
        codes = np.fromiter(map(numbers.__getitem__, flat.tolist()), np.intp, count=flat.size)
    except TypeError:  # a list or a mapping cannot be hashed
        rejected = {
            row: f"{shown(entry)} is neither a symbol, nor an atomic number, nor a mixture "
            'such as "Na0.5K0.5".'
            for row, species in enumerate(X.tolist())
            for entry in species
            if not isinstance(entry, (str, Number, NoneType))
        }
        return _factorize(np.delete(X, list(rejected), axis=0))[0], rejected
    return (codes.reshape(X.shape), list(numbers)), {}


def _read_species(
    sites: NDArray[np.intp], entries: list[Any], names: Sequence[Any] | None, rules: Rules
) -> tuple[Occupations, Reasons]:
    """Read each distinct entry once."""
    read = Occupations(sites, [{} for _ in entries])
    wrong: dict[int, str] = {}
    for index in read.present.tolist():
        try:
            read.species[index].update(_parse_species(entries[index], rules))
        except ValueError as error:
            wrong[index] = str(error)
    return read, _reasons_by_site(read, wrong, names)


def _reasons_by_site(
    occupations: Occupations, wrong: Mapping[int, str], names: Sequence[Any] | None = None
) -> Reasons:
    """Convert reasons by index of a species to reasons by row."""
    reasons: Reasons = {}
    if wrong:
        sites = occupations.sites
        names = range(1, sites.shape[1] + 1) if names is None else names
        for row, site in np.argwhere(np.isin(sites, list(wrong))).tolist():
            reasons.setdefault(row, f"site {names[site]}: {wrong[int(sites[row, site])]}")
    return reasons
