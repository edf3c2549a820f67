"""Screening all elpasolites of the paper: time, memory and share of peak throughput.

The included ensemble (mean and std of four networks, averaged over the exchange of A and B)
predicts all 1,974,024 elpasolites of the 39 elements in the data, of which 987,012 are
distinct. Measured are:

- time, in turn with a product of large matrices, whose throughput is taken as the peak of the
  machine; only matrix products that a look-up cannot replace are counted as work;
- peak memory of a screening process, beyond libraries and model;
- the same network without look-ups, on a part of the space;
- matminer's Magpie features with a random forest, extrapolated from a sample;
- predicting one row.

Writes ``screening.json``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from _common import parse_arguments, summarise, write_results
from _peers import magpie_features
from peers._worker import measure
from sklearn.ensemble import RandomForestRegressor

from sklearn_elmodes import Prototype, load_pretrained, screen
from sklearn_elmodes.datasets import fetch_elpasolites

MEMORY = "memory"  # argument with which this script runs itself in a new process


def elements(n: int) -> list[str]:
    """Return the first elements of the paper, in alphabetical order."""
    return np.unique(fetch_elpasolites(return_X_y=True)[0])[:n].tolist()


def seconds(function: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_memory(n_elements: int, threads: int) -> None:
    """Screen in this process, and print the increase of its peak memory."""
    torch.set_num_threads(threads)
    model = load_pretrained("elpasolites")
    space = Prototype("elpasolite").candidates(elements(n_elements))
    measured = measure(partial(screen, model, return_std=True), space, 0.0)
    print(measured["peak_beyond_libraries_mb"])


def work(network: Any) -> int:
    """Count the floating-point operations per crystal that look-ups cannot replace."""
    matrices = [layer.linear.weight for layer in network.joint[1:]] + [network.last.weight]
    products = sum(matrix.numel() for matrix in matrices)  # of all members
    return 2 * products * len(network.permutations)


def main() -> None:
    """Run all measurements."""
    arguments = parse_arguments(__doc__)
    n_elements, repeats, side, n_sample, n_part = 39, 3, 4096, 2000, 131_072
    if arguments.quick:
        n_elements, repeats, side, n_sample, n_part = 10, 2, 512, 50, 500
    model = load_pretrained("elpasolites")
    network = model[-1].net_.module_
    prototype = Prototype("elpasolite")
    space = prototype.candidates(elements(n_elements))
    n_ordered = len(prototype.candidates(elements(n_elements), distinct=False))
    matrix = torch.randn(side, side)
    screen(model, space[:1000], return_std=True)

    times: dict[str, list[float]] = {"screening": [], "matrix product": [], "without tables": []}
    X = model[0].transform(space[:n_part])
    source = model[-1]._as_source()
    part = source.architecture.dataset(X, None, source.arguments, "cpu")
    rows = torch.arange(len(part)).split(4096)

    def without_tables() -> None:
        with torch.inference_mode():
            for block in rows:
                network(**part.inputs(block.expand(network.n_members, -1)))

    for _ in range(repeats):
        times["matrix product"].append(seconds(lambda: torch.mm(matrix, matrix)))
        times["screening"].append(seconds(lambda: screen(model, space, return_std=True)))
        times["matrix product"].append(seconds(lambda: torch.mm(matrix, matrix)))
        times["without tables"].append(seconds(without_tables))
    peak = 2 * side**3 / min(times["matrix product"])
    taken = float(np.median(times["screening"]))
    share = work(network) * len(space) / taken / peak
    plain = float(np.median(times["without tables"])) / len(part) * len(space)

    single = [seconds(lambda: model.predict(["K2NaAlF6"], return_std=True)) for _ in range(300)]

    sites, energies = fetch_elpasolites(return_X_y=True)
    formulas = [f"{a}{b}{c}2{d}6" for a, b, c, d in sites[: 2 * n_sample]]
    forest = RandomForestRegressor(n_jobs=arguments.threads, random_state=0)
    forest.fit(magpie_features(formulas[n_sample:]), energies[n_sample : 2 * n_sample])
    magpie = seconds(lambda: forest.predict(magpie_features(formulas[:n_sample])))
    magpie *= len(space) / n_sample

    command = [sys.executable, __file__, MEMORY, str(n_elements), str(arguments.threads)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    memory = float(out)

    results = {
        "n_ordered": n_ordered,
        "n_distinct": len(space),
        "seconds": summarise(times["screening"]),
        "distinct_per_second": len(space) / taken,
        "peak_memory_mb": memory,
        "matrix_product_gflops": peak / 1e9,
        "share_of_matrix_product_peak": share,
        "seconds_without_tables_extrapolated": plain,
        "one_row_ms": float(np.median(single) * 1e3),
        "magpie_random_forest_seconds_extrapolated": magpie,
        "magpie_sample": n_sample,
    }
    print(f"{n_ordered:,} elpasolites, {len(space):,} distinct, mean and std: {taken:.1f} s")
    print(f"{len(space) / taken:,.0f} distinct crystals per second, peak memory {memory:.0f} MB")
    print(f"{share:.0%} of the {peak / 1e9:.0f} GFLOP/s of a {side} × {side} matrix product")
    print(f"without look-ups {plain:.0f} s (extrapolated from {len(part):,})")
    print(f"Magpie and a random forest {magpie / 3600:.1f} h (extrapolated from {n_sample:,})")
    print(f"one row: {results['one_row_ms']:.2f} ms")
    claims = {
        "at most 60 s": taken <= 60,
        "at most 1 GB": memory <= 1000,
        "at least 30 % of the matrix-product peak": share >= 0.3,
        "one row in at most 5 ms": results["one_row_ms"] <= 5,
    }
    write_results("screening", results, claims, arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == [MEMORY]:
        peak_memory(*map(int, sys.argv[2:]))
    else:
        main()
