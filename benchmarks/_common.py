"""What the benchmarks share: options, timing, and results with their circumstances."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("sklearn-elmodes", "scikit-learn", "skorch", "torch", "numpy", "pandas", "matminer")


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Read ``--quick``, ``--threads`` and ``--output``, and set the threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--threads", type=int, default=2, help="threads for torch")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def summarise(values: list[float]) -> dict[str, Any]:
    """Return mean, standard deviation and the values themselves."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": spread, "values": [float(v) for v in values]}


def write_results(
    name: str, results: dict[str, Any], claims: dict[str, bool], arguments: argparse.Namespace
) -> None:
    """Write results beside the circumstances in which they were measured.

    A full run ends with exit code 1 if one of the claims does not hold.
    """
    arguments.output.mkdir(parents=True, exist_ok=True)
    content = {
        "benchmark": name,
        "quick": arguments.quick,
        "threads": arguments.threads,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs seen, {platform.system()}",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "claims": claims,
        "results": results,
    }
    path = arguments.output / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"Wrote {path.name}.")
    failed = [claim for claim, holds in claims.items() if not holds]
    if failed and not arguments.quick:
        raise SystemExit(f"Does not hold: {'; '.join(failed)}")
