"""Formulas of any kind: a network over the set of elements in a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from sklearn_elmodes._networks._architecture import Architecture
from sklearn_elmodes._networks._batches import EnsembleDataset, as_targets, distinct_rows
from sklearn_elmodes._networks._layers import (
    ACTIVATIONS,
    EnsembleLinear,
    EnsembleNetwork,
    hidden_layers,
)
from sklearn_elmodes._networks._recipes import SET
from sklearn_elmodes._validation import listed

# Centres of the Gaussians that describe amounts: log2 of the atoms of an element and of all atoms
# in the reduced formula unit, and the atomic fraction.
_LOG2_AMOUNTS = np.log2([1, 2, 3, 4, 6, 8])
_LOG2_ATOMS = np.log2([2, 3, 4, 5, 6, 7, 8, 9, 10])
_FRACTIONS = np.array([0, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3, 3 / 4, 5 / 6, 1])
N_AMOUNT_FEATURES = 12 + len(_LOG2_AMOUNTS) + len(_LOG2_ATOMS) + len(_FRACTIONS)
_GAIN = 1.4  # of the initial weights; 0.065 eV/atom, against 0.085 with torch's initialisation
_BLOCK_ROWS = 1024  # rows predicted together


@dataclass(frozen=True)
class SetDataset(EnsembleDataset):
    """Formulas as sets of tokens; a token is an element with its amount in a formula unit.

    Attributes
    ----------
    element_features : tensor of shape (n_elements, n_element_features)
        The distinct feature vectors of elements.
    elements : tensor of shape (n_tokens,)
        The element of each distinct token, as an index.
    amount_features : tensor of shape (n_tokens, n_amount_features)
    tokens : tensor of shape (n_samples, max_elements)
        The tokens of each formula, in ascending order, then -1.
    targets : tensor of shape (n_samples,)
        Scaled targets, or classes; None for prediction.
    weights : tensor of shape (n_samples,)
        Sample weights; None if all rows count the same.
    """

    element_features: Tensor
    elements: Tensor
    amount_features: Tensor
    tokens: Tensor
    targets: Tensor | None
    weights: Tensor | None = None

    @classmethod
    def from_arrays(
        cls, X: NDArray[Any], y: NDArray[Any] | None, n_element_features: int, device: str
    ) -> SetDataset:
        """Read rows of X: blocks with the features of an element and its amount.

        Raises
        ------
        ValueError
            If an amount is negative.
        """
        width = n_element_features + 1
        blocks = X.reshape(len(X), X.shape[1] // width, width)
        amounts = blocks[:, :, -1]
        if (amounts < 0).any():
            row, block = np.argwhere(amounts < 0)[0]
            raise ValueError(
                f"Negative values in data: row {row} has the amount {amounts[row, block]} in block "
                f"{block}. The last column of each block must be an amount, zero or positive."
            )
        present = amounts > 0
        n_elements = present.sum(axis=1)
        described = blocks[present]  # (n_entries, n_element_features + 1)
        first_element, element = distinct_rows(described[:, :-1])
        # Sum in a fixed order, since rounding depends on the order.
        n_atoms = np.sort(amounts, axis=1).sum(axis=1, dtype=np.float64)
        key = np.empty((len(element), 4), dtype=X.dtype)
        key[:, 0] = element
        key[:, 1] = described[:, -1]
        key[:, 2] = np.repeat(n_atoms, n_elements)
        key[:, 3] = np.repeat(n_elements, n_elements)
        first_token, token = distinct_rows(key)
        tokens = np.full(amounts.shape, len(first_token))
        tokens[present] = token
        # Equal formulas become equal rows, with bitwise-identical predictions.
        tokens.sort(axis=1)
        tokens[tokens == len(first_token)] = -1
        return cls(
            torch.as_tensor(described[first_element, :-1], device=device),
            torch.as_tensor(element[first_token], device=device),
            torch.as_tensor(amount_features(*key[first_token, 1:].T), device=device),
            torch.as_tensor(tokens[:, : n_elements.max()], device=device),
            as_targets(y, X.dtype, device),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def described(self) -> Tensor:
        """The distinct feature vectors of elements."""
        return self.element_features

    def for_prediction(self) -> dict[str, Tensor]:
        """Return the arguments of the network's ``predict``."""
        present = self.tokens >= 0
        return {
            "element_features": self.element_features,
            "elements": self.elements,
            "amount_features": self.amount_features,
            "entries": self.tokens[present],
            "starts": functional.pad(present.sum(dim=1).cumsum(0), (1, 0)),
        }

    def groups(self) -> NDArray[np.intp]:
        """Return a number for each row, the same for rows that the network cannot distinguish."""
        return distinct_rows(self.tokens.numpy())[1]

    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the network's arguments for ``rows``, shape (n_members, n_rows)."""
        tokens = self.tokens[rows]  # (n_members, n_rows, max_elements)
        n_members = len(tokens)
        present = tokens >= 0
        lengths = present.sum(dim=2)
        # The distinct tokens in the rows of each member, so that each is encoded once.
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


class SetNetwork(EnsembleNetwork):
    """A network over the elements of a formula, whatever their number and order.

    An encoder reads the modes and the amount of each element. Its outputs are summed over
    the formula (deep sets, Zaheer et al. 2017, arXiv:1703.06114). Residual layers with
    normalised input follow.

    Parameters
    ----------
    n_members : int
        Size of the ensemble.
    n_outputs : int
        Numbers to predict for a row.
    n_element_features : int
        Length of the feature vector of an element: its modes.
    encoder_layer_sizes : sequence of int
        Widths of the encoder. The last layer reads the element together with its
        amount, the layers before it only the element.
    hidden_layer_sizes : sequence of int
        Width of the sum over the elements, and of the layers that follow. A
        layer as wide as the one before it is residual.
    activation, encoder_activation : {"relu", "silu", "tanh"}
        Activation functions after the sum and in the encoder.
    dropout : float
        Fraction of activations dropped in residual layers during training.
    dtype : torch.dtype
    seed : int
        Seed of the weights and dropout. The global random state is neither used
        nor changed.
    """

    def __init__(
        self,
        n_members: int,
        n_outputs: int,
        n_element_features: int,
        encoder_layer_sizes: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        activation: str,
        encoder_activation: str,
        dropout: float,
        dtype: torch.dtype,
        seed: int,
    ) -> None:
        super().__init__(n_members, n_outputs, seed)
        initial = torch.Generator().manual_seed(seed)

        def linear(n_in: int, n_out: int) -> EnsembleLinear:
            return EnsembleLinear(n_members, n_in, n_out, initial, gain=_GAIN)

        element: list[nn.Module] = []
        width = n_element_features
        for size in encoder_layer_sizes[:-1]:
            element += [linear(width, size), ACTIVATIONS[encoder_activation]()]
            width = size
        amount: list[nn.Module] = []
        width += N_AMOUNT_FEATURES
        for size in encoder_layer_sizes[-1:]:
            amount += [linear(width, size), ACTIVATIONS[encoder_activation]()]
            width = size
        amount.append(linear(width, hidden_layer_sizes[0]))
        self.encoder = nn.ModuleDict(
            {"element": nn.Sequential(*element), "amount": nn.Sequential(*amount)}
        )
        self.joint = nn.ModuleList([ACTIVATIONS[activation]()])
        self.joint += hidden_layers(
            hidden_layer_sizes, linear, activation, dropout, normalised=True
        )
        self.last = linear(hidden_layer_sizes[-1], n_outputs)
        self.to(dtype)

    def forward(
        self,
        element_features: Tensor,
        elements: Tensor,
        amount_features: Tensor,
        entries: Tensor,
        starts: Tensor,
    ) -> Tensor:
        """Compute the outputs: a scaled target, or a logit for each class.

        Parameters
        ----------
        element_features : tensor of shape (n_members, n_elements, n_element_features)
            The distinct elements.
        elements : tensor of shape (n_members, n_tokens)
            The element of each distinct token (an element and its amount), as an index.
        amount_features : tensor of shape (n_members, n_tokens, N_AMOUNT_FEATURES)
            Features of the token's amount.
        entries : tensor of shape (n_members, n_entries)
            The tokens of the formulas, one formula after the other.
        starts : tensor of shape (n_members, n_rows + 1)
            Where each formula begins, and where the last one ends.

        Returns
        -------
        tensor of shape (n_members, n_rows, n_outputs)
        """
        tokens = self._encode(element_features, elements, amount_features)
        member = torch.arange(self.n_members, device=entries.device)[:, None]
        rows = functional.embedding_bag(
            (entries + tokens.shape[1] * member).flatten(),
            tokens.flatten(0, 1),
            (starts + entries.shape[1] * member).flatten(),
            mode="sum",
        )
        # The entries after a member's last formula are padding.
        return self._finish(rows.view(*starts.shape, -1)[:, :-1], self.joint)

    def _encode(
        self, element_features: Tensor, elements: Tensor, amount_features: Tensor
    ) -> Tensor:
        """Return the encoding of each token, shape (n_members, n_tokens, width)."""
        encoder = cast(nn.ModuleDict, self.encoder)
        codes = encoder["element"](element_features)
        codes = codes.gather(1, elements.unsqueeze(2).expand(-1, -1, codes.shape[2]))
        return encoder["amount"](torch.cat([codes, amount_features], dim=2))

    @torch.inference_mode()
    def predict(
        self,
        element_features: Tensor,
        elements: Tensor,
        amount_features: Tensor,
        entries: Tensor,
        starts: Tensor,
    ) -> Tensor:
        """Compute the outputs of the same formulas with all members, without gradients.

        Parameters
        ----------
        element_features : tensor of shape (n_elements, n_element_features)
        elements : tensor of shape (n_tokens,)
        amount_features : tensor of shape (n_tokens, N_AMOUNT_FEATURES)
        entries : tensor of shape (n_entries,)
        starts : tensor of shape (n_rows + 1,)
            The last one is the number of entries.

        Returns
        -------
        tensor of shape (n_members, n_rows, n_outputs)
        """
        if self.training:
            self.eval()
        tokens = self._encode(
            *(
                x.expand(self.n_members, *x.shape)
                for x in (element_features, elements, amount_features)
            )
        )
        n_rows = len(starts) - 1
        predicted = element_features.new_empty(self.n_members, n_rows, self.n_outputs)
        for start in range(0, n_rows, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, n_rows)
            first = starts[start:stop]
            part = entries[first[0] : starts[stop]], first - first[0]
            rows = [functional.embedding_bag(part[0], own, part[1], mode="sum") for own in tokens]
            predicted[:, start:stop] = self._finish(torch.stack(rows), self.joint)
        return predicted


def amount_features(
    amounts: NDArray[Any], n_atoms: NDArray[Any], n_elements: NDArray[Any]
) -> NDArray[Any]:
    """Compute the features of amounts in the reduced formula unit.

    Parameters
    ----------
    amounts, n_atoms, n_elements : ndarray of shape (n_tokens,)
        Atoms of an element; atoms and distinct elements in the formula unit. All positive.

    Returns
    -------
    ndarray of shape (n_tokens, N_AMOUNT_FEATURES)
        In the dtype of ``amounts``: the atomic fraction x, its square root, its square and
        -x log x; log2 of the amount and of the number of atoms; the inverse of the number
        of atoms; a sine that is zero at powers of two; the number of elements, one-hot; and
        Gaussians of the two logarithms and of x, centred on small integers and simple
        ratios.
    """
    fraction = amounts / n_atoms
    # Training data have no amounts below 0.5.
    amounts, n_atoms = np.clip(amounts, 0.5, None), np.clip(n_atoms, 0.5, None)
    log2_amount, log2_atoms = np.log2(amounts), np.log2(n_atoms)
    columns = [
        fraction,
        np.sqrt(fraction),
        fraction**2,
        -fraction * np.log(np.clip(fraction, 1e-9, None)),
        log2_amount / 2,
        (log2_atoms - 2) / 1.5,
        4 / n_atoms - 1,
        np.sin(np.pi * log2_amount),
        *(n_elements == n for n in (2, 3, 4)),
        n_elements >= 5,
    ]
    gaussians = [
        np.exp(-(((values[:, None] - centres) / width) ** 2) / 2)
        for values, centres, width in (
            (log2_amount, _LOG2_AMOUNTS, 0.35),
            (log2_atoms, _LOG2_ATOMS, 0.2),
            (fraction, _FRACTIONS, 0.06),
        )
    ]
    return np.hstack([np.stack(columns, axis=1), *gaussians]).astype(amounts.dtype)


class _Set(Architecture):
    """Rows with the features and the amount of each element, padded with zeros."""

    name = "set"
    recipe = SET
    network = SetNetwork

    def layout(self, n_features: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
        max_elements = int(parameters["max_elements"])
        if n_features % max_elements:
            raise ValueError(
                f"X has {n_features} features, which is not a multiple of "
                f"max_elements={max_elements}."
            )
        width = n_features // max_elements
        if width == 1:
            raise ValueError(
                f'architecture="set" needs at least one feature and the amount of each element; X '
                f"has n_features={n_features} for max_elements={max_elements}."
            )
        for name in ("equivalent_sites", "permutations"):
            if parameters[name] is not None:
                raise ValueError(
                    f'{name} must be None with architecture="set", whose elements have no order.'
                )
        return {"n_element_features": width - 1}

    def dataset(
        self, X: Any, y: NDArray[Any] | None, arguments: Mapping[str, Any], device: str
    ) -> SetDataset:
        return SetDataset.from_arrays(X, y, arguments["n_element_features"], device)

    def describe(self, arguments: Mapping[str, Any], site_names: Sequence[str] | None) -> str:
        encoder, hidden = (
            listed(arguments[f"{name}_layer_sizes"]) for name in ("encoder", "hidden")
        )
        return (
            f"an encoder with layers of {encoder} units reads the modes and the amount of each "
            f"element; layers of {hidden} units read the sum over the elements"
        )


ARCHITECTURE = _Set()
