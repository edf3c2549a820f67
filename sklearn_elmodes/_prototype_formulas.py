"""Formulas and symmetries of prototypes, read from text."""

from __future__ import annotations

import re
from typing import Any

from sklearn_elmodes._validation import shown

# Formula and equivalent sites of named structures. In rock salt and in elpasolite a
# translation by half a cell exchanges A and B, and maps C onto C and D onto D. In
# perovskite A and B differ in coordination.
KNOWN: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "elpasolite": ("ABC2D6", (("A", "B"),)),
    "perovskite": ("ABX3", ()),
    "rock-salt": ("AB", (("A", "B"),)),
}
_SITE = re.compile(r"([A-Z])([0-9]*)")
_MAX_SITES = 12


def read_sites(given: str, formula: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Read the sites of a formula and their multiplicities."""
    found = _SITE.findall(formula)
    sites = tuple(letter for letter, _ in found)
    if not found or "".join(map("".join, found)) != formula or len(set(sites)) != len(sites):
        raise ValueError(
            f"Cannot read the prototype {shown(given)}: write each site once, as a capital "
            "letter with its multiplicity, such as 'ABC2D6', or use a name: "
            f"{', '.join(KNOWN)}."
        )
    multiplicities = tuple(int(digits[:9] or 1) for _, digits in found)
    if len(sites) > _MAX_SITES:
        raise ValueError(f"The prototype {shown(given)} has more than {_MAX_SITES} sites.")
    if min(multiplicities) < 1 or any(len(digits) > 3 for _, digits in found):
        raise ValueError(
            f"Cannot read the prototype {shown(given)}: multiplicities lie between 1 and 999."
        )
    return sites, multiplicities


def read_site_sets(
    sites: tuple[str, ...], formula: str, equivalent_sites: Any
) -> tuple[tuple[str, ...], ...]:
    """Check sets of equivalent sites."""
    message = (
        f"equivalent_sites={shown(equivalent_sites)} must be a sequence of sets of two "
        'sites or more, such as [("A", "B")].'
    )
    try:
        given = list(equivalent_sites)
        sets = tuple(tuple(group) for group in given)
    except TypeError:
        raise ValueError(message) from None
    if (
        isinstance(equivalent_sites, str)
        or any(isinstance(group, str) for group in given)
        or not all(
            len(group) > 1 and all(isinstance(site, str) for site in group) for group in sets
        )
    ):
        raise ValueError(message)
    listed = [site for group in sets for site in group]
    if len(set(listed)) != len(listed) or not set(listed) <= set(sites):
        raise ValueError(
            f"equivalent_sites={shown(equivalent_sites)} must name sites of {formula!r}, each once."
        )
    return sets


def read_orders(sites: tuple[str, ...], formula: str, permutations: Any) -> list[tuple[int, ...]]:
    """Convert permutations from letters of the sites to indices."""
    message = (
        f"permutations={shown(permutations)} must be orders of the sites of {formula!r}, "
        f"such as [{''.join(reversed(sites))!r}]."
    )
    try:
        orders = [] if isinstance(permutations, str) else [tuple(order) for order in permutations]
    except TypeError:
        raise ValueError(message) from None
    if not orders or any(sorted(map(str, order)) != sorted(sites) for order in orders):
        raise ValueError(message)
    return [tuple(map(sites.index, order)) for order in orders]
