"""Isolated environments for peer packages that conflict with ours or with each other.

``python benchmarks/_environments.py`` creates the missing ones from the exact versions in
``peers/NAME.txt``; with names, only these.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PEERS = Path(__file__).with_name("peers")
ENVIRONMENTS = Path(__file__).with_name(".venvs")
NAMES = tuple(sorted(path.stem for path in PEERS.glob("*.txt")))


def pins(name: str) -> dict[str, str]:
    """Return the exact version of every package in an environment."""
    lines = (PEERS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def interpreter(name: str | None) -> Path | None:
    """Return the Python of an environment (None: this one), or None if it does not exist."""
    if name is None:
        return Path(sys.executable)
    folder = ENVIRONMENTS / name
    stamp = folder / "pins.txt"
    wanted = (PEERS / f"{name}.txt").read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        return None
    return folder / "bin" / "python"


def make_environment(name: str) -> None:
    """Create an environment unless it exists with the pinned versions."""
    if interpreter(name) is not None:
        return
    print(f"Creating the environment of {name}.", flush=True)
    folder = ENVIRONMENTS / name
    venv.create(folder, clear=True, with_pip=True)
    # Every dependency is pinned. CrabNet's wheel requires Python < 3.11, but also runs on newer.
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--ignore-requires-python", "--requirement", PEERS / f"{name}.txt"]
    subprocess.run(command, check=True)
    shutil.copy(PEERS / f"{name}.txt", folder / "pins.txt")


def available(names: tuple[str, ...], make: bool) -> list[str]:
    """Return the names of existing environments; ``make`` creates missing ones first."""
    if make:
        for name in names:
            make_environment(name)
    found = [name for name in names if interpreter(name) is not None]
    for name in sorted(set(names) - set(found)):
        print(
            f"Skipping {name}: python benchmarks/_environments.py {name} creates its environment."
        )
    return found


def run_worker(
    script: str, name: str | None, request: dict[str, Any], **arrays: NDArray[Any]
) -> Any:
    """Run a script of ``peers`` in an environment, in one thread; return its answer.

    Each call is a new process, in a folder that contains only the arrays, as NAME.npy.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    if name is not None:
        environment.pop("PYTHONPATH", None)
    command = [str(interpreter(name)), str(PEERS / f"{script}.py"), json.dumps(request)]
    with tempfile.TemporaryDirectory() as folder:
        for kind, rows in arrays.items():
            np.save(Path(folder) / kind, rows)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script}.py {request} in {name or 'this environment'}:\n{done.stderr}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    for name in parser.parse_args().names or NAMES:
        make_environment(name)
