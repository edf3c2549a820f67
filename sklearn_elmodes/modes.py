"""Elemental modes: one vector per element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from sklearn_elmodes._validation import shown
from sklearn_elmodes.autoencoder import ElementAutoencoder, _mode_names
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, atomic_number, property_table

DEFAULT_N_COMPONENTS = 12
"""Default number of modes; tables of this many modes are bundled with the package."""


class ElementModes:
    """Table of the modes of elements.

    Parameters
    ----------
    symbols : sequence of str
        The elements that have modes, without repetition.
    values : array-like of shape (n_elements, n_components)
        Modes of each element.
    source : str, default="table of modes"
        Origin of the modes, for messages.
    autoencoder : ElementAutoencoder, default=None
        The fitted auto-encoder that computed the modes, if any.

    Attributes
    ----------
    symbols : tuple of str
    values : ndarray of shape (n_elements, n_components)
    by_number : ndarray of shape (119, n_components)
        Row Z contains the modes of atomic number Z; NaN if the element has no modes.
    source : str
    autoencoder : ElementAutoencoder or None

    See Also
    --------
    sklearn_elmodes.ElementalModeTransformer : Features of compositions and crystals from modes.

    Examples
    --------
    >>> from sklearn_elmodes.modes import ElementModes
    >>> modes = ElementModes.from_properties("extended")
    >>> len(modes), modes.n_components, "Cl" in modes, "Og" in modes
    (103, 12, True, False)
    >>> bool((modes["Na"] == modes[11]).all())
    True
    >>> half = modes.mix({"Na": 0.5, "K": 0.5})
    >>> bool(abs(half - (modes["Na"] + modes["K"]) / 2).max() < 1e-12)
    True
    """

    def __init__(
        self,
        symbols: Sequence[str],
        values: Any,
        *,
        source: str = "table of modes",
        autoencoder: ElementAutoencoder | None = None,
    ) -> None:
        self.symbols = tuple(symbols)
        self.values = np.asarray(values, dtype=np.float64)
        self.source = source
        self.autoencoder = autoencoder
        self.by_number = np.full((len(SYMBOLS) + 1, self.n_components), np.nan)
        self.by_number[[ATOMIC_NUMBERS[symbol] for symbol in self.symbols]] = self.values

    @classmethod
    def from_properties(
        cls,
        properties: str | pd.DataFrame = "extended",
        n_components: int = DEFAULT_N_COMPONENTS,
        autoencoder: ElementAutoencoder | None = None,
    ) -> ElementModes:
        """Learn modes from properties of the elements, or read bundled modes.

        Parameters
        ----------
        properties : {"extended", "herr2019"} or DataFrame, default="extended"
            Name of a table, see :func:`~sklearn_elmodes.elements.property_table`, or a
            DataFrame indexed by element symbol, with NaN where a value is unknown.
        n_components : int, default=12
            Number of modes.
        autoencoder : ElementAutoencoder, default=None
            Auto-encoder to clone and train; its ``n_components`` is ignored. None means
            ``ElementAutoencoder(random_state=0)``. Its 12 modes of each named table are
            bundled with the package, so that nothing is trained.

        Returns
        -------
        ElementModes

        Raises
        ------
        ValueError
            If the index contains an unknown symbol or a symbol twice, or if a value is
            neither finite nor NaN.
        """
        source = _source_of(properties)
        if cls.are_shipped(properties, n_components, autoencoder):
            frame = _read_shipped(str(properties))
            return cls(frame.index.tolist(), frame.to_numpy(), source=source)
        table = _checked(property_table(properties) if isinstance(properties, str) else properties)
        learner = ElementAutoencoder(random_state=0) if autoencoder is None else clone(autoencoder)
        learner.set_params(n_components=n_components).set_output(transform="default")
        values = learner.fit_transform(table)
        return cls(table.index.tolist(), values, source=source, autoencoder=learner)

    @staticmethod
    def are_shipped(
        properties: str | pd.DataFrame,
        n_components: int = DEFAULT_N_COMPONENTS,
        autoencoder: ElementAutoencoder | None = None,
    ) -> bool:
        """Return whether the modes of these settings are bundled with the package.

        Parameters
        ----------
        properties, n_components, autoencoder
            As in :meth:`from_properties`.
        """
        return (
            isinstance(properties, str)
            and autoencoder is None
            and n_components == DEFAULT_N_COMPONENTS
        )

    @property
    def n_components(self) -> int:
        """Number of modes per element."""
        return int(self.values.shape[1])

    @property
    def names(self) -> list[str]:
        """Names of the modes: mode1, mode2, …."""
        return _mode_names(self.n_components)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.symbols

    def __getitem__(self, element: str | int) -> NDArray[np.float64]:
        modes = self.by_number[atomic_number(element)]
        if np.isnan(modes[0]):
            raise KeyError(self.explain_missing(SYMBOLS[atomic_number(element) - 1]))
        return modes.copy()

    def mix(self, amounts: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the mean of the modes of several elements, weighted by amount.

        Parameters
        ----------
        amounts : mapping of str to float
            Amounts by element symbol; they need not sum to one.

        Returns
        -------
        ndarray of shape (n_components,)
            NaN if an element has no modes.
        """
        weights = np.fromiter(amounts.values(), dtype=float)
        modes = self.by_number[[ATOMIC_NUMBERS[symbol] for symbol in amounts]]
        return np.asarray(weights / weights.sum() @ modes)

    def missing(self, symbols: Any) -> list[str]:
        """Return the symbols without modes."""
        return [symbol for symbol in symbols if symbol not in self]

    def explain_missing(self, symbol: str) -> str:
        """Format the reason why an element has no modes, for a message."""
        return (
            f"no modes for the element {symbol}, which the {self.source} lacks. Use a table that "
            "has it"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the modes as a DataFrame, indexed by element symbol.

        Returns
        -------
        DataFrame of shape (n_elements, n_components)
        """
        index = pd.Index(self.symbols, name="symbol")
        return pd.DataFrame(self.values, index=index, columns=self.names)


def _source_of(properties: str | pd.DataFrame) -> str:
    """Name the source of modes, for messages."""
    if isinstance(properties, str):
        return f"property table {properties!r}"
    return "DataFrame of properties"


def _read_shipped(properties: str) -> pd.DataFrame:
    """Read the bundled modes of a named table."""
    path = files("sklearn_elmodes.pretrained").joinpath(f"modes_{properties}.csv")
    with path.open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col="symbol", keep_default_na=False, na_values=[""])


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of properties as floats; raise a ValueError if it is invalid."""
    for symbol in table.index:
        if not isinstance(symbol, str) or symbol not in ATOMIC_NUMBERS:
            raise ValueError(
                f"properties must be indexed by element symbol; {shown(symbol)} is not an "
                "element symbol."
            )
    try:
        values = table.astype(object).where(table.notna(), np.nan).to_numpy(dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"properties must be numbers, or NaN where unknown: {error}") from error
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise ValueError(
            f"properties contains {values[row, column]} for {table.index[row]} in the column "
            f"{table.columns[column]!r}; use NaN for unknown values."
        )
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise ValueError(f"properties has several rows for the element {twice}.")
    return pd.DataFrame(values, table.index, table.columns.map(str))
