"""Print constraints for pip: ``python tests/versions.py oldest`` or ``newest``.

"oldest" pins every direct dependency to the least version that pyproject.toml
allows; "newest" pins nothing but torch, whose build without CUDA is the one that
constraints.txt names.
"""

import re
import sys
import tomllib
from pathlib import Path

root = Path(__file__).parent.parent
project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
if sys.argv[1] == "newest":
    pins = (root / "constraints.txt").read_text().splitlines()
    print(*(pin for pin in pins if pin.startswith("torch==")))
else:
    for requirement in project["dependencies"] + project["optional-dependencies"]["tests"]:
        name, least = re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement).groups()
        print(f"{name}=={least}")
