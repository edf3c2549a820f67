"""Files that appear whole or not at all."""

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
    """Write a file so that its name stands for the old content or the new, never for a part.

    Parameters
    ----------
    path : str or path-like
        A link is followed. A device or pipe is written to as it is. A file that is
        replaced hands on its permissions.
    content : bytes
    check : callable, default=None
        Gets the path of the new file before it takes its name; may raise.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve()
    # Not longer than the name itself may be, and hidden from whoever lists the folder.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            if path.exists():
                os.chmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the name must not survive a power cut that the bytes do not
        if check is not None:
            check(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
