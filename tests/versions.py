"""Print constraints for pip: ``python tests/versions.py oldest`` or ``newest``.

"oldest" pins every direct dependency to the least version that pyproject.toml
allows; "newest" pins nothing but torch, whose build without CUDA is the one that
constraints.txt names.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def pins(which):
    if which == "newest":
        lines = (ROOT / "constraints.txt").read_text().splitlines()
        return [line for line in lines if line.startswith("torch==")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["tests"]
    matches = [re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement) for requirement in requirements]
    return [f"{name}=={least}" for name, least in (match.groups() for match in matches)]


if __name__ == "__main__":
    print(*pins(sys.argv[1]), sep="\n")
