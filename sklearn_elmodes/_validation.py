"""Parameter checks, and values formatted for messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def shown(value: Any) -> str:
    """Return the ``repr`` of a value for a message, shortened to 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python converts
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}…{text[-12:]}"


def listed(names: Iterable[Any]) -> str:
    """Join names for a sentence: ``A, B and C``."""
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last


def check_target(y: Any) -> None:
    """Raise an error that names the first row of y without a value, counted from 0."""
    import pandas as pd

    try:
        values = np.asarray(y)
    except (TypeError, ValueError):
        return  # scikit-learn describes what is wrong
    if values.ndim == 2 and values.shape[1] == 1:  # a column
        values = values[:, 0]
    if values.ndim != 1:
        return
    rows = np.flatnonzero(pd.isna(values))
    if len(rows):
        row = int(rows[0])
        others = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        raise ValueError(
            f"Input y contains NaN: the target of row {row}{others} is missing; leave out such "
            "rows."
        )


def strings(values: Iterable[Any]) -> list[str]:
    """Return values as a list; raise a ValueError if one is not a string."""
    values = list(values)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{shown(values)} must be strings")
    return values


def tuples(value: Any) -> Any:
    """Convert lists, as read from JSON, to tuples."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def own_parameters(kind: type, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters of an estimator; raise if any is missing or unknown.

    A missing parameter is an error, since its default could change predictions.
    """
    differing = written.keys() ^ kind().get_params(deep=False).keys()
    if differing:
        raise ValueError(
            f"{kind.__name__} of this version has other parameters: {sorted(differing)}"
        )
    return {name: tuples(value) for name, value in written.items()}


def layer_widths(name: str, sizes: Any, *, allow_none: bool = False) -> tuple[int, ...]:
    """Return the widths of layers, or raise an error that names the parameter."""
    widths = list(sizes) if np.ndim(sizes) == 1 else []
    usable = all(isinstance(width, (int, np.integer)) and width >= 1 for width in widths)
    if not usable or (not widths and (np.size(sizes) or not allow_none)):
        raise ValueError(f"{name} must be a sequence of positive integers, got {sizes!r}.")
    return tuple(int(width) for width in widths)
