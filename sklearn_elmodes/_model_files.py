"""Model files: settings in JSON and arrays in safetensors, without pickle.

This module defines the layout of the files. The estimators define their settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._validation import shown, strings

SCHEMA_VERSION = 5
_KEY = "sklearn_elmodes"
_CHECKSUM = "sha256"
_SOURCES = {"oqmd": "OQMD", "elpasolites": "Faber 2016"}  # of the energies of included models
_PACKAGES = ("sklearn-elmodes", "scikit-learn", "skorch", "torch", "numpy", "pandas")

Arrays = dict[str, NDArray[Any]]
Settings = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A step of a pipeline, as stored in a file.

    Attributes
    ----------
    name : str
        Its name in the pipeline.
    kind : str
        Name of its class, or "passthrough".
    settings : dict
        Everything except arrays, of types that JSON supports.
    arrays : dict of str to ndarray
    """

    name: str
    kind: str
    settings: Settings
    arrays: Arrays


@dataclass(frozen=True)
class Record:
    """The content of a model file: steps, a model card, and the packages that wrote it.

    ``source`` says where the energies of an included model come from.
    """

    steps: list[Step]
    card: str
    versions: dict[str, str]
    source: str | None = None


def shipped_models() -> list[str]:
    """Return the names of the models included with the package, sorted."""
    return sorted(
        entry.name.removesuffix(".safetensors")
        for entry in files("sklearn_elmodes.pretrained").iterdir()
        if entry.name.endswith(".safetensors")
    )


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the file of a model, given the name of an included model or a path.

    The name of an included model always means that model; write ``./oqmd`` for a file of
    the same name.

    Raises
    ------
    ValueError
        If a bare name is neither an included model nor a file.
    FileNotFoundError
        If a path does not exist.
    """
    names = shipped_models()
    if model in names:
        return Path(str(files("sklearn_elmodes.pretrained").joinpath(f"{model}.safetensors")))
    path = Path(model)
    if os.path.exists(model):
        return path
    if not isinstance(model, str) or model != path.name or path.suffix:
        raise FileNotFoundError(f"The file {path} does not exist.")
    raise ValueError(f"{model!r} is neither an included model ({', '.join(names)}) nor a file.")


def read(path: str | os.PathLike[str]) -> Record:
    """Read a model file of any schema. Nothing in the file is executed.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If it is not a model file, is corrupted or invalid, or has a newer schema.
    """
    header, arrays = _read_file(path)
    schema = header.get("schema_version") if isinstance(header, dict) else None
    if type(schema) is not int or not 1 <= schema <= SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {shown(schema)}; this release of sklearn-elmodes reads "
            f"versions 1 to {SCHEMA_VERSION}. A newer release may have written the file."
        )
    infinite = [key for key, array in arrays.items() if not _is_sound(key, array)]
    if infinite:
        raise ValueError(f"{path} contains values in {infinite[0]} that are not finite numbers.")
    with describing(path):
        card, versions = header["card"], header["versions"]
        strings([card, *versions, *versions.values()])
        written = [_of_this_schema(step, schema) for step in header["steps"]]
        names = strings([step["name"] for step in written])
        if not names or len(set(names)) != len(names):
            raise ValueError("its steps are missing or have duplicate names")
        steps = [Step(step.pop("name"), step.pop("class"), step, {}) for step in written]
        for key, array in arrays.items():
            number, _, name = key.partition(".")
            if not re.fullmatch("[0-9]{1,6}", number) or int(number) >= len(steps):
                raise ValueError(f"the array {shown(key)} belongs to no step")
            steps[int(number)].arrays[name] = array
        is_shipped = Path(path).parent == Path(str(files("sklearn_elmodes.pretrained")))
        source = _SOURCES.get(Path(path).stem) if is_shipped else None
        return Record(steps, card, versions, source)


def write(
    path: str | os.PathLike[str],
    steps: list[Step],
    card: str,
    check: Callable[[Path], Any],
) -> None:
    """Write a model file atomically, and only if ``check`` passes."""
    from safetensors.numpy import save

    arrays = {
        f"{number}.{key}": np.ascontiguousarray(array)
        for number, step in enumerate(steps)
        for key, array in step.arrays.items()
    }
    header = {
        "schema_version": SCHEMA_VERSION,
        "versions": {package: version(package) for package in _PACKAGES},
        "steps": [{"name": step.name, "class": step.kind, **step.settings} for step in steps],
        "card": card,
    }
    try:
        text = json.dumps(header, allow_nan=False, default=plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A parameter of the pipeline cannot be saved: {error}") from error
    metadata = {_KEY: text, _CHECKSUM: checksum(text, arrays)}
    write_atomically(path, save(arrays, metadata=metadata), check=check)


@contextmanager
def describing(path: Any) -> Iterator[None]:
    """Raise a ValueError for any error in the content of a file."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise ValueError(f"{path} does not contain a valid model: {e!r:.500}") from e


def checksum(text: str, arrays: Arrays) -> str:
    """Hash the content of a model file."""
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_file(path: str | os.PathLike[str]) -> tuple[Any, Arrays]:
    """Read header and arrays, and verify the checksum."""
    from safetensors import SafetensorError, safe_open

    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder, not a model file.")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            text = metadata[_KEY]
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata.get(_CHECKSUM) != checksum(text, arrays):
            raise ValueError("its content does not match its checksum")
        return json.loads(text), arrays
    except FileNotFoundError:
        raise
    except (
        SafetensorError,
        AttributeError,  # a dtype that NumPy lacks
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"{path} is not a sklearn-elmodes model file, or is corrupted: {error!s:.500}"
        ) from error


def plain(value: Any) -> Any:
    """Convert NumPy numbers and arrays to Python objects."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON does not support")


def _is_sound(key: str, array: NDArray[Any]) -> bool:
    # Only a table of properties may contain NaN.
    if key.endswith(".properties"):
        return not bool(np.isinf(array).any())
    return array.dtype.kind == "f" and bool(np.isfinite(array).all())


_ENSEMBLES = ("FormationEnergyRegressor", "ElementalModeClassifier")

# Parameters missing from files of earlier schemas, by the first schema that has them, with the
# values that those files imply.
_NEW_PARAMETERS: dict[int, dict[str, Settings]] = {
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
    5: {
        "FormationEnergyRegressor": {"max_elements": 10, "permutations": None},
        "ElementalModeClassifier": {
            "max_elements": 10,
            "permutations": None,
            "class_weight": None,
        },
        "ElementalModeTransformer": {"formulas": "strict", "handle_invalid": "error"},
    },
}

# Formulas that implied a structure in earlier schemas, if the equivalent sites are A and B.
_NAMED = {"ABC2D6": "elpasolite", "AB": "rock-salt"}


def _of_this_schema(written: Settings, schema: int) -> Settings:
    """Convert a step of an earlier schema to this one."""
    step = dict(written)
    if schema < 4 and step.get("parameters", {}).get("architecture") == "set":
        raise ValueError(
            "this release does not support the layers of its set network; train it again"
        )
    for since, added in _NEW_PARAMETERS.items():
        if schema < since and step["class"] in added:
            step["parameters"] = {**step["parameters"], **added[step["class"]]}
    if schema < 5 and step["class"] == "ElementalModeTransformer":
        parameters = step["parameters"]
        prototype = parameters["prototype"]
        if prototype is not None:
            formula, sets = prototype[0], [sorted(sites) for sites in prototype[1]]
            name = _NAMED.get(formula)
            parameters["prototype"] = (
                {"formula": name}
                if name is not None and sets == [["A", "B"]]
                else {"formula": formula, "equivalent_sites": sets}
            )
        pooled = prototype is None and parameters["pooling"] is not None
        step["modes_in_features"] = not pooled
    if schema < 5 and step["class"] in _ENSEMBLES:
        parameters = step["parameters"]
        if parameters["architecture"] == "set":
            parameters |= {"max_elements": parameters["n_sites"], "n_sites": 1}
        if "calibrate_spread" in parameters:
            parameters["calibrate_std"] = parameters.pop("calibrate_spread")
            step["std"] = step.pop("spread", [0.0, 1.0])
        step["training"] = dict.fromkeys(("learning_rate", "batch_size", "max_iter"))
    return step
