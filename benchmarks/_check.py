"""Check that nothing became slower, by comparing speed ratios with stored ones.

A ratio is the CPU time of a reference divided by ours, in one thread. Both are called in turn in
several rounds. A round takes the shortest time of each, and the median over the rounds counts, so
that a busy machine has little effect. Ratios more than a quarter below those in
``results/check.json`` are measured again; the check fails if they stay there. ``--store`` writes
that file instead. With names, only these ratios are measured.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import startup
import torch
from _common import RESULTS, one_thread, write_results
from peers import featurize
from peers._worker import cpu_seconds
from training_overhead import plain_loop

from sklearn_elmodes import Prototype, load_pretrained, make_formation_energy_pipeline, screen
from sklearn_elmodes.datasets import fetch_elpasolites, load_expt_formation_enthalpies
from sklearn_elmodes.elements import ATOMIC_NUMBERS

Call = Callable[[], Any]
Pair = tuple[Call, Call]  # ours and the reference
MOST_LOST = 0.25
ROUNDS, ATTEMPTS = 7, 3
LEAST_SECONDS = 0.05  # of each side in a round, since short calls vary most
MALLOC_KEEPS = 2**25  # bytes; glibc can keep smaller blocks when they are freed
SITE_COPIES = 10  # of the crystals, which alone are too few to time
GUARDED: dict[str, Callable[[], Pair]] = {}


def guarded(function: Callable[[], Pair]) -> Callable[[], Pair]:
    """Register a pair under its name."""
    GUARDED[function.__name__] = function
    return function


@cache
def crystals() -> Any:
    """Return the element on each site, shape (10590, 4), and energies."""
    return fetch_elpasolites(return_X_y=True)


@cache
def formulas() -> list[str]:
    return [f"{a}{b}{c}2{d}6" for a, b, c, d in crystals()[0]]


@cache
def matrix_product() -> Call:
    """Return a product of two large matrices, which measures the speed of the machine."""
    matrix = torch.rand(1024, 1024)
    return partial(torch.mm, matrix, matrix)


@guarded
def amounts() -> Pair:
    """Strings to amounts; the reference counts atoms in plain Python."""
    return partial(featurize.amounts(), formulas()), partial(featurize.plain_python(), formulas())


@guarded
def pooled() -> Pair:
    """Strings to pooled features; the reference counts atoms in plain Python."""
    return partial(featurize.pooled(), formulas()), partial(featurize.plain_python(), formulas())


@guarded
def sites() -> Pair:
    """Site arrays of symbols to features; the reference is a NumPy gather."""
    symbols = np.tile(crystals()[0], (SITE_COPIES, 1)).astype("U2")
    numbers = np.vectorize(ATOMIC_NUMBERS.get)(symbols)
    return partial(featurize.sites(), symbols), partial(featurize.gather(), numbers)


@guarded
def crystal_energies() -> Pair:
    """Strings of elpasolites to energies; the reference is a matrix product."""
    return partial(load_pretrained("elpasolites").predict, formulas()[:4000]), matrix_product()


@guarded
def energies() -> Pair:
    """Strings of any kind to energies; the reference is a matrix product."""
    X, _ = load_expt_formation_enthalpies(return_X_y=True)
    return partial(load_pretrained("oqmd").predict, X), matrix_product()


@guarded
def screening() -> Pair:
    """Screen 12,012 elpasolites; the reference is a matrix product."""
    space = Prototype("elpasolite").candidates(np.unique(crystals()[0])[:14].tolist())
    model = load_pretrained("elpasolites")
    return partial(screen, model, space, return_std=True), matrix_product()


@guarded
def fit() -> Pair:
    """Train on 2,000 elpasolites; the reference is a plain torch loop."""
    sites, energies = crystals()
    pipeline = make_formation_energy_pipeline(
        "elpasolite", max_iter=2, batch_size=256, learning_rate_init=0.005, random_state=0
    )
    X, y = pipeline[:-1].fit_transform(sites[:2000]), energies[:2000]
    return partial(pipeline[-1].fit, X, y), partial(plain_loop, pipeline[-1], X, y)


def fresh(name: str) -> Pair:
    ours, reference = startup.COMMANDS[name], startup.COMMANDS["import numpy"]
    return partial(startup.seconds, ours), partial(startup.seconds, reference)


@guarded
def start() -> Pair:
    """Import the package in a fresh interpreter; the reference imports NumPy."""
    return fresh("import sklearn_elmodes")


@guarded
def command_line() -> Pair:
    """Show ``elmodes --help``; the reference imports NumPy."""
    return fresh("elmodes --help")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GUARDED))
    parser.add_argument(
        "--store", action="store_true", help="write the ratios instead of comparing"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of check.json")
    parser.set_defaults(quick=True, threads=1)  # recorded in the results
    arguments = parser.parse_args()
    arguments.names = arguments.names or list(GUARDED)
    unknown = [name for name in arguments.names if name not in GUARDED]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(GUARDED)}")
    return arguments


def shortest(call: Call) -> float:
    """Call repeatedly and return the shortest CPU time."""
    seconds: list[float] = []
    while sum(seconds) < LEAST_SECONDS:
        begin = cpu_seconds()
        call()
        seconds.append(cpu_seconds() - begin)
    return min(seconds)


def main() -> None:
    """Measure, then store or compare."""
    arguments = parse_arguments()
    path = arguments.output / "check.json"
    stored = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else {}
    missing = [name for name in arguments.names if name not in stored]
    if missing and not arguments.store:
        raise SystemExit(
            f"{path} lacks {', '.join(missing)}: python benchmarks/_check.py --store writes it."
        )

    # From now on glibc keeps smaller blocks; otherwise some calls, but not others, would have to
    # map their pages again.
    np.empty(MALLOC_KEEPS - 2**16, dtype=np.uint8)
    pairs = {name: GUARDED[name]() for name in arguments.names}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    suspects = pairs
    with one_thread():
        for _ in range(ATTEMPTS):
            for name, (ours, reference) in list(suspects.items()) * ROUNDS:
                rounds[name].append((shortest(ours), shortest(reference)))
            seconds = {name: np.array(found).T for name, found in rounds.items()}
            ratios = {
                name: float(np.median(reference / ours))
                for name, (ours, reference) in seconds.items()
            }
            if not arguments.store:
                lost = {name: 1 - ratios[name] / stored[name]["ratio"] for name in pairs}
                suspects = {name: pairs[name] for name in pairs if lost[name] > MOST_LOST}

    for name, ratio in ratios.items():
        change = "" if arguments.store else f"{-lost[name]:+5.0%}  "
        print(f"{name:<16} {ratio:8.3f}  {change}{GUARDED[name].__doc__}")
    if arguments.store:
        found = {
            name: {
                "ratio": ratios[name],
                "cpu_seconds": ours.tolist(),
                "reference_cpu_seconds": reference.tolist(),
            }
            for name, (ours, reference) in seconds.items()
        }
        write_results("check", stored | found, {}, arguments)
    elif suspects:
        slower = (
            f"{name} is {lost[name]:.0%} slower: {ratios[name]:.3g} times as fast as its "
            f"reference, instead of {stored[name]['ratio']:.3g}"
            for name in suspects
        )
        raise SystemExit("\n".join(slower))


if __name__ == "__main__":
    main()
