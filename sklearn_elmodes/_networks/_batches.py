"""Datasets of whole tensors, their batches, and distinct rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

Batch = tuple[dict[str, Tensor], Tensor | tuple[Tensor, Tensor]]

_FEW_ROWS = 256


class EnsembleDataset(Dataset[Any], ABC):
    """Rows as tensors, for a network of one architecture.

    Attributes
    ----------
    targets : tensor of shape (n_samples,) or None
        Scaled targets, or classes; None for prediction.
    weights : tensor of shape (n_samples,) or None
        Sample weights with a mean of 1; None if all rows count the same.
    """

    targets: Tensor | None
    weights: Tensor | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def described(self) -> Tensor:
        """The distinct feature vectors of the species in the rows."""

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.described.device

    def weighted(self, weights: NDArray[np.float64] | None) -> Self:
        """Return a dataset with these sample weights, divided by their mean."""
        if weights is None:
            return self
        scaled = torch.as_tensor(weights / weights.mean(), dtype=self.described.dtype)
        return replace(cast(Any, self), weights=scaled.to(self.device))

    @abstractmethod
    def for_prediction(self) -> dict[str, Tensor]:
        """Return the arguments of the network's ``predict``."""

    @abstractmethod
    def groups(self) -> NDArray[np.intp]:
        """Return a number for each row, the same for rows that the network cannot distinguish."""

    @abstractmethod
    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the network's arguments for ``rows``, shape (n_members, n_rows)."""


class EnsembleBatches:
    """Batches of a dataset for all members of an ensemble.

    With a generator each member gets the rows in its own random order.
    """

    def __init__(
        self,
        dataset: EnsembleDataset,
        batch_size: int,
        n_members: int,
        generator: torch.Generator | None = None,
    ) -> None:
        self.dataset = dataset
        self.n_batches = -(-len(dataset) // batch_size)
        self.n_members = n_members
        self.generator = generator

    def __iter__(self) -> Iterator[Batch]:
        n_samples, device = len(self.dataset), self.dataset.device
        targets = self.dataset.targets
        weights = self.dataset.weights
        assert targets is not None, "training and validation need targets"
        if self.generator is not None:
            orders = [
                torch.randperm(n_samples, generator=self.generator) for _ in range(self.n_members)
            ]
            order = torch.stack(orders).to(device)
        else:
            order = torch.arange(n_samples, device=device).expand(self.n_members, -1)
        # Batches of nearly equal size, so that no step has only a few rows.
        for rows in order.tensor_split(self.n_batches, dim=1):
            own = targets[rows]
            yield self.dataset.inputs(rows), own if weights is None else (own, weights[rows])


def as_targets(y: NDArray[Any] | None, dtype: Any, device: str) -> Tensor | None:
    """Convert targets to the dtype of the features; classes keep theirs."""
    if y is None:
        return None
    return torch.as_tensor(y.astype(dtype) if y.dtype.kind == "f" else y, device=device)


def distinct_rows(rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the distinct rows of a matrix by hashing their bytes, in sorted order.

    Returns
    -------
    first : ndarray of shape (n_distinct,)
        Where each distinct row occurs first.
    inverse : ndarray of shape (n_rows,)
        Index of the distinct row that each row equals.
    """
    import pandas as pd

    if len(rows) <= _FEW_ROWS:
        return _sorted_rows(rows)
    words = np.ascontiguousarray(rows).view(np.uint32)
    multipliers = np.random.RandomState(0).randint(1, 2**63, words.shape[1], dtype=np.uint64) | 1
    keys = words.astype(np.uint64) @ multipliers
    inverse, distinct = pd.factorize(keys)
    first = np.empty(len(distinct), dtype=np.intp)
    first[inverse[::-1]] = np.arange(len(rows) - 1, -1, -1)
    if not np.array_equal(rows[first][inverse], rows):  # a hash collision
        return _sorted_rows(rows)
    order = np.lexsort(rows[first].T[::-1])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _sorted_rows(rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the distinct rows by sorting, which is faster for few rows."""
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
