"""Compare representations of elements: the same regressors on the same folds.

- Our modes of the "extended" table at four sizes, principal components of the same table at
  the same sizes, and its standardised columns, with gaps filled with the mean.
- One-hot elements, and the tables in ElementEmbeddings: Magpie, MEGNet, Oliynyk, mat2vec,
  SkipAtom and random vectors.

Magpie and Oliynyk are standardised, too. Each table is centred and divided by one number, so
that no scale is favoured. Rows with an element that any table lacks are left out for all.

The tasks are the elpasolites, with random splits (a tenth for testing) and with held-out
elements (3,000 of the other crystals for training), and five folds of the measured enthalpies.
The regressors are our network, which reads each site or each element with its amount, and
scikit-learn's extra trees and kernel ridge, which read the four sites, or the mean, standard
deviation, minimum and maximum over the composition. The kernel is Laplacian; its width, in
units of the median distance between rows, and its ridge are selected on a tenth of the training
rows, or on those that contain three of the training elements. Networks are single ones trained
for fewer epochs than by default, the same number for all representations.

The defaults of our network were selected with 12 modes: on validation rows of elpasolites, some
of which are test rows here, on the validation part of the OQMD, and on twelve held-out elements.
This favours our modes. The twelve elements are left out of the comparison.

The 12 modes are compared with each other representation by a paired t test. Over splits and
folds it is corrected for the overlap of the training rows (Nadeau and Bengio, Mach. Learn. 52,
239, 2003); over elements it is not. "Better" and "worse" mean p < 0.05, without correction for
the number of comparisons. Each test part is predicted once.

Writes ``representations.json`` and ``representations.png``; with ``--cache`` an interrupted run
can be resumed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _common import (
    SETTINGS_ELEMENTS,
    add_cache,
    collect,
    errors,
    one_thread,
    parse_arguments,
    remembered,
    save_figure,
    summarise,
    write_results,
)
from _environments import available, pins, run_worker
from _peers import one_hot_table, site_distances, table_transformer
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import t as student
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from sklearn_elmodes import (
    LeaveOneElementOut,
    make_formation_energy_pipeline,
)
from sklearn_elmodes._inputs import contained_elements
from sklearn_elmodes.datasets import fetch_elpasolites, load_expt_formation_enthalpies
from sklearn_elmodes.elements import SYMBOLS, property_table
from sklearn_elmodes.inspection import pyplot
from sklearn_elmodes.modes import ElementModes

OURS, MODES = "12 modes", "modes"
PEERS = {
    "Magpie": "magpie",
    "MEGNet": "megnet16",
    "Oliynyk": "oliynyk",
    "mat2vec": "mat2vec",
    "SkipAtom": "skipatom",
    "random vectors": "random_200",
}
WITH_UNITS = ("Magpie", "Oliynyk")
NETWORK, TREES, KERNEL = "FormationEnergyRegressor", "ExtraTreesRegressor", "KernelRidge"
REGRESSORS = (NETWORK, TREES, KERNEL)
RANDOM, HELD_OUT = "elpasolites, random split", "elpasolites, held-out elements"
ENTHALPIES = "measured enthalpies"
MOST_NUMBERS = 22  # as many as Magpie has
SMALL, ANY = f"of at most {MOST_NUMBERS} numbers", "of any size"
GAMMAS, ALPHAS = (0.1, 0.3, 1.0), (1e-5, 1e-4, 1e-3, 1e-2)
TUNING_ROWS = 1500, 500  # at most
LEVEL = 0.05

Rows = NDArray[np.intp]
Tuning = tuple[Rows, Rows]  # positions in the training rows: to fit, and to validate
Fold = tuple[str, Rows, Rows, Tuning]  # name, training rows, test rows


class Task(NamedTuple):
    """Data and folds of a task."""

    X: NDArray[Any]
    y: NDArray[np.float64]
    prototype: str | None
    max_iter: int
    folds: list[Fold]
    by_element: bool = False


def own_tables(sizes: tuple[int, ...]) -> dict[str, pd.DataFrame]:
    """Return the representations computed from our property table, without gaps."""
    table = property_table("extended")
    columns = make_pipeline(StandardScaler(), SimpleImputer()).fit_transform(table)
    tables = {f"{n} {MODES}": ElementModes.from_properties("extended", n).to_frame() for n in sizes}
    for n in sizes:
        tables[f"{n} principal components"] = pd.DataFrame(
            PCA(n, svd_solver="full").fit_transform(columns), index=table.index
        )
    return {**tables, "properties": pd.DataFrame(columns, index=table.index)}


def peer_tables() -> dict[str, pd.DataFrame]:
    """Return the tables of ElementEmbeddings, without rows that are not elements."""
    found = run_worker("tables", "elementembeddings", {"names": list(PEERS.values())})
    tables = {name: pd.DataFrame(**found[key]) for name, key in PEERS.items()}
    return {name: table.loc[table.index.isin(SYMBOLS)] for name, table in tables.items()}


def read_tables(sizes: tuple[int, ...], versions: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Return all representations of the elements that they have in common, on one scale."""
    tables = own_tables(sizes) | (peer_tables() if versions else {})
    common = [s for s in SYMBOLS if all(s in table.index for table in tables.values())]
    tables["one-hot elements"] = one_hot_table(common)
    alike = {}
    for name, table in tables.items():
        numbers = table.loc[common].to_numpy()
        if not np.isfinite(numbers).all():
            raise SystemExit(f"The table of {name} has gaps.")
        if name in WITH_UNITS:
            numbers = StandardScaler().fit_transform(numbers)
        numbers = numbers - numbers.mean(axis=0)
        scale = np.sqrt((numbers**2).mean())
        alike[name] = pd.DataFrame(numbers / scale, index=common)
    return alike


def tuning_parts(rest: Rows, validation: Rows) -> Tuning:
    """Limit the number of rows for tuning."""
    return rest[: TUNING_ROWS[0]], validation[: TUNING_ROWS[1]]


def random_folds(splitter: Any, X: NDArray[Any]) -> list[Fold]:
    """Split at random, with a tenth of the training rows for tuning."""
    folds = []
    for number, (train, test) in enumerate(splitter.split(X)):
        order = np.random.RandomState(number).permutation(len(train))
        rest, validation = np.split(order, [len(order) * 9 // 10])
        folds.append((f"{number + 1}", train, test, tuning_parts(rest, validation)))
    return folds


def element_folds(X: NDArray[Any], n_train: int, elements: list[str] | None) -> list[Fold]:
    """Hold out one element at a time, and three others for tuning."""
    folds = []
    splitter = LeaveOneElementOut(elements=elements)
    for number, (element, train, test) in enumerate(splitter.split_by_element(X)):
        random = np.random.RandomState(number)
        train = random.permutation(train)[:n_train]
        chosen = random.choice(np.unique(X[train]), 3, replace=False)
        held_out = np.isin(X[train], chosen).any(axis=1)
        parts = tuning_parts(np.flatnonzero(~held_out), np.flatnonzero(held_out))
        folds.append((element, train, test, parts))
    return folds


def statistics(blocks: NDArray[np.float32], n_numbers: int) -> NDArray[np.float32]:
    """Return mean, std, minimum and maximum of each number over a composition.

    A row of ``blocks`` contains the numbers and the amount of each element, padded with zeros.
    """
    blocks = blocks.reshape(len(blocks), -1, n_numbers + 1)
    values, amounts = blocks[..., :-1], blocks[..., -1:]
    fraction = amounts / amounts.sum(axis=1, keepdims=True)
    mean = (fraction * values).sum(axis=1)
    deviation = np.sqrt((fraction * (values - mean[:, None]) ** 2).sum(axis=1))
    least = np.where(amounts > 0, values, np.inf).min(axis=1)
    most = np.where(amounts > 0, values, -np.inf).max(axis=1)
    return np.hstack([mean, deviation, least, most])


def kernel_ridge(
    apart: NDArray[np.float64], y: NDArray[np.float64], train: Rows, test: Rows, tuning: Tuning
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Select width and ridge within the training rows, then predict the test rows."""
    rest, validation = tuning
    apart = apart / np.median(apart[np.ix_(train[rest], rest)])

    def kernels(known: Rows, rows: Rows, gamma: float) -> list[NDArray[np.float64]]:
        return [np.exp(-gamma * apart[np.ix_(some, known)]) for some in (train[known], rows)]

    def predict(known: Rows, between: Any, across: Any, alpha: float) -> NDArray[np.float64]:
        model = TransformedTargetRegressor(
            KernelRidge(alpha=alpha, kernel="precomputed"), transformer=StandardScaler()
        )
        return model.fit(between, y[train[known]]).predict(across)

    found = {}
    for gamma in GAMMAS:
        between, across = kernels(rest, train[validation], gamma)
        for alpha in ALPHAS:
            predicted = predict(rest, between, across, alpha)
            found[gamma, alpha] = errors(predicted, y[train[validation]])["mae"]
    gamma, alpha = min(found, key=found.__getitem__)
    everything = np.arange(len(train))
    predicted = predict(everything, *kernels(everything, test, gamma), alpha)
    return predicted, {"gamma": gamma, "alpha": alpha}


def score(
    regressor: str,
    table: pd.DataFrame,
    X: NDArray[Any],
    y: NDArray[np.float64],
    prototype: str | None,
    max_iter: int,
    n_trees: int,
    seed: int,
    fold: Fold,
) -> dict[str, float]:
    """Fit and test one regressor on one representation and one fold."""
    _, train, test, tuning = fold
    start, chosen = time.process_time(), {}
    blocks = table_transformer(table, prototype).fit_transform(X)
    flat = blocks if prototype else statistics(blocks, table.shape[1])
    with one_thread():
        if regressor == NETWORK:
            model = make_formation_energy_pipeline(
                prototype, random_state=seed, n_estimators=1, max_iter=max_iter
            )[-1]
            predicted = model.fit(blocks[train], y[train]).predict(blocks[test])
        elif regressor == TREES:
            model = ExtraTreesRegressor(n_trees, max_features=1 / 3, random_state=seed)
            predicted = model.fit(flat[train], y[train]).predict(flat[test])
        else:
            apart = (
                site_distances(table, X, X[train])
                if prototype
                else cdist(flat, flat[train], "cityblock")
            )
            predicted, chosen = kernel_ridge(apart, y, train, test, tuning)
    return errors(predicted, y[test]) | chosen | {"seconds": time.process_time() - start}


def compare(ours: list[float], other: list[float], overlap: float) -> dict[str, Any]:
    """Compare paired errors by a t test; ``overlap`` is the ratio of test to training rows."""
    differences = np.subtract(ours, other)
    n = len(differences)
    standard_error = differences.std(ddof=1) * np.sqrt(1 / n + overlap)
    p = float(2 * student.sf(abs(differences.mean()) / standard_error, n - 1))
    sign = "better" if differences.mean() < 0 else "worse"
    return {
        "difference": float(differences.mean()),
        "p": p,
        "wins": int((differences < 0).sum()),
        "ours": sign if p < LEVEL else "undecided",
    }


def lead(scores: dict[str, Any], others: list[str]) -> dict[str, Any]:
    """Return the relative difference between the 12 modes and the best other representation.

    Also return the names of the representations that are better than the modes.
    """
    maes = {name: scores[name]["mae"]["mean"] for name in (OURS, *others)}
    best = min(others, key=maes.__getitem__)
    better = [name for name in others if scores[name]["compared"]["ours"] == "worse"]
    return {"best other": best, "share": 1 - maes[OURS] / maes[best], "better": better}


def evaluate(
    task: Task, found: dict[tuple[str, str], list[dict[str, float]]], numbers: dict[str, int]
) -> dict[str, Any]:
    """Summarise the scores of one task, by regressor and representation."""
    names = [name for name, *_ in task.folds]
    kept = [not task.by_element or name not in SETTINGS_ELEMENTS for name in names]
    sizes = [(len(train), len(test)) for _, train, test, _ in task.folds]
    overlap = 0.0 if task.by_element else float(np.mean([test / train for train, test in sizes]))
    results: dict[str, Any] = {
        "n_rows": len(task.y),
        "folds": names,
        "folds to compare by": [name for name, new in zip(names, kept, strict=True) if new],
        "n_train_and_test": sizes,
        "overlap": overlap,
        "max_iter": task.max_iter,
        "regressors": {},
        "leads": {},
    }
    others = [name for name in numbers if not name.endswith(MODES)]
    small = [name for name in others if numbers[name] <= MOST_NUMBERS]
    for regressor in REGRESSORS:
        scores: dict[str, Any] = {}
        for name in numbers:
            rows = found[regressor, name]
            compared = [row for row, new in zip(rows, kept, strict=True) if new]
            scores[name] = collect(compared)
            scores[name]["mae of all"] = summarise([row["mae"] for row in rows])
        for name in numbers:
            if name != OURS:
                scores[name]["compared"] = compare(
                    scores[OURS]["mae"]["values"], scores[name]["mae"]["values"], overlap
                )
        results["regressors"][regressor] = scores
        results["leads"][regressor] = {SMALL: lead(scores, small), ANY: lead(scores, others)}
    return results


def draw(results: dict[str, Any], numbers: dict[str, int]) -> Any:
    """Plot the error of our network against the size of the representation, for each task."""
    from matplotlib.ticker import LogLocator
    from textalloc import allocate

    figure, axes = pyplot().subplots(1, len(results), figsize=(16, 5), layout="constrained")
    for axis, (name, task) in zip(axes, results.items(), strict=True):
        scores = task["regressors"][NETWORK]
        maes = {other: scores[other]["mae"]["mean"] for other in numbers}
        axis.set(xscale="log", yscale="log", title=name, xlabel="numbers per element")
        axis.set_ylabel(f"MAE of {NETWORK} (eV/atom)")
        places = axis.scatter(numbers.values(), maes.values(), s=16, c="0.4")
        for kind in (MODES, "principal components"):
            line = [other for other in numbers if other.endswith(kind)]
            axis.plot([numbers[o] for o in line], [maes[o] for o in line], "o-", label=kind)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set_xticks([2, 4, 8, 12, 25, 50, 200], ["2", "4", "8", "12", "25", "50", "200"])
        axis.minorticks_off()
        axis.legend(frameon=False)
        others = [other for other in numbers if not other.endswith((MODES, "components"))]
        figure.draw_without_rendering()
        allocate(
            axis,
            [numbers[o] for o in others],
            [maes[o] for o in others],
            others,
            scatter_plot=places,
            textsize=8,
            linecolor="0.6",
            linewidth=0.5,
        )
    return figure


def make_tasks(symbols: pd.Index, quick: bool) -> tuple[dict[str, Task], dict[str, Any]]:
    """Return the tasks on rows of these elements, and the rows that were left out."""
    data = {
        "elpasolites": fetch_elpasolites(return_X_y=True),
        ENTHALPIES: load_expt_formation_enthalpies(return_X_y=True),
    }
    left_out = {}
    for name, (X, y) in data.items():
        contains = contained_elements(X)
        lacking = contains & ~np.isin(SYMBOLS, symbols)
        rows = lacking.any(axis=1)
        found = np.array(SYMBOLS)[lacking.any(axis=0)].tolist()
        left_out[name] = {"rows": int(rows.sum()), "of": len(y), "elements": found}
        print(f"{name}: {left_out[name]['rows']} of {len(y)} rows left out, with {found}")
        data[name] = X[~rows][: 200 if quick else None], y[~rows][: 200 if quick else None]
    (X, y), (formulas, enthalpies) = data.values()
    n, passes = (2, (1, 1, 1)) if quick else (5, (60, 30, 30))
    splits = random_folds(ShuffleSplit(n, test_size=0.1, random_state=0), X)
    held_out = element_folds(X, 3000, ["Na", "K", "Cl"] if quick else None)
    folds = random_folds(KFold(n, shuffle=True, random_state=0), formulas)
    return {
        RANDOM: Task(X, y, "elpasolite", passes[0], splits),
        HELD_OUT: Task(X, y, "elpasolite", passes[1], held_out, by_element=True),
        ENTHALPIES: Task(formulas, enthalpies, None, passes[2], folds),
    }, left_out


def main() -> None:
    """Run all regressors on all representations, task by task."""
    arguments = parse_arguments(__doc__, add_cache)
    sizes, n_trees = ((2, 12), 5) if arguments.quick else ((2, 4, 8, 12), 30)
    peers = available(("elementembeddings",), make=not arguments.quick)
    versions = {name: pins(name) for name in peers}
    # Cached, so that a resumed run has exactly the same tables.
    tables = remembered(read_tables, arguments)(sizes, versions)
    numbers = {name: table.shape[1] for name, table in tables.items()}
    tasks, left_out = make_tasks(tables[OURS].index, arguments.quick)
    cached_score = remembered(score, arguments)
    parallel = Parallel(n_jobs=arguments.threads, return_as="generator")
    results: dict[str, Any] = {}
    for task_name, task in tasks.items():
        found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
        jobs = list(product(REGRESSORS, tables, range(len(task.folds))))
        scores = parallel(
            delayed(cached_score)(
                regressor, tables[name], *task[:4], n_trees, number, task.folds[number]
            )
            for regressor, name, number in jobs
        )
        progress = tqdm(scores, task_name, len(jobs), mininterval=30)
        for (regressor, name, _), row in zip(jobs, progress, strict=True):
            found[regressor, name].append(row)
        results[task_name] = evaluate(task, found, numbers)
        print(f"\n{task_name}, MAE (eV/atom): {', '.join(REGRESSORS)}")
        by_regressor = results[task_name]["regressors"]
        for name, number in numbers.items():
            maes = [by_regressor[regressor][name]["mae"]["mean"] for regressor in REGRESSORS]
            print(f"{name:<24} {number:>4}" + "".join(f"{mae:10.4f}" for mae in maes), flush=True)
    save_figure("representations", draw(results, numbers), arguments)

    claims = {
        f"{task}: no other representation {group} is better than 12 modes": not (
            results[task]["leads"][NETWORK][group]["better"]
        )
        for task, group in ((RANDOM, SMALL), (HELD_OUT, ANY))
    }
    content = {
        "numbers of an element": numbers,
        "left out": left_out,
        "pins": versions,
        "n_trees": n_trees,
        "tasks": results,
    }
    write_results("representations", content, claims, arguments)


if __name__ == "__main__":
    main()
