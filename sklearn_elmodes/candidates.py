"""Lazy sequences of candidates, which can be counted, sliced and split into shards."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._counting import combinations, digits, primitive, ratios
from sklearn_elmodes._oxidation_states import charge_balanced, read_oxidation_states
from sklearn_elmodes._symmetry import Permutations, canonical_order, equivalent_sets
from sklearn_elmodes._validation import shown
from sklearn_elmodes.compositions import lowest_terms
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, atomic_number, property_table
from sklearn_elmodes.formulas import parse_formulas

Constraint = Callable[[Any], Any]

_BLOCK = 2**16  # candidates processed together
_MAX_SIZE = 2**62  # positions are 64-bit integers
_MAX_FILTERED = 2**36  # filtering needs one bit per candidate: 8 GiB
_SYMBOLS = np.array(["", *SYMBOLS])


class _Sized(ABC):
    """Base of spaces and their shards."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, key: Any) -> Any: ...

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _BLOCK):
            rows = self[start : start + _BLOCK].tolist()
            yield from map(tuple, rows) if rows and isinstance(rows[0], list) else rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of all candidates."""
        return len(self), *self[:0].shape[1:]

    def to_numpy(self) -> NDArray[Any]:
        """Return all candidates as one array."""
        return np.asarray(self[:])

    def shard(self, number: int, n_shards: int) -> CandidatesShard:
        """Return one of ``n_shards`` parts of nearly equal size.

        Parameters
        ----------
        number : int
            Number of the part, from 0.
        n_shards : int
            Number of parts.

        Returns
        -------
        CandidatesShard

        Raises
        ------
        ValueError
            If ``number`` is negative or not less than ``n_shards``.
        """
        if not 0 <= number < n_shards:
            raise ValueError(
                f"There is no shard {number} of {n_shards}: shards are numbered from 0."
            )
        return CandidatesShard(
            self, number * len(self) // n_shards, (number + 1) * len(self) // n_shards
        )


class Candidates(_Sized):
    """Lazy sequence of candidates; base of the spaces below.

    ``len(space)`` is the number of candidates, ``space[i]`` one candidate,
    ``space[start:stop]`` an array of candidates as
    :class:`~sklearn_elmodes.ElementalModeTransformer` takes them, and
    ``space.shard(i, n)`` the i-th of n parts. Candidates are generated from their
    position on access.

    Filters (constraints, oxidation states, exclusions) are applied to the whole space
    on first use, including ``len``. They need one bit of memory per candidate before
    filtering.
    """

    elements: tuple[str, ...]
    _size: int  # before the filters
    _constraints: tuple[Constraint, ...] = ()
    _states: dict[int, list[Fraction]] | None = None

    @abstractmethod
    def _read(self, ranks: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return atomic numbers and amounts of candidates, by position before filtering.

        Both have a column for each site or element; a candidate of fewer
        elements is padded with zeros.
        """

    @abstractmethod
    def _write(self, numbers: NDArray[np.intp], amounts: NDArray[np.intp]) -> NDArray[Any]:
        """Return candidates in the form that the transformer takes."""

    @abstractmethod
    def _frame(self, numbers: NDArray[np.intp], amounts: NDArray[np.intp]) -> Any:
        """Return candidates in the form that constraints take."""

    def is_filtered(self) -> bool:
        """Return whether the space may have fewer candidates than before filtering."""
        return bool(self._constraints) or self._states is not None

    def _keeps(
        self, ranks: NDArray[np.int64], numbers: NDArray[np.intp], amounts: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Mark the candidates that pass the filters."""
        kept = np.ones(len(ranks), dtype=bool)
        if self._states is not None:
            kept[:] = charge_balanced(numbers, amounts, self._states)
        for constraint in self._constraints:
            rows = np.flatnonzero(kept)
            if not len(rows):
                break
            passed = np.asarray(constraint(self._frame(numbers[rows], amounts[rows])))
            if passed.dtype != bool or passed.shape != rows.shape:
                raise ValueError(
                    f"A constraint must return one bool for each of {len(rows)} candidates; "
                    f"{shown(constraint)} returned {passed.dtype} of shape {passed.shape}."
                )
            kept[rows] = passed
        return kept

    @cached_property
    def _kept(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Bits that mark the candidates that pass, and how many pass before each block."""
        if self._size > _MAX_FILTERED:
            raise ValueError(
                f"The space has {self._size:.3g} candidates before filtering; at most "
                f"{_MAX_FILTERED:.3g} can be filtered. Choose fewer elements or sites."
            )
        bits = np.zeros(-(-self._size // 8), dtype=np.uint8)
        counts = [0]
        for start in range(0, self._size, _BLOCK):
            ranks = np.arange(start, min(start + _BLOCK, self._size))
            kept = self._keeps(ranks, *self._read(ranks))
            bits[start // 8 : start // 8 + -(-len(ranks) // 8)] = np.packbits(kept)
            counts.append(int(kept.sum()))
        return bits, np.cumsum(counts)

    def _rank(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Convert positions after filtering to positions before filtering."""
        if not self.is_filtered():
            return positions
        bits, before = self._kept
        blocks = np.searchsorted(before, positions, side="right") - 1
        ranks = np.empty_like(positions)
        for block in np.unique(blocks).tolist():
            here = blocks == block
            start = block * _BLOCK // 8
            kept = np.flatnonzero(np.unpackbits(bits[start : start + _BLOCK // 8]))
            ranks[here] = block * _BLOCK + kept[positions[here] - before[block]]
        return ranks

    def __len__(self) -> int:
        return int(self._kept[1][-1]) if self.is_filtered() else self._size

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            positions = np.arange(*key.indices(len(self)))
        elif isinstance(key, Integral):
            positions = np.array([range(len(self))[int(key)]])
        else:
            raise TypeError(f"Candidates are indexed by an integer or a slice, not {shown(key)}.")
        rows = self._write(*self._read(self._rank(positions)))
        if isinstance(key, slice):
            return rows
        return tuple(rows[0].tolist()) if rows.ndim == 2 else str(rows[0])


class CandidatesShard(_Sized):
    """The candidates ``start`` to ``stop - 1`` of a space; a sequence like the space."""

    def __init__(self, part_of: _Sized, start: int, stop: int) -> None:
        # A part of a part is stored as a part of the whole space.
        offset: int = part_of.start if isinstance(part_of, CandidatesShard) else 0
        self.space: Any = part_of.space if isinstance(part_of, CandidatesShard) else part_of
        self.start: int = offset + start
        self.stop: int = offset + stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, key: Any) -> Any:
        positions = range(self.start, self.stop)[key]
        if isinstance(positions, range):
            stop = None if positions.stop < 0 else positions.stop
            return self.space[positions.start : stop : positions.step]
        return self.space[positions]


class SiteCandidates(Candidates):
    """All assignments of different elements to the sites of a structure.

    Created by :meth:`~sklearn_elmodes.Prototype.candidates`.

    Parameters
    ----------
    sites : sequence of str
    multiplicities : sequence of int
    permutations : tuple of tuples of int
        Orders of the sites that map a crystal onto itself, the identity first. Crystals
        that are related by them are counted once.
    elements : iterable of str, or mapping of str to iterable of str
        Symbols to choose from, for all sites or for each site.
    exclude : ndarray of shape (n_excluded, n_sites) or None
        Atomic numbers of crystals to leave out.
    oxidation_states, constraints
        As in :meth:`~sklearn_elmodes.Prototype.candidates`.
    """

    def __init__(
        self,
        sites: Sequence[str],
        multiplicities: Sequence[int],
        permutations: Permutations,
        elements: Any,
        *,
        exclude: NDArray[np.intp] | None = None,
        oxidation_states: Any = None,
        constraints: Any = (),
    ) -> None:
        self.sites = tuple(sites)
        self.multiplicities = tuple(multiplicities)
        self._permutations = permutations
        sets = equivalent_sets(permutations)
        if isinstance(elements, Mapping):
            if set(elements) != set(sites):
                raise ValueError(
                    f"elements must have one key per site, {', '.join(sites)}; got "
                    f"{shown(list(elements))}."
                )
            self._choices = [
                _some_elements(elements[site], f"elements for the site {site}") for site in sites
            ]
        else:
            self._choices = [_some_elements(elements)] * len(self.sites)
        self.elements = tuple(
            SYMBOLS[z - 1] for z in np.unique(np.concatenate(self._choices)).tolist()
        )
        # With the same elements on all sites and freely exchanged sites every candidate is
        # decoded from its position. Otherwise all assignments are enumerated, and those that
        # repeat an element or are equivalent to another are filtered out.
        self._counted = sets is not None and all(
            np.array_equal(choice, self._choices[0]) for choice in self._choices
        )
        if sets is not None and self._counted:
            exchanged = {site for group in sets for site in group}
            self._blocks = [list(group) for group in sets]
            self._blocks += [[site] for site in range(len(sites)) if site not in exchanged]
            left, self._options = len(self._choices[0]), []
            for block in self._blocks:
                self._options.append(math.comb(left, len(block)))
                left = max(left - len(block), 0)
        else:
            self._options = [len(choice) for choice in self._choices]
        self._size = _checked_size(math.prod(self._options))
        self._excluded = None if exclude is None else np.unique(self._keys(exclude))
        self._states = read_oxidation_states(oxidation_states, self.elements)
        self._constraints = _as_constraints(constraints)

    def is_filtered(self) -> bool:
        """Return whether the space may have fewer candidates than before filtering."""
        return super().is_filtered() or not self._counted or self._excluded is not None

    def _read(self, ranks: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        numbers = np.empty((len(ranks), len(self.sites)), dtype=np.intp)
        amounts = np.broadcast_to(self.multiplicities, numbers.shape)
        places = digits(ranks, self._options)
        if not self._counted:
            for site, (digit, choice) in enumerate(zip(places, self._choices, strict=True)):
                numbers[:, site] = choice[digit]
            return numbers, amounts
        used = np.empty((len(ranks), 0), dtype=np.intp)
        for block, digit in zip(self._blocks, places, strict=True):
            chosen = combinations(digit, len(block), len(self._choices[0]))
            for taken in used.T:  # ascending, so that each is skipped once
                chosen += chosen >= taken[:, None]
            numbers[:, block] = self._choices[0][chosen]
            used = np.sort(np.hstack([used, chosen]), axis=1)
        return numbers, amounts

    def _keeps(
        self, ranks: NDArray[np.int64], numbers: NDArray[np.intp], amounts: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        kept = np.ones(len(ranks), dtype=bool)
        if not self._counted:
            for first, second in itertools.combinations(range(len(self.sites)), 2):
                kept &= numbers[:, first] != numbers[:, second]
            # Of equivalent assignments keep the first in the space.
            for order in self._permutations[1:]:
                moved = numbers[:, order]
                site = (moved != numbers).argmax(axis=1)
                row = np.arange(len(numbers))
                smaller = moved[row, site] < numbers[row, site]
                for column, choice in zip(moved.T, self._choices, strict=True):
                    smaller &= np.isin(column, choice)
                kept &= ~smaller
        if self._excluded is not None:
            kept &= ~np.isin(self._keys(numbers), self._excluded)
        rows = np.flatnonzero(kept)
        kept[rows] = super()._keeps(ranks[rows], numbers[rows], amounts[rows])
        return kept

    def _keys(self, numbers: NDArray[np.intp]) -> NDArray[np.bytes_]:
        """Return one byte string per crystal; those of equivalent crystals are equal."""
        numbers = canonical_order(numbers, self._permutations)
        return numbers.astype(np.uint8).view(f"S{len(self.sites)}")[:, 0]

    def _write(self, numbers: NDArray[np.intp], amounts: NDArray[np.intp]) -> NDArray[Any]:
        return _SYMBOLS[numbers]

    def _frame(self, numbers: NDArray[np.intp], amounts: NDArray[np.intp]) -> Any:
        import pandas as pd

        return pd.DataFrame(_SYMBOLS.astype(object)[numbers], columns=self.sites, dtype=object)


class FormulaCandidates(Candidates):
    """All formulas of given elements and amounts.

    Each composition occurs once, as its smallest formula: ``NaCl``, not
    ``Na2Cl2``. Elements are written in order of Pauling electronegativity.

    Parameters
    ----------
    elements : iterable of str
        Symbols to choose from.
    n_elements : int or sequence of int, default=None
        Allowed numbers of elements in a formula. None means 2 and 3, or fewer if
        ``elements`` has fewer.
    amounts : sequence of int, default=range(1, 7)
        Allowed amounts of an element, from 1 to 999.
    max_atoms : int, default=None
        Largest number of atoms in a formula; None means no limit.
    oxidation_states : "common" or mapping of str to sequence of numbers, default=None
        Keep the formulas that are charge-neutral for some choice of one oxidation
        state per element: of the common oxidation states in pymatgen, or of those
        given by symbol. Formulas of an element without oxidation states are dropped.
    exclude : sequence of formulas, default=None
        Compositions to leave out, for example known ones. Those outside the space
        are ignored.
    constraints : callable or sequence of callables, default=()
        Each is called with a DataFrame of amounts, one column per element, and returns
        one bool per row, True to keep the formula.

    Raises
    ------
    ValueError
        If an element is unknown, a parameter is out of range, or a formula in ``exclude``
        cannot be read.

    See Also
    --------
    sklearn_elmodes.Prototype.candidates : Crystals of one structure.

    Examples
    --------
    >>> from sklearn_elmodes.candidates import FormulaCandidates
    >>> space = FormulaCandidates(["Li", "Fe", "O"], n_elements=(2, 3), amounts=range(1, 5))
    >>> len(space), space[0], space[-1]
    (88, 'LiFe', 'Li4Fe4O3')
    >>> oxides = FormulaCandidates(["Li", "Fe", "O"], amounts=range(1, 5),
    ...                            oxidation_states={"Li": [1], "Fe": [2, 3], "O": [-2]})
    >>> list(oxides)
    ['Li2O', 'FeO', 'Fe2O3', 'LiFeO2', 'Li2FeO2', 'Li2Fe2O3', 'Li2Fe3O4', 'Li3FeO3', 'Li4FeO3']
    """

    def __init__(
        self,
        elements: Iterable[str],
        *,
        n_elements: int | Sequence[int] | None = None,
        amounts: Sequence[int] = range(1, 7),
        max_atoms: int | None = None,
        oxidation_states: Any = None,
        exclude: Any = None,
        constraints: Any = (),
    ) -> None:
        numbers = _some_elements(elements)
        table = property_table("extended")["electronegativity_pauling"].reindex(SYMBOLS)
        electronegativity = table.fillna(np.inf).to_numpy()[numbers - 1]
        self._choices = numbers[np.argsort(electronegativity, kind="stable")]
        self.elements = tuple(SYMBOLS[z - 1] for z in self._choices.tolist())
        if n_elements is None:
            n_elements = range(min(2, len(numbers)), min(3, len(numbers)) + 1)
        counts = _integers("n_elements", n_elements, 1, len(numbers))
        allowed = _integers("amounts", amounts, 1, 999)
        if max_atoms is not None and (not isinstance(max_atoms, Integral) or max_atoms < 1):
            raise ValueError(f"max_atoms={shown(max_atoms)} must be a positive integer or None.")
        if len(allowed) ** max(counts) > 10**7:
            raise ValueError(
                f"{len(allowed)} amounts for each of {max(counts)} elements give more than 10**7 "
                "combinations; choose fewer."
            )
        # Rows of amounts by number of elements. The rank of a formula is the start of its number
        # of elements, plus (combination of elements) * (number of rows) + row.
        self._amounts = {count: ratios(allowed, count, max_atoms) for count in counts}
        sizes = [math.comb(len(numbers), n) * len(rows) for n, rows in self._amounts.items()]
        self._size = _checked_size(sum(sizes))
        self._starts = np.cumsum([0, *sizes])
        self._excluded = None if exclude is None else self._ranks_of(exclude)
        self._states = read_oxidation_states(oxidation_states, self.elements)
        self._constraints = _as_constraints(constraints)

    def _ranks_of(self, formulas: Any) -> NDArray[np.int64]:
        """Return the positions of compositions before filtering; skip those outside the space."""
        places = {z: place for place, z in enumerate(self._choices.tolist())}
        known = {
            count: {tuple(row): number for number, row in enumerate(lowest_terms(rows).tolist())}
            for count, rows in self._amounts.items()
        }
        ranks = []
        compositions = parse_formulas(formulas)
        for row in range(len(compositions)):
            found = {places.get(ATOMIC_NUMBERS[s], -1): a for s, a in compositions[row].items()}
            chosen = sorted(found)
            if chosen[0] < 0 or len(chosen) not in known:
                continue
            number = known[len(chosen)].get(primitive([found[place] for place in chosen]))
            if number is not None:
                start = self._starts[list(known).index(len(chosen))]
                combination = sum(math.comb(place, k) for k, place in enumerate(chosen, start=1))
                ranks.append(start + combination * len(known[len(chosen)]) + number)
        return np.unique(np.array(ranks, dtype=np.int64))

    def is_filtered(self) -> bool:
        """Return whether the space may have fewer candidates than before filtering."""
        return super().is_filtered() or self._excluded is not None

    def _read(self, ranks: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        width = max(self._amounts)
        numbers = np.zeros((len(ranks), width), dtype=np.intp)
        amounts = np.zeros((len(ranks), width), dtype=np.intp)
        kinds = np.searchsorted(self._starts, ranks, side="right") - 1
        for kind, (count, rows) in enumerate(self._amounts.items()):
            here = np.flatnonzero(kinds == kind)
            combination, number = np.divmod(ranks[here] - self._starts[kind], len(rows))
            chosen = combinations(combination, count, len(self._choices))
            numbers[here, :count] = self._choices[chosen]
            amounts[here, :count] = rows[number]
        return numbers, amounts

    def _keeps(
        self, ranks: NDArray[np.int64], numbers: NDArray[np.intp], amounts: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        kept = super()._keeps(ranks, numbers, amounts)
        return kept if self._excluded is None else kept & ~np.isin(ranks, self._excluded)

    def _write(self, numbers: NDArray[np.intp], amounts: NDArray[np.intp]) -> NDArray[Any]:
        written = np.array(["", "", *map(str, range(2, amounts.max(initial=1) + 1))])
        formulas = np.full(len(numbers), "", dtype="U1")
        for z, amount in zip(numbers.T, amounts.T, strict=True):
            formulas = np.char.add(formulas, np.char.add(_SYMBOLS[z], written[amount]))
        return formulas

    def _frame(self, numbers: NDArray[np.intp], amounts: NDArray[np.intp]) -> Any:
        import pandas as pd

        columns = np.zeros(len(SYMBOLS) + 1, dtype=np.intp)
        columns[self._choices] = np.arange(len(self._choices))
        table = np.zeros((len(numbers), len(self._choices)), dtype=np.intp)
        rows, places = np.nonzero(amounts)
        table[rows, columns[numbers[rows, places]]] = amounts[rows, places]
        return pd.DataFrame(table, columns=self.elements)


def _read_elements(elements: Any, name: str = "elements") -> NDArray[np.intp]:
    """Return atomic numbers in ascending order, or raise an error that names the parameter."""
    if isinstance(elements, str) or not isinstance(elements, Iterable):
        raise ValueError(f"{name} must be a list of symbols such as ['Li'], got {shown(elements)}.")
    try:
        numbers = [atomic_number(element) for element in elements]
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
    return np.unique(np.array(numbers, dtype=np.intp))


def _some_elements(elements: Any, name: str = "elements") -> NDArray[np.intp]:
    numbers = _read_elements(elements, name)
    if not len(numbers):
        raise ValueError(f"{name} is empty.")
    return numbers


def _integers(name: str, values: Any, lowest: int, highest: int) -> list[int]:
    """Return one or several integers in ascending order."""
    listed = [values] if isinstance(values, Integral) else values
    listed = list(listed) if isinstance(listed, Iterable) else []
    usable = all(isinstance(v, Integral) and lowest <= int(v) <= highest for v in listed)
    if not listed or not usable:
        raise ValueError(f"{name}={shown(values)} must be integers between {lowest} and {highest}.")
    return sorted({int(value) for value in listed})


def _as_constraints(constraints: Any) -> tuple[Constraint, ...]:
    listed = [constraints] if callable(constraints) else constraints
    if not isinstance(listed, (list, tuple)) or not all(map(callable, listed)):
        raise ValueError(f"constraints={shown(constraints)} must be a callable or a list of them.")
    return tuple(listed)


def _checked_size(size: int) -> int:
    if size > _MAX_SIZE:
        raise ValueError(f"The space has {size:.3g} candidates, more than can be counted.")
    return size
