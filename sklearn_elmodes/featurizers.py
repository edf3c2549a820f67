"""Elemental modes as a matminer featurizer, beside Magpie and all others.

The only module that imports matminer's featurizers, which takes seconds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
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
    """Statistics of the elemental modes over a composition, for matminer.

    The features of :class:`~sklearn_elmodes.ElementalModeTransformer` without a
    prototype, in double precision, with matminer's ``featurize_dataframe``,
    ``MultipleFeaturizer`` and ``ignore_errors``. In a scikit-learn pipeline the
    transformer itself serves better.

    ``featurize_many`` and ``featurize_dataframe`` compute all rows at once, in
    this process and without a progress bar: processes and ``set_n_jobs`` would
    only slow them down. A ``MultipleFeaturizer`` does so only with
    ``iterate_over_entries=False``; else it goes row by row.

    Parameters
    ----------
    n_components : int, default=12
        Number of modes of an element.
    properties : {"extended", "herr2019"} or DataFrame, default="extended"
        What is known of the elements: a named table, see
        :func:`~sklearn_elmodes.elements.property_table`, or a frame of your own
        indexed by element symbol, with NaN where a value is unknown.
    autoencoder : ElementAutoencoder, default=None
        Settings for the auto-encoder, apart from its ``n_components``.

    Attributes
    ----------
    element_modes_ : ElementModes
        Set by ``fit``. For a named table and the default settings the modes ship
        with the package, and ``fit`` is not needed.

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
        """Learn the modes, or read those that ship.

        Parameters
        ----------
        X, y : object
            Ignored: modes depend on the properties of the elements alone.
        **fit_kwargs
            Ignored, for other featurizers of a ``MultipleFeaturizer``.

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
            What is to be featurized.

        Returns
        -------
        list of float

        Raises
        ------
        ValueError
            If it cannot be read, or an element has no modes.
        """
        reading = self._read([composition])
        if reading.rejected:
            # matminer makes the error again from its text alone, which a RowError does not allow.
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
            NaN for rows that cannot be featurized, in place of an error.
        return_errors : bool, default=False
            With ``ignore_errors``: add to each row the reason why it could not be
            featurized, NaN where it could.
        pbar : object
            Ignored.

        Returns
        -------
        list of list of float

        Raises
        ------
        ValueError
            If a row cannot be featurized and errors are not ignored; the message names
            the row, counted from 0.
        """
        if return_errors and not ignore_errors:
            raise ValueError("Please set ignore_errors to True to use return_errors.")
        if not isinstance(entries, (tuple, list, np.ndarray, pd.Series, pd.DataFrame)):
            raise ValueError(f"entries must be a list-like object, not {type(entries).__name__}.")
        if not len(entries):
            return []
        if isinstance(entries, (pd.Series, pd.DataFrame)):
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
        """Tell whether a composition can be featurized.

        Parameters
        ----------
        composition : Composition, str or mapping of str to float
            What is to be checked.

        Returns
        -------
        bool
        """
        return not self._read([composition]).rejected

    def feature_labels(self) -> list[str]:
        """Return the names of the features, as the transformer names them.

        Returns
        -------
        list of str
        """
        return Statistics().names(self._modes)

    def citations(self) -> list[str]:
        """Return what to cite, in BibTeX.

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
        """Return who wrote the featurizer.

        Returns
        -------
        list of str
        """
        return ["The sklearn-elmodes developers"]

    @property
    def _modes(self) -> ElementModes:
        """The modes that ``fit`` learned, or those that need no fit."""
        if hasattr(self, "element_modes_"):
            return self.element_modes_
        if ElementModes.are_shipped(self.properties, self.n_components, self.autoencoder):
            return _shipped(self.properties)
        raise NotFittedError(
            "Only modes of the default settings ship; call fit() or fit_featurize_dataframe() "
            "to learn others."
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
