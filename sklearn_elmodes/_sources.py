"""Fitted networks in estimators and model files, from which training can start."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklearn_elmodes._model_files import Arrays, Record, Settings, describing, find_model, read
from sklearn_elmodes._networks import architecture
from sklearn_elmodes._networks._architecture import Architecture
from sklearn_elmodes._validation import shown

_PREDICT_ROWS = 16_384  # rows predicted together
_MAX_SITES = 1000  # in a file; the permutations of a million sites would not fit in memory


@dataclass(frozen=True)
class Source:
    """Fitted networks, without the estimator around them.

    Attributes
    ----------
    architecture : Architecture
    arguments : dict
        Arguments of the network.
    network : EnsembleNetwork
    target : tuple of float or None
        Mean and scale of a regressor's target.
    classes : ndarray or None
        Classes of a classifier.
    modes : ndarray of shape (n_elements, n_components) or None
        The rows that the network reads for pure elements, if known.
    """

    architecture: Architecture
    arguments: dict[str, Any]
    network: Any
    target: tuple[float, float] | None = None
    classes: NDArray[Any] | None = None
    modes: NDArray[np.float64] | None = None

    @classmethod
    def in_record(cls, record: Record) -> Source:
        """Return the networks in the last step of a model file."""
        from sklearn_elmodes._networks._layers import EnsembleLoss

        *before, last = record.steps
        kind = architecture(last.settings["parameters"]["architecture"])
        classes, target = last.settings.get("classes"), last.settings.get("target")
        n_outputs = 1 if classes is None else len(classes)
        net = restore(kind, last.settings, last.arrays, n_outputs, EnsembleLoss)
        modes = None
        if before and before[-1].settings.get("modes_in_features"):
            modes = before[-1].arrays["modes"]
        return cls(
            kind,
            arguments_of(net),
            net.module_,
            None if target is None else (float(target[0]), float(target[1])),
            None if classes is None else np.array(classes),
            modes,
        )

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the networks' outputs, shape (n_members, n_samples, n_outputs)."""
        weight = self.network.last.weight
        X = self.architecture.cast(X, str(weight.dtype).removeprefix("torch."))
        parts = []
        for start in range(0, len(X), _PREDICT_ROWS):
            rows = self.architecture.dataset(
                X[start : start + _PREDICT_ROWS], None, self.arguments, str(weight.device)
            )
            parts.append(self.network.predict(**rows.for_prediction()).double().cpu())
        outputs = np.concatenate(parts, axis=1)
        if not np.isfinite(outputs).all():
            row = int(np.argwhere(~np.isfinite(outputs))[0, 1])
            raise ValueError(
                f"The prediction of row {row} is not a finite number: its features are too far "
                "from the training data, or the weights of the model are invalid."
            )
        return outputs


def find_source(pretrained: Any) -> Source:
    """Return the networks of an included model, a model file or a fitted estimator."""
    if isinstance(pretrained, (str, os.PathLike)):
        record = read(find_model(pretrained))
        with describing(pretrained):
            if "architecture" in record.steps[-1].settings.get("parameters", {}):
                return Source.in_record(record)
        raise _unusable(pretrained, record.steps[-1].kind)
    model = _thawed(pretrained)
    steps = [_thawed(step) for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    if not hasattr(steps[-1], "_as_source"):
        raise _unusable(pretrained, type(steps[-1]).__name__)
    if not hasattr(steps[-1], "net_"):
        raise NotFittedError(
            "pretrained is not fitted. Cloning, as in a grid search, discards a fit; wrap the "
            "fitted model as sklearn.frozen.FrozenEstimator(model)."
        )
    source = steps[-1]._as_source()
    # Only without a step between modes and network, which would change them.
    if len(steps) > 1 and hasattr(steps[-2], "_to_record"):
        settings, arrays = steps[-2]._to_record()
        if settings.get("modes_in_features"):
            return replace(source, modes=arrays["modes"])
    return source


def _unusable(pretrained: Any, kind: str) -> ValueError:
    return ValueError(
        f"pretrained={shown(pretrained)} must be the name of an included model, the path of a "
        "model file, a fitted FormationEnergyRegressor or ElementalModeClassifier, or a pipeline "
        f"that ends in one, not a {kind}."
    )


def arguments_of(net: Any) -> dict[str, Any]:
    """Return the arguments of the network in a skorch net."""
    prefix = "module__"
    return {
        name.removeprefix(prefix): value
        for name, value in net.get_params(deep=False).items()
        if name.startswith(prefix)
    }


def _thawed(estimator: Any) -> Any:
    """Return the estimator inside a ``FrozenEstimator``."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def share_rows(table: NDArray[np.float64], rows: NDArray[Any]) -> bool:
    """Whether any row occurs in the table, to the precision of float32.

    Rows of mixed sites do not occur in it.
    """
    known = {row.tobytes() for row in np.asarray(table, dtype=np.float32)}
    return any(row.tobytes() in known for row in rows.astype(np.float32))


def restore(
    kind: Architecture, settings: Settings, arrays: Arrays, n_outputs: int, criterion: Any
) -> Any:
    """Build the net of a model file, after checking its weights against its settings."""
    import torch

    from sklearn_elmodes._networks._training import restore_net

    parameters, n_features = settings["parameters"], settings["n_features_in"]
    if settings["dtype"] not in ("float32", "float64"):
        raise ValueError(f"unknown type {settings['dtype']!r}")
    if {array.dtype.name for array in arrays.values()} != {settings["dtype"]}:
        raise ValueError(f"the weights are not of type {settings['dtype']}")
    # Check sizes before allocating: invalid settings must not cost time or memory.
    if parameters.get("n_sites", 1) > _MAX_SITES:
        raise ValueError(f"more than {_MAX_SITES} sites")
    n_layers = sum(len(parameters[f"{part}_layer_sizes"]) for part in ("encoder", "hidden"))
    if n_layers > len(arrays) or n_features > sum(array.size for array in arrays.values()):
        raise ValueError("the settings have more layers or features than the weights")
    arguments = kind.arguments(
        n_features, parameters, n_outputs=n_outputs, dtype=settings["dtype"], seed=0
    )
    weights = {name: torch.tensor(array) for name, array in arrays.items()}
    return restore_net(kind.network, arguments, criterion, weights)
