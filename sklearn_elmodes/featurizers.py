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

from sklearn_elmodes.autoencoder import ElementAutoencoder
from sklearn_elmodes.formulas import RowError
from sklearn_elmodes.transformer import (
    DEFAULT_N_COMPONENTS,
    ElementalModeTransformer,
    ships_modes,
)

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
    transformer_ : ElementalModeTransformer
        What ``fit`` made. For a named table and the default settings the modes ship
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
        self.transformer_ = _fitted(self.n_components, self.properties, self.autoencoder)
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
        try:
            return self._transformer.transform([composition])[0].tolist()
        except RowError as error:
            # matminer makes the error again from its text alone, which a RowError does not allow.
            raise ValueError(_for_matminer(error.args[1])) from None

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
        if not ignore_errors:
            try:
                return self._transformer.transform(entries).tolist()
            except RowError as error:
                raise ValueError(
                    f"{_for_matminer(str(error))} To skip such rows, set ignore_errors=True."
                ) from None
        valid, rejected = self._transformer.check_rows(entries)
        features = np.full((len(entries), len(self.feature_labels())), np.nan)
        if len(valid):
            features[valid] = self._transformer.transform([entries[row] for row in valid])
        rows = features.tolist()
        if return_errors:
            reasons = rejected["reason"].map(_for_matminer).to_dict()
            rows = [[*row, reasons.get(i, np.nan)] for i, row in enumerate(rows)]
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
        return len(self._transformer.check_rows([composition])[0]) == 1

    def feature_labels(self) -> list[str]:
        """Return the names of the features, those of the transformer.

        Returns
        -------
        list of str
        """
        return self._transformer.get_feature_names_out().tolist()

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
    def _transformer(self) -> ElementalModeTransformer:
        """What ``fit`` made, or what needs no fit."""
        if hasattr(self, "transformer_"):
            return self.transformer_
        if ships_modes(self.n_components, self.properties, self.autoencoder):
            return _shipped(self.properties)
        raise NotFittedError(
            "Only modes of the default settings ship; call fit() or fit_featurize_dataframe() "
            "to learn others."
        )


def _for_matminer(reason: str) -> str:
    """Leave out the advice to set a parameter that only the transformer has."""
    return reason.replace(', or handle_unknown="nan"', "")


def _fitted(n_components: int, properties: Any, autoencoder: Any) -> ElementalModeTransformer:
    transformer = ElementalModeTransformer(
        n_components,
        properties=properties,
        autoencoder=autoencoder,
        dtype="float64",
        handle_unknown="nan",
    )
    # Nothing is learnt from the formula, whose element need not be in the table.
    transformer.set_output(transform="default").fit(["H"])
    return transformer.set_params(handle_unknown="error")


@cache
def _shipped(properties: str) -> ElementalModeTransformer:
    return _fitted(DEFAULT_N_COMPONENTS, properties, None)
