"""The networks of the estimators, one module for each architecture.

Importing this package does not load torch; :func:`architecture` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn_elmodes._networks._architecture import Architecture

# Values of the parameter ``architecture``, and the modules that define them.
ARCHITECTURES = {"sites": "_sites", "set": "_sets"}
# Architectures that need non-negative input; listed here because tags must not load torch.
NON_NEGATIVE = ("set",)


def architecture(name: str) -> Architecture:
    """Return the architecture with a name."""
    if name not in ARCHITECTURES:
        raise ValueError(f"Unknown architecture {name!r}; choose from {sorted(ARCHITECTURES)}.")
    module = importlib.import_module(f"{__name__}.{ARCHITECTURES[name]}")
    return module.ARCHITECTURE
