"""Rows of X that were read, and rows that were rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes.exceptions import RowError

Reasons = dict[int, str]


class Matter(Protocol):
    """Rows of one kind of input, such as formulas or species per site."""

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.intp]) -> Any:
        """Return some of the rows."""

    def elements(self) -> NDArray[np.bool_]:
        """Mark the elements of each row, shape (n_samples, 118)."""

    def groups(self) -> NDArray[np.intp]:
        """Return a number for each row, the same for equal rows."""

    def describe(self, row: int) -> str:
        """Format a row for a message."""


M = TypeVar("M")
N = TypeVar("N")


@dataclass(frozen=True)
class Reading(Generic[M]):
    """The rows of X that could be read, and why each other row was rejected.

    Attributes
    ----------
    matter : Matter of length n_read, or an intermediate form of it
    rows : ndarray of shape (n_read,)
        Position in X of each row of ``matter``, ascending.
    rejected : dict of {int: str}
        Why each other row was rejected, by position in X.
    """

    matter: M
    rows: NDArray[np.intp]
    rejected: Reasons

    @classmethod
    def of(cls, matter: M, n_rows: int, rejected: Reasons) -> Reading[M]:
        """Combine the result of reading ``n_rows`` rows with the rows that were rejected."""
        rows = np.arange(n_rows)
        return cls(matter, np.delete(rows, list(rejected)) if rejected else rows, rejected)

    @property
    def n_rows(self) -> int:
        """Number of rows of X."""
        return len(self.rows) + len(self.rejected)

    def then(self, step: Callable[[M], tuple[N, Reasons]]) -> Reading[N]:
        """Apply another reading step, which may reject more rows."""
        matter, reasons = step(self.matter)
        return Reading(matter, *self._without(reasons))

    def without(self, reasons: Reasons) -> Reading[M]:
        """Reject more rows, by their position in ``matter``."""
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
        """Return ``matter``, or raise a RowError for the first rejected row."""
        raise_first(self.rejected)
        return self.matter


def number_rows(table: NDArray[Any]) -> NDArray[np.intp]:
    """Return a number for each row, counted in order of appearance; equal rows have the same."""
    _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)]


def raise_first(rejected: Mapping[int, str]) -> None:
    """Raise a RowError for the first rejected row, if any."""
    if rejected:
        row = min(rejected)
        raise RowError(row, rejected[row])
