"""What the benchmarks share: options, scores, and results with their circumstances."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.datasets import get_data_home
from threadpoolctl import threadpool_limits

from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.formulas import parse_formulas, reduce_amounts
from sklearn_elmodes.inspection import pyplot

Rows = tuple[NDArray[Any], NDArray[np.float64]]
RESULTS = Path(__file__).with_name("results")
PACKAGES = ("sklearn-elmodes", "scikit-learn", "skorch", "torch", "numpy", "pandas", "matminer")


def parse_arguments(
    description: str | None, add_options: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Read ``--quick``, ``--threads``, ``--output`` and further options, and set the threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--threads", type=int, default=2, help="threads for torch")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON file")
    if add_options is not None:
        add_options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def read_energies(path: str) -> Rows:
    """Read formulas and formation energies, eV/atom, of a table in scikit-learn's data home."""
    # A formula may spell NaN.
    table = pd.read_csv(Path(get_data_home()) / path, keep_default_na=False)
    return table["formula"].to_numpy(), table["e_form_ev_per_atom"].to_numpy(dtype=float)


def composition_keys(formulas: Any) -> list[bytes]:
    """Return what is equal for equal compositions."""
    compositions = parse_formulas(formulas)
    amounts = np.zeros((len(compositions), len(SYMBOLS) + 1))
    amounts[compositions.rows, compositions.atomic_numbers] = compositions.amounts
    return [row.tobytes() for row in reduce_amounts(amounts)]


def are_in(formulas: Any, others: Any) -> NDArray[np.bool_]:
    """Mark the formulas whose composition is one of others."""
    known = set(composition_keys(others))
    return np.array([key in known for key in composition_keys(formulas)])


def summarise(values: list[float]) -> dict[str, Any]:
    """Return mean, standard deviation and the values themselves."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": spread, "values": [float(v) for v in values]}


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch and NumPy to one thread, in a process that is one of several."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


def errors(predicted: NDArray[Any], true: NDArray[Any]) -> dict[str, float]:
    """Return the mean absolute and the root mean square error."""
    error = predicted - true
    return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}


def save_figure(name: str, figure: Any, arguments: argparse.Namespace) -> None:
    """Write a picture beside the results, and close it."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output / f"{name}.png", dpi=100)
    pyplot().close(figure)


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
