"""Check a tool as a scikit-learn estimator, and on invalid rows.

Each function here returns a tool: its estimators by name, and a function from formulas to
rows of features or predictions.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from _worker import answer

os.environ["SCIPY_ARRAY_API"] = "1"  # otherwise a check is skipped

# Something to fit; the values do not matter.
FORMULAS = ["NaCl", "KBr", "LiF", "MgO", "CaO", "Al2O3", "Fe2O3", "TiO2", "SiO2", "ZnS"]
FORMULAS += ["CaTiO3", "BaTiO3", "LiCoO2", "NaF", "KCl", "CsI", "GaAs", "InP", "CdTe", "PbS"]
ENERGIES = np.linspace(-3, 0, len(FORMULAS))
BAD_ROW = 17
# What an error should name, and what is wrong with it.
BAD_VALUES: dict[str, tuple[Any, str]] = {
    "no such element": ("Xy2O3", "Xy"),
    "no formula": ("n/a", "n/a"),
    "empty text": ("", "''"),
    "missing value": (float("nan"), "nan"),
    "bracket not closed": ("Ca(OH2", "Ca(OH2"),
    "negative amount": ("NaCl-1", "NaCl-1"),
    "zero amount": ("Na0Cl", "Na0Cl"),
    "lower case": ("nacl", "nacl"),
    "element without data": ("OgO2", "Og"),
}
Rows = Callable[[list[Any]], Any]


def modes_transformer() -> tuple[dict[str, Any], Rows]:
    from sklearn_elmodes import ElementalModeTransformer, ElementAutoencoder

    transformer = ElementalModeTransformer()
    autoencoder = ElementAutoencoder(n_components=2, hidden_layer_sizes=(8,), max_iter=20)
    return (
        {"ElementalModeTransformer": transformer, "ElementAutoencoder": autoencoder},
        transformer.fit(FORMULAS).transform,
    )


def modes_pipeline() -> tuple[dict[str, Any], Rows]:
    from sklearn_elmodes import (
        ElementalModeClassifier,
        FormationEnergyRegressor,
        make_formation_energy_pipeline,
    )

    # As small as in our own tests.
    settings: dict[str, Any] = {"n_estimators": 2, "hidden_layer_sizes": (32, 32), "max_iter": 20}
    settings |= {"batch_size": 16, "learning_rate_init": 0.02}
    pipeline = make_formation_energy_pipeline(n_estimators=2, max_iter=5, random_state=0)
    return (
        {
            "FormationEnergyRegressor": FormationEnergyRegressor(**settings),
            "ElementalModeClassifier": ElementalModeClassifier(**settings),
        },
        pipeline.fit(FORMULAS, ENERGIES).predict,
    )


def matminer() -> tuple[dict[str, Any], Rows]:
    from matminer.featurizers import composition
    from matminer.featurizers.base import MultipleFeaturizer
    from matminer.featurizers.conversions import StrToComposition

    def magpie() -> Any:
        return composition.ElementProperty.from_preset("magpie", impute_nan=False)

    def features(formulas: list[Any]) -> Any:
        table = pd.DataFrame({"formula": formulas})
        table = StrToComposition().featurize_dataframe(table, "formula", pbar=False)
        featurizer = magpie()
        featurizer.featurize_dataframe(table, "composition", pbar=False, inplace=True)
        return table[featurizer.feature_labels()].to_numpy(dtype=float)

    fractions, stoichiometry = composition.ElementFraction(), composition.Stoichiometry()
    return (
        {
            "ElementProperty, Magpie": magpie(),
            "ElementFraction": fractions,
            "Stoichiometry": stoichiometry,
            "ValenceOrbital": composition.ValenceOrbital(),
            "MultipleFeaturizer": MultipleFeaturizer([fractions, stoichiometry]),
            "StrToComposition": StrToComposition(),
        },
        features,
    )


def elementembeddings() -> tuple[dict[str, Any], Rows]:
    from elementembeddings.composition import composition_featuriser
    from elementembeddings.core import Embedding

    table = Embedding.load_data("magpie")
    return {}, lambda formulas: composition_featuriser(formulas, embedding=table)


def cbfv() -> tuple[dict[str, Any], Rows]:
    from CBFV.composition import generate_features

    def features(formulas: list[Any]) -> Any:
        table = pd.DataFrame({"formula": formulas, "target": 0.0})
        return generate_features(table, elem_prop="magpie")[0]

    return {}, features


def crabnet() -> tuple[dict[str, Any], Rows]:
    from crabnet.crabnet_ import CrabNet

    def network() -> Any:
        # Small, without figures and files; 20 epochs are the minimum.
        return CrabNet(
            d_model=32,
            N=1,
            heads=2,
            out_hidden=[32],
            dim_feedforward=32,
            epochs=20,
            verbose=False,
            losscurve=False,
            learningcurve=False,
            save=False,
            random_state=0,
        )

    model = network()
    model.fit(pd.DataFrame({"formula": FORMULAS, "target": ENERGIES}))
    return (
        {"CrabNet": network()},
        lambda formulas: model.predict(pd.DataFrame({"formula": formulas, "target": 0.0})),
    )


def described(error: BaseException) -> str:
    """Format an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def checks(estimator: Any) -> dict[str, Any]:
    """Run scikit-learn's estimator checks."""
    from sklearn.utils.estimator_checks import check_estimator

    try:
        found = check_estimator(estimator, on_fail=None, on_skip=None)
    except Exception as error:
        return {"refused": described(error)}
    status = Counter(check["status"] for check in found)
    failures = {c["check_name"]: described(c["exception"]) for c in found if c["exception"]}
    return {
        "checks": len(found),
        **{key: status[key] for key in ("passed", "failed", "skipped")},
        "not passed": failures,
    }


def outcome(function: Callable[[], Any]) -> str:
    """Return "yes", or the error that a call raised."""
    try:
        function()
    except Exception as error:
        return described(error)
    return "yes"


def interface(estimator: Any) -> dict[str, str]:
    """Test cloning, feature names and pandas output."""
    from sklearn.base import clone

    X: Any = pd.DataFrame({"formula": FORMULAS}, index=range(5, 5 + len(FORMULAS)))
    if type(estimator).__module__.startswith("matminer"):
        from pymatgen.core import Composition

        X = pd.Series([Composition(formula) for formula in FORMULAS], index=X.index)
        if type(estimator).__name__ == "StrToComposition":
            X = pd.Series(FORMULAS, index=X.index)
    elif type(estimator).__name__ != "ElementalModeTransformer":
        X = pd.DataFrame(np.random.RandomState(0).rand(len(FORMULAS), 4), index=X.index)
        X.columns = list("abcd")
    y = np.arange(len(FORMULAS)) % 2

    def names() -> None:
        fitted = clone(estimator).fit(X, y)
        n_columns = np.shape(fitted.transform(X))[1]
        if len(fitted.get_feature_names_out()) != n_columns:
            raise ValueError(f"not {n_columns} names")

    def frames() -> None:
        made = clone(estimator).set_output(transform="pandas").fit(X, y).transform(X)
        if not isinstance(made, pd.DataFrame) or not made.index.equals(X.index):
            raise ValueError("no DataFrame with the index of the input")

    found = {"clone": outcome(lambda: clone(estimator))}
    if hasattr(estimator, "transform"):
        found |= {"get_feature_names_out": outcome(names), "set_output": outcome(frames)}
    return found


def run(rows: Rows, formulas: list[Any]) -> tuple[Any, list[str]]:
    """Return the result of a tool on formulas, and the messages that it printed."""
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(printed),
    ):
        warnings.simplefilter("always")
        found = np.asarray(rows(formulas), dtype=float).reshape(-1)
    said = [line.strip() for line in printed.getvalue().splitlines()]
    return found, said + [str(warning.message) for warning in caught]


def bad_rows(rows: Rows) -> dict[str, dict[str, Any]]:
    """Insert one invalid row among valid ones, for each kind of invalid row."""
    good = np.asarray(rows(FORMULAS), dtype=float)
    width = good.size // len(FORMULAS)
    good, expected = good.reshape(-1), run(rows, FORMULAS)[1]
    found = {}
    for case, (value, name) in BAD_VALUES.items():
        formulas = [*FORMULAS[:BAD_ROW], value, *FORMULAS[BAD_ROW:]]
        try:
            result, said = run(rows, formulas)
        except Exception as error:
            found[case] = {
                "outcome": "error",
                "message": described(error),
                "names the value": name.casefold() in str(error).casefold(),
                "names the row": str(BAD_ROW) in str(error),
            }
            continue
        said = [line for line in said if line and line not in expected]
        n_rows = len(result) // width
        place = slice(BAD_ROW * width, (BAD_ROW + 1) * width)
        if n_rows <= len(FORMULAS):
            kind, others = "row left out", result
        else:
            kind = "NaN" if np.isnan(result[place]).any() else "numbers"
            others = np.delete(result, place)
        same = others.shape == good.shape and np.allclose(others, good, atol=1e-4, equal_nan=True)
        found[case] = {"outcome": kind, "said": said[:3], "other rows unchanged": bool(same)}
    return found


def main(tool: str, packages: list[str], quick: bool) -> dict[str, Any]:
    """Check one of the tools above."""
    logging.disable()
    warnings.simplefilter("ignore")
    estimators, rows = globals()[tool]()
    checked = dict(list(estimators.items())[:1]) if quick else estimators
    return {
        "versions": {package: version(package) for package in packages},
        "checks": {name: checks(estimator) for name, estimator in checked.items()},
        "interface": {name: interface(estimator) for name, estimator in estimators.items()},
        "bad rows": bad_rows(rows),
    }


if __name__ == "__main__":
    answer(main)
