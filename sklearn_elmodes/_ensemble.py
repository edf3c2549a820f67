"""Base classes of the estimators: parameters, training, pretrained weights, predictions."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_elmodes._model_files import Arrays, Settings, shipped_models
from sklearn_elmodes._networks._architecture import Architecture
from sklearn_elmodes._networks._recipes import Start
from sklearn_elmodes._sources import Source, arguments_of, find_source, restore, share_rows
from sklearn_elmodes._validation import own_parameters, shown

_ACTIVATIONS = {"relu", "silu", "tanh"}
_TRAINING = ("learning_rate", "batch_size", "max_iter")


class NetworkEnsemble(BaseEstimator):
    """An ensemble of networks of one architecture.

    The parameters are documented in :class:`FormationEnergyRegressor`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
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
        "pretrained": [object],  # checked when it is loaded
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
        *,
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

    learning_rate_: Any
    batch_size_: Any
    max_iter_: Any

    # ---- Implemented by subclasses ----

    @property
    def _architecture(self) -> Architecture:
        """The architecture of the networks."""
        raise NotImplementedError

    def _read(self, X: Any, *y: Any, **checks: Any) -> Any:
        """Validate X, and y in ``fit``; return them as the architecture reads them."""
        raise NotImplementedError

    @property
    def _n_outputs(self) -> int:
        """Number of outputs of a network for a row."""
        return 1

    def _criterion(self) -> Any:
        """Return the class of the loss."""
        from sklearn_elmodes._networks._layers import EnsembleLoss

        return EnsembleLoss

    def _predicts_like(self, source: Source) -> bool:
        """Whether the last layer of another ensemble predicts the same kind of target."""
        raise NotImplementedError

    def _target_settings(self) -> Settings:
        """Return the settings of the target for a model file."""
        raise NotImplementedError

    def _read_target(self, settings: Settings) -> None:
        """Set the target from the settings in a model file."""
        raise NotImplementedError

    # ---- Training ----

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _network_arguments(self, X: Any, seed: int) -> dict[str, Any]:
        """Return the arguments of a network for X."""
        kind = self._architecture
        return kind.arguments(
            kind.n_features(X),
            self.get_params(deep=False),
            n_outputs=self._n_outputs,
            dtype=kind.dtype(X),
            seed=seed,
        )

    def _train(
        self,
        X: Any,
        y: NDArray[Any],
        held_out: tuple[Any, ...] | None = None,
        checkpoint: Any = None,
        *,
        weights: NDArray[np.float64] | None = None,
        arguments: dict[str, Any],
        initial: dict[str, Any] | None,
        unit_scale: float = 1.0,
    ) -> Any:
        """Train on scaled targets or classes; ``unit_scale`` converts losses to units of y.

        ``held_out`` contains X, y and, if there are weights, the weights of the held-out rows.
        """
        from sklearn_elmodes._networks._training import train

        kind, device = self._architecture, self._resolve_device()
        self._resolve_training(len(X), initial)
        settings: dict[str, Any] = {
            "arguments": arguments,
            "freeze": self.freeze,
            "alpha": self.alpha,
            "learning_rate_init": self.learning_rate_,
            "batch_size": self.batch_size_,
            "max_iter": self.max_iter_,
        }
        if checkpoint is not None:
            digest = hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode())
            tensors = [tensor.numpy() for tensor in (initial or {}).values()]
            arrays = [y, *tensors] if weights is None else [y, weights, *tensors]
            for part in (*kind.content(X), *(np.ascontiguousarray(a).data for a in arrays)):
                digest.update(part)
            checkpoint = checkpoint, digest.hexdigest()
        validation = None
        if held_out is not None:
            X_held_out, y_held_out, *own = held_out
            validation = kind.dataset(X_held_out, y_held_out, arguments, device)
            validation = validation.weighted(own[0] if own else None)
        return train(
            kind.dataset(X, y, arguments, device).weighted(weights),
            validation,
            architecture=kind,
            criterion=self._criterion(),
            initial=initial,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            verbose=self.verbose,
            unit_scale=unit_scale,
            checkpoint=checkpoint,
            **settings,
        )

    def _resolve_training(self, n_rows: int, initial: dict[str, Any] | None) -> None:
        """Set the training settings, with values for "auto"."""
        start: Start = "scratch"
        if initial is not None:
            start = "all" if "last.weight" in initial else "all_but_last"
        automatic = self._architecture.recipe.resolve(n_rows, start)
        for name, asked in zip(_TRAINING, self._asked_training(), strict=True):
            setattr(self, f"{name}_", automatic[name] if asked == "auto" else asked)

    def _asked_training(self) -> tuple[Any, Any, Any]:
        return self.learning_rate_init, self.batch_size, self.max_iter

    @contextmanager
    def _kept_on_failure(self) -> Iterator[None]:
        """Restore the attributes of the estimator if a fit fails."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _hold_out(
        self,
        X: Any,
        arguments: dict[str, Any],
        seed: int,
        classes: NDArray[np.intp] | None = None,
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Split rows into training rows and held-out rows; equal rows stay together.

        Otherwise a held-out row could equal a training row.
        """
        groups = self._architecture.dataset(X, None, arguments, "cpu").groups()
        first, group = np.unique(groups, return_index=True, return_inverse=True)[1:]
        distinct = len(first) == len(group)
        kinds = None if classes is None else classes if distinct else classes[first]
        part, rest = train_test_split(
            np.arange(len(first)),
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=kinds,
        )
        if distinct:
            return part, rest
        held_out = np.isin(group, rest)
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _check_checkpoint(self, checkpoint: Any, held_out: bool) -> None:
        """Check that a fit can resume from a checkpoint."""
        if checkpoint is None:
            return
        if held_out:
            raise ValueError("checkpoint cannot be combined with early_stopping or calibrate_std.")
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                f"checkpoint needs an integer random_state, not {shown(self.random_state)}; only "
                "then can another fit resume."
            )

    def _resolve_device(self) -> str:
        import torch

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    # ---- Pretrained weights ----

    @property
    def _continues(self) -> bool:
        """Whether ``fit`` continues from the last fit."""
        return bool(self.warm_start) and hasattr(self, "net_")

    def _start(
        self, X: Any, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any], Source] | tuple[None, None]:
        """Return the initial weights and the ensemble that learned them, if any.

        The last layer is left out if it predicts another kind of target.
        """
        if self._continues:
            source = self._as_source()
            message = "warm_start cannot continue from the last fit, which has"
        elif self.pretrained is not None:
            source = find_source(self.pretrained)
            message = f"pretrained={shown(self.pretrained)} cannot be used: it has"
        else:
            if self.freeze is not None:
                warnings.warn(
                    f"freeze={self.freeze!r} has no effect: there are no weights to start from. "
                    "Set pretrained, or warm_start=True for a second fit.",
                    UserWarning,
                    stacklevel=6,
                )
            return None, None
        kind = self._architecture
        if source.architecture is not kind:
            raise ValueError(
                f"{message} architecture {source.architecture.name!r} instead of {kind.name!r}."
            )
        differing = [
            f"{name} {shown(source.arguments.get(name))} instead of {shown(ours)}"
            for name, ours in arguments.items()
            if name not in kind.free_arguments and source.arguments.get(name) != ours
        ]
        if differing:
            raise ValueError(f"{message} {'; '.join(differing)}.")
        if source.modes is not None and not share_rows(
            source.modes, kind.dataset(X, None, arguments, "cpu").described.numpy()
        ):
            raise ValueError(
                f"pretrained={shown(self.pretrained)} was trained with other elemental modes than "
                "those in X. Use an ElementalModeTransformer with the same parameters as in its "
                "training."
            )
        member = np.arange(arguments["n_members"]) % source.network.n_members
        weights = {
            name: tensor.cpu()[member].to(arguments["dtype"])
            for name, tensor in source.network.state_dict().items()
            if self._predicts_like(source) or not name.startswith("last.")
        }
        return weights, source

    # ---- Predictions ----

    @property
    def _fitted_arguments(self) -> dict[str, Any]:
        """The arguments of the fitted network."""
        return arguments_of(self.net_)

    def _as_source(self) -> Source:
        """Return the fitted networks, without this estimator."""
        target = self._target_settings()
        return Source(
            self._architecture,
            self._fitted_arguments,
            self.net_.module_,
            target.get("target"),
            target.get("classes"),
        )

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the networks' outputs, shape (n_estimators, n_samples, n_outputs)."""
        return self._as_source().outputs(X)

    def _description(self, site_names: Any = None) -> str:
        """Describe the fitted network."""
        return self._architecture.describe(self._fitted_arguments, site_names)

    # ---- Model files ----

    def _to_record(self) -> tuple[Settings, Arrays]:
        """Return settings and arrays for a model file."""
        weights = self.net_.module_.state_dict()
        parameters = self.get_params(deep=False)
        # The state of a generator after the fit describes neither the model nor its training.
        if not isinstance(self.random_state, Integral):
            parameters["random_state"] = None
        # A path may not exist where the file is read.
        if not isinstance(self.pretrained, str) or self.pretrained not in shipped_models():
            parameters["pretrained"] = None
        settings = {
            "parameters": parameters,
            "dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
            "training": {name: getattr(self, f"{name}_") for name in _TRAINING},
            "loss_curve": self.loss_curve_,
            "validation_loss_curve": self.validation_loss_curve_,
            **self._target_settings(),
        }
        return settings, {name: tensor.cpu().numpy() for name, tensor in weights.items()}

    @classmethod
    def _from_record(cls, settings: Settings, arrays: Arrays) -> NetworkEnsemble:
        """Rebuild a fitted ensemble from settings and arrays, and validate both."""
        ensemble = cls(**own_parameters(cls, settings["parameters"]))
        ensemble._validate_params()
        start = ensemble.pretrained
        if start is not None and start not in shipped_models():
            raise ValueError(
                f"it was pretrained from {shown(start)}, which is not an included model"
            )
        ensemble._read_target(settings)
        ensemble.net_ = restore(
            ensemble._architecture, settings, arrays, ensemble._n_outputs, ensemble._criterion()
        )
        ensemble.loss_curve_ = list(map(float, settings["loss_curve"]))
        validation = settings["validation_loss_curve"]
        ensemble.validation_loss_curve_ = (
            None if validation is None else list(map(float, validation))
        )
        ensemble.n_iter_ = len(ensemble.loss_curve_)
        ensemble._read_training(settings["training"])
        return ensemble

    def _read_training(self, written: Settings) -> None:
        """Set the training settings; earlier schemas did not record the values of "auto"."""
        for name, asked in zip(_TRAINING, self._asked_training(), strict=True):
            value = written[name] if asked == "auto" else asked
            if value is not None and not 0 < float(value) < np.inf:
                raise ValueError(f"the training setting {name} is {shown(value)}")
            setattr(self, f"{name}_", value)
        recipe = self._architecture.recipe
        if self.max_iter_ is None and self.n_iter_ > recipe.fine_tuning_max_iter:
            self.max_iter_ = recipe.max_iter  # "auto" has only these two values

    # ---- scikit-learn ----

    def __sklearn_clone__(self) -> NetworkEnsemble:
        # Keep the fitted model: cloning it would discard its fit.
        bare = copy(self)
        bare.pretrained = None
        return (
            super(NetworkEnsemble, bare).__sklearn_clone__().set_params(pretrained=self.pretrained)
        )
