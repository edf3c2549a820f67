"""Small sentences."""

from __future__ import annotations

from typing import Any

Facts = list[tuple[str, str]]


def with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()


def listed(names: Any) -> str:
    """Join names as a sentence does."""
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last
