"""Layers and losses that the architectures share.

Every module contains a whole ensemble: parameters have a leading axis of
``n_members``, and one batched matrix product computes all members.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class SiLU(nn.Module):
    """x / (1 + exp(-x)), in place if no gradient is needed."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation; the shape is kept."""
        return functional.silu(x, inplace=torch.is_inference_mode_enabled())


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "silu": SiLU,
    "tanh": nn.Tanh,
}

_SMALLEST_SQUARE = 1e-3  # rows of zeros stay zeros


class EnsembleLinear(nn.Module):
    """One linear layer for each member of an ensemble.

    With a ``gain`` the weights are initialised from a Gaussian with standard deviation
    ``gain / sqrt(n_in)`` and the biases with 0; otherwise as in torch's ``Linear``.
    """

    def __init__(
        self,
        n_members: int,
        n_in: int,
        n_out: int,
        generator: torch.Generator,
        gain: float | None = None,
    ) -> None:
        super().__init__()
        scale = 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(torch.empty(n_members, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_members, 1, n_out))
        if self.weight.is_meta:
            return
        if gain is None:
            nn.init.uniform_(self.weight, -scale, scale, generator)
            nn.init.uniform_(self.bias, -scale, scale, generator)
        else:
            nn.init.normal_(self.weight, 0.0, gain * scale, generator)
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_members, n_rows, n_in) to (n_members, n_rows, n_out)."""
        return torch.baddbmm(self.bias, x, self.weight)


class Residual(nn.Module):
    """A hidden layer that adds its result to its input.

    If ``normalised``, the layer first divides its input by the root mean square, so that
    many layers cannot amplify rows that are unlike the training data.
    """

    def __init__(
        self, linear: EnsembleLinear, activation: str, dropout: float, normalised: bool = False
    ) -> None:
        super().__init__()
        self.linear = linear
        self.normalised = normalised
        self.activation = ACTIVATIONS[activation]()
        self.dropout = dropout

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Apply the layer to (n_members, n_rows, width); dropout needs a generator."""
        read = x
        if self.normalised:
            read = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + _SMALLEST_SQUARE)
        change = self.activation(self.linear(read))
        if generator is not None and self.dropout:
            # One mask for all members: on a CPU, random numbers cost as much as the
            # matrix products, and each member has different rows anyway.
            kept = torch.empty_like(x[0]).bernoulli_(1 - self.dropout, generator=generator)
            change = change * kept.div_(1 - self.dropout)
        return x.add_(change) if torch.is_inference_mode_enabled() else x + change


class EnsembleNetwork(nn.Module):
    """An encoder, layers over a whole row, and a random number generator.

    ``forward`` takes the ``inputs`` of a dataset, ``predict`` its ``for_prediction``; both
    return outputs of shape (n_members, n_rows, n_outputs).
    """

    encoder: nn.Module
    joint: nn.ModuleList
    last: EnsembleLinear

    def __init__(self, n_members: int, n_outputs: int, seed: int) -> None:
        super().__init__()
        self.n_members = n_members
        self.n_outputs = n_outputs
        self.seed = seed
        self._generator: torch.Generator | None = None

    def _finish(self, rows: Tensor, layers: Iterable[nn.Module]) -> Tensor:
        """Apply hidden layers and the last one, shape (n_members, n_rows, n_outputs)."""
        generator = self._random(rows.device) if self.training else None
        for layer in layers:
            rows = layer(rows, generator) if isinstance(layer, Residual) else layer(rows)
        return self.last(rows)

    def random_state(self) -> Tensor | None:
        """Return the state of the generator; None before its first use."""
        return None if self._generator is None else self._generator.get_state()

    def set_random_state(self, device: str, state: Tensor) -> None:
        """Set the state of the generator."""
        self._random(torch.device(device)).set_state(state)

    def _random(self, device: torch.device) -> torch.Generator:
        """Return the generator of this network on a device."""
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self.seed + 1)
        return self._generator

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generator": None}


def hidden_layers(
    sizes: Sequence[int],
    make_linear: Callable[[int, int], EnsembleLinear],
    activation: str,
    dropout: float,
    normalised: bool = False,
) -> Iterator[nn.Module]:
    """Yield layers between ``sizes``; those that keep the width are residual."""
    for n_in, n_out in itertools.pairwise(sizes):
        linear = make_linear(n_in, n_out)
        if n_in == n_out:
            yield Residual(linear, activation, dropout, normalised)
        else:
            yield nn.Sequential(linear, ACTIVATIONS[activation]())


class EnsembleLoss(nn.Module):
    """Mean absolute error, summed over the members, so that they train independently.

    The second argument is the targets, or a pair of targets and sample weights.
    """

    def forward(self, predicted: Tensor, target: Tensor | Sequence[Tensor]) -> Tensor:
        """Reduce outputs (n_members, n_rows, 1) and targets (n_members, n_rows) to a number."""
        if isinstance(target, Tensor):
            return (predicted[..., 0] - target).abs().mean(dim=1).sum()
        target, weights = target
        return ((predicted[..., 0] - target).abs() * weights).mean(dim=1).sum()


class EnsembleCrossEntropy(nn.Module):
    """Cross-entropy, summed over the members.

    The second argument is the classes, or a pair of classes and sample weights.
    """

    def forward(self, predicted: Tensor, target: Tensor | Sequence[Tensor]) -> Tensor:
        """Reduce outputs (n_members, n_rows, n_classes) and classes (n_members, n_rows)."""
        if isinstance(target, Tensor):
            return len(target) * functional.cross_entropy(predicted.flatten(0, 1), target.flatten())
        target, weights = target
        losses = functional.cross_entropy(
            predicted.flatten(0, 1), target.flatten(), reduction="none"
        )
        return (losses.view_as(weights) * weights).mean(dim=1).sum()
