"""Crystals of one structure: a shared encoder for all sites, then one network over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sklearn_elmodes._networks._architecture import Architecture
from sklearn_elmodes._networks._batches import EnsembleDataset, as_targets, distinct_rows
from sklearn_elmodes._networks._layers import (
    ACTIVATIONS,
    EnsembleLinear,
    EnsembleNetwork,
    hidden_layers,
)
from sklearn_elmodes._networks._recipes import SITES
from sklearn_elmodes._symmetry import (
    Permutations,
    canonical_order,
    equivalent_sets,
    permutation_group,
)
from sklearn_elmodes._validation import listed

# Prediction: rows (over members and orders) that fit into a CPU cache, and the largest number of
# species for which results are tabulated.
_BLOCK_ROWS = 4096
_FEW_SPECIES = 512


@dataclass(frozen=True)
class SiteDataset(EnsembleDataset):
    """Rows of sites, as indices into the distinct feature vectors of species.

    Attributes
    ----------
    site_features : tensor of shape (n_distinct, n_site_features)
    sites : tensor of shape (n_samples, n_sites)
    targets : tensor of shape (n_samples,)
        Scaled targets, or classes; None for prediction.
    weights : tensor of shape (n_samples,)
        Sample weights; None if all rows count the same.
    """

    site_features: Tensor
    sites: Tensor
    targets: Tensor | None
    weights: Tensor | None = None

    @classmethod
    def from_arrays(
        cls,
        X: NDArray[Any],
        y: NDArray[Any] | None,
        n_sites: int,
        permutations: Permutations,
        device: str,
    ) -> SiteDataset:
        """Split rows of X, shape (n_samples, n_sites * n_site_features), into sites."""
        blocks = X.reshape(len(X) * n_sites, -1)
        if n_sites == 1:
            first = inverse = np.arange(len(X))
        else:
            first, inverse = distinct_rows(blocks)
        # Equivalent crystals become equal rows, with bitwise-identical predictions.
        sites = canonical_order(inverse.reshape(len(X), n_sites), permutations)
        return cls(
            torch.as_tensor(blocks[first], device=device),
            torch.as_tensor(sites, device=device),
            as_targets(y, X.dtype, device),
        )

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def described(self) -> Tensor:
        """The distinct feature vectors of the species on sites."""
        return self.site_features

    def for_prediction(self) -> dict[str, Tensor]:
        """Return the arguments of the network's ``predict``."""
        return {"site_features": self.site_features, "sites": self.sites}

    def groups(self) -> NDArray[np.intp]:
        """Return a number for each row, the same for rows that the network cannot distinguish."""
        if self.sites.shape[1] == 1:
            return distinct_rows(self.site_features.numpy())[1]
        return distinct_rows(self.sites.numpy())[1]

    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the network's arguments for ``rows``, shape (n_members, n_rows)."""
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


class SiteNetwork(EnsembleNetwork):
    """A shared encoder for the features of each site, then one network over all sites.

    Parameters
    ----------
    n_members : int
        Size of the ensemble.
    n_outputs : int
        Numbers to predict for a row.
    n_sites, n_site_features : int
        Layout of a row. With one site there is no encoder.
    encoder_layer_sizes : sequence of int
        Widths of the encoder; the last one is the length of a site's encoding.
    hidden_layer_sizes : sequence of int
        Widths of the network over all sites. A layer as wide as the one before
        it is residual.
    activation, encoder_activation : {"relu", "silu", "tanh"}
        Activation functions of the network over all sites and of the encoder.
    dropout : float
        Fraction of activations dropped in residual layers during training.
    permutations : sequence of sequences of int
        All orders of the sites that give the same crystal, including the
        identity. Training draws one for each row, prediction averages over all.
    dtype : torch.dtype
    seed : int
        Seed of the weights, dropout and drawn orders. The global random state
        is neither used nor changed.
    """

    permutations: Tensor

    def __init__(
        self,
        n_members: int,
        n_outputs: int,
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
        super().__init__(n_members, n_outputs, seed)
        initial = torch.Generator().manual_seed(seed)
        encoder: list[nn.Module] = []
        width = n_site_features
        if n_sites > 1:
            for size in encoder_layer_sizes:
                encoder += [
                    EnsembleLinear(n_members, width, size, initial),
                    ACTIVATIONS[encoder_activation](),
                ]
                width = size
            encoder = encoder[:-1]
        self.encoder = nn.Sequential(*encoder)
        self.site_width = width
        first = EnsembleLinear(n_members, width * n_sites, hidden_layer_sizes[0], initial)
        self.joint = nn.ModuleList([nn.Sequential(first, ACTIVATIONS[activation]())])
        self.joint += hidden_layers(
            hidden_layer_sizes,
            lambda n_in, n_out: EnsembleLinear(n_members, n_in, n_out, initial),
            activation,
            dropout,
        )
        self.last = EnsembleLinear(n_members, hidden_layer_sizes[-1], n_outputs, initial)
        self.register_buffer("permutations", torch.tensor(permutations), persistent=False)
        self.to(dtype)

    def forward(self, site_features: Tensor, sites: Tensor) -> Tensor:
        """Compute the outputs: a scaled target, or a logit for each class.

        Parameters
        ----------
        site_features : tensor of shape (n_members, n_distinct, n_site_features)
            The distinct feature vectors, each encoded once.
        sites : tensor of shape (n_members, n_rows, n_sites)
            Index of the feature vector on each site.

        Returns
        -------
        tensor of shape (n_members, n_rows, n_outputs)
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
        return self._finish(rows, self.joint)

    @torch.inference_mode()
    def predict(self, site_features: Tensor, sites: Tensor) -> Tensor:
        """Compute the outputs of the same rows with all members, without gradients.

        With few distinct species, the contributions of each species to the first layer
        are tabulated, and a row needs only a sum of looked-up vectors.

        Parameters
        ----------
        site_features : tensor of shape (n_distinct, n_site_features)
        sites : tensor of shape (n_rows, n_sites)

        Returns
        -------
        tensor of shape (n_members, n_rows, n_outputs)
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
        # Preallocate: small results outliving large temporaries fragment memory.
        predicted = site_features.new_empty(n_members, len(sites), self.n_outputs)
        for start in range(0, len(sites), block_rows):
            block = sites[start : start + block_rows]
            if tabulated:
                index = block[:, self.permutations] + by_site.view(n_members, 1, 1, n_sites)
                rows = functional.embedding_bag(index.view(-1, n_sites), tables, mode="sum")
                rows = rows.view(n_members, len(block) * n_orders, -1)
                result = self._finish(rows, [self._first[1], *self.joint[1:]])
                result = result.view(n_members, len(block), n_orders, -1).mean(dim=2)
            else:
                own = site_features[block.flatten()].expand(n_members, -1, -1)
                index = torch.arange(block.numel(), device=block.device).view(block.shape)
                result = self(own, index.expand(n_members, -1, -1))
            predicted[:, start : start + block_rows] = result
        return predicted

    def _tabulate(self, site_features: Tensor) -> Tensor:
        """Return what each species on each site adds to the first layer.

        The shape is (n_members, n_sites, n_distinct, width).
        """
        first = cast(EnsembleLinear, self._first[0])
        codes = self.encoder(site_features.expand(self.n_members, -1, -1))
        tables = codes[:, None] @ first.weight.unflatten(1, (-1, self.site_width))
        tables[:, 0] += first.bias
        return tables


class _Sites(Architecture):
    """Rows of sites, each with the same number of features; with one site, any table."""

    name = "sites"
    recipe = SITES
    network = SiteNetwork
    free_arguments = Architecture.free_arguments | {"permutations"}

    def layout(self, n_features: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
        n_sites = int(parameters["n_sites"])
        if n_features % n_sites:
            raise ValueError(
                f"X has {n_features} features, which is not a multiple of n_sites={n_sites}."
            )
        return {
            "n_sites": n_sites,
            "n_site_features": n_features // n_sites,
            "permutations": permutation_group(
                n_sites, parameters["equivalent_sites"], parameters["permutations"]
            ),
        }

    def dataset(
        self, X: Any, y: NDArray[Any] | None, arguments: Mapping[str, Any], device: str
    ) -> SiteDataset:
        return SiteDataset.from_arrays(
            X, y, arguments["n_sites"], arguments["permutations"], device
        )

    def describe(self, arguments: Mapping[str, Any], site_names: Sequence[str] | None) -> str:
        encoder, hidden = (
            listed(arguments[f"{name}_layer_sizes"]) for name in ("encoder", "hidden")
        )
        n_sites, group = arguments["n_sites"], arguments["permutations"]
        if n_sites == 1:
            n_features = arguments["n_site_features"]
            return f"layers of {hidden} units read {n_features} numbers for each formula"
        text = (
            f"an encoder with layers of {encoder} units reads each of {n_sites} sites; layers of "
            f"{hidden} units join the sites"
        )
        names = site_names or [str(site + 1) for site in range(n_sites)]
        sets = equivalent_sets(group)
        if sets is None:
            text += f"; {len(group)} orders of the sites {listed(names)} give identical predictions"
        for sites in sets or ():
            exchanged = listed(names[site] for site in sites)
            text += f"; exchanging the elements on sites {exchanged} gives identical predictions"
        return text


ARCHITECTURE = _Sites()
