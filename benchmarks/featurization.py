"""Speed and memory of computing features from formulas, compared with other packages.

10,000 elpasolites and 50,000 formulas of the OQMD, distinct compositions drawn at random.
Each measurement is a separate process, so that its memory is that of one method; a round
measures each method once. Slow methods are timed on the first rows, and run once on all rows
to measure their memory. The references are a regular expression in plain Python, which only
counts atoms, and a NumPy gather, a lower bound for looking up sites.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import parse_arguments, read_energies, summarise, write_results
from _environments import available, pins, run_worker
from numpy.typing import NDArray

from sklearn_elmodes._inputs import composition_groups
from sklearn_elmodes.datasets import fetch_elpasolites
from sklearn_elmodes.elements import ATOMIC_NUMBERS


class Contender(NamedTuple):
    """A function of ``peers/featurize.py`` that computes features, and its input."""

    function: str
    rows: str = "formulas"
    environment: str | None = None
    timed_rows: int = 10**7  # maximum; a tenth of it in quick mode


POOLED = "strings to pooled features"
SITE_ARRAYS = ("site arrays of symbols to features", "site arrays of atomic numbers to features")
MAGPIE, EMBEDDINGS = "matminer, Magpie, one process", "ElementEmbeddings, mean"
PYTHON, GATHER = "reference: regular expression in plain Python", "reference: NumPy gather"
CONTENDERS = {
    POOLED: Contender("pooled"),
    "strings to amounts": Contender("amounts"),
    "strings to modes of each element": Contender("by_element"),
    "strings to site features": Contender("sites", "site formulas"),
    SITE_ARRAYS[0]: Contender("sites", "symbols"),
    SITE_ARRAYS[1]: Contender("sites", "atomic numbers"),
    MAGPIE: Contender("magpie", timed_rows=2000),
    "matminer, Magpie, as many processes as CPUs": Contender("magpie_parallel", timed_rows=2000),
    EMBEDDINGS: Contender("elementembeddings_mean", environment="elementembeddings"),
    "ElementEmbeddings, all statistics": Contender(
        "elementembeddings_all", environment="elementembeddings"
    ),
    "CBFV, Magpie": Contender("cbfv", environment="cbfv"),
    "pymatgen, parsing alone": Contender("pymatgen"),
    PYTHON: Contender("plain_python"),
    GATHER: Contender("gather", "atomic numbers"),
}
CLAIMED = (POOLED, MAGPIE, EMBEDDINGS, PYTHON)
SITE_COPIES = 20  # of the arrays, which alone are too few to time
QUICK_ROWS = 600  # more than the 512 formulas that pymatgen caches


def distinct(formulas: NDArray[Any], n_rows: int) -> NDArray[np.intp]:
    """Draw the numbers of rows with distinct compositions."""
    _, first = np.unique(composition_groups(formulas), return_index=True)
    return np.random.RandomState(0).permutation(first)[:n_rows]


def read_rows(quick: bool) -> dict[str, dict[str, NDArray[Any]]]:
    """Read the rows of each data set, by kind."""
    sites, _ = fetch_elpasolites(return_X_y=True)
    crystals = np.array([f"{a}{b}{c}2{d}6" for a, b, c, d in sites])
    kept = distinct(crystals, QUICK_ROWS if quick else 10_000)
    symbols = np.tile(sites[kept], (SITE_COPIES, 1)).astype("U2")
    formulas, _ = read_energies("oqmd_formation_enthalpy/train.csv.gz")
    formulas = formulas[:5000] if quick else formulas
    return {
        "elpasolites": {
            "formulas": crystals[kept],
            "site formulas": crystals[kept],
            "symbols": symbols,
            "atomic numbers": np.vectorize(ATOMIC_NUMBERS.get)(symbols),
        },
        "OQMD": {
            "formulas": formulas[distinct(formulas, QUICK_ROWS if quick else 50_000)].astype("U")
        },
    }


def measure_all(
    rows: dict[str, NDArray[Any]], contenders: dict[str, Contender], quick: bool
) -> dict[str, Any]:
    """Measure every contender in turn, several times."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    timed = {
        name: min(contender.timed_rows // (10 if quick else 1), len(rows[contender.rows]))
        for name, contender in contenders.items()
    }
    whole: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, X in rows.items():
            np.save(Path(folder) / f"{kind}.npy", X)

        def measure(contender: Contender, n_rows: int) -> dict[str, float]:
            request = {
                "function": contender.function,
                "data": str(Path(folder) / f"{contender.rows}.npy"),
                "n_rows": n_rows,
                "least_seconds": 0.05 if quick else 0.5,
            }
            return run_worker("featurize", contender.environment, request)

        for _ in range(1 if quick else 5):
            for name, contender in contenders.items():
                found[name].append(measure(contender, timed[name]))
                rate = found[name][-1]["rows_per_cpu_second"]
                print(f"{name:<46} {rate:>12,.0f} rows per CPU-second", flush=True)
        for name, contender in contenders.items():
            if timed[name] < len(rows[contender.rows]):
                whole[name] = measure(contender, len(rows[contender.rows]))
    rates = {name: [run["rows_per_cpu_second"] for run in runs] for name, runs in found.items()}
    results = {}
    for name, runs in found.items():
        reference = GATHER if name in (*SITE_ARRAYS, GATHER) else POOLED
        ratios = np.divide(rates[name], rates[reference])
        memory = [whole[name]] if name in whole else runs
        results[name] = {
            "rows": len(rows[contenders[name].rows]),
            "timed_rows": timed[name],
            "rows_per_cpu_second": summarise(rates[name]),
            "median": float(np.median(rates[name])),
            "rows_per_second": summarise([run["rows_per_second"] for run in runs]),
            "ratio": {"to": reference, **summarise(ratios), "median": float(np.median(ratios))},
            **{
                key: max(run[key] for run in memory)
                for key in ("peak_mb", "peak_beyond_libraries_mb", "largest_child_mb")
            },
        }
    return results


def main() -> None:
    """Measure on both data sets."""
    arguments = parse_arguments(__doc__)
    peers = ("elementembeddings", "cbfv")
    peers_there = available(peers, make=not arguments.quick)
    results: dict[str, Any] = {"seed": 0, "pins": {name: pins(name) for name in peers_there}}
    for data, rows in read_rows(arguments.quick).items():
        print(f"\n{data}")
        contenders = {
            name: contender
            for name, contender in CONTENDERS.items()
            if contender.rows in rows
            and contender.environment in (None, *peers_there)
            and (name in CLAIMED or data == "elpasolites" or not arguments.quick)
        }
        results[data] = measure_all(rows, contenders, arguments.quick)

    def times_pooled(name: str) -> float:
        """Return how many times faster pooled features are, on the worse data set."""
        return 1 / max(
            results[data].get(name, {"ratio": {"median": np.inf}})["ratio"]["median"]
            for data in ("elpasolites", "OQMD")
        )

    to_gather = [results["elpasolites"][name]["ratio"]["median"] for name in SITE_ARRAYS]
    claims = {
        "strings to pooled features at half the speed of counting atoms in Python or more": (
            times_pooled(PYTHON) > 0.5
        ),
        "site arrays at a quarter of the speed of a gather or more": min(to_gather) > 0.25,
        "strings to pooled features 300 times as fast as Magpie": times_pooled(MAGPIE) >= 300,
        "strings to pooled features 5 times as fast as ElementEmbeddings' mean": (
            times_pooled(EMBEDDINGS) >= 5
        ),
    }
    write_results("featurization", results, claims, arguments)


if __name__ == "__main__":
    main()
