"""Scores and displays of elemental modes and of predictions.

matplotlib is imported only for plotting.
"""

from sklearn_elmodes.inspection._drawing import pyplot
from sklearn_elmodes.inspection._elements import ModeMapDisplay, PeriodicTableDisplay
from sklearn_elmodes.inspection._predictions import (
    AlchemicalPathDisplay,
    HeldOutElementsDisplay,
    ParityDisplay,
)
from sklearn_elmodes.inspection._scores import (
    conflicting_targets,
    error_by_element,
    held_out_scores,
    nearest_elements,
    prediction_scores,
    reconstruction_r2,
    share_of_neighbours,
)
from sklearn_elmodes.inspection._stability import StabilityDisplay

__all__ = [
    "AlchemicalPathDisplay",
    "HeldOutElementsDisplay",
    "ModeMapDisplay",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "StabilityDisplay",
    "conflicting_targets",
    "error_by_element",
    "held_out_scores",
    "nearest_elements",
    "prediction_scores",
    "pyplot",
    "reconstruction_r2",
    "share_of_neighbours",
]
