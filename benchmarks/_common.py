"""Options, scores and results files of the benchmarks."""

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
from joblib import Memory
from numpy.typing import NDArray
from sklearn.datasets import get_data_home
from threadpoolctl import threadpool_limits

from sklearn_elmodes.formulas import element_fractions
from sklearn_elmodes.inspection import pyplot

Rows = tuple[NDArray[Any], NDArray[np.float64]]
RESULTS = Path(__file__).with_name("results")
PACKAGES = ("sklearn-elmodes", "scikit-learn", "skorch", "torch", "numpy", "pandas")
PACKAGES += ("matminer", "pymatgen")
# Held out for the hyperparameter selection of the default pipeline.
SETTINGS_ELEMENTS = ("H", "Li", "Be", "C", "N", "O", "F", "Ne", "P", "S", "Cl", "Tl")


def parse_arguments(
    description: str | None, add_options: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Read ``--quick``, ``--threads``, ``--output`` and further options, and set the threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes, to check that it runs")
    parser.add_argument("--threads", type=int, default=2, help="threads for torch")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON file")
    if add_options is not None:
        add_options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add ``--cache`` to the options."""
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder for finished fits, from which an interrupted run resumes; use a new folder "
        "if the code changes",
    )


def remembered(function: Callable[..., Any], arguments: argparse.Namespace) -> Callable[..., Any]:
    """Keep what a function returns in the folder of ``--cache``, if there is one."""
    return Memory(arguments.cache, verbose=0).cache(function)


def read_energies(path: str, *, lowest: bool = False) -> Rows:
    """Read formulas and formation energies, eV/atom, of a table in scikit-learn's data home.

    With ``lowest``, return only the lowest energy of each composition.
    """
    # NaN is a formula, too.
    table = pd.read_csv(Path(get_data_home()) / path, keep_default_na=False)
    if lowest:
        table = table[table["is_lowest"].astype(bool)]
    return table["formula"].to_numpy(), table["e_form_ev_per_atom"].to_numpy(dtype=float)


def are_near(formulas: Any, others: Any, tolerance: float = 0.006) -> NDArray[np.bool_]:
    """Mark the formulas that have the same elements as another, in nearly the same fractions.

    For example, Fe877S1000 is near Fe7S8.
    """
    known: dict[bytes, list[NDArray[np.float32]]] = {}
    for row in element_fractions(others):
        known.setdefault((row > 0).tobytes(), []).append(row[row > 0])
    tables = {elements: np.array(rows) for elements, rows in known.items()}
    near = []
    for row in element_fractions(formulas):
        table = tables.get((row > 0).tobytes())
        found = table is not None and (np.abs(table - row[row > 0]).max(axis=1) < tolerance).any()
        near.append(bool(found))
    return np.array(near)


def summarise(values: list[float]) -> dict[str, Any]:
    """Return mean, standard deviation and the values themselves."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": std, "values": [float(v) for v in values]}


def collect(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean, standard deviation and values of each number over several runs."""
    return {key: summarise([run[key] for run in runs]) for key in runs[0]}


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch and NumPy to one thread, in one of several processes."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


def errors(predicted: NDArray[Any], true: NDArray[Any]) -> dict[str, float]:
    """Return the mean absolute and the root mean square error."""
    error = predicted - true
    return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}


def save_figure(name: str, figure: Any, arguments: argparse.Namespace) -> None:
    """Save a figure beside the results, and close it."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output / f"{name}.png", dpi=100)
    pyplot().close(figure)


def write_results(
    name: str, results: dict[str, Any], claims: dict[str, bool], arguments: argparse.Namespace
) -> None:
    """Write the results with machine, versions and options.

    A full run ends with exit code 1 if a claim does not hold.
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
