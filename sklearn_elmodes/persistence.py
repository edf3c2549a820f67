"""Model files without pickle: arrays in safetensors, everything else in JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes import __version__
from sklearn_elmodes.autoencoder import ElementAutoencoder
from sklearn_elmodes.prototypes import Prototype
from sklearn_elmodes.regressor import FormationEnergyRegressor
from sklearn_elmodes.transformer import ElementalModeTransformer

SCHEMA_VERSION = 1
_KEY = "sklearn_elmodes"

Arrays = dict[str, NDArray[Any]]
State = dict[str, Any]


def save_model(pipeline: Pipeline, path: str | os.PathLike[str], *, card: str = "") -> None:
    """Write a fitted pipeline to one file, without pickle.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, of :class:`ElementalModeTransformer`,
        :class:`~sklearn.preprocessing.StandardScaler` and
        :class:`FormationEnergyRegressor` steps.
    path : str or path-like
        Where to write; conventionally ``*.safetensors``. The file appears
        whole or not at all.
    card : str, default=""
        Model card: what the model is and was trained on.

    Raises
    ------
    ValueError
        If a step is of another kind, or a parameter cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_elmodes import load_model, make_formation_energy_pipeline, save_model
    >>> pipeline = make_formation_energy_pipeline("AB", max_iter=2, random_state=0)
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
    for name, step in pipeline.steps:
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
        arrays |= {f"{name}.{key}": np.ascontiguousarray(a) for key, a in step_arrays.items()}
    header = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "steps": steps,
        "card": card,
    }
    try:
        text = json.dumps(header, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A parameter of the pipeline cannot be written: {error}") from error
    content = save(arrays, metadata={_KEY: text})

    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_model(path: str | os.PathLike[str]) -> Pipeline:
    """Read a pipeline that :func:`save_model` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Pipeline
        Fitted, on the CPU. Its ``model_card_`` holds the card. The transformer
        has its modes; ``autoencoder_`` is None.

    Raises
    ------
    ValueError
        If the file is no model file of ours, is damaged, or was written by a
        newer release.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no model file, or is damaged: {error}") from error
    schema = header.get("schema_version") if isinstance(header, dict) else None
    if schema != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {schema}; this release of sklearn-elmodes reads "
            f"{SCHEMA_VERSION}. Was it written by a newer one?"
        )
    infinite = [key for key, array in arrays.items() if not _is_sound(key, array)]
    if infinite:
        raise ValueError(f"{path} holds values in {infinite[0]} that are not finite.")
    try:
        steps = [(step["name"], _read_step(step, arrays)) for step in header["steps"]]
        pipeline = Pipeline(steps)
        if not steps or len({name for name, _ in steps}) != len(steps):
            raise ValueError("its steps are not those of a pipeline")
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} does not describe a model: {error!r}") from error
    pipeline.model_card_ = header.get("card", "")
    return pipeline


def load_pretrained(name: str) -> Pipeline:
    """Load a model that ships with the package.

    Parameters
    ----------
    name : {"elpasolites"}
        "elpasolites" was trained on all 10,590 crystals of
        :func:`~sklearn_elmodes.datasets.fetch_elpasolites`; its card is
        ``load_pretrained("elpasolites").model_card_``.

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
    >>> energy, spread = load_pretrained("elpasolites").predict(["K2NaAlF6"], return_std=True)
    >>> energy.round(2)
    array([-2.87])
    """
    folder = files("sklearn_elmodes.pretrained")
    names = sorted(
        entry.name.removesuffix(".safetensors")
        for entry in folder.iterdir()
        if entry.name.endswith(".safetensors")
    )
    if name not in names:
        raise ValueError(f"No model {name!r} ships; choose one of {', '.join(names)}.")
    return load_model(str(folder.joinpath(f"{name}.safetensors")))


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


def _read_step(step: State, arrays: Arrays) -> Any:
    prefix = f"{step['name']}."
    own = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
    estimator = _READERS[step["class"]](step, own)
    estimator.n_features_in_ = int(step["n_features_in"])
    if "feature_names_in" in step:
        estimator.feature_names_in_ = np.array(step["feature_names_in"], dtype=object)
    if "set_output" in step:
        estimator.set_output(transform=step["set_output"]["transform"])
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
    if isinstance(parameters["properties"], dict):
        parameters["properties"] = pd.DataFrame(arrays["properties"], **parameters["properties"])
    if parameters["prototype"] is not None:
        parameters["prototype"] = Prototype(*parameters["prototype"])
    if parameters["autoencoder"] is not None:
        settings = _parameters(parameters["autoencoder"], ElementAutoencoder)
        parameters["autoencoder"] = ElementAutoencoder(**settings)
    transformer = ElementalModeTransformer(**parameters)
    transformer._validate_params()
    transformer.autoencoder_ = None
    transformer._set_mode_table(step["elements"], arrays["modes"])
    return transformer


def _write_scaler(step: StandardScaler) -> tuple[State, Arrays]:
    arrays = {"mean": step.mean_, "scale": step.scale_, "var": step.var_}
    fitted = {name: a for name, a in arrays.items() if a is not None}
    return {"parameters": step.get_params(), "n_samples_seen": int(step.n_samples_seen_)}, fitted


def _read_scaler(step: State, arrays: Arrays) -> StandardScaler:
    scaler = StandardScaler(**_parameters(step["parameters"]))
    shapes = {a.shape for a in arrays.values()}
    if shapes - {(int(step["n_features_in"]),)}:
        raise ValueError(f"the scaler's arrays have the shapes {shapes}")
    scaler.mean_, scaler.scale_, scaler.var_ = map(arrays.get, ("mean", "scale", "var"))
    scaler.n_samples_seen_ = int(step["n_samples_seen"])
    return scaler


def _write_regressor(step: FormationEnergyRegressor) -> tuple[State, Arrays]:
    weights = step.net_.module_.state_dict()
    state = {
        "parameters": step.get_params(),
        "dtype": str(next(iter(weights.values())).dtype).removeprefix("torch."),
        "target": [step.target_mean_, step.target_scale_],
        "loss_curve": step.loss_curve_,
        "validation_loss_curve": step.validation_loss_curve_,
    }
    return state, {name: tensor.cpu().numpy() for name, tensor in weights.items()}


def _read_regressor(step: State, arrays: Arrays) -> FormationEnergyRegressor:
    import torch

    from sklearn_elmodes.training import restore_net

    if step["dtype"] not in ("float32", "float64"):
        raise ValueError(f"unknown type {step['dtype']!r}")
    if not np.isfinite(step["target"]).all():
        raise ValueError("the scale of the target is not finite")
    regressor = FormationEnergyRegressor(
        **_parameters(step["parameters"], FormationEnergyRegressor)
    )
    regressor._validate_params()
    module = regressor._module_arguments(int(step["n_features_in"]), step["dtype"], seed=0)
    weights = {name: torch.tensor(array) for name, array in arrays.items()}
    regressor.net_ = restore_net(module, weights)
    regressor.target_mean_, regressor.target_scale_ = map(float, step["target"])
    regressor.loss_curve_ = step["loss_curve"]
    regressor.validation_loss_curve_ = step["validation_loss_curve"]
    regressor.n_iter_ = len(regressor.loss_curve_)
    return regressor


_WRITERS: dict[type, Callable[[Any], tuple[State, Arrays]]] = {
    ElementalModeTransformer: _write_transformer,
    StandardScaler: _write_scaler,
    FormationEnergyRegressor: _write_regressor,
}
_READERS: dict[str, Callable[[State, Arrays], Any]] = {
    "ElementalModeTransformer": _read_transformer,
    "StandardScaler": _read_scaler,
    "FormationEnergyRegressor": _read_regressor,
}
