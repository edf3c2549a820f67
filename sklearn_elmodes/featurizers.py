"""Elemental modes as a matminer featurizer.

No other module imports matminer's featurizers, which takes seconds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matminer.featurizers.base import BaseFeaturizer
from sklearn.exceptions import NotFittedError

from sklearn_elmodes import _inputs
from sklearn_elmodes._features import Statistics
from sklearn_elmodes._rows import Reading
from sklearn_elmodes.autoencoder import ElementAutoencoder
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.modes import DEFAULT_N_COMPONENTS, ElementModes

__all__ = ["ElementalModes"]


class ElementalModes(BaseFeaturizer):
    """Matminer featurizer for statistics of the elemental modes over a composition.

    The features are those of :class:`~sklearn_elmodes.ElementalModeTransformer` without
    a prototype, in double precision. Use this class with matminer's
    ``featurize_dataframe``, ``MultipleFeaturizer`` and ``ignore_errors``; in a
    scikit-learn pipeline use the transformer.

    ``featurize_many`` and ``featurize_dataframe`` compute all rows at once in the current
    process, without a progress bar; ``set_n_jobs`` has no effect on them, because more
    processes would be slower. A ``MultipleFeaturizer`` computes all rows at once only with
    ``iterate_over_entries=False``, otherwise row by row.

    Parameters
    ----------
    n_components : int, default=12
        Number of modes per element.
    properties : {"extended", "herr2019"} or DataFrame, default="extended"
        Properties of the elements: the name of a table, see
        :func:`~sklearn_elmodes.elements.property_table`, or a DataFrame indexed by
        element symbol, with NaN where a value is unknown.
    autoencoder : ElementAutoencoder, default=None
        Auto-encoder to clone and train; its ``n_components`` is ignored. None means
        ``ElementAutoencoder(random_state=0)``.

    Attributes
    ----------
    element_modes_ : ElementModes
        Set by ``fit``, which is not required for a named table with the default
        settings: these modes are bundled with the package.

    Examples
    --------
    >>> import pandas as pd
    >>> from pymatgen.core import Composition
    >>> from sklearn_elmodes.featurizers import ElementalModes
    >>> frame = pd.DataFrame({"composition": [Composition("NaCl"), Composition("Ca(OH)2")]})
    >>> ElementalModes().featurize_dataframe(frame, "composition").shape
    (2, 119)
    """

    def __init__(
        self,
        n_components: int = DEFAULT_N_COMPONENTS,
        *,
        properties: Any = "extended",
        autoencoder: ElementAutoencoder | None = None,
    ) -> None:
        self.n_components = n_components
        self.properties = properties
        self.autoencoder = autoencoder

    def fit(self, X: Any = None, y: Any = None, **fit_kwargs: Any) -> ElementalModes:
        """Learn the modes, or read the bundled modes.

        Parameters
        ----------
        X, y : object
            Ignored; modes depend only on the properties of the elements.
        **fit_kwargs
            Ignored; for compatibility with ``MultipleFeaturizer``.

        Returns
        -------
        self
        """
        self.element_modes_ = ElementModes.from_properties(
            self.properties, self.n_components, self.autoencoder
        )
        return self

    def featurize(self, composition: Any) -> list[float]:
        """Return the features of one composition.

        Parameters
        ----------
        composition : Composition, str or mapping of str to float
            Composition to featurize.

        Returns
        -------
        list of float

        Raises
        ------
        ValueError
            If the composition cannot be read, or an element has no modes.
        """
        reading = self._read([composition])
        if reading.rejected:
            # matminer re-creates the error from its text; a RowError needs two arguments.
            raise ValueError(reading.rejected[0])
        return self._compute(reading)[0].tolist()

    def featurize_many(
        self,
        entries: Any,
        ignore_errors: bool = False,
        return_errors: bool = False,
        pbar: Any = True,
    ) -> list[list[Any]]:
        """Return the features of many compositions, computed together.

        Parameters
        ----------
        entries : list, tuple, ndarray, Series or DataFrame of shape (n,) or (n, 1)
            Compositions.
        ignore_errors : bool, default=False
            Return NaN for rows that cannot be featurized instead of raising an error.
        return_errors : bool, default=False
            Append to each row the reason why it could not be featurized, or NaN.
            Requires ``ignore_errors=True``.
        pbar : object
            Ignored.

        Returns
        -------
        list of list of float

        Raises
        ------
        ValueError
            If a row cannot be featurized and ``ignore_errors=False``; the message names
            the row, counted from 0. Also if ``entries`` is not list-like.
        """
        if return_errors and not ignore_errors:
            raise ValueError("Please set ignore_errors to True to use return_errors.")
        if not isinstance(entries, (tuple, list, np.ndarray)) and not hasattr(entries, "to_numpy"):
            raise ValueError(f"entries must be a list-like object, not {type(entries).__name__}.")
        if not len(entries):
            return []
        if hasattr(entries, "to_numpy"):  # pandas or polars
            entries = entries.to_numpy()
        reading = self._read(entries)
        if not ignore_errors:
            try:
                reading.complete()
            except RowError as error:
                raise ValueError(f"{error} To skip such rows, set ignore_errors=True.") from None
        features = np.full((len(entries), len(self.feature_labels())), np.nan)
        features[reading.rows] = self._compute(reading)
        rows = features.tolist()
        if return_errors:
            rows = [[*row, reading.rejected.get(i, np.nan)] for i, row in enumerate(rows)]
        return rows

    def precheck(self, composition: Any) -> bool:
        """Return whether a composition can be featurized.

        Parameters
        ----------
        composition : Composition, str or mapping of str to float
            Composition to check.

        Returns
        -------
        bool
        """
        return not self._read([composition]).rejected

    def feature_labels(self) -> list[str]:
        """Return the names of the features, as in the transformer.

        Returns
        -------
        list of str
        """
        return Statistics().names(self._modes)

    def citations(self) -> list[str]:
        """Return the references in BibTeX.

        Returns
        -------
        list of str
        """
        return [
            "@article{Herr2019, title={Compressing physics with an autoencoder: Creating an "
            "atomic species representation to improve machine learning models in the chemical "
            "sciences}, author={Herr, John E. and Koh, Kevin and Yao, Kun and Parkhill, John}, "
            "journal={The Journal of Chemical Physics}, volume={151}, pages={084103}, "
            "year={2019}, doi={10.1063/1.5108803}}"
        ]

    def implementors(self) -> list[str]:
        """Return the authors of the featurizer.

        Returns
        -------
        list of str
        """
        return ["The sklearn-elmodes developers"]

    @property
    def _modes(self) -> ElementModes:
        """The modes from ``fit``, or the bundled modes of these settings."""
        if hasattr(self, "element_modes_"):
            return self.element_modes_
        if ElementModes.are_shipped(self.properties, self.n_components, self.autoencoder):
            return _shipped(self.properties)
        raise NotFittedError(
            "Only the modes of the default settings are bundled with the package; call fit() or "
            "fit_featurize_dataframe() to learn others."
        )

    def _read(self, entries: Any) -> Reading[Any]:
        reading = _inputs.read(entries)
        missing = Statistics().without_modes(reading.matter, self._modes)
        return reading.without({row: f"{reason}." for row, reason in missing.items()})

    def _compute(self, reading: Reading[Any]) -> Any:
        return Statistics().compute(reading.matter, self._modes, "float64")


@cache
def _shipped(properties: str) -> ElementModes:
    return ElementModes.from_properties(properties)
