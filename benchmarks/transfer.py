"""Measured enthalpies: training from scratch and fine-tuning a model of computed energies.

The tables are the 1,643 compositions of SGTE's SSUB (the lowest energy of each) and the 2,135
of ``load_expt_formation_enthalpies``, in ten folds (shuffled, seed 0), the second also in five
folds. Learning curves use parts of each training fold, drawn with the number of the fold as
seed. The models are trained from scratch, fine-tuned from the included general model, or
fine-tuned from a general model that was trained without any of these compositions
(``train_general.py --without-measured``). Fine-tuning uses the default settings; its learning
rate was selected in part on the first training fold of each table, whose rows are test rows of
other folds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from _common import (
    RESULTS,
    Rows,
    add_cache,
    errors,
    one_thread,
    parse_arguments,
    read_energies,
    remembered,
    save_figure,
    summarise,
    write_results,
)
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from sklearn_elmodes import load_model, load_pretrained, make_formation_energy_pipeline
from sklearn_elmodes.datasets import load_expt_formation_enthalpies
from sklearn_elmodes.inspection import pyplot

UNSEEN = RESULTS / "oqmd_without_measured.safetensors"
STARTS = {
    "from scratch": None,
    "fine-tuned from the general model": "oqmd",
    "fine-tuned from one that saw none of these compositions": str(UNSEEN),
}
SIZES = (50, 100, 200, 400, 800)


def fold_errors(
    start: str | None, data: Rows, train: NDArray[np.intp], test: NDArray[np.intp], settings: Any
) -> NDArray[np.float64]:
    """Fit the training rows and return the errors on the test rows."""
    torch.set_flush_denormal(True)
    X, y = data
    model = make_formation_energy_pipeline(pretrained=start, random_state=0, **settings)
    with one_thread():
        return model.fit(X[train], y[train]).predict(X[test]) - y[test]


def main() -> None:
    """Cross-validate on both tables."""
    arguments = parse_arguments(__doc__, add_cache)
    ssub = read_energies("ssub_formation_enthalpy/ssub_expt.csv.gz", lowest=True)
    measured = load_expt_formation_enthalpies(return_X_y=True)
    cases = {
        "SSUB, 10-fold": (ssub, 10),
        "measured enthalpies, 10-fold": (measured, 10),
        "measured enthalpies, 5-fold": (measured, 5),
    }
    settings: dict[str, Any] = {}
    if arguments.quick:
        cases = {name: ((X[::20], y[::20]), 3) for name, ((X, y), _) in cases.items()}
        settings["max_iter"] = 2

    jobs = []
    for case, (data, n_folds) in cases.items():
        folds = KFold(n_folds, shuffle=True, random_state=0).split(data[0])
        for fold, (train, test) in enumerate(folds):
            order = np.random.RandomState(fold).permutation(train)
            parts = {str(n): order[:n] for n in SIZES if n < len(train) and "10-fold" in case}
            for label, part in {**parts, "all": order}.items():
                jobs += [(case, label, start, data, part, test) for start in STARTS]
    run = delayed(remembered(fold_errors, arguments))
    found = Parallel(n_jobs=arguments.threads, verbose=1)(
        run(STARTS[start], data, train, test, settings) for _, _, start, data, train, test in jobs
    )
    untuned = {
        "general model as it is": load_pretrained("oqmd"),
        "one that saw none of these compositions, as it is": load_model(UNSEEN),
    }
    results: dict[str, Any] = {}
    for case, (data, _) in cases.items():
        X, y = data
        curves: dict[str, Any] = {}
        for job, error in zip(jobs, found, strict=True):
            if job[0] == case:
                curves.setdefault(job[1], {}).setdefault(job[2], []).append(error)
        for label, by_start in curves.items():
            for start, parts in by_start.items():
                error = np.concatenate(parts)
                by_start[start] = {
                    **errors(error, np.zeros(len(error))),
                    "mae by fold": summarise([float(np.abs(part).mean()) for part in parts]),
                }
                print(f"{case}, {label} rows, {start}: MAE {by_start[start]['mae']:.4f} eV/atom")
        results[case] = {"rows": len(y), "rows to train on": curves}
        for name, model in untuned.items():
            results[case][name] = errors(model.predict(X), y)
    save_figure("transfer", draw(results), arguments)
    tuned, unseen = list(STARTS)[1:]
    ssub_all, measured_all = (
        results[case]["rows to train on"]["all"]
        for case in ("SSUB, 10-fold", "measured enthalpies, 5-fold")
    )
    claims = {
        "SSUB, fine-tuned, below 0.068": ssub_all[tuned]["mae"] < 0.068,
        "measured enthalpies, fine-tuned, below 0.080": measured_all[tuned]["mae"] < 0.080,
        "it helps if no composition was seen": all(
            case[unseen]["mae"] < case["from scratch"]["mae"] for case in (ssub_all, measured_all)
        ),
    }
    write_results("transfer", results, claims, arguments)


def draw(results: dict[str, Any]) -> Any:
    """Plot the learning curves of the ten-fold cases."""
    cases = [case for case in results if "10-fold" in case]
    figure, axes = pyplot().subplots(1, len(cases), figsize=(9, 3.6), sharey=True)
    for ax, case in zip(axes, cases, strict=True):
        curve = results[case]["rows to train on"]
        whole = round(results[case]["rows"] * 0.9)
        sizes = sorted(curve, key=lambda label: float(label if label != "all" else whole))
        for start in STARTS:
            ax.loglog(
                [whole if label == "all" else int(label) for label in sizes],
                [curve[label][start]["mae"] for label in sizes],
                marker="o",
                label=start,
            )
        ax.set(title=case, xlabel="rows to train on")
    axes[0].set_ylabel("mean absolute error (eV/atom)")
    axes[0].legend(fontsize="x-small")
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    main()
