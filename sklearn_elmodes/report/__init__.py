"""HTML reports on a model and its predictions, in one file that opens offline."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._validation import shown
from sklearn_elmodes.report._facts import (
    card_paragraphs,
    changed_parameters,
    element_data,
    loading_code,
    model_facts,
    training_facts,
    versions,
)
from sklearn_elmodes.report._predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

_LIMITS = {"drawn": 5000, "worst": 500, "listed": 20}  # rows in the plot and in the table

__all__ = ["write_report"]


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

    The report describes the model and shows the modes of its elements. With predictions it
    also shows scores, a parity plot, errors by element in a periodic table that filters the
    rows, and the rows with the largest errors. The same input gives the same file.

    Parameters
    ----------
    path : str or path-like
        File to write, atomically.
    model : Pipeline
        Fitted, from an :class:`~sklearn_elmodes.ElementalModeTransformer` to a
        :class:`~sklearn_elmodes.FormationEnergyRegressor`.
    predictions : DataFrame of shape (n_samples, n_columns), default=None
        Columns ``formula`` (text), ``true`` and ``predicted``. Optional columns are ``std``
        (standard deviation of the prediction), ``row`` (row number in the original table)
        and ``held_out``: the element, or "group 17" or "period 3", that was held out from the
        model of this row. With ``held_out`` a row may occur once for each element, and the
        error of an element is computed over the rows for which it was held out; otherwise
        over all rows that contain it. With None the report describes only the model.
    scheme : str, default=""
        How the predictions were made, such as "5-fold cross-validation".
    target, unit : str
        Name and unit of the predicted quantity.
    title : str, default=None
        Heading; None derives it from ``source``.
    command : str, default=None
        Shell command that wrote the report; it is shown in the report.
    source : str or path-like, default=None
        File of the model, or the name of an included model.

    Raises
    ------
    ValueError
        If the model is not such a pipeline, or predictions lack a column or have no rows,
        an invalid formula or a number that is not finite. The message names the row, counted
        from 0.
    OSError
        If the file cannot be written.

    Notes
    -----
    The file has about 5 MB, nearly all of it plotly.js, and 2 MB more for 50,000 rows. With
    more than 5,000 rows the parity plot shows the 500 rows with the largest errors and a
    random sample of the others; scores, filters and the table of errors use all rows.

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
    rows = None if predictions is None else Predictions.read(predictions)
    source = None if source is None else os.fspath(source)
    content = _render(
        title=title or f"Report on {source or 'a fitted model'}",
        source=source,
        scheme=scheme,
        target=target,
        unit=unit,
        command=command,
        loading=loading_code(source),
        facts=model_facts(model, transformer, regressor, target, unit),
        training=training_facts(regressor, unit),
        card=card_paragraphs(getattr(model, "model_card_", "")),
        parameters=changed_parameters(model),
        versions=versions(),
        written_by=getattr(model, "model_versions_", {}),
        modes=list(transformer.modes_.columns),
        rows=rows,
        data_facts=[] if rows is None else rows.facts(unit),
        scores=[] if rows is None else rows.scores(unit),
        data={
            **element_data(transformer.modes_),
            "target": target,
            "unit": unit,
            "limits": _LIMITS,
            "predictions": None if rows is None else rows.data(),
        },
    )
    # A path may contain bytes that are not valid text.
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
        raise ValueError(f"{shown(model)} is not a Pipeline; {expected}.")
    first, last = model.steps[0][1], model.steps[-1][1]
    if not isinstance(first, ElementalModeTransformer):
        raise ValueError(f"The pipeline starts with {shown(first)}; {expected}.")
    if not isinstance(last, FormationEnergyRegressor):
        raise ValueError(f"The pipeline ends with {shown(last)}; {expected}.")
    for step in (first, last):
        check_is_fitted(step)
    return first, last


def _render(**context: Any) -> str:
    """Render the template; all values are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("sklearn_elmodes.report"),
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
