"""Text with units."""

from __future__ import annotations

Facts = list[tuple[str, str]]


def with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()
