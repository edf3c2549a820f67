"""Default training settings of each architecture, and tuned parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# Weights that training starts from: random ones, those of all layers, or of all but the last.
Start = Literal["scratch", "all", "all_but_last"]

# For fine-tuning the learning rate grows with the square root of the number of rows. This is close
# to the optimum for 60 to 60,000 rows of the Materials Project and for 1,200 measured enthalpies.
_FULL_RATE_ROWS, _LEAST_SHARE = 60_000, 0.025
_NEW_LAST_LAYER_SHARE = 0.25
_LEAST_BATCH, _LARGEST_BATCH, _BATCHES = 32, 512, 50


@dataclass(frozen=True)
class Recipe:
    """Default training settings of an architecture.

    Attributes
    ----------
    learning_rate : float
        Maximum learning rate for training from scratch.
    batch_size : int or None
        Rows per step for training from scratch; None means a fiftieth of the rows within
        limits, as for fine-tuning.
    max_iter, fine_tuning_max_iter : int
        Number of epochs if some layer starts from scratch, and if none does.
    betas : tuple of float
        Parameters of the AdamW optimizer.
    rise : float
        Fraction of the steps in which the learning rate rises.
    least_rise : float
        Minimum number of steps of the rise, in short training runs.
    cycle_momentum : bool
        Whether the momentum cycles with the learning rate.
    parameters : mapping
        Tuned estimator parameters that differ from the defaults of the estimator.
    """

    learning_rate: float
    batch_size: int | None = None
    max_iter: int = 150
    fine_tuning_max_iter: int = 30
    betas: tuple[float, float] = (0.9, 0.999)
    rise: float = 0.3
    least_rise: float = 0.0
    cycle_momentum: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, n_rows: int, start: Start) -> dict[str, Any]:
        """Return the values of "auto" for ``learning_rate``, ``batch_size`` and ``max_iter``."""
        rate = self.learning_rate
        if start == "all":
            rate *= min(max(math.sqrt(n_rows / _FULL_RATE_ROWS), _LEAST_SHARE), 1.0)
        elif start == "all_but_last":
            rate *= _NEW_LAST_LAYER_SHARE
        batch_size = self.batch_size if start == "scratch" else None
        if batch_size is None:
            batch_size = min(max(n_rows // _BATCHES, _LEAST_BATCH), _LARGEST_BATCH)
        max_iter = self.fine_tuning_max_iter if start == "all" else self.max_iter
        return {"learning_rate": rate, "batch_size": batch_size, "max_iter": max_iter}

    def cycle(self, n_steps: int) -> dict[str, Any]:
        """Return the arguments of torch's ``OneCycleLR`` for a number of steps."""
        # The schedule is stepped once more than it is read.
        total_steps = max(n_steps + 1, math.ceil(self.least_rise) + 1)
        return {
            "total_steps": total_steps,
            "pct_start": max(self.rise, self.least_rise / total_steps),
            "cycle_momentum": self.cycle_momentum,
        }


# Tuned on elpasolites, like the defaults of the estimators.
SITES = Recipe(learning_rate=0.005, batch_size=256)

# Tuned on the validation part of the OQMD. With many rows, a short rise and a short average of
# squared gradients are better: 0.058 eV/atom, against 0.069 with the settings for sites.
SET = Recipe(
    learning_rate=0.004,
    betas=(0.9, 0.99),
    rise=0.1,
    least_rise=2.5,
    cycle_momentum=False,
    parameters={
        "n_estimators": 2,
        "encoder_layer_sizes": (64, 64, 128),
        "hidden_layer_sizes": (256, 256, 256, 256),
        "activation": "silu",
    },
)

# Parameters for networks that read statistics of the modes, tuned on held-out parts of the
# training folds of the measured enthalpies.
STATISTICS: Mapping[str, Any] = {
    "n_estimators": 8,
    "hidden_layer_sizes": (128, 128, 128),
    "learning_rate_init": 0.003,
    "batch_size": 64,
    "max_iter": 100,
}
