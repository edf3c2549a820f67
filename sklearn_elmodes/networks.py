"""The torch modules behind :class:`FormationEnergyRegressor`.

Every module holds a whole ensemble: parameters carry a leading axis of
``n_members``, and one batched product moves all members at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
# For predictions: rows of all members and orders that stay in the cache of a CPU together,
# and the number of species up to which a table of them is small.
_BLOCK_ROWS = 4096
_FEW_SPECIES = 512


class EnsembleLinear(nn.Module):
    """One linear layer for each member of an ensemble."""

    def __init__(self, n_members: int, n_in: int, n_out: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(torch.empty(n_members, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_members, 1, n_out))
        if not self.weight.is_meta:
            nn.init.uniform_(self.weight, -bound, bound, generator)
            nn.init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_members, n_rows, n_in) to (n_members, n_rows, n_out)."""
        return torch.baddbmm(self.bias, x, self.weight)


class Residual(nn.Module):
    """A hidden layer whose result is added to its input."""

    def __init__(self, linear: EnsembleLinear, activation: str, dropout: float) -> None:
        super().__init__()
        self.linear = linear
        self.activation = _ACTIVATIONS[activation]()
        self.dropout = dropout

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Keep the shape (n_members, n_rows, width); a generator means training."""
        change = self.activation(self.linear(x))
        if generator is not None and self.dropout:
            # One mask serves all members: on a CPU random bits cost as much as
            # the products, and the members see different rows anyway.
            kept = torch.empty_like(x[0]).bernoulli_(1 - self.dropout, generator=generator)
            change = change * kept.div_(1 - self.dropout)
        return x.add_(change) if torch.is_inference_mode_enabled() else x + change


class SiteNetwork(nn.Module):
    """A shared encoder for the features of each site, then one network over all sites.

    Parameters
    ----------
    n_members : int
        Size of the ensemble.
    n_sites, n_site_features : int
        Layout of a row. With one site there is nothing to share, and the
        encoder is left out.
    encoder_layer_sizes : sequence of int
        Widths of the encoder; the last one is what a site hands on.
    hidden_layer_sizes : sequence of int
        Widths of the network over all sites. A layer as wide as the one before
        it is residual.
    activation, encoder_activation : {"relu", "silu", "tanh"}
        Non-linearities of the network over all sites and of the encoder.
    dropout : float
        Share of activations dropped in residual layers during training.
    permutations : sequence of sequences of int
        All orders of the sites that leave the crystal as it is, identity
        included. Training draws one for each row, prediction averages them.
    dtype : torch.dtype
    seed : int
        Seed of the weights, the dropout and the drawn orders. The global
        random state is neither used nor changed.
    """

    permutations: Tensor

    def __init__(
        self,
        n_members: int,
        n_sites: int,
        n_site_features: int,
        encoder_layer_sizes: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        activation: str,
        encoder_activation: str,
        dropout: float,
        permutations: Sequence[Sequence[int]],
        dtype: torch.dtype,
        seed: int,
    ) -> None:
        super().__init__()
        self.n_members = n_members
        self.seed = seed
        self._generator: torch.Generator | None = None
        initial = torch.Generator().manual_seed(seed)
        encoder: list[nn.Module] = []
        width = n_site_features
        if n_sites > 1:
            for size in encoder_layer_sizes:
                encoder += [
                    EnsembleLinear(n_members, width, size, initial),
                    _ACTIVATIONS[encoder_activation](),
                ]
                width = size
            encoder = encoder[:-1]
        self.encoder = nn.Sequential(*encoder)
        self.site_width = width
        self.joint = nn.ModuleList()
        width *= n_sites
        for number, size in enumerate(hidden_layer_sizes):
            linear = EnsembleLinear(n_members, width, size, initial)
            if number and size == width:
                self.joint.append(Residual(linear, activation, dropout))
            else:
                self.joint.append(nn.Sequential(linear, _ACTIVATIONS[activation]()))
            width = size
        self.last = EnsembleLinear(n_members, width, 1, initial)
        self.register_buffer("permutations", torch.tensor(permutations), persistent=False)
        self.to(dtype)

    def forward(self, site_features: Tensor, sites: Tensor) -> Tensor:
        """Predict the scaled target.

        Parameters
        ----------
        site_features : tensor of shape (n_members, n_distinct, n_site_features)
            The distinct site descriptions that occur, each encoded once.
        sites : tensor of shape (n_members, n_rows, n_sites)
            Which of them sits on each site.

        Returns
        -------
        tensor of shape (n_members, n_rows)
        """
        codes = self.encoder(site_features)
        if len(self.permutations) == 1:
            return self._join(codes, sites)
        if self.training:
            drawn = torch.randint(
                len(self.permutations),
                sites.shape[:2],
                device=sites.device,
                generator=self._random(sites.device),
            )
            return self._join(codes, sites.gather(2, self.permutations[drawn]))
        return torch.stack(
            [self._join(codes, sites[..., order]) for order in self.permutations]
        ).mean(0)

    @property
    def _first(self) -> nn.Sequential:
        """The first layer over all sites, and its activation."""
        return cast(nn.Sequential, self.joint[0])

    def _join(self, codes: Tensor, sites: Tensor) -> Tensor:
        n_members, n_rows, n_sites = sites.shape
        index = sites.reshape(n_members, -1, 1).expand(-1, -1, self.site_width)
        rows = codes.gather(1, index).view(n_members, n_rows, n_sites * self.site_width)
        return self._finish(self._first[0](rows))

    def _finish(self, rows: Tensor) -> Tensor:
        """Go on from what the first layer gives before its activation."""
        rows = self._first[1](rows)
        generator = self._random(rows.device) if self.training else None
        for layer in self.joint[1:]:
            rows = layer(rows, generator) if isinstance(layer, Residual) else layer(rows)
        return self.last(rows)[..., 0]

    @torch.inference_mode()
    def predict(self, site_features: Tensor, sites: Tensor) -> Tensor:
        """Predict the scaled target of the same rows with all members, fast.

        Where few distinct species sit on the sites, the encoder and the first
        layer are tabulated, and cost one sum of looked-up vectors for a row.

        Parameters
        ----------
        site_features : tensor of shape (n_distinct, n_site_features)
        sites : tensor of shape (n_rows, n_sites)

        Returns
        -------
        tensor of shape (n_members, n_rows)
        """
        if self.training:
            self.eval()
        n_members, n_distinct = self.n_members, len(site_features)
        n_orders, n_sites = self.permutations.shape
        tabulated = n_sites > 1 and n_distinct <= _FEW_SPECIES
        if tabulated:
            tables = self._tabulate(site_features).flatten(0, 2)
            by_site = torch.arange(n_members * n_sites, device=sites.device) * n_distinct
        block_rows = max(1, _BLOCK_ROWS // (n_members * n_orders))
        # Small results that stay between large ones that go would fragment the memory.
        predicted = site_features.new_empty(n_members, len(sites))
        for start in range(0, len(sites), block_rows):
            block = sites[start : start + block_rows]
            if tabulated:
                index = block[:, self.permutations] + by_site.view(n_members, 1, 1, n_sites)
                rows = functional.embedding_bag(index.view(-1, n_sites), tables, mode="sum")
                result = self._finish(rows.view(n_members, len(block) * n_orders, -1))
                result = result.view(n_members, len(block), n_orders).mean(dim=2)
            else:
                own = site_features[block.flatten()].expand(n_members, -1, -1)
                index = torch.arange(block.numel(), device=block.device).view(block.shape)
                result = self(own, index.expand(n_members, -1, -1))
            predicted[:, start : start + block_rows] = result
        return predicted

    def _tabulate(self, site_features: Tensor) -> Tensor:
        """Return what each description on each site adds to the first layer.

        The shape is (n_members, n_sites, n_distinct, width).
        """
        first = cast(EnsembleLinear, self._first[0])
        codes = self.encoder(site_features.expand(self.n_members, -1, -1))
        tables = codes[:, None] @ first.weight.unflatten(1, (-1, self.site_width))
        tables[:, 0] += first.bias
        return tables

    def _random(self, device: torch.device) -> torch.Generator:
        """Return this network's own source of random numbers on a device."""
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self.seed + 1)
        return self._generator

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generator": None}


class EnsembleLoss(nn.Module):
    """Mean absolute error of each member, summed, so that members train independently."""

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Reduce two tensors of shape (n_members, n_rows) to a number."""
        return (predicted - target).abs().mean(dim=1).sum()
