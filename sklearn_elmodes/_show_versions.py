"""Versions and system information for bug reports."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata

from sklearn_elmodes._version import __version__

# Extras for developers, which are not reported.
_DEVELOPER_EXTRAS = ("tests", "dev", "docs")


def show_versions() -> None:
    """Print the system, package versions, threads and GPU for a bug report.

    Versions are read from package metadata, so a package that cannot be imported is listed too.
    Only torch is imported, for its threads and GPU; if that fails, the error is printed instead.

    Examples
    --------
    >>> import sklearn_elmodes
    >>> sklearn_elmodes.show_versions()
    System:
             python: 3...
    <BLANKLINE>
    Packages:
    sklearn-elmodes: ...
    <BLANKLINE>
    Run time:
    ...
    """
    required, optional = _requirements()
    sections = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
        },
        "Packages": {
            "sklearn-elmodes": __version__,
            **{name: _installed_version(name) for name in required},
        },
        "Optional packages": {name: _installed_version(name) for name in optional},
        "Run time": _run_time(),
    }
    width = max(len(name) for lines in sections.values() for name in lines)
    blocks = [
        "\n".join([f"{title}:", *(f"{name:>{width}}: {text}" for name, text in lines.items())])
        for title, lines in sections.items()
    ]
    print("\n\n".join(blocks))


def _requirements() -> tuple[list[str], list[str]]:
    """Return the names of the required and of the optional packages."""
    try:
        lines = metadata.requires("sklearn-elmodes") or []
    except metadata.PackageNotFoundError:  # imported from a checkout that is not installed
        lines = []
    required, optional = set(), set()
    for line in lines:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" not in marker:
            required.add(name)
        elif not any(extra in marker for extra in _DEVELOPER_EXTRAS):
            optional.add(name)
    return sorted(required), sorted(optional)


def _installed_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _run_time() -> dict[str, str]:
    """Return threads and GPU, or the error if torch cannot be imported."""
    found = {
        "processors": str(os.cpu_count()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
    }
    try:
        import torch
    except Exception as error:  # report any error of a broken installation
        return found | {"torch": f"{type(error).__name__}: {error}"}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return found | {"torch threads": str(torch.get_num_threads()), "GPU": gpu}
