"""Rows per CPU-second of the transformer, beside two references in the same run.

The references are a regular-expression parser in plain Python, which only
counts atoms, and a NumPy gather, which is what looking up sites costs at least.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import parse_arguments, summarise, write_results

from sklearn_elmodes import ElementalModeTransformer
from sklearn_elmodes.datasets import fetch_elpasolites, load_expt_formation_enthalpies
from sklearn_elmodes.elements import ATOMIC_NUMBERS
from sklearn_elmodes.formulas import parse_formulas

TOKEN = re.compile(r"([A-Z][a-z]?)([0-9.]*)")


def plain_python(formulas: list[str]) -> list[dict[str, float]]:
    """Count atoms of formulas without brackets."""
    return [{s: float(n or 1) for s, n in TOKEN.findall(formula)} for formula in formulas]


def rate(function: Callable[[Any], Any], X: Any) -> float:
    """Return rows per second of CPU time."""
    start = time.process_time()
    function(X)
    return len(X) / (time.process_time() - start)


def main() -> None:
    """Measure everything in turn, several times."""
    arguments = parse_arguments(__doc__)
    repeats, copies = (2, 1) if arguments.quick else (9, 20)
    sites, _ = fetch_elpasolites(return_X_y=True)
    distinct = [f"{a}{b}{c}2{d}6" for a, b, c, d in sites]
    measured = load_expt_formation_enthalpies(return_X_y=True)[0].tolist()
    sites = np.tile(sites, (copies, 1))
    numbers = np.vectorize(ATOMIC_NUMBERS.get)(sites)
    pooled = ElementalModeTransformer().fit(measured)
    by_site = ElementalModeTransformer(prototype="ABC2D6").fit(sites[:10])
    lookup = np.random.RandomState(0).rand(119, 12).astype("f4")
    tasks: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "strings to pooled features, elpasolites": (pooled.transform, distinct),
        "strings to pooled features, measured compounds": (pooled.transform, measured * 5),
        "strings to amounts, elpasolites": (parse_formulas, distinct),
        "strings to site features, elpasolites": (by_site.transform, distinct),
        "site arrays of symbols to features": (by_site.transform, sites),
        "site arrays of atomic numbers to features": (by_site.transform, numbers),
        "reference: regular expression in plain Python": (plain_python, distinct),
        "reference: NumPy gather": (lambda X: lookup[X].reshape(len(X), -1), numbers),
    }
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, (function, X) in tasks.items():
            rates[name].append(rate(function, X))
    python, gather = (np.median(rates[name]) for name in list(tasks)[-2:])
    results = {}
    for name, values in rates.items():
        median = float(np.median(values))
        reference, value = ("gather", gather) if "array" in name else ("plain Python", python)
        results[name] = {
            "rows_per_cpu_second": summarise(values),
            "median": median,
            f"ratio to {reference}": median / float(value),
        }
        print(
            f"{name:<48} {median:>12,.0f} rows per CPU-second, {median / value:.2f} × {reference}"
        )
    medians = {name: float(result["median"]) for name, result in results.items()}
    claims = {
        "strings to pooled features at half the speed of counting atoms in Python or more": min(
            rate for name, rate in medians.items() if "pooled" in name
        )
        > 0.5 * float(python),
        "site arrays at a quarter of the speed of a gather or more": min(
            rate for name, rate in medians.items() if "arrays" in name
        )
        > 0.25 * float(gather),
    }
    write_results("featurization", results, claims, arguments)


if __name__ == "__main__":
    main()
