"""Scaling of time and memory with the number of rows and of elements.

Rows: the default pipeline for formulas of any kind is fitted to up to 239,121 formulas of the
OQMD for three epochs, and the general model predicts up to 10,000,000 formulas. These are
formulas of the OQMD with randomly exchanged elements; ten million are predicted in ten calls
with a million new formulas each, and generating them is not timed. Each measurement is a
separate process with one thread, and ``--threads`` of them run in parallel. All except the ten
million are repeated in rounds.

Elements: the same number of rows with 5 to 80 distinct elements, described by modes and by
one-hot codes, whose length is the number of elements:

- formulas, with amounts from the OQMD, and the default pipeline, which encodes equal pairs of
  element and amount once per batch; such pairs are more frequent with few elements;
- crystals with four sites, A2BCX6, and the default pipeline for them;
- the same crystals and scikit-learn's multilayer perceptron with the layers of Herr et al.
  (2019): a plain network that reads the codes of all sites as one row.

Energies are random, since only time is measured, in one thread and in rounds over all cases.
The growth of time with N is the slope of a line through the logarithms, for sizes with equal
batch size that are predicted in one call. Writes ``growth.json`` and ``growth.png``.
"""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from _common import (
    Rows,
    collect,
    one_thread,
    parse_arguments,
    read_energies,
    save_figure,
    write_results,
)
from _environments import run_worker
from _peers import one_hot_pipeline, one_hot_table, table_transformer
from numpy.typing import NDArray
from peers._worker import measure
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_elmodes import ElementalModeTransformer, make_formation_energy_pipeline
from sklearn_elmodes.compositions import Compositions
from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.formulas import parse_formulas
from sklearn_elmodes.inspection import pyplot

MODES, ONE_HOT = "modes", "one-hot"
FORMULAS, SITES, PLAIN = "formulas", "four sites", "four sites, plain network"
# Equal pairs of element and amount are encoded once, and are more frequent with few elements.
MOST_GROWTH = {FORMULAS: 1.5, SITES: 1.15}
TIMES = ("fit_us_per_row_and_pass", "predict_us_per_row")
PROTOTYPE = "elpasolite"
N_PASSES = 3
MOST_ROWS = 1_000_000  # per call


def fit_costs(rows: Rows, n_rows: int) -> dict[str, float]:
    """Fit the default pipeline to the first rows, in a separate process."""
    X, y = (column[:n_rows] for column in rows)
    request = {"function": "pipeline", "seed": 0, "settings": {"max_iter": N_PASSES}}
    request["least_seconds"] = 0.1
    no_rows = {"X_validation": X[:0], "y_validation": y[:0]}
    measured = run_worker("regress", None, request, X_train=X, y_train=y, X_test=X[:100], **no_rows)
    fit, features = measured["fit"], measured["features"]
    seconds = sum(n_rows / part["rows_per_cpu_second"] for part in (features, fit))
    print(f"fit {n_rows:>14,} rows {seconds:8.2f} CPU-seconds", flush=True)
    return {
        "cpu_seconds": seconds,
        "peak_mb": max(fit["peak_mb"], features["peak_mb"]),
    }


def predict_costs(rows: Rows, n_rows: int) -> dict[str, float]:
    """Predict ``n_rows`` rows with the general model, in a separate process."""
    n_calls = -(-n_rows // MOST_ROWS)
    request = {"n_calls": n_calls, "n_rows": n_rows // n_calls}
    calls = run_worker("predict", None, request, formulas=rows[0])
    seconds = sum(request["n_rows"] / call["rows_per_cpu_second"] for call in calls)
    print(f"predict {n_rows:>10,} rows {seconds:8.2f} CPU-seconds", flush=True)
    return {"cpu_seconds": seconds, "peak_mb": max(call["peak_mb"] for call in calls)}


def formulas_like(compositions: Compositions, n_elements: int, seed: int) -> list[str]:
    """Generate formulas with the amounts of others and random elements among the first ones."""
    drawn = np.random.RandomState(seed).rand(len(compositions), n_elements).argsort(axis=1)
    starts, rows = compositions.starts, compositions.rows
    symbols = np.array(SYMBOLS)[drawn[rows, np.arange(len(rows)) - starts[rows]]]
    parts = [f"{s}{n:g}" for s, n in zip(symbols, compositions.amounts, strict=True)]
    return ["".join(parts[a:b]) for a, b in pairwise(starts)]


def crystals(n_rows: int, n_elements: int, seed: int) -> NDArray[Any]:
    """Draw elements for four sites among the first elements."""
    drawn = np.random.RandomState(seed).rand(n_rows, n_elements).argsort(axis=1)
    return np.array(SYMBOLS)[drawn[:, :4]]


def pipelines(n_elements: int) -> dict[tuple[str, str], Pipeline]:
    """Return the pipelines to fit, by network and by representation of the elements."""
    settings: dict[str, Any] = {"max_iter": N_PASSES, "random_state": 0}
    plain = {**settings, "hidden_layer_sizes": (128, 128)}
    modes = ElementalModeTransformer(prototype=PROTOTYPE)
    one_hot = table_transformer(one_hot_table(SYMBOLS[:n_elements]), PROTOTYPE)
    return {
        (FORMULAS, MODES): make_formation_energy_pipeline(**settings),
        (FORMULAS, ONE_HOT): one_hot_pipeline(n_elements, **settings),
        (SITES, MODES): make_formation_energy_pipeline(PROTOTYPE, **settings),
        (SITES, ONE_HOT): one_hot_pipeline(n_elements, PROTOTYPE, **settings),
        (PLAIN, MODES): make_pipeline(modes, MLPRegressor(**plain)),
        (PLAIN, ONE_HOT): make_pipeline(one_hot, MLPRegressor(**plain)),
    }


def n_weights(model: Pipeline) -> int:
    """Count the weights of a fitted network, over all members."""
    network = model[-1]
    if isinstance(network, MLPRegressor):
        return sum(weights.size for weights in (*network.coefs_, *network.intercepts_))
    return sum(weights.numel() for weights in network.net_.module_.parameters())


def element_costs(X: Any, model: Pipeline, n_fitted: int, least_seconds: float) -> dict[str, float]:
    """Fit a pipeline to the first rows, and predict all rows, repeatedly."""
    energies = np.random.RandomState(0).normal(size=n_fitted)
    start = time.process_time()
    model.fit(X[:n_fitted], energies)
    seconds = time.process_time() - start
    predictions = measure(model.predict, X, least_seconds)
    return {
        "fit_us_per_row_and_pass": seconds / n_fitted / N_PASSES * 1e6,
        "predict_us_per_row": 1e6 / predictions["rows_per_cpu_second"],
        "n_weights": float(n_weights(model)),
    }


def with_medians(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Add the median of each number to its mean, standard deviation and values."""
    found = collect(runs)
    return {key: {"median": float(np.median(found[key]["values"])), **found[key]} for key in found}


def slope(found: dict[int, Any], least_rows: int) -> float:
    """Return the growth of time with the number of rows, as an exponent."""
    sizes = [n for n in found if least_rows <= n <= MOST_ROWS]
    medians = [found[n]["cpu_seconds"]["median"] for n in sizes]
    return float(np.polyfit(np.log(sizes), np.log(medians), 1)[0])


def rows_growth(arguments: Any) -> dict[str, Any]:
    """Measure fits and predictions for increasing numbers of rows."""
    X, y = read_energies("oqmd_formation_enthalpy/train.csv.gz")
    # The rows of any_formula.py, in random order.
    kept = np.random.RandomState(0).permutation(np.flatnonzero(np.abs(y) <= 5))
    rows = X[kept].astype("U"), y[kept]
    fit_sizes = [1000, 4000, 16_000, 32_000, 64_000, len(kept)]
    predict_sizes, n_rounds = [10_000, 100_000, 300_000, MOST_ROWS, 10 * MOST_ROWS], 3
    if arguments.quick:
        fit_sizes, predict_sizes, n_rounds = [100, 400], [100, 1000], 1
    jobs = [
        (function, n)
        for round_ in range(n_rounds)
        for function, sizes in ((fit_costs, fit_sizes), (predict_costs, predict_sizes))
        for n in sizes[::-1]
        if round_ == 0 or n <= MOST_ROWS
    ]
    with ThreadPoolExecutor(arguments.threads) as pool:
        runs = list(pool.map(lambda job: job[0](rows, job[1]), jobs))

    def of(function: Any, sizes: list[int]) -> dict[int, Any]:
        return {
            n: with_medians(
                [run for job, run in zip(jobs, runs, strict=True) if job == (function, n)]
            )
            for n in sizes
        }

    return {"fit": of(fit_costs, fit_sizes), "predict": of(predict_costs, predict_sizes)}


def elements_growth(quick: bool) -> dict[str, Any]:
    """Measure fits and predictions for increasing numbers of elements."""
    counts, n_rows, n_fitted, n_rounds, least_seconds = [5, 10, 20, 40, 80], 50_000, 8000, 5, 0.5
    if quick:
        counts, n_rows, n_fitted, n_rounds, least_seconds = [5, 10], 400, 200, 1, 0.0
    X, _ = read_energies("oqmd_formation_enthalpy/train.csv.gz")
    X = np.random.RandomState(0).permutation(X)[: 2 * n_rows]
    few = np.diff(parse_formulas(X).starts) <= min(counts)
    compositions = parse_formulas(X[few][:n_rows])
    runs: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # because of the few epochs
        # The first fit in a process loads libraries.
        make_formation_energy_pipeline(max_iter=1).fit(X[:100], np.arange(100.0))
        for number in range(n_rounds):
            for n_elements in counts:
                drawn = {
                    FORMULAS: formulas_like(compositions, n_elements, number),
                    SITES: crystals(n_rows, n_elements, number),
                }
                drawn[PLAIN] = drawn[SITES]
                for (network, code), model in pipelines(n_elements).items():
                    found = element_costs(drawn[network], model, n_fitted, least_seconds)
                    runs.setdefault((network, code, n_elements), []).append(found)
            print(f"elements, round {number + 1} of {n_rounds}", flush=True)
    results: dict[str, Any] = {}
    for network, code in pipelines(counts[0]):
        mine = {n: runs[network, code, n] for n in counts}
        ratios = [
            {key: many[key] / few[key] for key in few}
            for few, many in zip(mine[counts[0]], mine[counts[-1]], strict=True)
        ]
        results.setdefault(network, {})[code] = {
            "n_elements": {n: with_medians(mine[n]) for n in counts},
            "most to fewest": with_medians(ratios),
        }
    return results


def draw(rows: dict[str, Any], elements: dict[str, Any]) -> Any:
    """Plot times against rows, and times and weights against elements."""
    figure, axes = pyplot().subplots(2, 2, figsize=(10, 8), layout="constrained")
    for task, title in (("fit", f"fit, {N_PASSES} epochs"), ("predict", "predictions")):
        sizes = list(rows[task])
        seconds = [rows[task][n]["cpu_seconds"]["median"] for n in sizes]
        line, *_ = axes[0, 0].plot(sizes, seconds, "o-", markersize=4, label=title)
        proportional = seconds[-1] * np.array(sizes) / sizes[-1]
        axes[0, 0].plot(sizes, proportional, ":", color=line.get_color(), linewidth=1)
    axes[0, 0].set(xlabel="rows", ylabel="CPU-seconds", xscale="log", yscale="log")
    axes[0, 0].set_title("dotted: proportional to the rows", fontsize="medium")
    axes[0, 0].legend(frameon=False)
    costs = {
        "fit_us_per_row_and_pass": "CPU-µs to fit, per row and epoch",
        "predict_us_per_row": "CPU-µs to predict a row",
        "n_weights": "weights",
    }
    for axis, (key, label) in zip(axes.flat[1:], costs.items(), strict=True):
        for number, network in enumerate((FORMULAS, SITES, PLAIN)):
            for code, style in ((MODES, "o-"), (ONE_HOT, "s--")):
                found = elements[network][code]["n_elements"]
                values = [found[n][key]["median"] for n in found]
                look = {"markersize": 4, "color": f"C{number}", "label": f"{network}, {code}"}
                axis.plot(list(found), values, style, **look)
        axis.set(xlabel="elements in the data", ylabel=label, yscale="log")
    marks, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(marks, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def main() -> None:
    """Measure growth in rows and in elements."""
    arguments = parse_arguments(__doc__)
    rows = rows_growth(arguments)
    elements = elements_growth(arguments.quick)
    save_figure("growth", draw(rows, elements), arguments)
    least = {"fit": 100, "predict": 100} if arguments.quick else {"fit": 32_000, "predict": 100_000}
    slopes = {task: slope(rows[task], n) for task, n in least.items()}
    for task, value in slopes.items():
        print(f"time to {task} grows with the power {value:.2f} of the rows")
    claims = {
        f"time to {task} grows at most with the power 1.1 of the rows": value <= 1.1
        for task, value in slopes.items()
    }
    grown = {
        (network, code): elements[network][code]["most to fewest"]
        for network in elements
        for code in (MODES, ONE_HOT)
    }
    for network, most in MOST_GROWTH.items():
        claims[f"{network}: at most {most} times the time with the most elements"] = all(
            grown[network, MODES][key]["median"] <= most for key in TIMES
        )
    claims["the plain network: time grows with one-hot codes, and more than with modes"] = all(
        grown[PLAIN, ONE_HOT][key]["median"] > max(grown[PLAIN, MODES][key]["median"], 1.2)
        for key in TIMES
    )
    results = {"passes": N_PASSES, "rows": rows, "from rows": least, "exponents": slopes}
    write_results("growth", {**results, "elements": elements}, claims, arguments)


if __name__ == "__main__":
    main()
