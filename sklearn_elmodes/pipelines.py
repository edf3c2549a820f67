"""The recommended pipeline, with tuned settings."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes._validation import shown
from sklearn_elmodes.prototypes import Prototype
from sklearn_elmodes.regressor import FormationEnergyRegressor
from sklearn_elmodes.transformer import ElementalModeTransformer

# For statistics of any formulas, tuned on held-out parts of the training folds of
# the measured enthalpies; the regressor's own defaults were tuned on elpasolites.
_STATISTICS: dict[str, Any] = {
    "n_estimators": 8,
    "hidden_layer_sizes": (128, 128, 128),
    "learning_rate_init": 0.003,
    "batch_size": 64,
    "max_iter": 100,
}
# For formulas themselves, tuned on the validation part of the OQMD.
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
        Structure that all crystals share, such as ``"elpasolite"``. None takes
        formulas of any kind.
    architecture : {"sites", "set"} or None, default=None
        Without a prototype: "set" is a network for the elements of a formula, which
        can start from ``pretrained="oqmd"``; "sites" is one for the statistics of
        their modes. None takes "set".
    random_state : int, RandomState instance or None, default=None
        Seed of the network.
    verbose : int, default=0
        Show a progress bar for the training if positive.
    memory : str or joblib.Memory, default=None
        Cache for the fitted transformer, worth while if it trains its own
        auto-encoder in a cross-validation.
    **parameters
        Further parameters of :class:`FormationEnergyRegressor`. For a set, ``n_sites``
        is the number of elements for which there is room, 10 if left out.

    Returns
    -------
    Pipeline
        Steps ``elementalmodetransformer`` and ``formationenergyregressor``, with a
        ``standardscaler`` between them if these are statistics.

    Raises
    ------
    ValueError
        If ``architecture`` is unknown, or "set" for a prototype, or statistics are to
        start from a pretrained model.

    Examples
    --------
    >>> from sklearn_elmodes import make_formation_energy_pipeline
    >>> pipeline = make_formation_energy_pipeline("elpasolite", n_estimators=2, random_state=0)
    >>> [name for name, step in pipeline.steps]
    ['elementalmodetransformer', 'formationenergyregressor']
    >>> pipeline["formationenergyregressor"].n_sites
    4

    A general model, fine-tuned to a few measured energies:

    >>> pipeline = make_formation_energy_pipeline(pretrained="oqmd", random_state=0)
    >>> _ = pipeline.fit(["NaCl", "KBr", "LiF", "CsI"], [-2.13, -2.04, -3.19, -1.80])
    >>> pipeline.predict(["NaBr"]).round(1)
    array([-1.9])
    """
    settings: dict[str, Any] = {"random_state": random_state, "verbose": verbose}
    if architecture not in (None, "sites", "set"):
        raise ValueError(f'architecture must be "sites", "set" or None, not {shown(architecture)}.')
    if prototype is not None and architecture == "set":
        raise ValueError('architecture="set" is for formulas of any kind; leave out prototype.')
    if prototype is None and architecture != "sites":
        n_elements = parameters.get("n_sites", 10)
        transformer = ElementalModeTransformer(pooling=None, max_elements=n_elements)
        settings |= {"architecture": "set", "n_sites": n_elements}
        return make_pipeline(
            transformer,
            FormationEnergyRegressor(**{**_SET, **settings, **parameters}),
            memory=memory,
        )
    if prototype is None:
        if parameters.get("pretrained") is not None:
            raise ValueError(
                'pretrained goes with a prototype or architecture="set": statistics are scaled '
                "anew for each table."
            )
        return make_pipeline(
            ElementalModeTransformer(),
            StandardScaler(),
            FormationEnergyRegressor(**{**_STATISTICS, **settings, **parameters}),
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
