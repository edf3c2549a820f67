"""The recommended pipeline, with tuned settings."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes.prototypes import Prototype
from sklearn_elmodes.regressor import FormationEnergyRegressor
from sklearn_elmodes.transformer import ElementalModeTransformer

# For tables of any formulas, tuned on held-out parts of the training folds of
# the measured enthalpies; the regressor's own defaults were tuned on elpasolites.
_ANY_FORMULA: dict[str, Any] = {
    "n_estimators": 8,
    "hidden_layer_sizes": (128, 128, 128),
    "learning_rate_init": 0.003,
    "batch_size": 64,
    "max_iter": 100,
}
# The network for any formula, tuned on the validation part of the OQMD.
_SET: dict[str, Any] = {
    "n_estimators": 2,
    "encoder_layer_sizes": (64, 64, 128),
    "hidden_layer_sizes": (256, 256, 256, 256),
    "activation": "silu",
}


def make_formation_energy_pipeline(
    prototype: str | Prototype | None = None,
    *,
    architecture: str | None = None,
    random_state: Any = None,
    verbose: int = 0,
    memory: Any = None,
    **parameters: Any,
) -> Pipeline:
    """Build the pipeline from compositions to formation energies.

    Parameters
    ----------
    prototype : str or Prototype, default=None
        Structure that all crystals share, such as ``"ABC2D6"``. None takes
        formulas of any kind.
    architecture : {"sites", "set"} or None, default=None
        Without a prototype: "sites" is a network for the statistics of the modes over a
        formula, "set" one for the elements themselves, which is better for thousands
        of formulas and can start from ``pretrained="oqmd"``. None takes "set" if
        ``pretrained`` is given, else "sites".
    random_state : int, RandomState instance or None, default=None
        Seed of the network.
    verbose : int, default=0
        Show a progress bar for the training if positive.
    memory : str or joblib.Memory, default=None
        Cache for the fitted transformer, worth while if it trains its own
        auto-encoder in a cross-validation.
    **parameters
        Further parameters of :class:`FormationEnergyRegressor`.

    Returns
    -------
    Pipeline
        Steps ``elementalmodetransformer``, without a prototype
        ``standardscaler``, and ``formationenergyregressor``.

    Examples
    --------
    >>> from sklearn_elmodes import make_formation_energy_pipeline
    >>> pipeline = make_formation_energy_pipeline("ABC2D6", n_estimators=2, random_state=0)
    >>> [name for name, step in pipeline.steps]
    ['elementalmodetransformer', 'formationenergyregressor']
    >>> pipeline["formationenergyregressor"].n_sites
    4
    """
    settings: dict[str, Any] = {"random_state": random_state, "verbose": verbose}
    if prototype is not None and architecture == "set":
        raise ValueError('architecture="set" is for formulas of any kind; leave out prototype.')
    if architecture is None and prototype is None:
        architecture = "sites" if parameters.get("pretrained") is None else "set"
    if architecture == "set":
        transformer = ElementalModeTransformer(pooling=None)
        settings |= {"architecture": "set", "n_sites": transformer.max_elements}
        return make_pipeline(
            transformer,
            FormationEnergyRegressor(**{**_SET, **settings, **parameters}),
            memory=memory,
        )
    if prototype is None:
        return make_pipeline(
            ElementalModeTransformer(),
            StandardScaler(),
            FormationEnergyRegressor(**{**_ANY_FORMULA, **settings, **parameters}),
            memory=memory,
        )
    prototype = Prototype.of(prototype)
    settings["n_sites"] = prototype.n_sites
    settings["equivalent_sites"] = prototype.equivalent_site_indices or None
    return make_pipeline(
        ElementalModeTransformer(prototype=prototype),
        FormationEnergyRegressor(**{**settings, **parameters}),
        memory=memory,
    )
