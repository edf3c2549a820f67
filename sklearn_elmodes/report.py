"""A report on a model and its predictions: one HTML file that opens without a network."""

from __future__ import annotations

import inspect
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes import __version__
from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._inputs import contained_elements
from sklearn_elmodes._validation import shown
from sklearn_elmodes.elements import SYMBOLS, block_of, property_table, table_position
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.model_selection import LeaveOneElementOut

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("formula", "true", "predicted")
_OPTIONAL = ("std", "row", "held_out")
_LIMITS = {"drawn": 5000, "worst": 500, "listed": 20}  # rows in the plot and in the table
_LARGEST = 1e100  # squares of what is larger have no place in a float
_PACKAGES = ("scikit-learn", "skorch", "torch", "numpy", "pandas")

Facts = list[tuple[str, str]]


def write_report(
    path: str | os.PathLike[str],
    model: Any,
    *,
    predictions: pd.DataFrame | None = None,
    scheme: str = "",
    target: str = "formation energy",
    unit: str = "eV/atom",
    title: str | None = None,
    command: str | None = None,
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Write a report on a model as one HTML file, which opens in any browser, offline.

    It tells what the model is, shows the modes of its elements and, with predictions, how
    good these are: scores, parity, errors by element in a periodic table that filters the
    rows, and the worst rows. The same input gives the same file.

    Parameters
    ----------
    path : str or path-like
        File to write. It appears whole or not at all.
    model : Pipeline
        Fitted, from an :class:`~sklearn_elmodes.ElementalModeTransformer` to a
        :class:`~sklearn_elmodes.FormationEnergyRegressor`.
    predictions : DataFrame of shape (n_samples, n_columns), default=None
        Columns ``formula`` (text), ``true`` and ``predicted``; if there are such,
        ``std`` (the standard deviation of the prediction), ``row`` (its number in a table
        of yours) and ``held_out``: the element, or "group 17" or "period 3", that the model of
        this row never saw. Then a row may occur once for each element, and the error of an
        element is that of the rows for which it was held out; otherwise it is that of all
        rows that contain it. None describes the model alone.
    scheme : str, default=""
        How the predictions came about, such as "5-fold cross-validation".
    target, unit : str
        What is predicted, and its unit.
    title : str, default=None
        Heading; None makes one of ``source``.
    command : str, default=None
        Shell command that makes this report, to be shown in it.
    source : str or path-like, default=None
        File of the model, or the name of one that ships.

    Raises
    ------
    ValueError
        If the model is no such pipeline, or predictions lack a column, have no rows, a
        formula that cannot be read, or a number that is not finite; rows are counted from 0.
    OSError
        If the file cannot be written.

    Notes
    -----
    The file is about 5 MB, of which nearly all is plotly.js, and 2 MB more for 50,000 rows.
    Of more than 5,000 rows the plot shows the 500 with the largest errors and a random
    sample of the others; scores, filters and the table of the worst have all of them.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from sklearn_elmodes import make_formation_energy_pipeline
    >>> from sklearn_elmodes.report import write_report
    >>> X, y = ["NaCl", "KBr", "LiF"], [-2.1, -2.0, -3.2]
    >>> model = make_formation_energy_pipeline("rock-salt", max_iter=2, random_state=0).fit(X, y)
    >>> energy, std = model.predict(X, return_std=True)
    >>> predictions = pd.DataFrame(
    ...     {"formula": X, "true": y, "predicted": energy, "std": std}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "salts.html"
    ...     write_report(file, model, predictions=predictions, scheme="the training data")
    ...     "periodic table" in file.read_text(encoding="utf-8")
    True
    """
    transformer, regressor = _ends(model)
    rows = None if predictions is None else _Rows.read(predictions)
    source = None if source is None else os.fspath(source)
    content = _render(
        title=title or f"Report on {source or 'a fitted model'}",
        source=source,
        scheme=scheme,
        target=target,
        unit=unit,
        command=command,
        loading=_loading_code(source),
        facts=_model_facts(model, transformer, regressor, target, unit),
        training=_training_facts(regressor, unit),
        card=_card_paragraphs(getattr(model, "model_card_", "")),
        parameters=_changed_parameters(model),
        versions=_versions(),
        written_by=getattr(model, "model_versions_", {}),
        modes=list(transformer.modes_.columns),
        rows=rows,
        data_facts=[] if rows is None else rows.facts(unit),
        scores=[] if rows is None else rows.scores(unit),
        data={
            **_element_data(transformer.modes_),
            "target": target,
            "unit": unit,
            "limits": _LIMITS,
            "predictions": None if rows is None else rows.data(),
        },
    )
    # A path may hold bytes that are no text.
    write_atomically(path, content.encode("utf-8", errors="replace"))


def _ends(model: Any) -> tuple[Any, Any]:
    """Return the transformer and the regressor of a fitted pipeline."""
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    from sklearn_elmodes.regressor import FormationEnergyRegressor
    from sklearn_elmodes.transformer import ElementalModeTransformer

    expected = (
        "a report needs a fitted Pipeline from an ElementalModeTransformer to a "
        "FormationEnergyRegressor"
    )
    if not isinstance(model, Pipeline):
        raise ValueError(f"{shown(model)} is no pipeline; {expected}.")
    first, last = model.steps[0][1], model.steps[-1][1]
    if not isinstance(first, ElementalModeTransformer):
        raise ValueError(f"The pipeline starts with {shown(first)}; {expected}.")
    if not isinstance(last, FormationEnergyRegressor):
        raise ValueError(f"The pipeline ends with {shown(last)}; {expected}.")
    for step in (first, last):
        check_is_fitted(step)
    return first, last


@dataclass
class _Rows:
    """Predictions, from the largest error to the smallest."""

    formula: list[str]
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]
    std: NDArray[np.float64] | None
    row: NDArray[np.int64] | None
    held_out: list[str] | None
    contained: NDArray[np.bool_]  # (n_rows, 118)
    counted: NDArray[np.bool_]  # (n_rows, 118), the elements to whose errors a row counts

    @classmethod
    def read(cls, predictions: Any) -> _Rows:
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
                lambda i: f"{formula[i]} does not contain {held_out[i]}, held out.",
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
        """Absolute errors, falling."""
        return np.abs(self.predicted - self.true)

    @property
    def decimals(self) -> int:
        """Digits after the point that give the mean error three that count."""
        error = self.error.mean()
        return int(np.clip(2 - np.floor(np.log10(error)), 0, 15)) if error else 3

    def facts(self, unit: str) -> Facts:
        """Describe the data, in words."""
        digits = min(self.decimals, 3)
        low, high = self.true.min(), self.true.max()
        counts = np.bincount(self.contained.sum(axis=1))
        kinds = ", ".join(
            f"{count:,} with {number}" for number, count in enumerate(counts) if count
        )
        facts = [("Rows", f"{len(self.true):,}")]
        if self.held_out is not None:
            facts.append(("Held out in turn", f"{len(set(self.held_out)):,} elements or groups"))
        return [
            *facts,
            ("Distinct formulas", f"{len(set(self.formula)):,}"),
            ("Elements", f"{int(self.contained.any(axis=0).sum())}"),
            ("Elements in a formula", f"{kinds}"),
            ("True values", _with_unit(f"{low:.{digits}f} to {high:.{digits}f}", unit)),
            (
                "Mean and standard deviation",
                _with_unit(f"{self.true.mean():.{digits}f} ± {self.true.std():.{digits}f}", unit),
            ),
        ]

    def scores(self, unit: str) -> list[tuple[str, str, str]]:
        """Return name, value and meaning of each score."""
        from scipy.stats import spearmanr
        from sklearn.metrics import r2_score

        error = self.error

        def energy(value: float) -> str:
            return _with_unit(f"{value:.{self.decimals}f}", unit)

        r2 = f"{r2_score(self.true, self.predicted):.4f}" if np.ptp(self.true) else "–"
        scores = [
            ("MAE", energy(error.mean()), "mean absolute error"),
            ("Median error", energy(float(np.median(error))), "half of the rows are better"),
            ("RMSE", energy(float(np.sqrt(np.mean(error**2)))), "root of the mean squared error"),
            ("R²", r2, "share of the variance explained"),
        ]
        if self.held_out is not None:
            names, which = np.unique(self.held_out, return_inverse=True)
            means = np.bincount(which, error) / np.bincount(which)
            scores.append(("Mean over held-out", energy(means.mean()), "each element counts once"))
            meaning = f"worst: {names[means.argmax()]} with {energy(means.max())}"
            scores.append(("Median over held-out", energy(float(np.median(means))), meaning))
        if self.std is not None:
            varies = np.ptp(self.std) > 0 and np.ptp(error) > 0
            rank = f"{spearmanr(self.std, error).statistic:.2f}" if varies else "–"
            scores.append(("std and error", rank, "rank correlation; 1 would rank rows by error"))
            for number, word, share in (
                (1, "one standard deviation", 68),
                (2, "two standard deviations", 95),
            ):
                within = f"{np.mean(error <= number * self.std):.1%}"
                scores.append((f"Within {word}", within, f"{share} % for a standard deviation"))
        return scores

    def data(self) -> dict[str, Any]:
        """Return what the page computes with, as arrays."""
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
    """Return the columns of a table of predictions, if those that are needed are there."""
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
    """Raise for the first row that is wrong."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise RowError(int(rows[0]), reason(int(rows[0])))


def _numbers(predictions: Any, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, or refuse the first row that has none."""
    import pandas as pd

    column = predictions[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    _refuse(
        ~(np.abs(values) < _LARGEST),  # NaN is not
        lambda i: (
            f"{name} is {shown(column.tolist()[i])}; it must be a finite number below {_LARGEST:g}."
        ),
    )
    return values


def _held_out_elements(names: Any) -> NDArray[np.bool_]:
    """Tell which elements each of the names stands for, shape (n_names, 118)."""
    sets: dict[str, list[int]] = {}
    for by in ("element", "group", "period"):
        sets |= LeaveOneElementOut(by=by)._sets()
    held_out = np.zeros((len(names), len(SYMBOLS)), dtype=bool)
    for row, name in enumerate(names):
        if not isinstance(name, str) or name not in sets:
            raise RowError(
                row,
                f"{shown(name)} was held out; it must be an element symbol or like 'group 17' or "
                "'period 3'.",
            )
        held_out[row, sets[name]] = True
    return held_out


def _model_facts(model: Any, transformer: Any, regressor: Any, target: str, unit: str) -> Facts:
    """Describe the model, in words."""
    n_elements, n_modes = transformer.modes_.shape
    prototype = transformer.prototype_
    if prototype is not None:
        takes = (
            f"formulas of the structure {prototype.formula}, or the elements on its "
            f"{prototype.n_sites} sites {_listed(prototype.sites)}"
        )
    elif transformer.pooling is None:
        takes = f"formulas of any kind, of up to {transformer.max_elements} elements"
    else:
        takes = "formulas of any kind, as statistics of the modes of their elements"
    if isinstance(transformer.properties, str):
        n_properties = property_table(transformer.properties).shape[1]
        table = f"{n_properties} properties of the table “{transformer.properties}”"
    else:
        table = f"{transformer.properties.shape[1]} properties of a table of the user's"
    symbols = list(transformer.modes_.index)
    missing = [symbol for symbol in SYMBOLS if symbol not in symbols]
    elements = f"{n_elements}; none for {_listed(missing)}" if missing else f"{n_elements}, all"
    n_weights = sum(weight.numel() for weight in regressor.net_.module_.parameters())
    n_networks = regressor.n_estimators
    networks = "a single network"
    if n_networks > 1:
        networks = f"the mean of {n_networks} networks; their std tells how far they disagree"
        if regressor.calibrate_std:
            networks += ", scaled to errors on rows that they had not seen"
    facts = [
        ("Takes", takes),
        ("Predicts", f"{_with_unit(target, f'({unit})' if unit else '')}, {networks}"),
        ("Modes", f"{n_modes} for each element, learnt from {table}"),
        ("Elements with modes", elements),
        ("Network", _network(regressor, prototype)),
        ("Weights", f"{n_weights:,} in all"),
    ]
    if len(model.steps) > 2:
        between = [
            step if isinstance(step, str) else type(step).__name__ for _, step in model.steps[1:-1]
        ]
        facts.insert(3, ("Between modes and network", _listed(between)))
    return facts


def _network(regressor: Any, prototype: Any) -> str:
    """Describe the layers, in words."""
    encoder, hidden = map(_listed, (regressor.encoder_layer_sizes, regressor.hidden_layer_sizes))
    if regressor.architecture == "set":
        return (
            f"an encoder with layers of {encoder} units reads each element, by its modes and "
            f"amount; layers of {hidden} units go on from the sum over the elements"
        )
    if regressor.n_sites == 1:
        return f"layers of {hidden} units read {regressor.n_features_in_} numbers for each formula"
    text = (
        f"an encoder with layers of {encoder} units reads each of {regressor.n_sites} sites; "
        f"layers of {hidden} units join the sites"
    )
    for group in regressor.equivalent_sites or ():
        names = [str(i + 1) if prototype is None else prototype.sites[i] for i in group]
        text += f"; exchanging the elements of sites {_listed(names)} changes nothing"
    return text


def _training_facts(regressor: Any, unit: str) -> Facts:
    """Describe the training, in words."""
    start = regressor.pretrained
    facts = [
        ("Passes over the data", f"{regressor.n_iter_:,}"),
        ("Largest step", str(regressor.learning_rate_init)),
        ("Batch", str(regressor.batch_size)),
        ("Weight decay, dropout", f"{regressor.alpha:g}, {regressor.dropout:g}"),
        (
            "Started from",
            "random weights"
            if start is None
            else f"the model {shown(start)}"
            + (f", {regressor.freeze} frozen" * bool(regressor.freeze)),
        ),
        (
            "Target in training" if start is None else "Target scaled as by that model",
            f"mean {regressor.target_mean_:.3g}, standard deviation "
            + _with_unit(f"{regressor.target_scale_:.3g}", unit),
        ),
    ]
    if regressor.loss_curve_:
        loss = _with_unit(f"{regressor.loss_curve_[-1]:.3g}", unit)
        facts.append(("Training error of the last pass", f"{loss}, of one network, with dropout"))
    if regressor.validation_loss_curve_:
        best = _with_unit(f"{min(regressor.validation_loss_curve_):.3g}", unit)
        facts.append(("Best error on the part held out", f"{best}, of one network"))
    return facts


def _card_paragraphs(card: str) -> list[Any]:
    """Turn a model card into paragraphs: of Markdown only bold and code are understood."""
    from markupsafe import Markup, escape

    paragraphs = []
    for block in re.split(r"\n[ \t]*\n", card.strip()):
        if re.search(r"^\s*([-*|]|\d+\.)\s", block, re.MULTILINE):
            paragraphs.append(Markup("<pre>{}</pre>").format(block))
            continue
        text = str(escape(" ".join(block.split())))
        text = re.sub(r"^#+ (.+)", r"<strong>\1</strong>", text)
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
        text = re.sub(r"`(.+?)`", r"<code>\1</code>", text)
        paragraphs.append(Markup("<p>{}</p>").format(Markup(text)))
    return paragraphs if card.strip() else []


def _changed_parameters(model: Any) -> list[tuple[str, str, str]]:
    """Return step, name and value of each parameter that is not the default."""
    changed = []
    for name, step in model.steps:
        if step is None or isinstance(step, str):
            continue
        defaults = inspect.signature(type(step).__init__).parameters
        for parameter, value in step.get_params(deep=False).items():
            if repr(value) != repr(defaults[parameter].default):
                text = (
                    f"a table of shape {value.shape}" if hasattr(value, "shape") else shown(value)
                )
                changed.append((name, parameter, text))
    return changed


def _loading_code(source: str | None) -> str:
    """Return the Python that loads the model."""
    from sklearn_elmodes.persistence import shipped_models

    if source is None:
        return ""
    function = "load_pretrained" if source in shipped_models() else "load_model"
    return f"from sklearn_elmodes import {function}\n\nmodel = {function}({source!r})"


def _versions() -> Facts:
    return [
        ("sklearn-elmodes", __version__),
        *((package, version(package)) for package in _PACKAGES),
        ("Python", platform.python_version()),
    ]


def _element_data(modes: Any) -> dict[str, Any]:
    """Return what the page knows of the elements, in lists by atomic number."""
    from plotly.colors import sequential
    from pymatgen.core.periodic_table import Element

    known = {
        symbol: row.tolist()
        for symbol, row in zip(modes.index, modes.to_numpy().round(4), strict=True)
    }
    return {
        "symbols": list(SYMBOLS),
        "names": [Element(symbol).long_name for symbol in SYMBOLS],
        "blocks": [block_of(symbol) for symbol in SYMBOLS],
        "places": [table_position(symbol) for symbol in SYMBOLS],
        "modes": [known.get(symbol) for symbol in SYMBOLS],
        "colours": sequential.Viridis,
    }


def _render(**context: Any) -> str:
    """Fill the template; everything in it is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("sklearn_elmodes"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "sort_keys": True,
        "allow_nan": False,
        "separators": (",", ":"),
    }
    return environment.get_template("report.html").render(plotly_js=get_plotlyjs(), **context)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()


def _listed(names: Any) -> str:
    """Join names as a sentence does."""
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last
