"""Facts about a model for the report."""

from __future__ import annotations

import inspect
import platform
import re
from importlib.metadata import version
from numbers import Integral
from typing import Any

from sklearn_elmodes._validation import listed, shown
from sklearn_elmodes._version import __version__
from sklearn_elmodes.elements import SYMBOLS, block_of, property_table, table_position
from sklearn_elmodes.report._words import Facts, with_unit

_PACKAGES = ("scikit-learn", "skorch", "torch", "numpy", "pandas")


def model_facts(model: Any, transformer: Any, regressor: Any, target: str, unit: str) -> Facts:
    """Describe the model."""
    n_elements, n_modes = transformer.modes_.shape
    prototype = transformer.prototype_
    if prototype is not None:
        takes = (
            f"formulas of the structure {prototype.formula}, or the elements on its "
            f"{prototype.n_sites} sites {listed(prototype.sites)}"
        )
    elif transformer.pooling is None:
        takes = f"formulas of any kind, of up to {transformer.max_elements} elements"
    else:
        takes = "formulas of any kind, as statistics of the modes of their elements"
    if isinstance(transformer.properties, str):
        n_properties = property_table(transformer.properties).shape[1]
        table = f"{n_properties} properties of the table “{transformer.properties}”"
    else:
        table = f"{transformer.properties.shape[1]} properties of a user-defined table"
    symbols = list(transformer.modes_.index)
    missing = [symbol for symbol in SYMBOLS if symbol not in symbols]
    elements = f"{n_elements}; none for {listed(missing)}" if missing else f"{n_elements}, all"
    n_weights = sum(weight.numel() for weight in regressor.net_.module_.parameters())
    n_networks = regressor.n_estimators
    networks = "a single network"
    if regressor._has_std:
        networks = f"the mean of {n_networks} networks, with their standard deviation"
        if regressor.calibrate_std:
            networks += " scaled to the errors on held-out rows"
    facts = [
        ("Input", takes),
        ("Predicts", f"{with_unit(target, f'({unit})' if unit else '')}, {networks}"),
        ("Modes", f"{n_modes} for each element, learned from {table}"),
        ("Elements with modes", elements),
        ("Network", regressor._description(None if prototype is None else prototype.sites)),
        ("Weights", f"{n_weights:,} in all"),
    ]
    if len(model.steps) > 2:
        between = [
            step if isinstance(step, str) else type(step).__name__ for _, step in model.steps[1:-1]
        ]
        facts.insert(3, ("Between modes and network", listed(between)))
    return facts


def training_facts(regressor: Any, unit: str) -> Facts:
    """Describe the training."""
    start = regressor.pretrained
    facts = [
        ("Epochs", f"{regressor.n_iter_:,}"),
        ("Maximum learning rate", _recorded(regressor.learning_rate_)),
        ("Batch size", _recorded(regressor.batch_size_)),
        ("Weight decay, dropout", f"{regressor.alpha:g}, {regressor.dropout:g}"),
        (
            "Started from",
            "random weights"
            if start is None
            else f"the model {shown(start)}"
            + (f", {regressor.freeze} frozen" * bool(regressor.freeze)),
        ),
        (
            "Target in training" if start is None else "Target scaled as in that model",
            f"mean {regressor.target_mean_:.3g}, standard deviation "
            + with_unit(f"{regressor.target_scale_:.3g}", unit),
        ),
    ]
    if regressor.loss_curve_:
        loss = with_unit(f"{regressor.loss_curve_[-1]:.3g}", unit)
        facts.append(
            ("Training error, last epoch", f"{loss}, mean of single networks, with dropout")
        )
    if regressor.validation_loss_curve_:
        best = with_unit(f"{min(regressor.validation_loss_curve_):.3g}", unit)
        facts.append(("Best validation error", f"{best}, mean of single networks"))
    return facts


def _recorded(value: Any) -> str:
    if value is None:
        return "auto (not recorded)"
    return f"{value:,}" if isinstance(value, Integral) else f"{value:.3g}"


def card_paragraphs(card: str) -> list[Any]:
    """Convert a model card to paragraphs; headings, bold and code are the only Markdown used."""
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


def changed_parameters(model: Any) -> list[tuple[str, str, str]]:
    """Return step, name and value of each parameter that differs from its default."""
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


def loading_code(source: str | None) -> str:
    """Return the Python code that loads the model."""
    from sklearn_elmodes._model_files import shipped_models

    if source is None:
        return ""
    function = "load_pretrained" if source in shipped_models() else "load_model"
    return f"from sklearn_elmodes import {function}\n\nmodel = {function}({source!r})"


def versions() -> Facts:
    return [
        ("sklearn-elmodes", __version__),
        *((package, version(package)) for package in _PACKAGES),
        ("Python", platform.python_version()),
    ]


def element_data(modes: Any) -> dict[str, Any]:
    """Return the element data of the page, in lists ordered by atomic number."""
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
