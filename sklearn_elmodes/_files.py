"""Atomic writing of files."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(
    path: str | os.PathLike[str], content: bytes, check: Callable[[Path], Any] | None = None
) -> None:
    """Write a file atomically: readers see the old or the new content, never a part.

    Parameters
    ----------
    path : str or path-like
        A symbolic link is followed. A device or pipe is written to directly. An existing
        file keeps its permissions.
    content : bytes
    check : callable, default=None
        Called with the path of the temporary file before it is renamed. If it raises,
        the old file is kept.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve()
    # Short, since the name itself may have the maximum length, and hidden.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            if path.exists():
                os.chmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could keep the name and lose the content
        if check is not None:
            check(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
