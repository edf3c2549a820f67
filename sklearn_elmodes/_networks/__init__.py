"""The networks behind the estimators: one file for each architecture.

Importing this package does not load torch; :func:`architecture` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn_elmodes._networks._architecture import Architecture

# Names as estimators take them, and the modules that define them.
ARCHITECTURES = {"sites": "_sites", "set": "_sets"}
# Those whose rows hold no negative numbers; scikit-learn asks before torch is needed.
NON_NEGATIVE = ("set",)


def architecture(name: str) -> Architecture:
    """Return the architecture of a name."""
    if name not in ARCHITECTURES:
        raise ValueError(f"Unknown architecture {name!r}; choose from {sorted(ARCHITECTURES)}.")
    module = importlib.import_module(f"{__name__}.{ARCHITECTURES[name]}")
    return module.ARCHITECTURE
