"""Calibration of the predicted standard deviation: coverage, and error against std.

The default pipeline with ``calibrate_std=True`` on elpasolites, with 8,472 crystals for
training, 1,059 for conformal prediction and 1,059 for testing, for three seeds; then with
single elements held out, for one seed. For each test set, the share of true values inside
the 50, 80, 90 and 95% intervals

- of the bare std of the four networks, as that of a Gaussian,
- of the calibrated std, as that of a Gaussian,
- of split conformal prediction with MAPIE, with constant width and with widths
  proportional to the calibrated std;

and the error in groups of crystals with similar predicted std. Conformal prediction
guarantees coverage only for crystals like those that it was conformed on. Each test set is
predicted once. Fits run in parallel, one thread each. Writes ``calibration.json`` and
``calibration.png``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import errors, one_thread, parse_arguments, save_figure, summarise, write_results
from _tables import current
from joblib import Parallel, delayed
from mapie.conformity_scores import ResidualNormalisedScore
from mapie.regression import SplitConformalRegressor
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_elmodes import make_formation_energy_pipeline
from sklearn_elmodes.datasets import fetch_elpasolites
from sklearn_elmodes.inspection import pyplot

LEVELS = (0.5, 0.8, 0.9, 0.95)
ELEMENTS = ("Cl", "Ga", "Cs", "O")
METHODS = ("bare spread", "calibrated spread", "conformal", "conformal, scaled by the spread")
N_GROUPS = 8


class _Spread(RegressorMixin, BaseEstimator):
    """The std of a fitted pipeline, as MAPIE's estimator of residuals."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.fitted_ = True

    def fit(self, X: Any, y: Any) -> _Spread:
        return self

    def predict(self, X: Any) -> Any:
        return self.model.predict(X, return_std=True)[1]


def conformed(model: Any, X: Any, y: Any, scaled: bool) -> Any:
    """Conform intervals on the validation part, for all levels at once."""
    score: Any = "absolute"
    if scaled:
        score = ResidualNormalisedScore(_Spread(model), prefit=True, sym=True)
    regressor = SplitConformalRegressor(
        model, confidence_level=list(LEVELS), conformity_score=score, prefit=True
    )
    return regressor.conformalize(X, y)


def groups(error: NDArray[Any], std: NDArray[Any]) -> list[dict[str, float]]:
    """Compare std and error in groups of equal size, sorted by std."""
    order = np.array_split(np.argsort(std), N_GROUPS)
    return [
        {
            "predicted": float(np.sqrt(np.mean(std[rows] ** 2))),
            "found": float(np.sqrt(np.mean(error[rows] ** 2))),
        }
        for rows in order
    ]


def measure(
    X: Any, y: Any, sizes: tuple[int, int], seed: int, element: str | None, settings: Any
) -> dict[str, Any]:
    """Fit on the split of a seed, and score the test part or a held-out element."""
    n_train, n_rest = sizes
    order = np.random.RandomState(seed).permutation(len(y))
    train, validation = order[:n_train], order[n_train:][:n_rest]
    test = order[n_train + n_rest :][:n_rest]
    if element is not None:
        contains = np.isin(X, element).any(axis=1)
        train, validation = train[~contains[train]], validation[~contains[validation]]
        test = np.flatnonzero(contains)
    with one_thread():
        model = make_formation_energy_pipeline(
            "elpasolite", calibrate_std=True, random_state=seed, **settings
        ).fit(X[train], y[train])
        intervals = {
            name: conformed(model, X[validation], y[validation], scaled).predict_interval(X[test])
            for name, scaled in zip(METHODS[2:], (False, True), strict=True)
        }
        predicted, calibrated = model.predict(X[test], return_std=True)
    regressor = model[-1]
    floor, scale = regressor.std_floor_, regressor.std_scale_
    bare = np.sqrt(np.maximum(calibrated**2 - floor**2, 0)) / scale
    error = y[test] - predicted
    quantiles = norm.ppf((1 + np.array(LEVELS)) / 2)[:, None]
    inside = {
        "bare spread": np.abs(error) <= quantiles * bare,
        "calibrated spread": np.abs(error) <= quantiles * calibrated,
    }
    for name, (_, limits) in intervals.items():
        inside[name] = ((limits[:, 0] <= y[test, None]) & (y[test, None] <= limits[:, 1])).T
    return {
        "element": element,
        "n_test": len(test),
        **errors(predicted, y[test]),
        "mean_spread": float(calibrated.mean()),
        "floor": floor,
        "scale": scale,
        "coverage": {name: inside[name].mean(axis=1).tolist() for name in METHODS},
        "groups": groups(error, calibrated),
    }


def draw(rows: list[dict[str, Any]]) -> Any:
    """Plot coverage against level, and error against std."""
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    crystals = [row for row in rows if row["element"] is None]
    for name in METHODS:
        covered = np.mean([row["coverage"][name] for row in crystals], axis=0)
        left.plot(LEVELS, covered, marker="o", markersize=4, label=current(name))
    left.plot([0, 1], [0, 1], "k:", linewidth=1)
    left.set(
        xlim=(0.4, 1),
        ylim=(0.2, 1),
        xlabel="level of the interval",
        ylabel="share of crystals inside",
    )
    left.legend(frameon=False, title="new crystals of known elements")
    for row in rows:
        points = np.array([[group["predicted"], group["found"]] for group in row["groups"]])
        known = row["element"] is None
        label = row["element"] or ("known elements" if row is rows[0] else None)
        right.plot(*points.T, marker="o", markersize=4, color="k" if known else None, label=label)
    right.set(xscale="log", yscale="log", xlabel="predicted std (eV/atom)")
    right.set_ylabel("root mean square error (eV/atom)")
    ticks = [0.03, 0.05, 0.1, 0.2, 0.5]
    low, high = right.get_xlim()
    right.set_xticks(ticks[:-1], map(str, ticks[:-1]))
    right.set_yticks(ticks, map(str, ticks))
    right.minorticks_off()
    right.plot([low, high], [low, high], "k:", linewidth=1)
    right.legend(frameon=False, title="eighths of the test set")
    return figure


def main() -> None:
    """Run on known and held-out elements."""
    arguments = parse_arguments(__doc__)
    X, y = fetch_elpasolites(return_X_y=True)
    sizes, seeds, elements, settings = (8472, 1059), range(3), ELEMENTS, {}
    if arguments.quick:
        X, y = X[:600], y[:600]
        sizes, seeds, elements, settings = (400, 100), range(1), ("Cl",), {"max_iter": 5}
    tasks = [(seed, None) for seed in seeds] + [(0, element) for element in elements]
    rows = Parallel(n_jobs=arguments.threads)(
        delayed(measure)(X, y, sizes, seed, element, settings) for seed, element in tasks
    )
    crystals = [row for row in rows if row["element"] is None]
    coverage = {
        name: {
            str(level): summarise([row["coverage"][name][number] for row in crystals])
            for number, level in enumerate(LEVELS)
        }
        for name in METHODS
    }
    for label, part in [("known elements", crystals), *((row["element"], [row]) for row in rows)]:
        if label is None:
            continue
        mae, std = (np.mean([row[key] for row in part]) for key in ("mae", "mean_spread"))
        print(f"\n{label}: MAE {mae:.4f}, mean calibrated std {std:.4f} eV/atom")
        for name in METHODS:
            covered = np.mean([row["coverage"][name] for row in part], axis=0)
            cells = [f"{level:.0%}: {c:.1%}" for level, c in zip(LEVELS, covered, strict=True)]
            print(f"  {current(name):<32} {'   '.join(cells)}")
    save_figure("calibration", draw(rows), arguments)
    claims = {
        f"90 % intervals hold 87 to 93 % of new crystals: {name}": 0.87
        <= coverage[name]["0.9"]["mean"]
        <= 0.93
        for name in METHODS[2:]  # not the Gaussian intervals, since errors are not Gaussian
    }
    results = {"levels": list(LEVELS), "known elements": coverage, "runs": rows}
    write_results("calibration", results, claims, arguments)


if __name__ == "__main__":
    main()
