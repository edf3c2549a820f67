"""What the estimators share: parameters, training, weights to start from, predictions."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_elmodes._validation import layer_widths, shown

_MAX_PERMUTATIONS = 24
_ACTIVATIONS = {"relu", "silu", "tanh"}
_PREDICT_ROWS = 16_384  # rows whose distinct sites are sought together
# What "auto" stands for: from scratch by architecture, and from weights that are there.
_LEARNING_RATES = {"sites": 0.005, "set": 0.004}
# Share of that rate for weights that have all been learnt: it grows with the root of the number of
# rows, which is near to the best for 60 to 60,000 rows of the Materials Project and for 1,200
# measured enthalpies. And for all weights but those of the last layer.
_FULL_RATE_ROWS, _LEAST_SHARE = 60_000, 0.025
_NEW_LAST_LAYER_SHARE = 0.25
_MAX_ITER, _FINE_TUNING_MAX_ITER = 150, 30


class NetworkEnsemble(BaseEstimator):
    """An ensemble of networks over the sites of a crystal or the elements of a formula.

    The parameters are described where they are public, in
    :class:`FormationEnergyRegressor`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_sites": [Interval(Integral, 1, None, closed="left")],
        "architecture": [StrOptions({"sites", "set"})],
        "equivalent_sites": ["array-like", None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "encoder_layer_sizes": ["array-like"],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(_ACTIVATIONS)],
        "encoder_activation": [StrOptions(_ACTIVATIONS)],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "pretrained": [object],  # what it holds is checked when it is loaded
        "freeze": [StrOptions({"encoder", "all_but_last"}), None],
        "warm_start": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_sites: int = 1,
        *,
        architecture: str = "sites",
        equivalent_sites: Any = None,
        n_estimators: int = 4,
        encoder_layer_sizes: tuple[int, ...] = (128, 128, 16),
        hidden_layer_sizes: tuple[int, ...] = (256, 256, 256),
        activation: str = "relu",
        encoder_activation: str = "silu",
        dropout: float = 0.1,
        alpha: float = 0.01,
        learning_rate_init: float | str = "auto",
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        pretrained: Any = None,
        freeze: str | None = None,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        tol: float = 1e-4,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_sites = n_sites
        self.architecture = architecture
        self.equivalent_sites = equivalent_sites
        self.n_estimators = n_estimators
        self.encoder_layer_sizes = encoder_layer_sizes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder_activation = encoder_activation
        self.dropout = dropout
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.pretrained = pretrained
        self.freeze = freeze
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _n_outputs(self) -> int:
        """Numbers that a network gives for a row."""
        return 1

    def _predicts_like(self, source: NetworkEnsemble) -> bool:
        """Tell whether another ensemble predicts the same, so that its last layer serves."""
        return isinstance(source, type(self))

    def _criterion(self) -> Any:
        """Return the class of the loss."""
        from sklearn_elmodes.networks import EnsembleLoss

        return EnsembleLoss

    def _train(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        held_out: tuple[NDArray[Any], NDArray[Any]] | None = None,
        checkpoint: Any = None,
        *,
        arguments: dict[str, Any],
        initial: dict[str, Any] | None,
        unit_scale: float = 1.0,
    ) -> Any:
        """Train on rows whose targets are ready for the loss, in units of ``unit_scale``."""
        from sklearn_elmodes.training import train

        device = self._resolve_device()
        scratch = initial is None
        rate, batch_size, max_iter = self.learning_rate_init, self.batch_size, self.max_iter
        learnt = initial is not None and "last.weight" in initial
        if rate == "auto":
            rate = _LEARNING_RATES[self.architecture]
            if learnt:
                share = math.sqrt(len(X) / _FULL_RATE_ROWS)
                rate *= min(max(share, _LEAST_SHARE), 1.0)
            elif not scratch:
                rate *= _NEW_LAST_LAYER_SHARE
        if batch_size == "auto":
            small = self.architecture == "set" or not scratch
            batch_size = min(max(len(X) // 50, 32), 512) if small else 256
        settings: dict[str, Any] = {
            "arguments": arguments,
            "freeze": self.freeze,
            "alpha": self.alpha,
            "learning_rate_init": rate,
            "batch_size": batch_size,
            "max_iter": (_FINE_TUNING_MAX_ITER if learnt else _MAX_ITER)
            if max_iter == "auto"
            else max_iter,
        }
        if checkpoint is not None:
            digest = hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode())
            parts = [X, y, *(tensor.numpy() for tensor in (initial or {}).values())]
            for part in parts:
                digest.update(np.ascontiguousarray(part).data)
            checkpoint = checkpoint, digest.hexdigest()
        return train(
            self._dataset(X, y, device),
            None if held_out is None else self._dataset(*held_out, device),
            network=self._network(),
            criterion=self._criterion(),
            initial=initial,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            verbose=self.verbose,
            unit_scale=unit_scale,
            checkpoint=checkpoint,
            **settings,
        )

    def _start(self, X: NDArray[Any], arguments: dict[str, Any]) -> _Start | None:
        """Return the weights and the ensemble that training goes on from, if any.

        The weights lack the last layer if that predicts something else.
        """
        modes = None
        if self.warm_start and hasattr(self, "net_"):
            # A layer or a feature may have changed since.
            source, what = self, "The last fit, from which warm_start goes on,"
            theirs = self._fitted_arguments
        elif self.pretrained is not None:
            source, modes = _load_ensemble(self.pretrained)
            what = f"pretrained={shown(self.pretrained)}"
            theirs = source._fitted_arguments
        else:
            return None
        if source.net_.module_.__class__ is not self._network():
            raise ValueError(f"{what} does not fit: it has not architecture={self.architecture!r}.")
        differing = [
            f"{name} {shown(theirs.get(name))} instead of {shown(ours)}"
            for name, ours in arguments.items()
            if name not in _FREE_ARGUMENTS and theirs.get(name) != ours
        ]
        if differing:
            raise ValueError(f"{what} does not fit: it has {'; '.join(differing)}.")
        if modes is not None and not _share_rows(
            modes, self._dataset(X, None, "cpu").described.numpy()
        ):
            raise ValueError(
                f"{what} was trained with other elemental modes: X holds none of them. Use an "
                "ElementalModeTransformer with the parameters that it was trained with."
            )
        member = np.arange(arguments["n_members"]) % source.net_.module_.n_members
        weights = {
            name: tensor.cpu()[member].to(arguments["dtype"])
            for name, tensor in source.net_.module_.state_dict().items()
            if self._predicts_like(source) or not name.startswith("last.")
        }
        return _Start(weights, source)

    def _outputs(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return what the networks give, shape (n_estimators, n_samples, n_outputs)."""
        weight = self.net_.module_.last.weight
        with np.errstate(over="ignore"):
            X = X.astype(str(weight.dtype).removeprefix("torch."), copy=False)
        if not np.isfinite(X).all():
            raise ValueError(f"X holds values that are too large for {X.dtype}, the model's type.")
        parts = []
        for start in range(0, len(X), _PREDICT_ROWS):
            rows = self._dataset(X[start : start + _PREDICT_ROWS], None, str(weight.device))
            parts.append(self.net_.module_.predict(**rows.for_prediction()).double().cpu())
        outputs = np.concatenate(parts, axis=1)
        if not np.isfinite(outputs).all():
            row = int(np.argwhere(~np.isfinite(outputs))[0, 1])
            raise ValueError(
                f"The prediction of row {row} is not a finite number: its features lie too far "
                "from those of the training data, or the model is unsound."
            )
        return outputs

    def _dataset(self, X: NDArray[Any], y: NDArray[Any] | None, device: str) -> Any:
        from sklearn_elmodes.batches import SetDataset, SiteDataset

        if self.architecture == "set":
            return SetDataset.from_arrays(X, y, self.n_sites, device)
        groups = _site_groups(self.n_sites, self.equivalent_sites)
        return SiteDataset.from_arrays(X, y, self.n_sites, groups, device)

    def _network(self) -> Any:
        from sklearn_elmodes.networks import SetNetwork, SiteNetwork

        return SetNetwork if self.architecture == "set" else SiteNetwork

    def _network_arguments(self, n_features: int, dtype: str, seed: int) -> dict[str, Any]:
        import torch

        if n_features % self.n_sites:
            raise ValueError(
                f"X has {n_features} features, which do not divide into n_sites={self.n_sites} "
                "sites of equally many."
            )
        width = n_features // int(self.n_sites)
        layout: dict[str, Any]
        if self.architecture == "set":
            if width == 1:
                raise ValueError(
                    f"A set needs at least one feature and the amount of each element; X has "
                    f"n_features={n_features} for n_sites={self.n_sites}."
                )
            if self.equivalent_sites is not None:
                raise ValueError("equivalent_sites has no meaning for a set, which has no order.")
            layout = {"n_element_features": width - 1}
        else:
            layout = {
                "n_sites": int(self.n_sites),
                "n_site_features": width,
                "permutations": site_permutations(
                    self.n_sites, _site_groups(self.n_sites, self.equivalent_sites)
                ),
            }
        return {
            "n_members": int(self.n_estimators),
            "n_outputs": self._n_outputs,
            **layout,
            "encoder_layer_sizes": layer_widths("encoder_layer_sizes", self.encoder_layer_sizes),
            "hidden_layer_sizes": layer_widths("hidden_layer_sizes", self.hidden_layer_sizes),
            "activation": self.activation,
            "encoder_activation": self.encoder_activation,
            "dropout": self.dropout,
            "dtype": getattr(torch, dtype),
            "seed": seed,
        }

    @property
    def _fitted_arguments(self) -> dict[str, Any]:
        """The arguments with which the network of the last fit was made."""
        prefix = "module__"
        settings = self.net_.get_params(deep=False)
        return {
            name.removeprefix(prefix): value
            for name, value in settings.items()
            if name.startswith(prefix)
        }

    def __sklearn_clone__(self) -> NetworkEnsemble:
        # The fit of a pretrained model is what it is for; a clone would lose it.
        bare = copy(self)
        bare.pretrained = None
        return (
            super(NetworkEnsemble, bare).__sklearn_clone__().set_params(pretrained=self.pretrained)
        )

    @contextmanager
    def _kept_on_failure(self) -> Iterator[None]:
        """Leave the estimator as it was if a fit fails."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _check_checkpoint(self, checkpoint: Any, held_out: bool) -> None:
        """Refuse a checkpoint from which no fit could go on."""
        if checkpoint is None:
            return
        if held_out:
            raise ValueError("A checkpoint goes with neither early_stopping nor calibrate_std.")
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                f"A checkpoint needs an integer random_state, not {shown(self.random_state)}: no "
                "other fit would be the same."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.architecture == "set"  # the amounts are
        return tags

    def _resolve_device(self) -> str:
        import torch

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device


@dataclass(frozen=True)
class _Start:
    """What training goes on from: weights, and the ensemble that they were learnt by."""

    weights: dict[str, Any]
    source: NetworkEnsemble


# Arguments of a network that may differ from those of the weights it starts from.
_FREE_ARGUMENTS = {"n_members", "n_outputs", "permutations", "dropout", "dtype", "seed"}


def _load_ensemble(
    pretrained: Any,
) -> tuple[NetworkEnsemble, NDArray[np.float64] | None]:
    """Find the fitted ensemble in what was given, and the modes that it reads, if known."""
    from sklearn_elmodes.persistence import load_model, load_pretrained, shipped_models

    model = pretrained
    if isinstance(model, str) and (model in shipped_models() or not _looks_like_a_path(model)):
        model = load_pretrained(model)
    elif isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    model = _thawed(model)
    steps = [_thawed(step) for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    if not isinstance(steps[-1], NetworkEnsemble):
        raise ValueError(
            f"pretrained={shown(pretrained)} must be the name of a model that ships, the path of a "
            "model file, or a fitted FormationEnergyRegressor or ElementalModeClassifier or a "
            f"pipeline that ends in one, not a {type(steps[-1]).__name__}."
        )
    if not hasattr(steps[-1], "net_"):
        raise NotFittedError(
            "pretrained is not fitted. If it was, and a grid of parameters copied it, wrap it: "
            "sklearn.frozen.FrozenEstimator(model)."
        )
    # Only without a step between them does the network see the modes themselves.
    transformer = steps[-2] if len(steps) > 1 else None
    return steps[-1], getattr(transformer, "_modes_in_blocks", None)


def _looks_like_a_path(text: str) -> bool:
    return os.path.exists(text) or bool(os.path.dirname(text)) or "." in text


def _thawed(estimator: Any) -> Any:
    """Take an estimator out of its ``FrozenEstimator``."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _share_rows(table: NDArray[np.float64], rows: NDArray[Any]) -> bool:
    """Tell whether any row is one of the table, to the precision of float32.

    Not all need be: a site may hold a mixture.
    """
    known = {row.tobytes() for row in np.asarray(table, dtype=np.float32)}
    return any(row.tobytes() in known for row in rows.astype(np.float32))


def _site_groups(n_sites: int, equivalent_sites: Any) -> list[list[int]]:
    """Check and normalise sets of equivalent sites."""
    message = (
        f"equivalent_sites={shown(equivalent_sites)} must be sets of sites from 0 to "
        f"{n_sites - 1}, each site in one set at most: [(0, 1)]."
    )
    try:
        groups = [list(group) for group in (() if equivalent_sites is None else equivalent_sites)]
    except TypeError:
        raise ValueError(message) from None
    listed = [site for group in groups for site in group]
    usable = all(isinstance(site, (int, np.integer)) and 0 <= site < n_sites for site in listed)
    if not usable or len(set(listed)) != len(listed):
        raise ValueError(message)
    return [sorted(int(site) for site in group) for group in groups]


def site_permutations(n_sites: int, groups: list[list[int]]) -> list[tuple[int, ...]]:
    """List the orders of the sites that equivalent sites allow, identity first."""
    groups = [group for group in groups if len(group) > 1]
    if (
        sum(map(len, groups)) > _MAX_PERMUTATIONS
        or math.prod(math.factorial(len(group)) for group in groups) > _MAX_PERMUTATIONS
    ):
        raise ValueError(
            f"equivalent_sites={shown(groups)} allows more than {_MAX_PERMUTATIONS} orders "
            "of the sites."
        )
    permutations = []
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        permutation = list(range(n_sites))
        for group, order in zip(groups, orders, strict=True):
            for site, source in zip(group, order, strict=True):
                permutation[site] = source
        permutations.append(tuple(permutation))
    return permutations
