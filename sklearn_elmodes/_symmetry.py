"""Permutations of sites that map a crystal onto itself.

A permutation lists, for each site, the site whose species moves there: ``(1, 0, 2)``
exchanges the first two of three sites.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._validation import shown

Permutations = tuple[tuple[int, ...], ...]

MAX_PERMUTATIONS = 24  # a prediction is the mean over all of them


def permutation_group(
    n_sites: int, equivalent_sites: Any = None, permutations: Any = None
) -> Permutations:
    """List the permutations of sites that map a crystal onto itself, the identity first.

    Parameters
    ----------
    n_sites : int
    equivalent_sites : sequence of sequences of int, default=None
        Sets of sites that can be permuted freely: ``[(0, 1)]``.
    permutations : sequence of sequences of int, default=None
        The permutations themselves, for sites that are exchanged only together with
        others; the identity may be left out.

    Returns
    -------
    tuple of tuples of int

    Raises
    ------
    ValueError
        If both are given, a site is unknown or listed twice, there are more than
        24 permutations, or they do not form a group.
    """
    if permutations is None:
        return _exchanges(n_sites, _site_sets(n_sites, equivalent_sites))
    if equivalent_sites is not None:
        raise ValueError("Give either equivalent_sites or permutations, not both.")
    return _checked_group(n_sites, permutations)


def equivalent_sets(permutations: Permutations) -> tuple[tuple[int, ...], ...] | None:
    """Return the sets of sites whose free exchange makes up the group, or None.

    None means that some sites are exchanged only together with others.
    """
    n_sites = len(permutations[0])
    orbits = {tuple(sorted({order[site] for order in permutations})) for site in range(n_sites)}
    if math.prod(math.factorial(len(orbit)) for orbit in orbits) != len(permutations):
        return None
    return tuple(sorted(orbit for orbit in orbits if len(orbit) > 1))


def canonical_order(rows: NDArray[Any], permutations: Permutations) -> NDArray[Any]:
    """Permute each row to the lexicographically smallest of its equivalent orders.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_sites)
        A number for the species on each site.
    permutations : tuple of tuples of int
        A group.

    Returns
    -------
    ndarray of shape (n_samples, n_sites)
        Equal rows for equal crystals. With sets of equivalent sites, each set is sorted.
    """
    smallest = rows.copy()
    sets = equivalent_sets(permutations)
    if sets is not None:  # sorting is faster and gives the same
        for sites in sets:
            smallest[:, sites] = np.sort(rows[:, sites], axis=1)
        return smallest
    row = np.arange(len(rows))
    for order in permutations:
        moved = rows[:, order]
        # Compare lexicographically: by the first site at which the two orders differ.
        site = (moved != smallest).argmax(axis=1)
        smaller = moved[row, site] < smallest[row, site]
        smallest[smaller] = moved[smaller]
    return smallest


def _site_sets(n_sites: int, equivalent_sites: Any) -> list[list[int]]:
    """Check sets of equivalent sites."""
    message = (
        f"equivalent_sites={shown(equivalent_sites)} must be sets of sites from 0 to "
        f"{n_sites - 1}, each site in one set at most, such as [(0, 1)]."
    )
    try:
        sets = [list(sites) for sites in (() if equivalent_sites is None else equivalent_sites)]
    except TypeError:
        raise ValueError(message) from None
    listed = [site for sites in sets for site in sites]
    usable = all(isinstance(site, (int, np.integer)) and 0 <= site < n_sites for site in listed)
    if not usable or len(set(listed)) != len(listed):
        raise ValueError(message)
    return [sorted(int(site) for site in sites) for sites in sets]


def _exchanges(n_sites: int, sets: list[list[int]]) -> Permutations:
    """List all permutations within sets of sites."""
    sets = [sites for sites in sets if len(sites) > 1]
    if (
        sum(map(len, sets)) > MAX_PERMUTATIONS
        or math.prod(math.factorial(len(sites)) for sites in sets) > MAX_PERMUTATIONS
    ):
        raise ValueError(
            f"equivalent_sites={shown(sets)} allows more than {MAX_PERMUTATIONS} orders of the "
            "sites."
        )
    permutations = []
    for orders in itertools.product(*(itertools.permutations(sites) for sites in sets)):
        permutation = list(range(n_sites))
        for sites, order in zip(sets, orders, strict=True):
            for site, source in zip(sites, order, strict=True):
                permutation[site] = source
        permutations.append(tuple(permutation))
    return tuple(permutations)


def _checked_group(n_sites: int, permutations: Any) -> Permutations:
    """Check that permutations form a group, and put the identity first."""
    message = (
        f"permutations={shown(permutations)} must be orders of the sites 0 to {n_sites - 1}, "
        f"such as [{tuple(range(n_sites))[::-1]}]."
    )
    try:
        listed = [tuple(order) for order in itertools.islice(permutations, 10 * MAX_PERMUTATIONS)]
    except TypeError:
        raise ValueError(message) from None
    identity = tuple(range(n_sites))
    for order in listed:
        if not all(isinstance(site, (int, np.integer)) for site in order):
            raise ValueError(message)
        if tuple(sorted(order)) != identity:
            raise ValueError(message)
    group = dict.fromkeys([identity, *(tuple(map(int, order)) for order in listed)])
    if len(group) > MAX_PERMUTATIONS:
        raise ValueError(f"There are more than {MAX_PERMUTATIONS} permutations.")
    for first, second in itertools.product(group, repeat=2):
        both = tuple(first[site] for site in second)
        if both not in group:
            raise ValueError(
                f"permutations must form a group: {first} composed with {second} is {both}, "
                "which is not among them."
            )
    return tuple(group)
