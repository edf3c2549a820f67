"""How rows of numbers become batches of whole tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from sklearn_elmodes.networks import amount_features

Batch = tuple[dict[str, Tensor], Tensor]

_FEW_ROWS = 256


@dataclass(frozen=True)
class SiteDataset(Dataset[Any]):
    """Rows of sites, as indices into the distinct site descriptions.

    Attributes
    ----------
    site_features : tensor of shape (n_distinct, n_site_features)
    sites : tensor of shape (n_samples, n_sites)
    targets : tensor of shape (n_samples,)
        Scaled targets, or classes; None for prediction.
    """

    site_features: Tensor
    sites: Tensor
    targets: Tensor | None

    @classmethod
    def from_arrays(
        cls,
        X: NDArray[Any],
        y: NDArray[Any] | None,
        n_sites: int,
        equivalent_sites: Sequence[Sequence[int]],
        device: str,
    ) -> SiteDataset:
        """Split rows of X, shape (n_samples, n_sites * n_site_features), into sites."""
        blocks = X.reshape(len(X) * n_sites, -1)
        if n_sites == 1:
            first = inverse = np.arange(len(X))
        else:
            first, inverse = distinct_rows(blocks)
        sites = inverse.reshape(len(X), n_sites)
        # Equal crystals become equal rows, to the last bit of what is computed.
        for group in equivalent_sites:
            sites[:, group] = np.sort(sites[:, group], axis=1)
        return cls(
            torch.as_tensor(blocks[first], device=device),
            torch.as_tensor(sites, device=device),
            _targets(y, X.dtype, device),
        )

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.sites.device

    @property
    def described(self) -> Tensor:
        """The distinct descriptions of what sits on a site."""
        return self.site_features

    def for_prediction(self) -> dict[str, Tensor]:
        """Return what the network's ``predict`` takes."""
        return {"site_features": self.site_features, "sites": self.sites}

    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        """Return what the network takes for ``rows``, shape (n_members, n_rows)."""
        sites = self.sites[rows]  # (n_members, n_rows, n_sites)
        n_members = len(sites)
        if len(self.site_features) <= sites[0].numel() or sites.shape[2] == 1:
            return {"site_features": self.site_features.expand(n_members, -1, -1), "sites": sites}
        # More distinct sites than this batch has: encode only its own.
        own = torch.arange(sites[0].numel(), device=sites.device).view(1, *sites.shape[1:])
        return {
            "site_features": self.site_features[sites.flatten(1)],
            "sites": own.expand_as(sites),
        }


@dataclass(frozen=True)
class SetDataset(Dataset[Any]):
    """Formulas as sets of tokens; a token is an element with its amount in a formula unit.

    Attributes
    ----------
    element_features : tensor of shape (n_elements, n_element_features)
        The distinct descriptions of elements.
    elements : tensor of shape (n_tokens,)
        Which of them each distinct token holds.
    amount_features : tensor of shape (n_tokens, n_amount_features)
    tokens : tensor of shape (n_samples, n_sites)
        The tokens of each formula, in ascending order, then -1.
    targets : tensor of shape (n_samples,)
        Scaled targets, or classes; None for prediction.
    """

    element_features: Tensor
    elements: Tensor
    amount_features: Tensor
    tokens: Tensor
    targets: Tensor | None

    @classmethod
    def from_arrays(
        cls, X: NDArray[Any], y: NDArray[Any] | None, n_sites: int, device: str
    ) -> SetDataset:
        """Read rows of X, ``n_sites`` blocks of what describes an element and its amount.

        Raises
        ------
        ValueError
            If an amount is negative.
        """
        blocks = X.reshape(len(X), n_sites, -1)
        amounts = blocks[:, :, -1]
        if (amounts < 0).any():
            row, site = np.argwhere(amounts < 0)[0]
            raise ValueError(
                f"Negative values in data: row {row} has the amount {amounts[row, site]} in block "
                f"{site}. The last column of each block is an amount of atoms."
            )
        present = amounts > 0
        n_elements = present.sum(axis=1)
        described = blocks[present]  # (n_entries, n_element_features + 1)
        first_element, element = distinct_rows(described[:, :-1])
        # In one order, or the last bit of the sum would depend on it.
        n_atoms = np.sort(amounts, axis=1).sum(axis=1, dtype=np.float64)
        key = np.empty((len(element), 4), dtype=X.dtype)
        key[:, 0] = element
        key[:, 1] = described[:, -1]
        key[:, 2] = np.repeat(n_atoms, n_elements)
        key[:, 3] = np.repeat(n_elements, n_elements)
        first_token, token = distinct_rows(key)
        tokens = np.full(amounts.shape, len(first_token))
        tokens[present] = token
        # One order for one formula, so that it has one energy, to the last bit.
        tokens.sort(axis=1)
        tokens[tokens == len(first_token)] = -1
        return cls(
            torch.as_tensor(described[first_element, :-1], device=device),
            torch.as_tensor(element[first_token], device=device),
            torch.as_tensor(amount_features(*key[first_token, 1:].T), device=device),
            torch.as_tensor(tokens[:, : n_elements.max()], device=device),
            _targets(y, X.dtype, device),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.tokens.device

    @property
    def described(self) -> Tensor:
        """The distinct descriptions of elements."""
        return self.element_features

    def for_prediction(self) -> dict[str, Tensor]:
        """Return what the network's ``predict`` takes."""
        present = self.tokens >= 0
        return {
            "element_features": self.element_features,
            "elements": self.elements,
            "amount_features": self.amount_features,
            "entries": self.tokens[present],
            "starts": functional.pad(present.sum(dim=1).cumsum(0), (1, 0)),
        }

    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        """Return what the network takes for ``rows``, shape (n_members, n_rows)."""
        tokens = self.tokens[rows]  # (n_members, n_rows, n_sites)
        n_members = len(tokens)
        present = tokens >= 0
        lengths = present.sum(dim=2)
        # The distinct tokens of each member's own rows, each to be encoded once.
        found = [
            torch.unique(own[here], return_inverse=True)
            for own, here in zip(tokens, present, strict=True)
        ]
        distinct = pad_sequence([tokens for tokens, _ in found], batch_first=True)
        return {
            "element_features": self.element_features.expand(n_members, -1, -1),
            "elements": self.elements[distinct],
            "amount_features": self.amount_features[distinct],
            "entries": pad_sequence([entries for _, entries in found], batch_first=True),
            "starts": functional.pad(lengths.cumsum(1), (1, 0)),
        }


class EnsembleBatches:
    """Iterate over a dataset in batches for every member of an ensemble.

    With a generator every member goes through the rows in an order of its own.
    """

    def __init__(
        self,
        dataset: SiteDataset | SetDataset,
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
        assert targets is not None, "only data with targets is iterated over"
        if self.generator is not None:
            orders = [
                torch.randperm(n_samples, generator=self.generator) for _ in range(self.n_members)
            ]
            order = torch.stack(orders).to(device)
        else:
            order = torch.arange(n_samples, device=device).expand(self.n_members, -1)
        # Batches of nearly equal size, so that no lone row gets a step of its own.
        for rows in order.tensor_split(self.n_batches, dim=1):
            yield self.dataset.inputs(rows), targets[rows]


def _targets(y: NDArray[Any] | None, dtype: Any, device: str) -> Tensor | None:
    """Give numbers the type of the features; classes keep theirs."""
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
        Which distinct row each row is.
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
    if not np.array_equal(rows[first][inverse], rows):  # two rows with one hash
        return _sorted_rows(rows)
    order = np.lexsort(rows[first].T[::-1])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _sorted_rows(rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Do the same by sorting, which is faster for few rows."""
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
