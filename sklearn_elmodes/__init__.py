"""Elemental modes for scikit-learn: from chemical formulas to formation energies."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sklearn_elmodes._version import __version__ as __version__

if TYPE_CHECKING:
    from sklearn_elmodes._show_versions import show_versions
    from sklearn_elmodes.autoencoder import ElementAutoencoder
    from sklearn_elmodes.classifier import ElementalModeClassifier
    from sklearn_elmodes.model_selection import LeaveOneElementOut
    from sklearn_elmodes.persistence import load_model, load_pretrained, save_model
    from sklearn_elmodes.pipelines import make_formation_energy_pipeline
    from sklearn_elmodes.prototypes import Prototype
    from sklearn_elmodes.regressor import FormationEnergyRegressor
    from sklearn_elmodes.screening import screen
    from sklearn_elmodes.stability import CompetingPhases
    from sklearn_elmodes.stability_models import StabilityClassifier, StabilityRegressor
    from sklearn_elmodes.transformer import ElementalModeTransformer

# Resolved on first use (PEP 562), so that importing the package is fast.
_MODULES = {
    "CompetingPhases": "stability",
    "ElementAutoencoder": "autoencoder",
    "ElementalModeClassifier": "classifier",
    "ElementalModeTransformer": "transformer",
    "FormationEnergyRegressor": "regressor",
    "LeaveOneElementOut": "model_selection",
    "Prototype": "prototypes",
    "StabilityClassifier": "stability_models",
    "StabilityRegressor": "stability_models",
    "load_model": "persistence",
    "load_pretrained": "persistence",
    "make_formation_energy_pipeline": "pipelines",
    "save_model": "persistence",
    "screen": "screening",
    "show_versions": "_show_versions",
}

__all__ = [
    "CompetingPhases",
    "ElementAutoencoder",
    "ElementalModeClassifier",
    "ElementalModeTransformer",
    "FormationEnergyRegressor",
    "LeaveOneElementOut",
    "Prototype",
    "StabilityClassifier",
    "StabilityRegressor",
    "load_model",
    "load_pretrained",
    "make_formation_energy_pipeline",
    "save_model",
    "screen",
    "show_versions",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
