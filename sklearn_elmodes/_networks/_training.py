"""Training with skorch."""

from __future__ import annotations

import hashlib
import io
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor, nn
from tqdm import tqdm

from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._networks._architecture import Architecture
from sklearn_elmodes._networks._batches import EnsembleBatches, EnsembleDataset
from sklearn_elmodes._networks._layers import EnsembleNetwork

# Prefixes of the weights that stay fixed, by the value of ``freeze``.
_FROZEN = {"encoder": ("encoder.",), "all_but_last": ("encoder.", "joint.")}
_CHECKPOINT_SECONDS = 20
# Gradients are clipped at this multiple of the running mean of their norms. Normal ones reach three
# times the mean, those of a diverging network three hundred times.
_LONGEST = 4.0


class Progress(Callback):
    """A progress bar over epochs, with the mean error over the members."""

    def __init__(self, n_members: int, unit_scale: float) -> None:
        self.n_members = n_members
        self.unit_scale = unit_scale

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        done = len(net.history)
        self.bar_ = tqdm(total=net.max_epochs, initial=done, desc="Training", unit="epoch")

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
    """Raise an error if the loss is not finite."""

    def on_batch_end(self, net: NeuralNet, loss: Tensor, training: bool, **kwargs: Any) -> None:
        """Check the loss of a step."""
        if training and not torch.isfinite(loss):
            raise ValueError(
                f"Training diverged in epoch {len(net.history)}: the loss is not finite. Scale the "
                f"features, or lower learning_rate_init (now {net.lr})."
            )


class LimitGradients(Callback):
    """Clip the gradient of a member if its norm is many times larger than usual.

    A single such step can give a network whose errors are tens of eV/atom on formulas unlike
    the training data. All other gradients are unchanged.
    """

    usual_: Tensor | None

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Reset the running mean."""
        self.usual_ = None

    def on_grad_computed(self, net: NeuralNet, **kwargs: Any) -> None:
        """Compare the gradient norm of each member with the running mean."""
        gradients = [w.grad for w in net.module_.parameters() if w.grad is not None]
        length = sum(g.flatten(1).pow(2).sum(1) for g in gradients).sqrt()
        usual = length if self.usual_ is None else self.usual_
        usual = torch.where(usual > 0, usual, length)
        limit = _LONGEST * usual
        if (length > limit).any():
            scale = torch.where(length > limit, limit / length, 1.0)
            for gradient in gradients:
                gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))
        self.usual_ = usual.lerp(torch.minimum(length, limit), 0.01)


class Checkpoint(Callback):
    """Save the state of training at intervals, and resume from a saved state.

    Parameters
    ----------
    path : path-like
    fingerprint : str
        Hash of data and settings; a state with a different one is refused.
    generator : torch.Generator
        Generator of the batches.
    """

    def __init__(
        self, path: str | os.PathLike[str], fingerprint: str, generator: torch.Generator
    ) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.generator = generator

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the saved state, if there is one."""
        self.written_ = time.monotonic()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"Cannot write the checkpoint: the folder {self.path.parent} does not exist."
            )
        if not self.path.exists():
            return
        try:
            checksum, _, content = self.path.read_bytes().partition(b"\n")
            if checksum != _checksum(content):
                raise ValueError("its content does not match its checksum")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            fingerprint = state["fingerprint"]
        except Exception as error:  # torch.load does not document its errors
            raise ValueError(
                f"{self.path} is not a checkpoint, or is corrupted: {error!s:.500}"
            ) from error
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"{self.path} is a checkpoint of other data or settings; choose another file, or "
                "remove this one."
            )
        net.module_.load_state_dict(state["weights"])
        net.optimizer_.load_state_dict(state["optimizer"])
        dict(net.callbacks_)["learning_rate"].lr_scheduler_.last_epoch = state["n_steps"]
        dict(net.callbacks_)["gradients"].usual_ = state["gradients"].to(net.device)
        self.generator.set_state(state["batches"])
        if state["dropout"] is not None:
            net.module_.set_random_state(net.device, state["dropout"])
        for losses in state["losses"]:
            net.history.new_epoch()
            for name, value in losses.items():
                net.history.record(name, value)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Save the state if the last save was long enough ago."""
        if time.monotonic() < self.written_ + _CHECKPOINT_SECONDS:
            return
        content = io.BytesIO()
        state = {
            "fingerprint": self.fingerprint,
            "weights": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "n_steps": dict(net.callbacks_)["learning_rate"].lr_scheduler_.last_epoch,
            "gradients": dict(net.callbacks_)["gradients"].usual_,
            "batches": self.generator.get_state(),
            "dropout": net.module_.random_state(),
            "losses": [
                {name: float(epoch[name]) for name in ("epoch", "train_loss") if name in epoch}
                for epoch in net.history
            ],
        }
        torch.save(state, content)
        written = content.getvalue()
        write_atomically(self.path, _checksum(written) + b"\n" + written)
        self.written_ = time.monotonic()


def _checksum(content: bytes) -> bytes:
    return b"sklearn-elmodes checkpoint " + hashlib.sha256(content).hexdigest().encode()


@dataclass(frozen=True)
class Trained:
    """A trained net, and its losses per member after each epoch."""

    net: NeuralNet
    losses: list[float]
    validation_losses: list[float]
    interrupted: bool


def train(
    dataset: EnsembleDataset,
    validation: EnsembleDataset | None,
    *,
    architecture: Architecture,
    arguments: dict[str, Any],
    criterion: type[nn.Module],
    initial: dict[str, Tensor] | None,
    freeze: str | None,
    alpha: float,
    learning_rate_init: float,
    batch_size: int,
    max_iter: int,
    n_iter_no_change: int,
    tol: float,
    verbose: int,
    unit_scale: float,
    checkpoint: tuple[str | os.PathLike[str], str] | None,
) -> Trained:
    """Train an ensemble of networks, from ``initial`` weights if given.

    The learning rate follows one cycle (Smith and Topin 2019, arXiv:1708.07120), and
    unusually large gradients are clipped. With a validation set, training stops when its
    error has not decreased by ``tol`` for ``n_iter_no_change`` epochs, and the best weights
    are kept. Ctrl-C stops training; the weights so far are kept, with a warning.
    ``checkpoint`` is a path and a fingerprint of data and settings.
    """
    n_members = arguments["n_members"]
    batch_size = min(int(batch_size), len(dataset))
    n_batches = EnsembleBatches(dataset, batch_size, n_members).n_batches
    recipe = architecture.recipe
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=learning_rate_init,
        **recipe.cycle(int(n_batches * max_iter)),
    )
    callbacks: list[tuple[str, Callback]] = [
        ("divergence", StopOnDivergence()),
        ("gradients", LimitGradients()),
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
    generator = torch.Generator().manual_seed(arguments["seed"])
    if checkpoint is not None:
        callbacks.append(("checkpoint", Checkpoint(*checkpoint, generator)))
    if verbose:
        callbacks.append(("progress", Progress(n_members, unit_scale)))
    net = make_net(
        architecture.network,
        arguments,
        criterion=criterion,
        device=dataset.device,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        optimizer__weight_decay=alpha,
        optimizer__betas=recipe.betas,
        lr=learning_rate_init,
        max_epochs=int(max_iter),
        batch_size=batch_size,
        iterator_train__generator=generator,
        train_split=None if validation is None else predefined_split(validation),
        callbacks=callbacks,
    ).initialize()
    if initial is not None:
        # A last layer without initial weights keeps its random ones.
        net.module_.load_state_dict(initial, strict=False)
        for name, weight in net.module_.named_parameters():
            weight.requires_grad_(freeze is None or not name.startswith(_FROZEN[freeze]))
    net.notify("on_train_begin", X=dataset, y=None)
    interrupted = False
    try:
        net.fit_loop(dataset, epochs=net.max_epochs - len(net.history))
    except KeyboardInterrupt:  # skorch also raises it for early stopping
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
            f"Training was interrupted in epoch {len(losses) + 1} of {max_iter}; the weights so "
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
    # A new net, without optimizer state and data.
    net = restore_net(architecture.network, arguments, criterion, weights, dataset.device)
    if checkpoint is not None and not interrupted:
        Path(checkpoint[0]).unlink(missing_ok=True)
    return Trained(net, losses, validation_losses, interrupted)


class _NoOptimizer:
    """Stands in for the optimizer of a fitted net, which is never trained again.

    The first optimizer of a process makes torch import its compiler, which takes a second.
    """

    def __init__(self, *parameters: Any, **settings: Any) -> None:
        pass


def make_net(
    network: type[EnsembleNetwork], arguments: dict[str, Any], **settings: Any
) -> NeuralNet:
    """Wrap a network with these arguments in a silent skorch net."""
    return NeuralNet(
        network,
        iterator_train=EnsembleBatches,
        iterator_train__n_members=arguments["n_members"],
        iterator_valid=EnsembleBatches,
        iterator_valid__n_members=arguments["n_members"],
        callbacks__epoch_timer=None,
        callbacks__print_log=None,
        verbose=0,
        **{f"module__{name}": value for name, value in arguments.items()},
        **settings,
    )


def restore_net(
    network: type[EnsembleNetwork],
    arguments: dict[str, Any],
    criterion: type[nn.Module],
    weights: dict[str, Tensor],
    device: Any = "cpu",
) -> NeuralNet:
    """Build a net with given weights from the arguments of its network."""
    # Check the shapes on the meta device first, without allocating memory.
    with torch.device("meta"):
        expected = network(**arguments).state_dict()
    shapes = {name: tensor.shape for name, tensor in expected.items()}
    if shapes != {name: tensor.shape for name, tensor in weights.items()}:
        raise ValueError("the shapes of the weights do not match the network")
    net = make_net(
        network,
        arguments,
        criterion=criterion,
        device=device,
        train_split=None,
        optimizer=_NoOptimizer,
    ).initialize()
    net.module_.load_state_dict(weights)
    net.module_.eval()
    return net
