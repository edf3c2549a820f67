"""The predictions of a report: checks, scores and data for the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._inputs import contained_elements
from sklearn_elmodes._validation import shown
from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.inspection import conflicting_targets, prediction_scores
from sklearn_elmodes.model_selection import LeaveOneElementOut
from sklearn_elmodes.report._words import Facts, with_unit

_NEEDED = ("formula", "true", "predicted")
_OPTIONAL = ("std", "row", "held_out")
_LARGEST = 1e100  # squares of larger numbers overflow


@dataclass
class Predictions:
    """Predictions, sorted by decreasing error."""

    formula: list[str]
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]
    std: NDArray[np.float64] | None
    row: NDArray[np.int64] | None
    held_out: list[str] | None
    contained: NDArray[np.bool_]  # (n_rows, 118)
    counted: NDArray[np.bool_]  # (n_rows, 118), elements whose error includes the row

    @classmethod
    def read(cls, predictions: Any) -> Predictions:
        """Check a table of predictions and sort it."""
        columns = _column_names(predictions)
        true, predicted = (_numbers(predictions, name) for name in ("true", "predicted"))
        std = row = held_out = None
        if "std" in columns:
            std = _numbers(predictions, "std")
            _refuse(std < 0, lambda i: f"The std is {std[i]}; it cannot be negative.")
        if "row" in columns:
            row = _numbers(predictions, "row")
            _refuse(row % 1 != 0, lambda i: f"The number of the row is {row[i]}; it must be whole.")
        formula = predictions["formula"].tolist()
        _refuse(
            [not isinstance(text, str) for text in formula],
            lambda i: f"The formula is {shown(formula[i])}; it must be text.",
        )
        contained = counted = contained_elements(formula)
        if "held_out" in columns:
            held_out = predictions["held_out"].tolist()
            counted = contained & _held_out_elements(held_out)
            _refuse(
                ~counted.any(axis=1),
                lambda i: f"{formula[i]} does not contain {held_out[i]}, which was held out.",
            )
        order = np.argsort(-np.abs(predicted - true), kind="stable")
        return cls(
            [formula[i] for i in order],
            true[order],
            predicted[order],
            None if std is None else std[order],
            None if row is None else row[order].astype(np.int64),
            None if held_out is None else [held_out[i] for i in order],
            contained[order],
            counted[order],
        )

    @property
    def error(self) -> NDArray[np.float64]:
        """Absolute errors, in decreasing order."""
        return np.abs(self.predicted - self.true)

    @property
    def decimals(self) -> int:
        """Number of decimals that give the mean error three significant digits."""
        error = self.error.mean()
        return int(np.clip(2 - np.floor(np.log10(error)), 0, 15)) if error else 3

    def facts(self, unit: str) -> Facts:
        """Describe the data."""
        digits = min(self.decimals, 3)
        low, high = self.true.min(), self.true.max()
        counts = np.bincount(self.contained.sum(axis=1))
        kinds = ", ".join(
            f"{count:,} with {number}" for number, count in enumerate(counts) if count
        )
        facts = [("Rows", f"{len(self.true):,}")]
        if self.held_out is not None:
            facts.append(("Held out in turn", f"{len(set(self.held_out)):,} elements or groups"))
        conflicts = conflicting_targets(self.formula, self.true)
        if not conflicts.empty:
            worst = conflicts.iloc[0]
            span = with_unit(f"{worst['lowest']:.{digits}f} to {worst['highest']:.{digits}f}", unit)
            text = f"{len(conflicts):,}; the largest range is that of {worst['formula']}, {span}"
            facts.append(("Compositions with several true values", text))
        return [
            *facts,
            ("Distinct formulas", f"{len(set(self.formula)):,}"),
            ("Elements", f"{int(self.contained.any(axis=0).sum())}"),
            ("Formulas by number of elements", f"{kinds}"),
            ("True values", with_unit(f"{low:.{digits}f} to {high:.{digits}f}", unit)),
            (
                "Mean and standard deviation",
                with_unit(f"{self.true.mean():.{digits}f} ± {self.true.std():.{digits}f}", unit),
            ),
        ]

    def scores(self, unit: str) -> list[tuple[str, str, str]]:
        """Return name, value and meaning of each score."""
        columns = {"true": self.true, "predicted": self.predicted, "std": self.std}
        found = prediction_scores({k: v for k, v in columns.items() if v is not None})

        def energy(value: float | None) -> str:
            return with_unit(f"{value:.{self.decimals}f}", unit)

        def number(name: str, form: str) -> str:
            value = found[name]
            return "–" if value is None else f"{value:{form}}"

        scores = [
            ("MAE", energy(found["mae"]), "mean absolute error"),
            ("Median error", energy(found["median_error"]), "half of the errors are smaller"),
            ("RMSE", energy(found["rmse"]), "root of the mean squared error"),
            ("R²", number("r2", ".4f"), "fraction of the variance explained"),
        ]
        if self.held_out is not None:
            names, which = np.unique(self.held_out, return_inverse=True)
            means = np.bincount(which, self.error) / np.bincount(which)
            scores.append(("Mean over held-out", energy(means.mean()), "each element counts once"))
            meaning = f"worst: {names[means.argmax()]} with {energy(means.max())}"
            scores.append(("Median over held-out", energy(float(np.median(means))), meaning))
        if self.std is not None:
            rank = number("rank_correlation", ".2f")
            scores += [
                (
                    "std and error",
                    rank,
                    "rank correlation; 1 if the std ranks the errors perfectly",
                ),
                (
                    "Within one std",
                    number("within_one_std", ".1%"),
                    "68% expected for Gaussian errors",
                ),
                (
                    "Within two stds",
                    number("within_two_stds", ".1%"),
                    "95% expected for Gaussian errors",
                ),
            ]
        return scores

    def data(self) -> dict[str, Any]:
        """Return the data of the page, as lists."""
        import pandas as pd

        which, formulas = pd.factorize(np.array(self.formula, dtype=object))
        first = np.unique(which, return_index=True)[1]
        counts = self.counted.sum(axis=0)
        mae = self.error @ self.counted / np.maximum(counts, 1)
        digits = self.decimals + 3
        data: dict[str, Any] = {
            "decimals": self.decimals,
            "formulas": formulas.tolist(),
            "elements": [(np.flatnonzero(row) + 1).tolist() for row in self.contained[first]],
            "formula": which.tolist(),
            "true": self.true.round(digits).tolist(),
            "predicted": self.predicted.round(digits).tolist(),
            "std": None if self.std is None else self.std.round(digits).tolist(),
            "row": None if self.row is None else self.row.tolist(),
            "mae": [
                round(value, digits) if n else None
                for value, n in zip(mae.tolist(), counts, strict=True)
            ],
            "counts": counts.tolist(),
            "held_out": None,
        }
        if self.held_out is not None:
            which, names = pd.factorize(np.array(self.held_out, dtype=object))
            sets = [(np.flatnonzero(row) + 1).tolist() for row in _held_out_elements(names)]
            data["held_out"] = {"which": which.tolist(), "names": names.tolist(), "elements": sets}
        return data


def _column_names(predictions: Any) -> list[Any]:
    """Return the columns of a table of predictions; check that none is missing or repeated."""
    import pandas as pd

    if not isinstance(predictions, pd.DataFrame):
        raise ValueError(f"predictions must be a DataFrame, not {shown(predictions)}.")
    columns = list(predictions.columns)
    for name in _NEEDED:
        if name not in columns:
            raise ValueError(f"predictions lack the column {name!r}; they have {shown(columns)}.")
    for name in (*_NEEDED, *_OPTIONAL):
        if columns.count(name) > 1:
            raise ValueError(f"predictions have {columns.count(name)} columns {name!r}.")
    if predictions.empty:
        raise ValueError("predictions have no rows.")
    return columns


def _refuse(wrong: Any, reason: Callable[[int], str]) -> None:
    """Raise an error for the first row that is wrong."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise RowError(int(rows[0]), reason(int(rows[0])))


def _numbers(predictions: Any, name: str) -> NDArray[np.float64]:
    """Return a column as numbers; raise an error for the first row without one."""
    import pandas as pd

    column = predictions[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    _refuse(
        ~(np.abs(values) < _LARGEST),  # also true for NaN
        lambda i: (
            f"{name} is {shown(column.tolist()[i])}; it must be a finite number below {_LARGEST:g}."
        ),
    )
    return values


def _held_out_elements(names: Any) -> NDArray[np.bool_]:
    """Return the elements that each name includes, shape (n_names, 118)."""
    sets: dict[str, list[int]] = {}
    for by in ("element", "group", "period"):
        sets |= LeaveOneElementOut(by=by)._sets()
    held_out = np.zeros((len(names), len(SYMBOLS)), dtype=bool)
    for row, name in enumerate(names):
        if not isinstance(name, str) or name not in sets:
            raise RowError(
                row,
                f"held_out is {shown(name)}; it must be an element symbol, or a name such as "
                "'group 17' or 'period 3'.",
            )
        held_out[row, sets[name]] = True
    return held_out
