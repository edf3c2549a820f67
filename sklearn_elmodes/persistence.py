"""Model files without pickle: arrays in safetensors, everything else in JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._ensemble import NetworkEnsemble
from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._validation import shown
from sklearn_elmodes.autoencoder import ElementAutoencoder
from sklearn_elmodes.classifier import ElementalModeClassifier
from sklearn_elmodes.prototypes import Prototype
from sklearn_elmodes.regressor import FormationEnergyRegressor
from sklearn_elmodes.transformer import ElementalModeTransformer

SCHEMA_VERSION = 5
_KEY = "sklearn_elmodes"
_CHECKSUM = "sha256"
_MAX_SITES = 1000  # the orders of a million sites would fill the memory
_PACKAGES = ("sklearn-elmodes", "scikit-learn", "skorch", "torch", "numpy", "pandas")

Arrays = dict[str, NDArray[Any]]
State = dict[str, Any]


def save_model(pipeline: Pipeline, path: str | os.PathLike[str], *, card: str = "") -> None:
    """Write a fitted pipeline to one file, without pickle.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, of :class:`ElementalModeTransformer`,
        :class:`FormationEnergyRegressor` or :class:`ElementalModeClassifier` (of whose
        ``pretrained`` only the name of a model that ships is kept),
        scikit-learn's ``StandardScaler``,
        ``MinMaxScaler``, ``MaxAbsScaler`` and ``RobustScaler``, and "passthrough".
    path : str or path-like
        Where to write; conventionally ``*.safetensors``. The file appears
        whole or not at all.
    card : str, default=""
        Model card: what the model is and was trained on.

    Raises
    ------
    ValueError
        If a step is of another kind, or the pipeline could not be read again.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_elmodes import load_model, make_formation_energy_pipeline, save_model
    >>> pipeline = make_formation_energy_pipeline("rock-salt", max_iter=2, random_state=0)
    >>> _ = pipeline.fit(["NaCl", "KBr", "LiF"], [-2.1, -2.0, -3.2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(pipeline, pathlib.Path(folder) / "salts.safetensors")
    ...     loaded = load_model(pathlib.Path(folder) / "salts.safetensors")
    >>> bool((loaded.predict(["NaBr"]) == pipeline.predict(["NaBr"])).all())
    True
    """
    from safetensors.numpy import save

    if not isinstance(pipeline, Pipeline):
        raise ValueError(f"Expected a fitted Pipeline, got a {type(pipeline).__name__}.")
    check_is_fitted(pipeline)
    arrays: Arrays = {}
    steps: list[State] = []
    for number, (name, step) in enumerate(pipeline.steps):
        if step is None or isinstance(step, str):
            steps.append({"name": name, "class": "passthrough"})
            continue
        kind = type(step).__name__
        if type(step) not in _WRITERS:
            raise ValueError(
                f"Step {name!r} is a {kind}; a model file holds only {', '.join(_READERS)}."
            )
        state, step_arrays = _WRITERS[type(step)](step)
        state["n_features_in"] = step.n_features_in_
        if hasattr(step, "feature_names_in_"):
            state["feature_names_in"] = step.feature_names_in_.tolist()
        if hasattr(step, "_sklearn_output_config"):
            state["set_output"] = step._sklearn_output_config
        steps.append({"name": name, "class": kind, **state})
        arrays |= {f"{number}.{key}": np.ascontiguousarray(a) for key, a in step_arrays.items()}
    header = {
        "schema_version": SCHEMA_VERSION,
        "versions": {package: version(package) for package in _PACKAGES},
        "steps": steps,
        "card": card,
    }
    try:
        text = json.dumps(header, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A parameter of the pipeline cannot be written: {error}") from error
    content = save(arrays, metadata={_KEY: text, _CHECKSUM: _checksum(text, arrays)})
    # What could not be read again must not take the place of what can.
    write_atomically(path, content, check=load_model)


def load_model(path: str | os.PathLike[str]) -> Pipeline:
    """Read a pipeline that :func:`save_model` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Pipeline
        Fitted, on the CPU. Its ``model_card_`` holds the card, and
        ``model_versions_`` the packages that wrote it. The transformer has its
        modes; ``autoencoder_`` is None.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If the file is no model file of ours, is damaged, or was written by a
        newer release.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            text = metadata[_KEY]
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata.get(_CHECKSUM) != _checksum(text, arrays):
            raise ValueError("its content is not that of its checksum")
        header = json.loads(text)
    except FileNotFoundError:
        raise
    except (
        SafetensorError,
        AttributeError,  # a type of numbers that NumPy lacks
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path} is no model file, or is damaged: {error!s:.500}") from error
    schema = header.get("schema_version") if isinstance(header, dict) else None
    if type(schema) is not int or not 1 <= schema <= SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {shown(schema)}; this release of sklearn-elmodes reads 1 "
            f"to {SCHEMA_VERSION}. Was it written by a newer one?"
        )
    infinite = [key for key, array in arrays.items() if not _is_sound(key, array)]
    if infinite:
        raise ValueError(f"{path} holds values in {infinite[0]} that are not finite numbers.")
    try:
        card, versions = header["card"], header["versions"]
        _strings([card, *versions, *versions.values()])
        steps = [_of_this_schema(step, schema) for step in header["steps"]]
        names = _strings([step["name"] for step in steps])
        if not names or len(set(names)) != len(names):
            raise ValueError("its steps are not those of a pipeline")
        own: list[Arrays] = [{} for _ in steps]
        for key, array in arrays.items():
            number, _, name = key.partition(".")
            if not re.fullmatch("[0-9]{1,6}", number) or int(number) >= len(steps):
                raise ValueError(f"no step has use for {shown(key)}")
            own[int(number)][name] = array
        pipeline = Pipeline(list(zip(names, map(_read_step, steps, own), strict=True)))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise ValueError(f"{path} does not describe a model: {e!r:.500}") from e
    pipeline.model_card_ = card
    pipeline.model_versions_ = versions
    return pipeline


def load_pretrained(name: str) -> Pipeline:
    """Load a model that ships with the package.

    Parameters
    ----------
    name : {"elpasolites", "oqmd"}
        "elpasolites" was trained on all 10,590 crystals of
        :func:`~sklearn_elmodes.datasets.fetch_elpasolites`, "oqmd" on 239,121
        formulas of any kind from the Open Quantum Materials Database. Their cards
        are ``load_pretrained(name).model_card_``.

    Returns
    -------
    Pipeline

    Raises
    ------
    ValueError
        If no model of that name ships.

    Examples
    --------
    >>> from sklearn_elmodes import load_pretrained
    >>> energy, std = load_pretrained("elpasolites").predict(["K2NaAlF6"], return_std=True)
    >>> energy.round(2)
    array([-2.87])
    """
    names = shipped_models()
    if name not in names:
        raise ValueError(f"No model {name!r} ships; choose one of {', '.join(names)}.")
    return load_model(str(files("sklearn_elmodes.pretrained").joinpath(f"{name}.safetensors")))


def shipped_models() -> list[str]:
    """Return the names of the models that ship, sorted."""
    return sorted(
        entry.name.removesuffix(".safetensors")
        for entry in files("sklearn_elmodes.pretrained").iterdir()
        if entry.name.endswith(".safetensors")
    )


def _checksum(text: str, arrays: Arrays) -> str:
    """Hash all that a model file says."""
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _strings(values: Any) -> list[str]:
    """Return a list of what must be strings."""
    values = list(values)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{shown(values)} must be strings")
    return values


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers and arrays into Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON cannot hold")


def _is_sound(key: str, array: NDArray[Any]) -> bool:
    # Gaps in a table of properties are the one place where NaN is meant.
    if key.endswith(".properties"):
        return not bool(np.isinf(array).any())
    return array.dtype.kind == "f" and bool(np.isfinite(array).all())


# Parameters that files of earlier schemas lack, by the first schema that has them, and what
# those files mean by that.
_NEW_PARAMETERS: dict[int, dict[str, State]] = {
    2: {"FormationEnergyRegressor": {"calibrate_spread": False}},
    3: {
        "FormationEnergyRegressor": {
            "architecture": "sites",
            "pretrained": None,
            "freeze": None,
            "warm_start": False,
        },
        "ElementalModeTransformer": {"pooling": "statistics", "max_elements": 10},
    },
}


def _of_this_schema(step: State, schema: int) -> State:
    """Add to a step of an earlier schema what it lacks."""
    if schema < 4 and step.get("parameters", {}).get("architecture") == "set":
        raise ValueError("its set network has layers that this release lacks: train it again")
    for since, parameters in _NEW_PARAMETERS.items():
        if schema < since and step["class"] in parameters:
            step = {**step, "parameters": {**step["parameters"], **parameters[step["class"]]}}
    if schema < 5 and step["class"] == "FormationEnergyRegressor":
        parameters = dict(step["parameters"])
        parameters["calibrate_std"] = parameters.pop("calibrate_spread")
        step = {**step, "parameters": parameters, "std": step.get("spread", [0.0, 1.0])}
    return step


def _read_step(step: State, arrays: Arrays) -> Any:
    if step["class"] == "passthrough":
        return "passthrough"
    n_features = step["n_features_in"]
    if type(n_features) is not int or n_features < 1:
        raise ValueError(f"the step {step['name']!r} cannot have {shown(n_features)} features")
    estimator = _READERS[step["class"]](step, arrays)
    estimator.n_features_in_ = n_features
    if "feature_names_in" in step:
        names = _strings(step["feature_names_in"])
        if len(names) != n_features:
            raise ValueError(f"{len(names)} names for {n_features} features")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    if "set_output" in step:
        if step["set_output"] not in [
            {"transform": kind} for kind in ("default", "pandas", "polars")
        ]:
            raise ValueError(f"unknown output {shown(step['set_output'])}")
        estimator.set_output(**step["set_output"])
    return estimator


def _tuples(value: Any) -> Any:
    """Turn the lists of JSON back into tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _parameters(written: State, own: type | None = None) -> dict[str, Any]:
    """Read parameters; those of an estimator of ours must be all of its parameters.

    A default in place of one that the file lacks could change what a model predicts.
    """
    parameters = {name: _tuples(value) for name, value in written.items()}
    if own is not None:
        differing = parameters.keys() ^ own().get_params(deep=False).keys()
        if differing:
            raise ValueError(
                f"{own.__name__} of this version has other parameters: {sorted(differing)}"
            )
    return parameters


def _write_transformer(step: ElementalModeTransformer) -> tuple[State, Arrays]:
    parameters = step.get_params(deep=False)
    state: State = {"parameters": parameters, "elements": step.modes_.index.tolist()}
    arrays: Arrays = {"modes": step.modes_.to_numpy()}
    if isinstance(step.properties, pd.DataFrame):
        parameters["properties"] = {
            "index": step.properties.index.tolist(),
            "columns": step.properties.columns.astype(str).tolist(),
        }
        arrays["properties"] = step.properties.to_numpy(dtype=float)
    if step.prototype is not None:
        prototype = Prototype.of(step.prototype)
        parameters["prototype"] = [prototype.formula, prototype.equivalent_sites]
    if step.autoencoder is not None:
        parameters["autoencoder"] = step.autoencoder.get_params()
    return state, arrays


def _read_transformer(step: State, arrays: Arrays) -> ElementalModeTransformer:
    parameters = _parameters(step["parameters"], ElementalModeTransformer)
    elements = _strings(step["elements"])
    if not elements or len(set(elements)) != len(elements):
        raise ValueError("it has no elements, or one of them twice")
    expected = {"modes": (len(elements), parameters["n_components"])}
    if isinstance(parameters["properties"], dict):
        index, columns = (_strings(parameters["properties"][key]) for key in ("index", "columns"))
        expected["properties"] = (len(index), len(columns))
    if {name: array.shape for name, array in arrays.items()} != expected:
        raise ValueError("the modes or properties do not have the shapes of their tables")
    if "properties" in arrays:
        parameters["properties"] = pd.DataFrame(arrays["properties"], index, columns)
    if parameters["prototype"] is not None:
        parameters["prototype"] = Prototype(*parameters["prototype"])
    if parameters["autoencoder"] is not None:
        settings = _parameters(parameters["autoencoder"], ElementAutoencoder)
        parameters["autoencoder"] = ElementAutoencoder(**settings)
    transformer = ElementalModeTransformer(**parameters)
    transformer._validate_params()
    transformer._set_mode_table(elements, arrays["modes"])
    return transformer


# What scikit-learn documents as the fitted state of its scalers, arrays of shape (n_features,).
_SCALERS: dict[type, tuple[str, ...]] = {
    StandardScaler: ("mean_", "scale_", "var_"),
    MinMaxScaler: ("min_", "scale_", "data_min_", "data_max_", "data_range_"),
    MaxAbsScaler: ("scale_", "max_abs_"),
    RobustScaler: ("center_", "scale_"),
}


def _write_scaler(step: Any) -> tuple[State, Arrays]:
    fitted = {name: getattr(step, name) for name in _SCALERS[type(step)]}
    state: State = {"parameters": step.get_params()}
    if hasattr(step, "n_samples_seen_"):  # one number for all features, or one for each
        state["n_samples_seen"] = step.n_samples_seen_
    return state, {name: array for name, array in fitted.items() if array is not None}


def _read_scaler(step: State, arrays: Arrays) -> Any:
    kind = next(kind for kind in _SCALERS if kind.__name__ == step["class"])
    scaler = kind(**_parameters(step["parameters"]))
    scaler._validate_params()
    shapes = {array.shape for array in arrays.values()}
    if shapes - {(step["n_features_in"],)} or not arrays.keys() <= set(_SCALERS[kind]):
        raise ValueError(f"these arrays are not those of a {step['class']}: {sorted(arrays)}")
    for name in _SCALERS[kind]:
        setattr(scaler, name, arrays.get(name))
    if "n_samples_seen" in step:
        seen = np.asarray(step["n_samples_seen"], dtype=np.int64)
        if seen.shape not in ((), (step["n_features_in"],)):
            raise ValueError("the numbers of samples are not those of the features")
        scaler.n_samples_seen_ = seen if seen.ndim else seen.item()
    return scaler


def _write_ensemble(step: NetworkEnsemble) -> tuple[State, Arrays]:
    weights = step.net_.module_.state_dict()
    parameters = step.get_params(deep=False)
    # A path would say where it was written, and be opened where it is read.
    if not isinstance(step.pretrained, str) or step.pretrained not in shipped_models():
        parameters["pretrained"] = None
    state = {
        "parameters": parameters,
        "dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
        "loss_curve": step.loss_curve_,
        "validation_loss_curve": step.validation_loss_curve_,
    }
    if isinstance(step, FormationEnergyRegressor):
        state["target"] = [step.target_mean_, step.target_scale_]
        state["std"] = [step.std_floor_, step.std_scale_]
    else:
        state["classes"] = step.classes_
    return state, {name: tensor.cpu().numpy() for name, tensor in weights.items()}


def _read_ensemble(step: State, arrays: Arrays) -> NetworkEnsemble:
    import torch

    from sklearn_elmodes.training import restore_net

    if step["dtype"] not in ("float32", "float64"):
        raise ValueError(f"unknown type {step['dtype']!r}")
    if {array.dtype.name for array in arrays.values()} != {step["dtype"]}:
        raise ValueError(f"the weights are not of type {step['dtype']}")
    kind = _ENSEMBLES[step["class"]]
    ensemble = kind(**_parameters(step["parameters"], kind))
    ensemble._validate_params()
    if ensemble.pretrained is not None and ensemble.pretrained not in shipped_models():
        raise ValueError(f"it starts from {shown(ensemble.pretrained)}, which does not ship")
    # What is not backed by weights must not cost time or memory.
    if ensemble.n_sites > _MAX_SITES:
        raise ValueError(f"more than {_MAX_SITES} sites")
    n_layers = len(ensemble.encoder_layer_sizes) + len(ensemble.hidden_layer_sizes)
    if n_layers > len(arrays) or step["n_features_in"] > sum(a.size for a in arrays.values()):
        raise ValueError("there are more layers or features than weights")
    if isinstance(ensemble, FormationEnergyRegressor):
        _read_target(ensemble, step)
    else:
        ensemble.classes_ = _read_classes(step["classes"])
    arguments = ensemble._network_arguments(step["n_features_in"], step["dtype"], seed=0)
    weights = {name: torch.tensor(array) for name, array in arrays.items()}
    ensemble.net_ = restore_net(ensemble._network(), arguments, ensemble._criterion(), weights)
    ensemble.loss_curve_ = list(map(float, step["loss_curve"]))
    validation = step["validation_loss_curve"]
    ensemble.validation_loss_curve_ = None if validation is None else list(map(float, validation))
    ensemble.n_iter_ = len(ensemble.loss_curve_)
    return ensemble


def _read_target(regressor: FormationEnergyRegressor, step: State) -> None:
    mean, scale = map(float, step["target"])
    if not np.isfinite([mean, scale]).all() or scale <= 0:
        raise ValueError("the target has no finite mean and scale")
    std_floor, std_scale = map(float, step["std"])
    if not 0 <= std_floor < np.inf or not 0 < std_scale < np.inf:
        raise ValueError("the std has no finite floor and scale")
    regressor.target_mean_, regressor.target_scale_ = mean, scale
    regressor.std_floor_, regressor.std_scale_ = std_floor, std_scale


def _read_classes(written: Any) -> NDArray[Any]:
    """Read the names of classes: all strings, all booleans or all numbers, ascending."""
    kinds = {type(name) for name in written} if isinstance(written, list) else set()
    if kinds not in ({str}, {bool}, {int}, {float}) or len(written) < 2:
        raise ValueError(f"{shown(written)} are no classes")
    classes = np.array(written)
    if classes.dtype.kind == "O" or (classes[1:] <= classes[:-1]).any():
        raise ValueError(f"{shown(written)} are no classes")
    return classes


_ENSEMBLES: dict[str, type[NetworkEnsemble]] = {
    kind.__name__: kind for kind in (FormationEnergyRegressor, ElementalModeClassifier)
}
_WRITERS: dict[type, Callable[[Any], tuple[State, Arrays]]] = {
    ElementalModeTransformer: _write_transformer,
    **dict.fromkeys(_SCALERS, _write_scaler),
    **dict.fromkeys(_ENSEMBLES.values(), _write_ensemble),
}
_READERS: dict[str, Callable[[State, Arrays], Any]] = {
    "ElementalModeTransformer": _read_transformer,
    **{kind.__name__: _read_scaler for kind in _SCALERS},
    **dict.fromkeys(_ENSEMBLES, _read_ensemble),
}
