"""Stability: decomposition energies of predictions, beside other models, and the speed of hulls.

Accuracy, on the 85,014 compositions of the Materials Project and the published predictions of
Bartel et al. 2020, each model with its own five folds:

- hull of predictions: energies of all compounds are predicted, and each is compared with the
  predicted energies of all others;
- hull of calculations: a predicted energy is compared with the calculated energies of all
  others, as in a search for new compounds;
- Li-Mn-TM-O: 267 quaternary oxides that no model was trained on, compared with calculated
  energies of all other phases, and predicted energies of each other.

Ours is the general model, fine-tuned with default settings. Speed and agreement of hulls are
measured beside HiGHS and pymatgen, on compounds drawn at random; the time to screen a million
candidates includes the general model.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _common import (
    Rows,
    add_cache,
    one_thread,
    parse_arguments,
    read_energies,
    remembered,
    write_results,
)
from joblib import Parallel, delayed
from numpy.typing import NDArray
from peers._worker import measure
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from scipy.optimize import linprog
from scipy.stats import spearmanr
from sklearn.datasets import get_data_home
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import KFold

from sklearn_elmodes import (
    CompetingPhases,
    load_pretrained,
    make_formation_energy_pipeline,
    screen,
)
from sklearn_elmodes._inputs import composition_groups
from sklearn_elmodes.candidates import CandidatesShard, FormulaCandidates
from sklearn_elmodes.datasets import load_oqmd_phases
from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.formulas import element_fractions

OURS, PUBLISHED = "modes, fine-tuned", ("Roost", "ElemNet", "Magpie", "CGCNN")
MEMORY = "memory"  # argument with which this script runs itself in a new process
METALS = "Li Na K Mg Ca Sr Ba Ti V Cr Mn Fe Co Ni".split()
ELEMENTS = "Li Na Mg Al Si Ti Mn Fe Co Ni Zn P S O F".split()


def fit_predict(
    train: tuple[NDArray[Any], NDArray[np.float64]], formulas: NDArray[Any], quick: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fine-tune the general model; return predictions and their standard deviations."""
    settings: dict[str, Any] = {"max_iter": 2} if quick else {}
    model = make_formation_energy_pipeline(
        pretrained="oqmd", calibrate_std=True, random_state=0, **settings
    )
    with one_thread():
        predicted, std = model.fit(*train).predict(formulas, return_std=True)
    return predicted, std


def _bartel(name: str) -> Any:
    """Read a file of Bartel et al."""
    path = Path(get_data_home()) / "bartel2020" / f"{name}.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def materials_project(quick: bool) -> tuple[Rows, NDArray[np.float64]]:
    """Return formulas, formation energies and published decomposition energies."""
    parts = ("train", "val", "test")
    paths = [f"mp_formation_energy/{part}.csv.gz" for part in parts]
    X, y = (np.concatenate(columns) for columns in zip(*map(read_energies, paths), strict=True))
    published = np.concatenate([_published(path) for path in paths])
    step = 40 if quick else 1
    return (X[::step], y[::step]), published[::step]


def _published(path: str) -> NDArray[np.float64]:
    table = pd.read_csv(Path(get_data_home()) / path, keep_default_na=False)
    return table["e_decomp_ev_per_atom"].to_numpy(dtype=float)


def scores(found: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float]:
    """Compare decomposition energies; compounds with at most 0 are stable."""
    predicted, stable = found <= 0, true <= 0
    (right, false), _ = confusion_matrix(stable, predicted, labels=[False, True])
    lowest = np.argsort(found, kind="stable")[:1000]
    return {
        "mae": float(np.abs(found - true).mean()),
        "accuracy": float(accuracy_score(stable, predicted)),
        "f1": float(f1_score(stable, predicted)),
        "false_positive_rate": float(false / (right + false)),
        "precision_of_1000_lowest": float(stable[lowest].mean()),
    }


def accuracy(arguments: argparse.Namespace, mp: Rows) -> dict[str, Any]:
    """Compare predictions of all models on three tasks."""
    X, y = mp
    oxides = _bartel("mp_LiMnTMO")
    names = np.array(list(oxides), dtype=object)
    energies = np.array([oxide["Ef"] for oxide in oxides.values()])
    groups = composition_groups(np.concatenate([names, X]))
    known = np.isin(groups[len(names) :], groups[: len(names)])
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    run = delayed(remembered(fit_predict, arguments))
    *found, of_oxides = Parallel(n_jobs=arguments.threads)(
        [run((X[train], y[train]), X[test], arguments.quick) for train, test in folds]
        + [run((X[~known], y[~known]), names, arguments.quick)]
    )
    predicted, std = np.empty(len(y)), np.empty(len(y))
    fold = np.empty(len(y), dtype=int)
    for number, ((_, test), (mean, deviation)) in enumerate(zip(folds, found, strict=True)):
        predicted[test], std[test], fold[test] = mean, deviation, number

    hull = CompetingPhases().fit(X, y)
    true = hull.decomposition_energy(X, y)
    phases = np.concatenate([X[~known], names])
    of_phases = CompetingPhases().fit(phases, np.concatenate([y[~known], energies]))
    true_oxides = of_phases.decomposition_energy(names, energies)
    models = {OURS: (predicted, of_oxides[0])}
    for name in PUBLISHED:
        all_mp, quaternary = _bartel(f"allMP_{name}"), _bartel(f"LiMnTMO_{name}")
        models[name] = (
            np.array([all_mp[formula] for formula in X]),
            np.array([quaternary[formula] for formula in names]),
        )
    results: dict[str, Any] = {"hull of predictions": {}, "hull of calculations": {}, "oxides": {}}
    for name, (of_mp, of_quaternary) in models.items():
        own = CompetingPhases().fit(X, of_mp).decomposition_energy(X, of_mp)
        results["hull of predictions"][name] = scores(own, true)
        results["hull of calculations"][name] = scores(of_mp - (y - true), true)
        of_phases = CompetingPhases().fit(phases, np.concatenate([y[~known], of_quaternary]))
        above = of_phases.decomposition_energy(names, of_quaternary)
        results["oxides"][name] = {
            "mae": float(np.abs(above - true_oxides).mean()),
            "true_positives": int(((above <= 0) & (true_oxides <= 0)).sum()),
            "false_positives": int(((above <= 0) & (true_oxides > 0)).sum()),
            "stable": int((true_oxides <= 0).sum()),
        }
    results["probability"] = probability(predicted - (y - true), std, true, fold)
    results["rank correlation of error and std"] = float(
        spearmanr(np.abs(predicted - y), std).statistic
    )
    return results


def probability(
    above: NDArray[np.float64],
    std: NDArray[np.float64],
    true: NDArray[np.float64],
    fold: NDArray[np.intp],
) -> dict[str, list[float]]:
    """Calibrate probabilities as StabilityClassifier does, on each fold, and test on the others."""
    decision, stable = -above / std, true <= 0
    tenth, share, mean = [], [], []
    for number in range(fold.max() + 1):
        own = fold == number
        calibrator = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        found = calibrator.fit(decision[own], stable[own]).predict(decision[~own])
        tenth.append(np.minimum((found * 10).astype(int), 9))
        share.append(stable[~own])
        mean.append(found)
    tenths, shares, means = map(np.concatenate, (tenth, share, mean))
    filled = [number for number in range(10) if (tenths == number).any()]
    return {
        "predicted": [float(means[tenths == number].mean()) for number in filled],
        "observed": [float(shares[tenths == number].mean()) for number in filled],
        "rows": [int((tenths == number).sum()) for number in filled],
    }


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def solvers(mp: Rows, n_highs: int, n_pymatgen: int) -> dict[str, Any]:
    """Measure time and agreement beside HiGHS and pymatgen."""
    X, y = mp
    hull = CompetingPhases().fit(X, y)
    draw = np.random.RandomState(0).permutation(len(X))
    own = hull.hull_energy(X, exclude_self=True)
    fractions = element_fractions(X, "float64")

    def within(row: int) -> NDArray[np.intp]:
        outside = fractions[:, fractions[row] == 0].any(axis=1)
        return np.flatnonzero(~outside)

    systems = {row: within(row) for row in draw[: max(n_highs, n_pymatgen)].tolist()}

    def by_highs(row: int) -> float:
        rows = systems[row][systems[row] != row]
        inside = fractions[row] > 0
        columns = np.vstack([fractions[rows], np.eye(118)[inside]])[:, inside].T
        costs = np.concatenate([y[rows], np.zeros(inside.sum())])
        return float(linprog(costs, A_eq=columns, b_eq=fractions[row, inside], method="highs").fun)

    def by_pymatgen(row: int) -> float:
        entries = [
            PDEntry(composition := Composition(X[other]), y[other] * composition.num_atoms)
            for other in systems[row]
        ]
        entries += [PDEntry(Composition({e: 1}), 0.0) for e in Composition(X[row]).elements]
        diagram = PhaseDiagram(entries)
        entry = entries[int(np.flatnonzero(systems[row] == row)[0])]
        return float(diagram.get_phase_separation_energy(entry))

    highs, pymatgen = draw[:n_highs].tolist(), draw[:n_pymatgen].tolist()
    found: dict[str, list[float]] = {}

    def solve(name: str, function: Callable[[int], float], rows: list[int]) -> float:
        return cpu_seconds(lambda: found.update({name: [function(row) for row in rows]}))

    seconds = {
        "HiGHS": solve("HiGHS", by_highs, highs) / n_highs * len(X),
        "pymatgen": solve("pymatgen", by_pymatgen, pymatgen) / n_pymatgen * len(X),
        "fit": cpu_seconds(lambda: CompetingPhases().fit(X, y)),
        "ours": cpu_seconds(lambda: hull.decomposition_energy(X, y)),
    }
    return {
        "compounds": len(X),
        "cpu_seconds": seconds,
        "compounds_timed": {"HiGHS": n_highs, "pymatgen": n_pymatgen},
        "largest_difference": {
            "HiGHS": float(np.abs(np.array(found["HiGHS"]) - own[highs]).max()),
            "pymatgen": float(np.abs(np.array(found["pymatgen"]) - (y - own)[pymatgen]).max()),
        },
    }


def oqmd_rows(quick: bool) -> dict[str, float]:
    """Measure the time for all rows of the OQMD."""
    paths = [f"oqmd_formation_enthalpy/{part}.csv.gz" for part in ("train", "val", "test")]
    X, y = (np.concatenate(columns) for columns in zip(*map(read_energies, paths), strict=True))
    kept = np.abs(y) <= 5
    X, y = X[kept][:: 100 if quick else 1], y[kept][:: 100 if quick else 1]
    hull = CompetingPhases()
    fit = cpu_seconds(lambda: hull.fit(X, y))
    energies = cpu_seconds(lambda: hull.decomposition_energy(X, y))
    return {"rows": len(X), "fit": fit, "ours": energies}


def candidates(n: int) -> dict[str, NDArray[Any]]:
    """Return three kinds of candidates."""
    rng = np.random.RandomState(0)
    X, _ = load_oqmd_phases(return_X_y=True)
    present = element_fractions(X).any(axis=0)
    symbols = np.array(SYMBOLS)[present].astype(object)
    chosen = rng.random_sample((n, len(symbols))).argsort(axis=1)[:, :4]
    a, b, c, d = symbols[chosen.T]
    amounts = rng.randint(1, 7, (4, n)).astype(str).astype(object)
    systems = FormulaCandidates(METALS, n_elements=4, amounts=range(1, 7))
    return {
        "of 1,001 systems": systems[:: max(len(systems) // n, 1)][:n],
        "elpasolites": a + b + c + "2" + d + "6",
        "of random systems": sum(
            (symbol + amount for symbol, amount in zip((b, c, d), amounts[1:], strict=True)),
            a + amounts[0],
        ),
    }


def screening_memory(n: int, threads: int) -> None:
    """Screen in this process, and print seconds and the increase of the peak memory."""
    torch.set_num_threads(threads)
    model = load_pretrained("oqmd")
    hull = CompetingPhases("OQMD").fit(*load_oqmd_phases(return_X_y=True))
    space = FormulaCandidates(ELEMENTS, n_elements=4, amounts=range(1, 7))
    part = CandidatesShard(space, 0, min(n, len(space)))
    settings = {"hull": hull, "objective": "decomposition_energy", "return_std": True}
    start = time.perf_counter()
    measured = measure(partial(screen, model, **settings), part, 0.0)
    print(
        json.dumps(
            {
                "candidates": len(part),
                "seconds": time.perf_counter() - start,
                "peak_beyond_libraries_mb": measured["peak_beyond_libraries_mb"],
            }
        )
    )


def main() -> None:
    """Measure accuracy, then speed."""
    arguments = parse_arguments(__doc__, add_cache)
    n, n_highs, n_pymatgen = (5_000, 20, 5) if arguments.quick else (1_000_000, 2_000, 100)
    mp, published = materials_project(arguments.quick)
    exact = CompetingPhases().fit(*mp).decomposition_energy(*mp)
    results: dict[str, Any] = {
        "accuracy": accuracy(arguments, mp),
        "published decomposition energies": {
            "rows": len(exact),
            "largest_difference": float((exact - published).max()),
            "rows_above_1_mev": int((np.abs(exact - published) > 1e-3).sum()),
            "other_label": int(((exact <= 0) != (published <= 0)).sum()),
        },
    }
    with one_thread():
        results["solvers"] = solvers(mp, n_highs, n_pymatgen)
        results["OQMD"] = oqmd_rows(arguments.quick)
        hull = CompetingPhases().fit(*load_oqmd_phases(return_X_y=True))
        results["candidates"] = {
            name: {
                "candidates": len(X),
                "cpu_seconds": cpu_seconds(lambda X=X: hull.hull_energy(X)),
            }
            for name, X in candidates(n).items()
        }
    command = [sys.executable, __file__, MEMORY, str(n), str(arguments.threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    results["screening"] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(results, indent=1))
    of_predictions, of_calculations, oxides = (
        results["accuracy"][task][OURS]
        for task in ("hull of predictions", "hull of calculations", "oxides")
    )
    chances = results["accuracy"]["probability"]
    worst = float(np.abs(np.subtract(chances["predicted"], chances["observed"])).max())
    times, spans = results["solvers"]["cpu_seconds"], results["candidates"]
    claims = {
        "MAE of the hull of predictions below 0.065 eV/atom": of_predictions["mae"] < 0.065,
        "accuracy of the hull of predictions above 0.765": of_predictions["accuracy"] > 0.765,
        "accuracy of the hull of calculations above 0.80": of_calculations["accuracy"] > 0.80,
        "98% of the 1,000 lowest are stable": of_calculations["precision_of_1000_lowest"] > 0.98,
        "MAE of the oxides below 0.028 eV/atom": oxides["mae"] < 0.028,
        "probabilities are within 5 points in each tenth": worst < 0.05,
        "HiGHS agrees within 1e-12 eV/atom": results["solvers"]["largest_difference"]["HiGHS"]
        < 1e-12,
        "at least 30 times as fast as HiGHS": times["HiGHS"] > 30 * times["ours"],
        "at least 100 times as fast as pymatgen": times["pymatgen"] > 100 * times["ours"],
        "a million candidates in 10 CPU-seconds, of any systems": max(
            span["cpu_seconds"] for span in spans.values()
        )
        < 10,
        "screening a million with the general model takes less than 250 MB": results["screening"][
            "peak_beyond_libraries_mb"
        ]
        < 250,
    }
    write_results("stability", results, claims, arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == [MEMORY]:
        screening_memory(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
