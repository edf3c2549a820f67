"""The torch modules behind the estimators.

Every module holds a whole ensemble: parameters carry a leading axis of
``n_members``, and one batched product moves all members at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

# Centres of the Gaussians in which a set network reads amounts: log2 of the atoms of an element
# and of all atoms in the reduced formula unit, and the atomic fraction.
_LOG2_AMOUNTS = np.log2([1, 2, 3, 4, 6, 8])
_LOG2_ATOMS = np.log2([2, 3, 4, 5, 6, 7, 8, 9, 10])
_FRACTIONS = np.array([0, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3, 3 / 4, 5 / 6, 1])
N_AMOUNT_FEATURES = 12 + len(_LOG2_AMOUNTS) + len(_LOG2_ATOMS) + len(_FRACTIONS)
# For predictions: rows of all members and orders that stay in the cache of a CPU together,
# and the number of species up to which a table of them is small.
_BLOCK_ROWS = 4096
_FEW_SPECIES = 512
_SET_ROWS = 1024
_GAIN = 1.4  # of a set network's weights: 0.065 eV/atom where torch's own start gave 0.085


class SiLU(nn.Module):
    """x / (1 + exp(-x)), in place where no gradient will ask for x."""

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return functional.silu(x, inplace=torch.is_inference_mode_enabled())


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "silu": SiLU,
    "tanh": nn.Tanh,
}


_SMALLEST_SQUARE = 1e-3  # rows of zeros stay zeros


class EnsembleLinear(nn.Module):
    """One linear layer for each member of an ensemble.

    With a ``gain`` the weights start as Gaussians of that standard deviation over
    the root of ``n_in``, and the biases as 0; without, both start as torch's
    ``Linear`` does.
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
    """A hidden layer whose result is added to its input.

    If ``normalised``, the layer reads its input divided by its root mean square, so that
    no chain of layers can multiply what is unlike the training data.
    """

    def __init__(
        self, linear: EnsembleLinear, activation: str, dropout: float, normalised: bool = False
    ) -> None:
        super().__init__()
        self.linear = linear
        self.normalised = normalised
        self.activation = _ACTIVATIONS[activation]()
        self.dropout = dropout

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Keep the shape (n_members, n_rows, width); a generator means training."""
        read = x
        if self.normalised:
            read = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + _SMALLEST_SQUARE)
        change = self.activation(self.linear(read))
        if generator is not None and self.dropout:
            # One mask serves all members: on a CPU random bits cost as much as
            # the products, and the members see different rows anyway.
            kept = torch.empty_like(x[0]).bernoulli_(1 - self.dropout, generator=generator)
            change = change * kept.div_(1 - self.dropout)
        return x.add_(change) if torch.is_inference_mode_enabled() else x + change


class EnsembleNetwork(nn.Module):
    """What the networks share: an encoder, layers over a whole row, random numbers."""

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
        """Go through hidden layers to the outputs, shape (n_members, n_rows, n_outputs)."""
        generator = self._random(rows.device) if self.training else None
        for layer in layers:
            rows = layer(rows, generator) if isinstance(layer, Residual) else layer(rows)
        return self.last(rows)

    def random_state(self) -> Tensor | None:
        """Return the state of the random numbers; None before the first is drawn."""
        return None if self._generator is None else self._generator.get_state()

    def set_random_state(self, device: str, state: Tensor) -> None:
        """Go on drawing random numbers from a state."""
        self._random(torch.device(device)).set_state(state)

    def _random(self, device: torch.device) -> torch.Generator:
        """Return this network's own source of random numbers on a device."""
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self.seed + 1)
        return self._generator

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generator": None}


def _hidden_layers(
    sizes: Sequence[int],
    make_linear: Callable[[int, int], EnsembleLinear],
    activation: str,
    dropout: float,
    normalised: bool = False,
) -> Iterator[nn.Module]:
    """Yield layers between ``sizes``, of which those that keep the width are residual."""
    for n_in, n_out in itertools.pairwise(sizes):
        linear = make_linear(n_in, n_out)
        if n_in == n_out:
            yield Residual(linear, activation, dropout, normalised)
        else:
            yield nn.Sequential(linear, _ACTIVATIONS[activation]())


class SiteNetwork(EnsembleNetwork):
    """A shared encoder for the features of each site, then one network over all sites.

    Parameters
    ----------
    n_members : int
        Size of the ensemble.
    n_outputs : int
        Numbers to predict for a row.
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
                    _ACTIVATIONS[encoder_activation](),
                ]
                width = size
            encoder = encoder[:-1]
        self.encoder = nn.Sequential(*encoder)
        self.site_width = width
        first = EnsembleLinear(n_members, width * n_sites, hidden_layer_sizes[0], initial)
        self.joint = nn.ModuleList([nn.Sequential(first, _ACTIVATIONS[activation]())])
        self.joint += _hidden_layers(
            hidden_layer_sizes,
            lambda n_in, n_out: EnsembleLinear(n_members, n_in, n_out, initial),
            activation,
            dropout,
        )
        self.last = EnsembleLinear(n_members, hidden_layer_sizes[-1], n_outputs, initial)
        self.register_buffer("permutations", torch.tensor(permutations), persistent=False)
        self.to(dtype)

    def forward(self, site_features: Tensor, sites: Tensor) -> Tensor:
        """Compute the outputs: a scaled target, or a number for each class.

        Parameters
        ----------
        site_features : tensor of shape (n_members, n_distinct, n_site_features)
            The distinct site descriptions that occur, each encoded once.
        sites : tensor of shape (n_members, n_rows, n_sites)
            Which of them sits on each site.

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
        """Compute the outputs of the same rows with all members, fast.

        Where few distinct species sit on the sites, the encoder and the first
        layer are tabulated, and cost one sum of looked-up vectors for a row.

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
        # Small results that stay between large ones that go would fragment the memory.
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
        """Return what each description on each site adds to the first layer.

        The shape is (n_members, n_sites, n_distinct, width).
        """
        first = cast(EnsembleLinear, self._first[0])
        codes = self.encoder(site_features.expand(self.n_members, -1, -1))
        tables = codes[:, None] @ first.weight.unflatten(1, (-1, self.site_width))
        tables[:, 0] += first.bias
        return tables


class SetNetwork(EnsembleNetwork):
    """A network over the elements of a formula, in no order and of any number.

    What each element brings, read from its modes and its amount, is summed over
    the formula (deep sets, Zaheer et al. 2017, arXiv:1703.06114); residual layers
    that read normalised input follow.

    Parameters
    ----------
    n_members : int
        Size of the ensemble.
    n_outputs : int
        Numbers to predict for a row.
    n_element_features : int
        Length of the description of an element: its modes.
    encoder_layer_sizes : sequence of int
        Widths of the encoder. Its last layer reads an element together with its
        amount, those before it the element alone.
    hidden_layer_sizes : sequence of int
        Width of the sum over the elements, and of the layers that follow. A
        layer as wide as the one before it is residual.
    activation, encoder_activation : {"relu", "silu", "tanh"}
        Non-linearities after the sum and of the encoder.
    dropout : float
        Share of activations dropped in residual layers during training.
    dtype : torch.dtype
    seed : int
        Seed of the weights and the dropout. The global random state is neither
        used nor changed.
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
            element += [linear(width, size), _ACTIVATIONS[encoder_activation]()]
            width = size
        amount: list[nn.Module] = []
        width += N_AMOUNT_FEATURES
        for size in encoder_layer_sizes[-1:]:
            amount += [linear(width, size), _ACTIVATIONS[encoder_activation]()]
            width = size
        amount.append(linear(width, hidden_layer_sizes[0]))
        self.encoder = nn.ModuleDict(
            {"element": nn.Sequential(*element), "amount": nn.Sequential(*amount)}
        )
        self.joint = nn.ModuleList([_ACTIVATIONS[activation]()])
        self.joint += _hidden_layers(
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
        """Compute the outputs: a scaled target, or a number for each class.

        Parameters
        ----------
        element_features : tensor of shape (n_members, n_elements, n_element_features)
            The distinct elements that occur.
        elements : tensor of shape (n_members, n_tokens)
            Which of them each distinct pair of an element and its amount holds.
        amount_features : tensor of shape (n_members, n_tokens, N_AMOUNT_FEATURES)
            What is known of the amount in that pair.
        entries : tensor of shape (n_members, n_entries)
            The pairs in the formulas, one formula after the other.
        starts : tensor of shape (n_members, n_rows + 1)
            Where each formula begins, and the last one ends.

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
        # What follows the end of a member's last formula is padding.
        return self._finish(rows.view(*starts.shape, -1)[:, :-1], self.joint)

    def _encode(
        self, element_features: Tensor, elements: Tensor, amount_features: Tensor
    ) -> Tensor:
        """Return what each pair adds to a sum, shape (n_members, n_tokens, width)."""
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
        """Compute the outputs of the same formulas with all members, fast.

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
        for start in range(0, n_rows, _SET_ROWS):
            stop = min(start + _SET_ROWS, n_rows)
            first = starts[start:stop]
            part = entries[first[0] : starts[stop]], first - first[0]
            rows = [functional.embedding_bag(part[0], own, part[1], mode="sum") for own in tokens]
            predicted[:, start:stop] = self._finish(torch.stack(rows), self.joint)
        return predicted


def amount_features(
    amounts: NDArray[Any], n_atoms: NDArray[Any], n_elements: NDArray[Any]
) -> NDArray[Any]:
    """Describe amounts in the reduced formula unit to a set network.

    Parameters
    ----------
    amounts, n_atoms, n_elements : ndarray of shape (n_tokens,)
        Atoms of an element; atoms and elements in the formula unit. All positive.

    Returns
    -------
    ndarray of shape (n_tokens, N_AMOUNT_FEATURES)
        Of the type of ``amounts``: the atomic fraction x, its root, square and
        -x log x; log2 of amount and atoms; the inverse of the atoms; a wave that is
        zero at powers of two; the number of elements as indicators; and Gaussians
        of the two logarithms and x, in which small integers and simple ratios
        stand apart.
    """
    fraction = amounts / n_atoms
    # Below half an atom there is nothing to learn the logarithms from: they stay there.
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


class EnsembleLoss(nn.Module):
    """Mean absolute error of each member, summed, so that members train independently."""

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Reduce outputs (n_members, n_rows, 1) and targets (n_members, n_rows) to a number."""
        return (predicted[..., 0] - target).abs().mean(dim=1).sum()


class EnsembleCrossEntropy(nn.Module):
    """Cross-entropy of each member, summed."""

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Reduce outputs (n_members, n_rows, n_classes) and classes (n_members, n_rows)."""
        return len(target) * functional.cross_entropy(predicted.flatten(0, 1), target.flatten())
