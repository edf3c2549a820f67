"""The recommended pipeline, with tuned parameters."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes._networks import _recipes
from sklearn_elmodes._validation import shown
from sklearn_elmodes.prototypes import Prototype
from sklearn_elmodes.regressor import FormationEnergyRegressor
from sklearn_elmodes.transformer import ElementalModeTransformer


def make_formation_energy_pipeline(
    prototype: str | Prototype | None = None,
    *,
    pooling: str | None = None,
    random_state: Any = None,
    verbose: int = 0,
    memory: Any = None,
    **parameters: Any,
) -> Pipeline:
    """Build a pipeline that predicts formation energies from compositions.

    Parameters
    ----------
    prototype : str or Prototype, default=None
        Structure that all crystals share, such as ``"elpasolite"``. None means formulas of
        any kind.
    pooling : {"statistics"} or None, default=None
        How modes are combined when ``prototype=None``. With None the network reads the
        elements of a formula one by one, and can be fine-tuned with ``pretrained="oqmd"``.
        With "statistics" it reads statistics of the modes over the formula.
    random_state : int, RandomState instance or None, default=None
        Seed of the network.
    verbose : int, default=0
        Show a progress bar during training if positive.
    memory : str or joblib.Memory, default=None
        Cache for the fitted transformer, useful in cross-validation if it trains its own
        auto-encoder.
    **parameters
        Further parameters of :class:`ElementalModeTransformer` and
        :class:`FormationEnergyRegressor`, by name. ``max_elements``, the largest number of
        elements in a formula, is passed to both.

    Returns
    -------
    Pipeline
        Steps ``elementalmodetransformer`` and ``formationenergyregressor``, with a
        ``standardscaler`` between them if ``pooling="statistics"``.

    Raises
    ------
    TypeError
        If a parameter is unknown, or is determined by ``prototype`` and ``pooling``.
    ValueError
        If ``pooling`` is unknown, is combined with a prototype, or is "statistics" together
        with ``pretrained``.

    Examples
    --------
    >>> from sklearn_elmodes import make_formation_energy_pipeline
    >>> pipeline = make_formation_energy_pipeline("elpasolite", n_estimators=2, random_state=0)
    >>> [name for name, step in pipeline.steps]
    ['elementalmodetransformer', 'formationenergyregressor']
    >>> pipeline["formationenergyregressor"].n_sites
    4

    A general model, fine-tuned on a few measured energies:

    >>> pipeline = make_formation_energy_pipeline(pretrained="oqmd", random_state=0)
    >>> _ = pipeline.fit(["NaCl", "KBr", "LiF", "CsI"], [-2.13, -2.04, -3.19, -1.80])
    >>> pipeline.predict(["NaBr"]).round(1)
    array([-1.9])
    """
    if pooling not in (None, "statistics"):
        raise ValueError(f'pooling must be "statistics" or None, not {shown(pooling)}.')
    if prototype is not None and pooling is not None:
        raise ValueError(
            f"pooling={pooling!r} cannot be combined with a prototype; leave out one of them."
        )
    for_modes, for_network = _routed(parameters)
    for_network |= {"random_state": random_state, "verbose": verbose}
    if prototype is not None:
        prototype = Prototype.of(prototype)
        layout: dict[str, Any] = {"n_sites": prototype.n_sites}
        if not {"equivalent_sites", "permutations"} & parameters.keys():
            layout |= prototype._symmetry_parameters
        steps = [
            ElementalModeTransformer(prototype=prototype, **for_modes),
            FormationEnergyRegressor(**{**_recipes.SITES.parameters, **layout, **for_network}),
        ]
    elif pooling is None:
        steps = [
            ElementalModeTransformer(pooling=None, **for_modes),
            FormationEnergyRegressor(
                architecture="set", **{**_recipes.SET.parameters, **for_network}
            ),
        ]
    else:
        if parameters.get("pretrained") is not None:
            raise ValueError(
                'pretrained cannot be combined with pooling="statistics", whose features are '
                "scaled for each table; use pooling=None or a prototype."
            )
        steps = [
            ElementalModeTransformer(**for_modes),
            StandardScaler(),
            FormationEnergyRegressor(**{**_recipes.STATISTICS, **for_network}),
        ]
    return make_pipeline(*steps, memory=memory)


def _routed(parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Assign each parameter to the steps that have it."""
    fixed = {"prototype", "pooling", "architecture", "n_sites"}
    own = [
        set(inspect.signature(kind).parameters) - fixed
        for kind in (ElementalModeTransformer, FormationEnergyRegressor)
    ]
    unknown = parameters.keys() - own[0] - own[1]
    if unknown:
        raise TypeError(
            f"make_formation_energy_pipeline has no parameters {', '.join(sorted(unknown))}; "
            f"its steps have the parameters {', '.join(sorted(own[0] | own[1]))}."
        )
    for_modes, for_network = (
        {name: value for name, value in parameters.items() if name in names} for names in own
    )
    return for_modes, for_network
