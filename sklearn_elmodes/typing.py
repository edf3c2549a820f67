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


class HasComposition(Protocol):
    """An object with a composition, such as pymatgen's ``Structure`` and ``Molecule``."""

    @property
    def composition(self) -> ElementAmounts:
        """The composition."""


class HasChemicalSymbols(Protocol):
    """Atoms, such as those of ASE."""

    def get_chemical_symbols(self) -> Sequence[str]:
        """Return the element symbol of each atom."""


class DataFrameLike(Protocol):
    """A table of another package, such as a polars ``DataFrame`` or ``Series``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, and of columns if it is a DataFrame."""

    def to_numpy(self) -> NDArray[Any]:
        """Return the values."""


CompositionLike: TypeAlias = (
    str | Mapping[str, float] | ElementAmounts | HasComposition | HasChemicalSymbols
)
"""One composition: a formula, ``{symbol: amount}``, or an object of pymatgen or ASE."""

SpeciesLike: TypeAlias = str | int | np.integer[Any] | Mapping[str, float]
"""The species on one site: a symbol, an atomic number, or a mixture such as "Na0.5K0.5"."""

InputLike: TypeAlias = (
    Sequence[CompositionLike]
    | Sequence[Sequence[SpeciesLike]]
    | NDArray[Any]
    | pd.Series
    | pd.DataFrame
    | DataFrameLike
)
"""X: one column of compositions or, with a prototype, one column of species per site."""
