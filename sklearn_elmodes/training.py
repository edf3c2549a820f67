"""How a network is fed and steered: batches of whole tensors through a skorch net."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from sklearn_elmodes.networks import EnsembleLoss, SiteNetwork

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
        Scaled targets; None for prediction.
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
            None if y is None else torch.as_tensor(y.astype(X.dtype), device=device),
        )

    def __len__(self) -> int:
        return len(self.sites)

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


class EnsembleBatches:
    """Iterate over a :class:`SiteDataset`.

    With a generator every member goes through the rows in an order of its own.
    """

    def __init__(
        self,
        dataset: SiteDataset,
        batch_size: int,
        n_members: int,
        generator: torch.Generator | None = None,
    ) -> None:
        self.dataset = dataset
        self.n_batches = -(-len(dataset) // batch_size)
        self.n_members = n_members
        self.generator = generator

    def __iter__(self) -> Iterator[Batch]:
        n_samples, device = len(self.dataset), self.dataset.sites.device
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


class Progress(Callback):
    """A progress bar over epochs with the mean error of a member."""

    def __init__(self, n_members: int, unit_scale: float) -> None:
        self.n_members = n_members
        self.unit_scale = unit_scale

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc="Training", unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Advance the bar."""
        errors = {
            name: f"{net.history[-1, f'{key}_loss'] * self.unit_scale / self.n_members:.4f}"
            for name, key in (("error", "train"), ("validation", "valid"))
            if f"{key}_loss" in net.history[-1]
        }
        self.bar_.set_postfix(errors, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_  # an open bar cannot be pickled


class StopOnDivergence(Callback):
    """Raise an error as soon as a loss is not finite."""

    def on_batch_end(self, net: NeuralNet, loss: Tensor, training: bool, **kwargs: Any) -> None:
        """Check the loss of a step."""
        if training and not torch.isfinite(loss):
            raise ValueError(
                f"Training diverged in pass {len(net.history)}: the loss is not finite. Scale the "
                f"features, or lower learning_rate_init (now {net.lr})."
            )


@dataclass(frozen=True)
class Trained:
    """What comes out of a training: the net, and losses per member after each pass."""

    net: NeuralNet
    losses: list[float]
    validation_losses: list[float]
    interrupted: bool


def train(
    dataset: SiteDataset,
    validation: SiteDataset | None,
    *,
    module: dict[str, Any],
    alpha: float,
    learning_rate_init: float,
    batch_size: int,
    max_iter: int,
    n_iter_no_change: int,
    tol: float,
    verbose: int,
    target_scale: float,
) -> Trained:
    """Train an ensemble of site networks.

    The step size follows one cycle (Smith and Topin 2019, arXiv:1708.07120).
    With a validation set, training stops when its error has not fallen by
    ``tol`` for ``n_iter_no_change`` epochs, and the best weights are kept.
    Ctrl-C ends the training with the weights so far, and a warning.
    """
    n_members = module["n_members"]
    batch_size = min(int(batch_size), len(dataset))
    n_batches = EnsembleBatches(dataset, batch_size, n_members).n_batches
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=learning_rate_init,
        # The schedule is stepped once more than it is read.
        total_steps=int(n_batches * max_iter) + 1,
    )
    callbacks: list[tuple[str, Callback]] = [
        ("divergence", StopOnDivergence()),
        ("learning_rate", schedule),
    ]
    if validation is not None:
        early_stopping = EarlyStopping(
            patience=n_iter_no_change,
            threshold=tol * n_members,
            threshold_mode="abs",
            load_best=True,
            sink=noop,
        )
        callbacks.append(("early_stopping", early_stopping))
    if verbose:
        callbacks.append(("progress", Progress(n_members, target_scale)))
    net = make_net(
        module,
        device=dataset.sites.device,
        optimizer__weight_decay=alpha,
        lr=learning_rate_init,
        max_epochs=int(max_iter),
        batch_size=batch_size,
        iterator_train__generator=torch.Generator().manual_seed(module["seed"]),
        train_split=None if validation is None else predefined_split(validation),
        callbacks=callbacks,
    ).initialize()
    net.notify("on_train_begin", X=dataset, y=None)
    interrupted = False
    try:
        net.fit_loop(dataset)
    except KeyboardInterrupt:  # skorch stops early by it, too
        stopping = dict(net.callbacks_).get("early_stopping")
        interrupted = stopping is None or stopping.misses_ < n_iter_no_change
    finally:
        net.notify("on_train_end", X=dataset, y=None)

    losses, validation_losses = (
        [float(epoch[key]) / n_members for epoch in net.history if key in epoch]
        for key in ("train_loss", "valid_loss")
    )
    if interrupted:
        if not losses:
            raise KeyboardInterrupt
        warnings.warn(
            f"Training was interrupted in pass {len(losses) + 1} of {max_iter}; the weights so "
            "far are kept.",
            ConvergenceWarning,
            stacklevel=3,
        )
    weights = net.module_.state_dict()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise ValueError(
            "Training diverged in its last step: the weights are not finite. Lower "
            f"learning_rate_init (now {learning_rate_init})."
        )
    # A new net carries neither the state of the optimizer nor the data.
    net = restore_net(module, weights, dataset.sites.device)
    return Trained(net, losses, validation_losses, interrupted)


def make_net(module: dict[str, Any], **settings: Any) -> NeuralNet:
    """Wrap a :class:`SiteNetwork` with these arguments in a silent skorch net."""
    return NeuralNet(
        SiteNetwork,
        criterion=EnsembleLoss,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        iterator_train=EnsembleBatches,
        iterator_train__n_members=module["n_members"],
        iterator_valid=EnsembleBatches,
        iterator_valid__n_members=module["n_members"],
        callbacks__epoch_timer=None,
        callbacks__print_log=None,
        verbose=0,
        **{f"module__{name}": value for name, value in module.items()},
        **settings,
    )


def restore_net(
    module: dict[str, Any], weights: dict[str, Tensor], device: Any = "cpu"
) -> NeuralNet:
    """Make a net with given weights from its module's arguments."""
    # Compare shapes on the meta device first, where wrong sizes cost no memory.
    with torch.device("meta"):
        expected = SiteNetwork(**module).state_dict()
    shapes = {name: tensor.shape for name, tensor in expected.items()}
    if shapes != {name: tensor.shape for name, tensor in weights.items()}:
        raise ValueError("the weights do not have the shapes that the network needs")
    net = make_net(module, device=device, train_split=None).initialize()
    net.module_.load_state_dict(weights)
    net.module_.eval()
    return net


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
