"""Type aliases for annotations of the X that estimators accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class ElementAmounts(Protocol):
    """A composition object of another package, such as pymatgen's ``Composition``."""

    def get_el_amt_dict(self) -> Mapping[str, float]:
        """Return the amounts by element symbol."""


CompositionLike: TypeAlias = str | Mapping[str, float] | ElementAmounts
"""One composition: a formula, ``{symbol: amount}``, or a pymatgen ``Composition``."""

SpeciesLike: TypeAlias = str | int | np.integer[Any] | Mapping[str, float]
"""The species on one site: a symbol, an atomic number, or a mixture such as "Na0.5K0.5"."""

InputLike: TypeAlias = (
    Sequence[CompositionLike]
    | Sequence[Sequence[SpeciesLike]]
    | NDArray[Any]
    | pd.Series
    | pd.DataFrame
)
"""X: one column of compositions or, with a prototype, one column of species per site."""
