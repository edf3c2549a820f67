"""How a network is fed and steered: batches of whole tensors through a skorch net."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from sklearn_elmodes.networks import EnsembleLoss, SiteNetwork

Batch = tuple[dict[str, Tensor], Tensor]


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
        cls, X: NDArray[Any], y: NDArray[Any] | None, n_sites: int, device: str
    ) -> SiteDataset:
        """Split rows of X, shape (n_samples, n_sites * n_site_features), into sites."""
        blocks = X.reshape(len(X) * n_sites, -1)
        if n_sites == 1:
            first = inverse = np.arange(len(X))
        else:
            first, inverse = distinct_rows(blocks)
        return cls(
            torch.as_tensor(blocks[first], device=device),
            torch.as_tensor(inverse.reshape(len(X), n_sites), device=device),
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
    """Iterate over a :class:`SiteDataset`, every member in an order of its own."""

    def __init__(
        self, dataset: SiteDataset, batch_size: int, n_members: int, shuffle: bool = False
    ) -> None:
        self.dataset = dataset
        self.n_batches = -(-len(dataset) // batch_size)
        self.n_members = n_members
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[Batch]:
        n_samples, device = len(self.dataset), self.dataset.sites.device
        targets = self.dataset.targets
        assert targets is not None, "only data with targets is iterated over"
        if self.shuffle:
            orders = [torch.randperm(n_samples, device=device) for _ in range(self.n_members)]
            order = torch.stack(orders)
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
) -> NeuralNet:
    """Train an ensemble of site networks and return its skorch net.

    The step size follows one cycle (Smith and Topin 2019, arXiv:1708.07120).
    With a validation set, training stops when its error has not fallen by
    ``tol`` for ``n_iter_no_change`` epochs, and the best weights are kept.
    """
    n_members = module["n_members"]
    batch_size = min(batch_size, len(dataset))
    n_batches = EnsembleBatches(dataset, batch_size, n_members).n_batches
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=learning_rate_init,
        # The schedule is stepped once more than it is read.
        total_steps=n_batches * max_iter + 1,
    )
    callbacks: list[tuple[str, Callback]] = [("learning_rate", schedule)]
    if validation is not None:
        stopping = EarlyStopping(
            patience=n_iter_no_change,
            threshold=tol * n_members,
            threshold_mode="abs",
            load_best=True,
            sink=noop,
        )
        callbacks.append(("early_stopping", stopping))
    if verbose:
        callbacks.append(("progress", Progress(n_members, target_scale)))
    net = make_net(
        module,
        device=dataset.sites.device,
        optimizer__weight_decay=alpha,
        lr=learning_rate_init,
        max_epochs=max_iter,
        batch_size=batch_size,
        train_split=None if validation is None else predefined_split(validation),
        callbacks=callbacks,
    )
    return net.fit(dataset, y=None)


def make_net(module: dict[str, Any], **settings: Any) -> NeuralNet:
    """Wrap a :class:`SiteNetwork` with these arguments in a silent skorch net."""
    return NeuralNet(
        SiteNetwork,
        criterion=EnsembleLoss,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        iterator_train=EnsembleBatches,
        iterator_train__n_members=module["n_members"],
        iterator_train__shuffle=True,
        iterator_valid=EnsembleBatches,
        iterator_valid__n_members=module["n_members"],
        callbacks__epoch_timer=None,
        callbacks__print_log=None,
        verbose=0,
        **{f"module__{name}": value for name, value in module.items()},
        **settings,
    )


def restore_net(module: dict[str, Any], weights: dict[str, NDArray[Any]]) -> NeuralNet:
    """Rebuild a trained net on the CPU from its module's arguments and weights."""
    # Compare shapes on the meta device first, where wrong sizes cost no memory.
    with torch.device("meta"):
        expected = SiteNetwork(**module).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    if shapes != {name: array.shape for name, array in weights.items()}:
        raise ValueError("the weights do not have the shapes that the network needs")
    with torch.random.fork_rng(devices=[]):
        net = make_net(module, device="cpu").initialize()
    net.module_.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return net


def predict_members(net: NeuralNet, dataset: SiteDataset, batch_size: int) -> NDArray[np.float64]:
    """Return the scaled prediction of every member, shape (n_members, n_samples)."""
    module = net.module_.eval()
    n_members = module.n_members
    with torch.inference_mode():
        order = torch.arange(len(dataset), device=dataset.sites.device)
        predicted = [
            module(**dataset.inputs(rows.expand(n_members, -1))) for rows in order.split(batch_size)
        ]
    return torch.cat(predicted, dim=1).double().cpu().numpy()


def distinct_rows(rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the distinct rows of a matrix by hashing their bytes.

    Returns
    -------
    first : ndarray of shape (n_distinct,)
        Where each distinct row occurs first.
    inverse : ndarray of shape (n_rows,)
        Which distinct row each row is.
    """
    import pandas as pd

    words = np.ascontiguousarray(rows).view(np.uint32)
    multipliers = np.random.RandomState(0).randint(1, 2**63, words.shape[1], dtype=np.uint64) | 1
    keys = words.astype(np.uint64) @ multipliers
    inverse, distinct = pd.factorize(keys)
    first = np.empty(len(distinct), dtype=np.intp)
    first[inverse[::-1]] = np.arange(len(rows) - 1, -1, -1)
    if not np.array_equal(rows[first][inverse], rows):  # two rows with one hash
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
