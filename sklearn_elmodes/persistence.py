"""Save fitted pipelines to model files and load them."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._model_files import (
    Arrays,
    Settings,
    Step,
    checksum,
    describing,
    find_model,
    plain,
    read,
    shipped_models,
    write,
)
from sklearn_elmodes._sources import _thawed
from sklearn_elmodes._validation import shown, strings, tuples
from sklearn_elmodes.classifier import ElementalModeClassifier
from sklearn_elmodes.regressor import FormationEnergyRegressor
from sklearn_elmodes.transformer import ElementalModeTransformer


def save_model(pipeline: Pipeline, path: str | os.PathLike[str], *, card: str = "") -> None:
    """Write a fitted pipeline to one file, without pickle.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted pipeline. Its steps may be :class:`ElementalModeTransformer`,
        :class:`FormationEnergyRegressor`, :class:`ElementalModeClassifier`, the scalers
        ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler`` and ``RobustScaler`` of
        scikit-learn, and "passthrough". The parameter ``pretrained`` is saved only if it
        is the name of an included model, and ``random_state`` only if it is an integer; a
        generator becomes None. ``memory`` and ``verbose`` of the pipeline are not saved.
    path : str or path-like
        File to write, by convention ``*.safetensors``. It is written atomically.
    card : str, default=""
        Model card: a text that describes the model and its training data.

    Raises
    ------
    ValueError
        If a step is of another class, or the file could not be loaded again.

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
    if not isinstance(pipeline, Pipeline):
        raise ValueError(f"pipeline must be a fitted Pipeline, not a {type(pipeline).__name__}.")
    check_is_fitted(pipeline)
    steps = [_to_step(name, step) for name, step in pipeline.steps]
    # Load the new file before it replaces an old one.
    write(path, steps, card, check=load_model)


def load_model(path: str | os.PathLike[str]) -> Pipeline:
    """Read a pipeline that :func:`save_model` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Pipeline
        Fitted pipeline, on the CPU. ``model_card_`` is the model card, ``model_versions_``
        the versions of the packages that wrote the file, and ``model_source_`` the source of
        the energies of an included model, as in :class:`CompetingPhases`, or None. The
        transformer has its modes, but its ``autoencoder_`` is None. Training settings that an
        earlier release did not record are None.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is not a sklearn-elmodes model file, is corrupted, or was written by
        a newer release.
    """
    record = read(path)
    if [step.kind for step in record.steps] == ["CompetingPhases"]:
        raise ValueError(f"{path} contains a hull, not a model; read it with CompetingPhases.load.")
    with describing(path):
        pipeline = Pipeline([(step.name, _from_step(step)) for step in record.steps])
    pipeline.model_card_ = record.card
    pipeline.model_versions_ = record.versions
    pipeline.model_source_ = record.source
    return pipeline


def load_pretrained(name: str) -> Pipeline:
    """Load a model included with the package.

    Parameters
    ----------
    name : {"elpasolites", "oqmd"}
        "elpasolites" was trained on all 10,590 crystals of
        :func:`~sklearn_elmodes.datasets.fetch_elpasolites`, "oqmd" on 239,121
        formulas from the Open Quantum Materials Database. The attribute ``model_card_`` of
        the pipeline describes data, accuracy and limitations.

    Returns
    -------
    Pipeline

    Raises
    ------
    ValueError
        If there is no included model of that name.

    Examples
    --------
    >>> from sklearn_elmodes import load_pretrained
    >>> energy, std = load_pretrained("elpasolites").predict(["K2NaAlF6"], return_std=True)
    >>> energy.round(2)
    array([-2.87])
    """
    names = shipped_models()
    if name not in names:
        raise ValueError(f"No included model is named {name!r}; choose one of {', '.join(names)}.")
    return load_model(find_model(name))


_OURS = {
    kind.__name__: kind
    for kind in (ElementalModeTransformer, FormationEnergyRegressor, ElementalModeClassifier)
}
# The documented fitted attributes of the scalers, arrays of shape (n_features,).
_SCALERS: dict[str, tuple[type, tuple[str, ...]]] = {
    kind.__name__: (kind, fitted)
    for kind, fitted in (
        (StandardScaler, ("mean_", "scale_", "var_")),
        (MinMaxScaler, ("min_", "scale_", "data_min_", "data_max_", "data_range_")),
        (MaxAbsScaler, ("scale_", "max_abs_")),
        (RobustScaler, ("center_", "scale_")),
    )
}


def _to_step(name: str, step: Any) -> Step:
    """Convert a fitted step of a pipeline to settings and arrays."""
    if step is None or isinstance(step, str):
        return Step(name, "passthrough", {}, {})
    kind = type(step).__name__
    if type(step) is _OURS.get(kind):
        settings, arrays = step._to_record()
    elif kind in _SCALERS and type(step) is _SCALERS[kind][0]:
        settings, arrays = _from_scaler(step)
    else:
        known = ", ".join([*_OURS, *_SCALERS])
        raise ValueError(f"Step {name!r} is a {kind}; a model file can contain only {known}.")
    settings["n_features_in"] = step.n_features_in_
    if hasattr(step, "feature_names_in_"):
        settings["feature_names_in"] = step.feature_names_in_.tolist()
    if hasattr(step, "_sklearn_output_config"):
        settings["set_output"] = step._sklearn_output_config
    return Step(name, kind, settings, arrays)


# Parameters on which the features or predictions of a fitted step depend.
_USED_IN_PREDICTION = {
    *("prototype", "pooling", "max_elements", "dtype"),
    *("n_sites", "architecture", "equivalent_sites", "permutations"),
    *("activation", "encoder_activation"),
    *("with_mean", "with_std", "with_centering", "with_scaling", "feature_range", "clip"),
}
_NOT_USED_IN_PREDICTION = {"training", "loss_curve", "validation_loss_curve", "set_output"}


def _fingerprint_steps(estimator: Any) -> dict[str, str]:
    """Hash all that the predictions of each step of a fitted pipeline depend on.

    Steps that a model file cannot contain are identified only by the name of their class.
    """
    model = _thawed(estimator)
    steps = model.steps if isinstance(model, Pipeline) else [("estimator", model)]
    return {name: _fingerprint(name, _thawed(step)) for name, step in steps}


def _fingerprint(name: str, step: Any) -> str:
    try:
        record = _to_step(name, step)
    except ValueError:
        return type(step).__name__
    parameters = record.settings.get("parameters", {})
    used = {
        "kind": record.kind,
        **{key: v for key, v in record.settings.items() if key not in _NOT_USED_IN_PREDICTION},
        "parameters": {key: v for key, v in parameters.items() if key in _USED_IN_PREDICTION},
    }
    # Only the modes are read in predictions, not the properties that they come from.
    arrays = {key: array for key, array in record.arrays.items() if key != "properties"}
    return checksum(json.dumps(used, default=plain, sort_keys=True), arrays)


def _from_step(step: Step) -> Any:
    """Rebuild and validate a step of a pipeline."""
    if step.kind == "passthrough":
        return "passthrough"
    settings = step.settings
    n_features = settings["n_features_in"]
    if type(n_features) is not int or n_features < 1:
        raise ValueError(f"the step {step.name!r} cannot have {shown(n_features)} features")
    if step.kind in _OURS:
        estimator = _OURS[step.kind]._from_record(settings, step.arrays)
    else:
        estimator = _to_scaler(step)
    estimator.n_features_in_ = n_features
    if "feature_names_in" in settings:
        names = strings(settings["feature_names_in"])
        if len(names) != n_features:
            raise ValueError(f"{len(names)} names for {n_features} features")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    if "set_output" in settings:
        output = settings["set_output"]
        if output not in [{"transform": kind} for kind in ("default", "pandas", "polars")]:
            raise ValueError(f"unknown output {shown(output)}")
        estimator.set_output(**output)
    return estimator


def _from_scaler(scaler: Any) -> tuple[Settings, Arrays]:
    _, names = _SCALERS[type(scaler).__name__]
    fitted = {name: getattr(scaler, name) for name in names}
    settings: Settings = {"parameters": scaler.get_params()}
    if hasattr(scaler, "n_samples_seen_"):  # one number, or one for each feature
        settings["n_samples_seen"] = scaler.n_samples_seen_
    return settings, {name: array for name, array in fitted.items() if array is not None}


def _to_scaler(step: Step) -> Any:
    kind, names = _SCALERS[step.kind]
    settings, arrays = step.settings, step.arrays
    n_features = settings["n_features_in"]
    scaler = kind(**{name: tuples(value) for name, value in settings["parameters"].items()})
    scaler._validate_params()
    shapes = {array.shape for array in arrays.values()}
    if shapes - {(n_features,)} or not arrays.keys() <= set(names):
        raise ValueError(f"the arrays {sorted(arrays)} do not match a {step.kind}")
    for name in names:
        setattr(scaler, name, arrays.get(name))
    if "n_samples_seen" in settings:
        seen = np.asarray(settings["n_samples_seen"], dtype=np.int64)
        if seen.shape not in ((), (n_features,)):
            raise ValueError("n_samples_seen does not match the number of features")
        scaler.n_samples_seen_ = seen if seen.ndim else seen.item()
    return scaler
