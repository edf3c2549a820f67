"""Time and memory of one method to compute features of formulas.

Each function returns the function that is timed, which computes the features of rows. Loading
tables is not timed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Featurize = Callable[[Any], Any]
STATISTICS = ["mean", "variance", "minpool", "maxpool", "range", "sum"]
STATISTICS += ["geometric_mean", "harmonic_mean"]


def pooled() -> Featurize:
    from sklearn_elmodes import ElementalModeTransformer

    return ElementalModeTransformer().fit(["NaCl"]).transform


def by_element() -> Featurize:
    from sklearn_elmodes import ElementalModeTransformer

    return ElementalModeTransformer(pooling=None).fit(["NaCl"]).transform


def sites() -> Featurize:
    from sklearn_elmodes import ElementalModeTransformer

    return ElementalModeTransformer(prototype="elpasolite").fit(["K2NaAlF6"]).transform


def amounts() -> Featurize:
    from sklearn_elmodes.formulas import parse_formulas

    return parse_formulas


def magpie(n_jobs: int | None = 1) -> Featurize:
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Composition

    featurizer = ElementProperty.from_preset("magpie", impute_nan=False)
    if n_jobs is not None:
        featurizer.set_n_jobs(n_jobs)
    return lambda X: featurizer.featurize_many([Composition(f) for f in X], pbar=False)


def magpie_parallel() -> Featurize:
    return magpie(n_jobs=None)


def elementembeddings_mean(statistics: str | list[str] = "mean") -> Featurize:
    from elementembeddings.composition import composition_featuriser
    from elementembeddings.core import Embedding

    # Given a name instead of a table, it reads the file again for each formula.
    table = Embedding.load_data("magpie")
    return lambda X: composition_featuriser(X, embedding=table, stats=statistics)


def elementembeddings_all() -> Featurize:
    return elementembeddings_mean(STATISTICS)


def cbfv() -> Featurize:
    import pandas as pd
    from CBFV.composition import generate_features

    # It requires a target.
    return lambda X: generate_features(
        pd.DataFrame({"formula": X, "target": 0.0}), elem_prop="magpie"
    )


def pymatgen() -> Featurize:
    from pymatgen.core import Composition

    return lambda X: [Composition(formula) for formula in X]


def plain_python() -> Featurize:
    token = re.compile(r"([A-Z][a-z]?)([0-9.]*)")

    def count(formulas: list[str]) -> list[dict[str, float]]:
        return [{s: float(n or 1) for s, n in token.findall(formula)} for formula in formulas]

    return count


def gather() -> Featurize:
    table = np.random.RandomState(0).rand(119, 12).astype("f4")
    return lambda X: table[X].reshape(len(X), -1)


def main(function: str, data: str, n_rows: int, least_seconds: float) -> dict[str, float]:
    """Measure one of these functions on the first rows of a file."""
    from _worker import measure

    warnings.simplefilter("ignore")  # of logarithms of zero in geometric means
    X = np.load(data)[:n_rows]
    return measure(globals()[function](), X.tolist() if X.ndim == 1 else X, least_seconds)


if __name__ == "__main__":
    from _worker import answer

    answer(main)
