"""Error, time and memory of the default pipeline and of other regressors.

Three splits of the elpasolites, as in ``learning_curve.py``, and three samples of 20,000 rows
of the Materials Project's published training part, tested on its whole test part:

- the default pipeline, a single network of it and, on the Materials Project, that pipeline
  fine-tuned from the general model, which was trained on other energies of some of the test
  compositions (``any_formula.py`` reports the error on the others);
- the network of Herr et al. (2019) in plain torch, for elpasolites only;
- scikit-learn's multilayer perceptron, gradient boosting and extra trees on matminer's Magpie
  statistics, whose cost is measured on 2,000 rows of each split;
- CrabNet 2.0.8, on one split. Its 300 epochs would take many hours here; it gets as many
  epochs as take twenty minutes of CPU time, with one cycle of its learning rate.

The paper's network uses the validation part for early stopping, and CrabNet for averaging its
weights; the perceptron and gradient boosting hold out a tenth of the training rows. Our
hyperparameters were selected on validation rows of the OQMD and of the elpasolites, some of
which are test rows here. Each fit is a separate process with one thread, and ``--threads`` of
them run in parallel. With ``--cache`` finished fits are kept, so that an interrupted run can be
resumed. Writes ``regressors.json`` and ``regressors.png``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from _common import (
    add_cache,
    collect,
    errors,
    parse_arguments,
    read_energies,
    remembered,
    save_figure,
    write_results,
)
from _environments import available, pins, run_worker
from _peers import magpie_statistics
from numpy.typing import NDArray

from sklearn_elmodes.datasets import fetch_elpasolites
from sklearn_elmodes.inspection import pyplot


class Contender(NamedTuple):
    """A function of ``peers/regress.py``, its settings, and the kind of rows that it reads."""

    function: str
    settings: dict[str, Any]
    quick_settings: dict[str, Any]
    rows: str = "as given"
    environment: str | None = None


class Data(NamedTuple):
    """Rows of each kind, energies, and the sizes of the three parts."""

    rows: dict[str, NDArray[Any]]
    energies: NDArray[np.float64]
    parts: tuple[int, int, int]


Parts = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
ELPASOLITES, PROJECT = "elpasolites", "Materials Project"
SEEDS = range(3)
OURS, SINGLE = "default pipeline", "single network"
TUNED = "fine-tuned from the general model"
RECIPE, CRABNET = "paper's recipe, re-run", "CrabNet"
BOOSTING = "gradient boosting on Magpie"
QUICK = {"max_iter": 2}
PEERS = {
    "multilayer perceptron on Magpie": Contender(
        "perceptron",
        {"hidden_layer_sizes": [256, 256, 256], "early_stopping": True},
        QUICK,
        "Magpie",
    ),
    BOOSTING: Contender("boosting", {"max_iter": 1000, "early_stopping": True}, QUICK, "Magpie"),
    "extra trees on Magpie": Contender("extra_trees", {}, {"n_estimators": 2}, "Magpie"),
    CRABNET: Contender("crabnet", {}, {}, "formulas", "crabnet"),
}
CONTENDERS = {
    ELPASOLITES: {
        OURS: Contender("pipeline", {"prototype": "elpasolite"}, QUICK),
        SINGLE: Contender("pipeline", {"prototype": "elpasolite", "n_estimators": 1}, QUICK),
        RECIPE: Contender("paper_recipe", {}, {"max_epochs": 2}),
        **PEERS,
    },
    PROJECT: {
        OURS: Contender("pipeline", {}, QUICK),
        SINGLE: Contender("pipeline", {"n_estimators": 1}, QUICK),
        TUNED: Contender("pipeline", {"pretrained": "oqmd"}, QUICK),
        **PEERS,
    },
}
QUICK_NAMES = {ELPASOLITES: (SINGLE, RECIPE, BOOSTING, CRABNET), PROJECT: (TUNED,)}
CRABNET_CPU_SECONDS = 1200
MATMINER_ROWS = 2000


@cache
def read(name: str, quick: bool) -> Data:
    """Read a data set, and compute its Magpie statistics."""
    if name == ELPASOLITES:
        given, energies = fetch_elpasolites(return_X_y=True)
        formulas = np.array([f"{a}{b}{c}2{d}6" for a, b, c, d in given])
        if quick:
            given, energies, formulas = given[:100], energies[:100], formulas[:100]
        rest = len(energies) // 10
        parts = len(energies) - 2 * rest, rest, rest
    else:
        tables = [
            read_energies(f"mp_formation_energy/{part}.csv.gz") for part in ("train", "val", "test")
        ]
        if quick:
            tables = [(X[::100], y[::100]) for X, y in tables]
        formulas = given = np.concatenate([X for X, _ in tables]).astype("U")
        energies = np.concatenate([y for _, y in tables])
        parts = len(tables[0][1]), len(tables[1][1]), len(tables[2][1])
    rows = {
        "as given": given.astype("U"),
        "formulas": formulas,
        "Magpie": magpie_statistics(formulas),
    }
    return Data(rows, energies, parts)


def split(name: str, data: Data, seed: int) -> Parts:
    """Return the numbers of the training, validation and test rows."""
    random_state = np.random.RandomState(seed)
    n_train, n_validation, n_test = data.parts
    if name == ELPASOLITES:
        train, validation, test = np.split(
            random_state.permutation(len(data.energies)), [n_train, n_train + n_validation]
        )
        return train, validation, test
    return (
        random_state.permutation(n_train)[:20_000],
        n_train + random_state.permutation(n_validation)[:2000],
        n_train + n_validation + np.arange(n_test),
    )


@cache
def magpie_costs(name: str, seed: int, quick: bool) -> dict[str, float]:
    """Measure matminer's features of the training rows, once for all regressors."""
    data = read(name, quick)
    train, _, _ = split(name, data, seed)
    request = {"function": "magpie", "data": "formulas.npy", "least_seconds": 0.0}
    request["n_rows"] = 20 if quick else MATMINER_ROWS
    return run_worker("featurize", None, request, formulas=data.rows["formulas"][train])


def run(name: str, contender: Contender, seed: int, quick: bool) -> dict[str, float]:
    """Fit a regressor to one split and test it once, in a separate process."""
    data = read(name, quick)
    train, validation, test = split(name, data, seed)
    settings = contender.settings | (contender.quick_settings if quick else {})

    def regress(parts: Parts, **further: Any) -> dict[str, Any]:
        request = {"function": contender.function, "seed": seed, "settings": settings | further}
        request["least_seconds"] = 0.05 if quick else 0.5
        arrays = {
            f"{letter}_{kind}": values[rows]
            for letter, values in (("X", data.rows[contender.rows]), ("y", data.energies))
            for kind, rows in zip(("train", "validation", "test"), parts, strict=True)
        }
        return run_worker("regress", contender.environment, request, **arrays)

    found = {}
    if contender.function == "crabnet":
        # CrabNet's batch size for all rows; time two and four epochs on two batches.
        batch_size = int(np.clip(2 ** round(np.log2(len(train)) - 4), 128, 4096))
        few = train[: 2 * batch_size], validation[:20], test[:20]
        two, four = (
            1 / regress(few, n_passes=n, batch_size=batch_size)["fit"]["rows_per_cpu_second"]
            for n in (2, 4)
        )
        budget = 0 if quick else CRABNET_CPU_SECONDS
        found["passes"] = max(2 * int(budget / (four - two) / len(train)), 2)
        further = {"n_passes": found["passes"], "batch_size": batch_size}
        measured = regress((train, validation, test), **further)
    else:
        measured = regress((train, validation, test))
    if contender.rows == "Magpie":
        measured["features"] = magpie_costs(name, seed, quick)
    found |= errors(np.array(measured["predicted"]), data.energies[test])
    found |= costs(measured, len(train))
    print(f"{name}, seed {seed}: {contender.function}, MAE {found['mae']:.4f} eV/atom", flush=True)
    return found


def costs(measured: dict[str, dict[str, float]], n_train: int) -> dict[str, float]:
    """Return the cost of fitting and predicting, with and without a separate features step."""
    fit, predict = measured["fit"], measured["predict"]
    cpu, us = n_train / fit["rows_per_cpu_second"], 1e6 / predict["rows_per_cpu_second"]
    seconds = n_train / fit["rows_per_second"]
    largest = max((fit, measured.get("features", fit)), key=lambda step: step["peak_mb"])
    found = {f"fit_{key}": largest[key] for key in ("peak_mb", "peak_beyond_libraries_mb")}
    if "features" in measured:
        features = measured["features"]
        found |= {"fit_cpu_seconds_without_features": cpu, "predict_cpu_us_without_features": us}
        cpu += n_train / features["rows_per_cpu_second"]
        us += 1e6 / features["rows_per_cpu_second"]
        seconds += n_train / features["rows_per_second"]
    return found | {"fit_cpu_seconds": cpu, "fit_seconds": seconds, "predict_cpu_us": us}


def draw(results: dict[str, Any]) -> Any:
    """Plot error against fitting time."""
    figure, axes = pyplot().subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    names = list(dict.fromkeys(chain(*CONTENDERS.values())))
    for axis, data in zip(axes, CONTENDERS, strict=True):
        for number, name in enumerate(names):
            if name not in results[data]["models"]:
                continue
            found = results[data]["models"][name]
            axis.errorbar(
                found["fit_cpu_seconds"]["mean"],
                found["mae"]["mean"],
                yerr=found["mae"]["std"],
                fmt="osD^vP*X"[number],
                color=f"C{number}",
                label=name,
            )
        axis.set(xscale="log", xlabel="CPU-seconds to fit, with features", title=data)
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("test MAE (eV/atom)")
    handles = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False)
    return figure


def main() -> None:
    """Run all regressors on all splits."""
    arguments = parse_arguments(__doc__, add_cache)
    quick = arguments.quick
    there = available(("crabnet",), make=not quick)
    jobs = [
        (data, name, seed)
        for data, contenders in CONTENDERS.items()
        for seed in (SEEDS if not quick else [0])
        for name, contender in contenders.items()
        if contender.environment in (None, *there)
        and (name in QUICK_NAMES[data] or not quick)
        and (name != CRABNET or seed == 0)
    ]
    # Longest first, then seed by seed.
    jobs.sort(key=lambda job: (job[1] != CRABNET, job[0] != PROJECT))
    for data in CONTENDERS:
        read(data, quick)
    for data, name, seed in jobs:
        if CONTENDERS[data][name].rows == "Magpie":
            magpie_costs(data, seed, quick)
    measure = remembered(run, arguments)
    with ThreadPoolExecutor(arguments.threads) as pool:
        runs = list(
            pool.map(lambda job: measure(job[0], CONTENDERS[job[0]][job[1]], *job[2:], quick), jobs)
        )

    results: dict[str, Any] = {
        "pins": {name: pins(name) for name in there},
        "CPU-seconds for the passes of CrabNet": CRABNET_CPU_SECONDS,
        "rows to measure matminer with": MATMINER_ROWS,
    }
    for data in CONTENDERS:
        parts = split(data, read(data, quick), 0)
        results[data] = {
            "seeds": sorted({job[2] for job in jobs if job[0] == data}),
            "rows to train, to validate, to test": [len(part) for part in parts],
            "models": {},
        }
        for name in CONTENDERS[data]:
            mine = [found for job, found in zip(jobs, runs, strict=True) if job[:2] == (data, name)]
            if mine:
                results[data]["models"][name] = collect(mine)
    save_figure("regressors", draw(results), arguments)

    maes = {
        data: {name: found["mae"]["mean"] for name, found in results[data]["models"].items()}
        for data in CONTENDERS
    }
    single, recipe = (results[ELPASOLITES]["models"][name] for name in (SINGLE, RECIPE))
    claims = {
        f"{data}: {name} has the least error": min(maes[data], key=maes[data].__getitem__) == name
        for data, name in ((ELPASOLITES, OURS), (PROJECT, TUNED))
    }
    claims["elpasolites: single network errs less than the paper's recipe, in less time"] = all(
        single[key]["mean"] < recipe[key]["mean"] for key in ("mae", "fit_cpu_seconds")
    )
    write_results("regressors", results, claims, arguments)


if __name__ == "__main__":
    main()
