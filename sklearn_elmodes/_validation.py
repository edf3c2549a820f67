"""Checks of parameters, and values as messages show them."""

from __future__ import annotations

from typing import Any

import numpy as np


def shown(value: Any) -> str:
    """Return the ``repr`` of a value for a message, cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}…{text[-12:]}"


def layer_widths(name: str, sizes: Any, *, allow_none: bool = False) -> tuple[int, ...]:
    """Check and return the widths of layers, given under a parameter's name."""
    widths = list(sizes) if np.ndim(sizes) == 1 else []
    usable = all(isinstance(width, (int, np.integer)) and width >= 1 for width in widths)
    if not usable or (not widths and (np.size(sizes) or not allow_none)):
        raise ValueError(f"{name} must be a sequence of positive integers, got {sizes!r}.")
    return tuple(int(width) for width in widths)
