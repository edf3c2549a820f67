"""Parameter checks, and values formatted for messages."""

from __future__ import annotations

from typing import Any

import numpy as np


def shown(value: Any) -> str:
    """Return the ``repr`` of a value for a message, shortened to 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python converts
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}…{text[-12:]}"


def layer_widths(name: str, sizes: Any, *, allow_none: bool = False) -> tuple[int, ...]:
    """Return the widths of layers, or raise an error that names the parameter."""
    widths = list(sizes) if np.ndim(sizes) == 1 else []
    usable = all(isinstance(width, (int, np.integer)) and width >= 1 for width in widths)
    if not usable or (not widths and (np.size(sizes) or not allow_none)):
        raise ValueError(f"{name} must be a sequence of positive integers, got {sizes!r}.")
    return tuple(int(width) for width in widths)
