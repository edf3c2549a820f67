"""What the modes keep and how good predictions are, in numbers and in displays.

matplotlib is imported only to draw.
"""

from sklearn_elmodes.inspection._drawing import pyplot
from sklearn_elmodes.inspection._elements import ModeMapDisplay, PeriodicTableDisplay
from sklearn_elmodes.inspection._predictions import (
    AlchemicalPathDisplay,
    HeldOutElementsDisplay,
    ParityDisplay,
)
from sklearn_elmodes.inspection._scores import (
    error_by_element,
    held_out_scores,
    nearest_elements,
    prediction_scores,
    reconstruction_r2,
    share_of_neighbours,
)

__all__ = [
    "AlchemicalPathDisplay",
    "HeldOutElementsDisplay",
    "ModeMapDisplay",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "error_by_element",
    "held_out_scores",
    "nearest_elements",
    "prediction_scores",
    "pyplot",
    "reconstruction_r2",
    "share_of_neighbours",
]
