"""Rows that were read, and rows that were rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes.exceptions import RowError

Reasons = dict[int, str]


class Matter(Protocol):
    """One kind of input: formulas, species on sites, atoms in space."""

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.intp]) -> Any:
        """Return some of the rows."""

    def elements(self) -> NDArray[np.bool_]:
        """Mark the elements of each row, shape (n_samples, 118)."""

    def describe(self, row: int) -> str:
        """Write a row for a message."""


M = TypeVar("M")
N = TypeVar("N")


@dataclass(frozen=True)
class Reading(Generic[M]):
    """Rows of X in the form that they were read into, and reasons against the others.

    Attributes
    ----------
    matter : Matter of length n_read, or what it is made of
    rows : ndarray of shape (n_read,)
        Position in X of each row of ``matter``, ascending.
    rejected : dict of {int: str}
        Reasons against the other rows, by position in X.
    """

    matter: M
    rows: NDArray[np.intp]
    rejected: Reasons

    @classmethod
    def of(cls, matter: M, n_rows: int, rejected: Reasons) -> Reading[M]:
        """Describe what a reader made of ``n_rows`` rows, of which it rejected some."""
        rows = np.arange(n_rows)
        return cls(matter, np.delete(rows, list(rejected)) if rejected else rows, rejected)

    def then(self, step: Callable[[M], tuple[N, Reasons]]) -> Reading[N]:
        """Read further; the step returns what it read and reasons against the other rows."""
        matter, reasons = step(self.matter)
        return Reading(matter, *self._without(reasons))

    def without(self, reasons: Reasons) -> Reading[M]:
        """Reject more rows, given by their position among those that were read."""
        if not reasons:
            return self
        kept = np.delete(np.arange(len(self.rows)), list(reasons))
        taken: Any = self.matter
        return Reading(taken.take(kept), *self._without(reasons))

    def _without(self, reasons: Reasons) -> tuple[NDArray[np.intp], Reasons]:
        if not reasons:
            return self.rows, self.rejected
        more = {int(self.rows[row]): reason for row, reason in reasons.items()}
        return np.delete(self.rows, list(reasons)), {**self.rejected, **more}

    def complete(self) -> M:
        """Return all rows, or raise for the first one that was rejected."""
        raise_first(self.rejected)
        return self.matter


def raise_first(rejected: Mapping[int, str]) -> None:
    """Raise for the first of the rejected rows, if there are any."""
    if rejected:
        row = min(rejected)
        raise RowError(row, rejected[row])
