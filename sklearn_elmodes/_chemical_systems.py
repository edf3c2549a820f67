"""Phases by chemical system, and the best mixture of them for each of many compositions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._rows import number_rows
from sklearn_elmodes._simplex import lowest_mixtures
from sklearn_elmodes.compositions import Compositions
from sklearn_elmodes.elements import SYMBOLS

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

STABLE = 1e-9  # eV/atom; a phase that is less above the hull is on it, apart from rounding
_SAME = 1e-6  # largest difference between the fractions of equal compositions
_BITS = 7  # of an atomic number
_PACKED = 9  # elements whose atomic numbers fit into one integer
_UNPACKED = np.uint64(2**63)
_NUMBERS = 2**16  # in the table of phases of one block, so that it stays in the cache


def system_keys(numbers: Integers) -> NDArray[np.uint64]:
    """Return a number for each row, the same for the same elements.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_elements)
        Atomic numbers, ascending and padded with zeros at the end.

    Returns
    -------
    ndarray of shape (n_samples,)
        Larger for more elements, up to nine. Rows of more elements are numbered, so that
        their keys are comparable only with each other.
    """
    keys = np.zeros(len(numbers), dtype=np.uint64)
    for column in numbers[:, :_PACKED].T.astype(np.uint64):
        keys = np.where(column > 0, keys << np.uint64(_BITS) | column, keys)
    large = np.flatnonzero((numbers[:, _PACKED:] > 0).any(axis=1))
    keys[large] = _UNPACKED | number_rows(numbers[large]).astype(np.uint64)
    return keys


@dataclass(eq=False)
class ChemicalSystems:
    """Phases in the order of their chemical systems, the stable ones of each system first.

    Attributes
    ----------
    keys : ndarray of shape (n_systems,)
        Those of ``system_keys``, by the number of elements and ascending.
    elements : ndarray of shape (n_systems, n_elements)
        Atomic numbers of each system, ascending and padded with zeros.
    starts : ndarray of shape (n_systems + 1,)
        System ``i`` has the phases ``starts[i]`` to ``starts[i + 1] - 1``.
    stable_stops : ndarray of shape (n_systems,)
        End of the stable phases of each system.
    numbers, fractions : ndarray of shape (n_phases, n_elements)
        Atomic numbers, ascending, and fractions of each phase, padded with zeros.
    energies : ndarray of shape (n_phases,)
        In eV/atom.
    """

    keys: NDArray[np.uint64]
    elements: Integers
    starts: Integers
    stable_stops: Integers
    numbers: Integers
    fractions: Floats
    energies: Floats

    @classmethod
    def of(
        cls, compositions: Compositions, energies: Floats
    ) -> tuple[ChemicalSystems, Integers, Floats]:
        """Sort phases by chemical system, and find the stable ones.

        Parameters
        ----------
        compositions : Compositions
            All different, of at least two elements each.
        energies : ndarray of shape (n_phases,)

        Returns
        -------
        systems : ChemicalSystems
        order : ndarray of shape (n_phases,)
            Position of each sorted phase in ``compositions``.
        above : ndarray of shape (n_phases,)
            Energy of each sorted phase relative to the best mixture of all others.
        """
        numbers, _ = compositions.padded()
        sizes = np.diff(compositions.starts)
        order = np.lexsort([system_keys(numbers), sizes])
        energies, sizes = energies[order], sizes[order]
        none = np.zeros(len(order), dtype=bool)
        systems = cls.sorted(compositions.take(order), energies, none)
        above = np.zeros(len(order))
        system = np.repeat(np.arange(len(systems.keys)), np.diff(systems.starts))
        for size in np.unique(sizes).tolist():  # the stable phases of fewer elements are known
            phases = np.flatnonzero(sizes == size)
            hull, *_ = systems.lowest(
                systems.numbers[phases, :size], systems.fractions[phases, :size], exclude_self=True
            )
            above[phases] = systems.energies[phases] - hull
            is_stable = above[phases] <= STABLE
            np.add.at(systems.stable_stops, system[phases[is_stable]], 1)
            moved = phases[np.lexsort([~is_stable, system[phases]])]
            for array in (systems.fractions, systems.energies, order, above):
                array[phases] = array[moved]
        return systems, order, above

    @classmethod
    def sorted(
        cls, compositions: Compositions, energies: Floats, is_stable: NDArray[np.bool_]
    ) -> ChemicalSystems:
        """Describe phases that are sorted by chemical system, the stable ones first.

        Raises
        ------
        ValueError
            If they are not sorted.
        """
        numbers, fractions = compositions.padded()
        keys = system_keys(numbers)
        order = np.lexsort([~is_stable, keys, np.diff(compositions.starts)])
        if (order != np.arange(len(order))).any():
            raise ValueError("the phases are not sorted by chemical system")
        first = np.flatnonzero(np.diff(keys, prepend=np.uint64(0)))
        starts = np.append(first, len(keys))
        n_stable = np.diff(np.append(0, np.cumsum(is_stable))[starts])
        stops = starts[:-1] + n_stable
        return cls(keys[first], numbers[first], starts, stops, numbers, fractions, energies)

    def lowest_of(
        self, compositions: Compositions, *, exclude_self: bool
    ) -> tuple[Floats, Integers, Floats]:
        """Find the best mixture for each composition, as ``lowest`` does.

        Products and shares are padded: with the first element of the composition, and zeros.
        """
        numbers, fractions = compositions.padded()
        energies, shares = np.zeros(len(numbers)), np.zeros(numbers.shape)
        products = np.repeat(-numbers[:, :1], numbers.shape[1], axis=1)
        sizes = np.diff(compositions.starts)
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            energies[rows], products[rows, :size], shares[rows, :size] = self.lowest(
                numbers[rows, :size], fractions[rows, :size], exclude_self=exclude_self
            )
        return energies, products, shares

    def lowest(
        self, numbers: Integers, fractions: Floats, *, exclude_self: bool
    ) -> tuple[Floats, Integers, Floats]:
        """Find the best mixture for compositions of equally many elements.

        Parameters
        ----------
        numbers, fractions : ndarray of shape (n_samples, n_elements)
            Atomic numbers, ascending, and positive fractions.
        exclude_self : bool
            Whether phases of the same composition are left out of the mixture.

        Returns
        -------
        energies : ndarray of shape (n_samples,)
            In eV/atom.
        products : ndarray of shape (n_samples, n_elements)
            Positions of the phases in the mixture; -Z for the element of atomic number Z.
        shares : ndarray of shape (n_samples, n_elements)
            Share of the atoms in each product; some are zero.
        """
        n_samples, n_elements = numbers.shape
        energies, shares = np.zeros(n_samples), np.zeros(numbers.shape)
        products = -numbers
        _, first, system = np.unique(system_keys(numbers), return_index=True, return_inverse=True)
        within, phases = self._within(numbers[first], with_unstable=exclude_self)
        counts = np.bincount(within, minlength=len(first))
        stops = np.cumsum(counts)
        order = np.lexsort([system, counts[system]])
        width = (counts[system[order]] + n_elements) * n_elements  # numbers for each sample
        for block in _blocks(width):
            rows = order[block]
            own, inverse = np.unique(system[rows], return_inverse=True)
            table, costs, identity = self._table(
                numbers[first[own]],
                np.repeat(np.arange(len(own)), counts[own]),
                np.concatenate([phases[stops[i] - counts[i] : stops[i]] for i in own.tolist()]),
            )
            table, costs = table[inverse], costs[inverse]
            x = fractions[rows]
            if exclude_self:
                same = np.all(np.abs(table - x[:, None, :]) < _SAME, axis=2)
                same[:, :n_elements] = False
                costs[same] = np.inf
            energies[rows], mixed, shares[rows] = lowest_mixtures(x, table, costs)
            products[rows] = np.take_along_axis(identity[inverse], mixed, axis=1)
        return energies, products, shares

    def _table(
        self, elements: Integers, systems: Integers, phases: Integers
    ) -> tuple[Floats, Floats, Integers]:
        """Return fractions, energies and positions of the elements and phases of each system.

        ``elements`` are those of each system, ``systems`` and ``phases`` pairs of ``_within``.
        Systems of fewer phases are padded with phases of infinite energy.
        """
        n_systems, n_elements = elements.shape
        counts = np.bincount(systems, minlength=n_systems)
        place = n_elements + np.arange(len(systems)) - np.repeat(np.cumsum(counts) - counts, counts)
        n_slots = n_elements + int(counts.max(initial=0))
        fractions = np.zeros((n_systems, n_slots, n_elements))
        fractions[:, :n_elements] = np.eye(n_elements)
        columns = np.zeros((n_systems, len(SYMBOLS) + 1), dtype=np.intp)
        np.put_along_axis(columns, elements, np.arange(n_elements)[None], axis=1)
        numbers = self.numbers[phases, :n_elements]
        pair, entry = np.nonzero(numbers)
        column = columns[systems[pair], numbers[pair, entry]]
        fractions[systems[pair], place[pair], column] = self.fractions[phases[pair], entry]
        energies = np.full((n_systems, n_slots), np.inf)
        energies[:, :n_elements] = 0
        energies[systems, place] = self.energies[phases]
        identity = np.zeros((n_systems, n_slots), dtype=np.intp)
        identity[:, :n_elements] = -elements
        identity[systems, place] = phases
        return fractions, energies, identity

    def _within(self, elements: Integers, *, with_unstable: bool) -> tuple[Integers, Integers]:
        """List the phases within systems of equally many elements, in pairs of row and phase.

        Unstable phases that lack an element are left out, since a mixture with their products
        has a lower energy. Unstable phases with all elements are listed on request.
        """
        rows, found = self._subsets(elements)
        complete = np.count_nonzero(self.elements[found], axis=1) == elements.shape[1]
        stops = np.where(complete & with_unstable, self.starts[1:][found], self.stable_stops[found])
        counts = stops - self.starts[found]
        offsets = self.starts[found] - (np.cumsum(counts) - counts)
        return np.repeat(rows, counts), np.repeat(offsets, counts) + np.arange(counts.sum())

    def _subsets(self, elements: Integers) -> tuple[Integers, Integers]:
        """Find the known systems within each row, in pairs of row and system."""
        n_elements = elements.shape[1]
        if not len(self.keys):
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
        if n_elements <= _PACKED:
            subsets = [
                elements[:, columns]
                for size in range(2, n_elements + 1)
                for columns in itertools.combinations(range(n_elements), size)
            ]
            keys = np.array([system_keys(subset) for subset in subsets]).T
            keys = keys.reshape(len(elements), len(subsets))
            places = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            rows, columns = np.nonzero(self.keys[places] == keys)
            return rows, places[rows, columns]
        # There are too many subsets; compare the row with the known systems instead.
        padding = self.elements == 0
        known = [(np.isin(self.elements, row) | padding).all(axis=1) for row in elements]
        rows, found = np.nonzero(np.array(known))
        return rows, found


def _blocks(width: Integers) -> list[slice]:
    """Split samples, each with an ascending number of numbers, into blocks of bounded size."""
    blocks, start = [], 0
    while start < len(width):
        # Samples are padded to the last of their block, which is the largest.
        most = width[start : start + max(_NUMBERS // int(width[start]), 1)]
        sizes = most * np.arange(1, len(most) + 1)
        stop = start + max(int(np.searchsorted(sizes, _NUMBERS, side="right")), 1)
        blocks.append(slice(start, stop))
        start = stop
    return blocks
