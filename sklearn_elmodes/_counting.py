"""Combinatorial number systems: compute a candidate from its position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes.compositions import lowest_terms


def digits(ranks: NDArray[np.int64], sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    """Split ranks into mixed-radix digits with these bases; the first digit varies slowest."""
    digits = []
    for size in reversed(sizes):
        ranks, digit = np.divmod(ranks, max(size, 1))
        digits.append(digit)
    return digits[::-1]


def combinations(ranks: NDArray[np.int64], n_chosen: int, n: int) -> NDArray[np.intp]:
    """Return the combinations of ``n_chosen`` out of ``range(n)`` at these ranks.

    The combination c1 < c2 < … has the rank C(c1, 1) + C(c2, 2) + … (combinatorial number
    system), so that ranks are decoded without listing the combinations.
    """
    chosen = np.empty((len(ranks), n_chosen), dtype=np.intp)
    for k in range(n_chosen, 0, -1):
        counts = np.array([math.comb(c, k) for c in range(n)], dtype=np.int64)
        chosen[:, k - 1] = np.searchsorted(counts, ranks, side="right") - 1
        ranks = ranks - counts[chosen[:, k - 1]]
    return chosen


def ratios(allowed: list[int], count: int, max_atoms: int | None) -> NDArray[np.intp]:
    """List the allowed amounts of ``count`` elements, each ratio once.

    Returns an array of shape (n_ratios, count).
    """
    rows = np.stack(np.meshgrid(*[allowed] * count, indexing="ij"), axis=-1).reshape(-1, count)
    if max_atoms is not None:
        rows = rows[rows.sum(axis=1) <= max_atoms]
    # Rows are in lexicographic order, so the first row of a ratio has the smallest amounts.
    _, first = np.unique(lowest_terms(rows), axis=0, return_index=True)
    return rows[np.sort(first)]


def primitive(amounts: Sequence[float]) -> tuple[int, ...]:
    """Return the smallest integers that have the ratios of these amounts."""
    exact = [Fraction(amount).limit_denominator(1000) for amount in amounts]
    common = math.lcm(*(amount.denominator for amount in exact))
    whole = [int(amount * common) for amount in exact]
    divisor = math.gcd(*whole) or 1
    return tuple(amount // divisor for amount in whole)
