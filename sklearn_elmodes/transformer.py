"""Transformer from compositions to features made of elemental modes."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    check_is_fitted,
)

from sklearn_elmodes import _inputs
from sklearn_elmodes._features import Layout, layout_of
from sklearn_elmodes._formula_grammar import OF_ESTIMATORS
from sklearn_elmodes._rows import Reading, Reasons, raise_first
from sklearn_elmodes._validation import own_parameters, strings
from sklearn_elmodes.autoencoder import ElementAutoencoder
from sklearn_elmodes.elements import PROPERTY_TABLES, SYMBOLS
from sklearn_elmodes.modes import DEFAULT_N_COMPONENTS, ElementModes, _source_of
from sklearn_elmodes.prototypes import Prototype
from sklearn_elmodes.typing import InputLike


class ElementalModeTransformer(TransformerMixin, BaseEstimator):
    """Transform compositions into features made of elemental modes.

    The modes are those of an :class:`ElementAutoencoder` trained on a table of
    element properties; neither X nor y influences them. ``fit`` creates the table of
    modes, checks that every row of X can be transformed and records the columns of X.
    The modes of named tables and default settings are bundled with the package, so
    that ``fit`` is fast. Other settings train an auto-encoder, which takes seconds and
    is repeated in every fold of a cross-validation unless the pipeline has a ``memory``.

    Parameters
    ----------
    n_components : int, default=12
        Number of modes per element.
    properties : {"extended", "herr2019"} or DataFrame, default="extended"
        Properties of the elements: the name of a table, see
        :func:`~sklearn_elmodes.elements.property_table`, or a DataFrame indexed by
        element symbol, with NaN where a value is unknown.
    prototype : str or Prototype, default=None
        Structure of all rows, such as ``"elpasolite"``; see :class:`Prototype`. The
        features are then the modes of the species on each site. None means formulas
        of any structure.
    pooling : {"statistics"} or None, default="statistics"
        How modes are combined when ``prototype=None``. "statistics" computes
        statistics over the composition, for any regressor. None returns, for each
        element in order of atomic number, its modes and its amount in the reduced
        formula unit, padded with zeros up to ``max_elements``, as required by
        ``FormationEnergyRegressor(architecture="set")``.
    max_elements : int, default=10
        Largest number of elements in a formula; only used when ``pooling=None``.
    handle_unknown : {"error", "nan"}, default="error"
        How to treat a row that contains an element without modes: raise an error that
        names the row and the element, or set all features of the row to NaN.
    handle_invalid : {"error", "nan"}, default="error"
        How to treat a row that cannot be read, does not fit the prototype or has more than
        ``max_elements`` elements: raise an error that names the row, or set all features
        of the row to NaN. The regressor and the classifier of this package predict NaN
        for such rows and refuse them in ``fit``. :meth:`check_rows` gives the reasons.
    dtype : {"float32", "float64"}, default="float32"
        Type of the output. Networks train about twice as fast in float32.
    autoencoder : ElementAutoencoder, default=None
        Auto-encoder to clone and train; its ``n_components`` is ignored. None means
        ``ElementAutoencoder(random_state=0)``.
    formulas : {"strict", "clean"}, default="strict"
        Which formulas are read. "strict" refuses all that
        :func:`~sklearn_elmodes.formulas.parse_formula` refuses. "clean" also reads what
        :func:`~sklearn_elmodes.formulas.clean_formula` can rewrite, such as ``Al₂O₃``,
        ``TiO2 (rutile)`` or ``D2O``, without a message; ``clean_formula`` shows what it
        changes.

    Attributes
    ----------
    element_modes_ : ElementModes
        The modes of the elements.
    modes_ : DataFrame of shape (n_elements, n_components)
        The modes as a DataFrame, indexed by element symbol.
    autoencoder_ : ElementAutoencoder or None
        The trained auto-encoder; None if the modes are bundled with the package.
    prototype_ : Prototype or None
        ``prototype`` as a :class:`Prototype`.
    n_features_in_ : int
        Number of columns of the X seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X is a DataFrame.

    See Also
    --------
    FormationEnergyRegressor : Ensemble of networks for these features.

    Notes
    -----
    The statistics are the mean, standard deviation, minimum and maximum of each mode
    and the covariance of each pair of modes over the atoms of a formula unit, weighted
    by atomic fraction. To second order in the modes the energy of a mixture depends
    only on mean and covariance, just as Pauling's bond energy depends on the squared
    difference in electronegativity. The last four features describe the
    stoichiometry: the number of elements, and the 2-norm, 3-norm and maximum of the
    atomic fractions [1]_.

    The reduced formula unit has the smallest integer amounts. For decimal amounts, as
    in La0.85Sr0.15MnO3, it has the smallest number of atoms for which the amounts are
    close to integers; see :func:`~sklearn_elmodes.compositions.reduce_amounts`.

    A site may be occupied by a mixture, ``"Na0.5K0.5"``. Its modes are the mean of the
    modes of its elements (virtual-crystal approximation).

    References
    ----------
    .. [1] L. Ward, A. Agrawal, A. Choudhary, C. Wolverton, "A general-purpose
       machine learning framework for predicting properties of inorganic
       materials", npj Comput. Mater. 2, 16028 (2016).

    Examples
    --------
    >>> from sklearn_elmodes import ElementalModeTransformer
    >>> ElementalModeTransformer(n_components=12).fit_transform(["NaCl", "Ca(OH)2"]).shape
    (2, 118)
    >>> sites = ElementalModeTransformer(prototype="elpasolite")
    >>> X = sites.fit_transform(["K2NaAlF6"])
    >>> X.shape
    (1, 48)
    >>> sites.get_feature_names_out()[[0, 12, 47]].tolist()
    ['A_mode1', 'B_mode1', 'D_mode12']
    >>> bool((X == sites.transform([["Na", "Al", "K", "F"]])).all())
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "properties": [StrOptions(set(PROPERTY_TABLES)), pd.DataFrame],
        "prototype": [str, Prototype, None],
        "pooling": [StrOptions({"statistics"}), None],
        "max_elements": [Interval(Integral, 1, len(SYMBOLS), closed="both")],
        "handle_unknown": [StrOptions({"error", "nan"})],
        "handle_invalid": [StrOptions({"error", "nan"})],
        "dtype": [StrOptions({"float32", "float64"})],
        "autoencoder": [ElementAutoencoder, None],
        "formulas": [StrOptions({"strict", "clean"})],
    }

    def __init__(
        self,
        n_components: int = DEFAULT_N_COMPONENTS,
        *,
        properties: Any = "extended",
        prototype: Any = None,
        pooling: str | None = "statistics",
        max_elements: int = 10,
        handle_unknown: str = "error",
        handle_invalid: str = "error",
        dtype: str = "float32",
        autoencoder: ElementAutoencoder | None = None,
        formulas: str = "strict",
    ) -> None:
        self.n_components = n_components
        self.properties = properties
        self.prototype = prototype
        self.pooling = pooling
        self.max_elements = max_elements
        self.handle_unknown = handle_unknown
        self.handle_invalid = handle_invalid
        self.dtype = dtype
        self.autoencoder = autoencoder
        self.formulas = formulas

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: InputLike, y: Any = None) -> ElementalModeTransformer:
        """Create the table of modes, and check that X can be transformed.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            Formula strings, ``{symbol: amount}`` mappings, pymatgen ``Composition`` or
            ``Structure`` objects or ASE ``Atoms``; or, with a prototype, the species on
            each site: symbols, atomic numbers or mixtures such as ``"Na0.5K0.5"``. Series
            and DataFrames may be those of pandas or polars.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        RowError
            If ``handle_invalid="error"`` and a row cannot be read, does not fit the
            prototype or has more than ``max_elements`` elements; or if
            ``handle_unknown="error"`` and a row contains an element without modes.
        ValueError
            If X has no rows or the wrong number of columns, or ``properties`` is invalid.
        """
        self._learn()._read(X, reset=True)
        return self

    def transform(self, X: InputLike) -> NDArray[Any]:
        """Return the features of each row.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._compute(self._read(X, reset=False))

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X: InputLike, y: Any = None) -> NDArray[Any]:
        """Fit and return the features of each row; X is read only once.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            As in ``fit``.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        return self._learn()._compute(self._read(X, reset=True))

    def check_rows(self, X: InputLike) -> tuple[NDArray[np.intp], pd.DataFrame]:
        """Find all rows for which ``transform`` would raise an error or return NaN.

        The transformer need not be fitted.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            As in ``fit``.

        Returns
        -------
        valid : ndarray of int
            Rows that can be transformed, in ascending order.
        rejected : DataFrame of shape (n_rejected, 2)
            Columns "value" (the row of X) and "reason", indexed by "row", counted
            from 0.

        Raises
        ------
        ValueError
            If X is neither a column of compositions nor a matrix of species.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_elmodes import ElementalModeTransformer
        >>> X = np.array(["NaCl", "NaCl2)", "KBr", "Xx"])
        >>> valid, rejected = ElementalModeTransformer().check_rows(X)
        >>> X[valid].tolist()
        ['NaCl', 'KBr']
        >>> rejected.loc[3, "reason"]
        "Cannot read the formula 'Xx': unknown element 'Xx' at position 0."
        """
        X = _inputs.as_sequence(X)
        if hasattr(self, "element_modes_"):
            reading = self._read_as_far_as_possible(X, reset=False, strict=True)
        else:
            unfitted = copy(self)._learn()
            reading = unfitted._read_as_far_as_possible(X, reset=True, strict=True)
        values = _inputs.values_of(X)
        rows = sorted(reading.rejected)
        rejected = pd.DataFrame(
            {
                "value": pd.Series([values[row] for row in rows], dtype=object),
                "reason": pd.Series([reading.rejected[row] for row in rows], dtype=object),
            }
        )
        return reading.rows, rejected.set_index(pd.Index(rows, dtype=np.intp, name="row"))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Checked against the columns seen in ``fit``, otherwise ignored.

        Returns
        -------
        ndarray of str
            ``A_mode1``, ``A_mode2``, … with a prototype; ``mean_mode1``, …,
            ``covariance_mode1_mode2``, …, ``n_elements``, … with statistics;
            ``element1_mode1``, …, ``element1_amount``, … with ``pooling=None``.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(self._layout.names(self.element_modes_), dtype=object)

    @property
    def modes_(self) -> pd.DataFrame:
        """Modes as a DataFrame, indexed by element symbol."""
        return self.element_modes_.to_frame()

    @property
    def autoencoder_(self) -> ElementAutoencoder | None:
        """The trained auto-encoder, if any."""
        return self.element_modes_.autoencoder

    @property
    def _layout(self) -> Layout:
        return layout_of(self.prototype_, self.pooling, self.max_elements)

    def _learn(self) -> Self:
        """Set the fitted attributes that do not depend on X."""
        self._set_modes(
            ElementModes.from_properties(self.properties, self.n_components, self.autoencoder)
        )
        return self

    def _set_mode_table(self, symbols: list[str], values: NDArray[np.float64]) -> None:
        """Set the fitted attributes from given modes."""
        self._set_modes(ElementModes(symbols, values, source=_source_of(self.properties)))

    def _set_modes(self, modes: ElementModes) -> None:
        self.element_modes_ = modes
        self.prototype_ = None if self.prototype is None else Prototype.of(self.prototype)

    def _comparable(self) -> ElementalModeTransformer:
        """Return a transformer whose features can be compared between rows.

        With ``pooling=None`` a feature belongs to different elements in different rows.
        """
        if self.prototype_ is not None or self.pooling is not None:
            return self
        pooled = ElementalModeTransformer(
            **{**self.get_params(deep=False), "pooling": "statistics"}
        )
        pooled._set_modes(self.element_modes_)
        return pooled

    def _read(self, X: Any, *, reset: bool) -> Reading[Any]:
        """Read all rows; raise a RowError for the first one that is an error."""
        strict = self.handle_unknown == "error"
        X = _inputs.as_sequence(X)
        if self.handle_invalid == "error":
            reading = self._read_as_far_as_possible(X, reset=reset, strict=strict)
            reading.complete()
        else:
            reading = self._read_as_far_as_possible(X, reset=reset, strict=False)
            if strict:
                unknown = self._without_modes(reading.matter)
                raise_first({int(reading.rows[row]): why for row, why in unknown.items()})
        if not reading.n_rows:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return reading

    def _read_as_far_as_possible(self, X: Any, *, reset: bool, strict: bool) -> Reading[Any]:
        """Read X and reject bad rows; elements without modes are bad if ``strict``."""
        _check_feature_names(self, X, reset=reset)
        if reset:
            self.n_features_in_ = _inputs.n_columns(X)
        rules = replace(OF_ESTIMATORS, clean=self.formulas == "clean", cleaner='formulas="clean"')
        reading = _inputs.read(X, self.prototype_, rules)
        if strict:
            reading = reading.without(self._without_modes(reading.matter))
        return reading.without(self._layout.without_room(reading.matter))

    def _without_modes(self, matter: Any) -> Reasons:
        missing = self._layout.without_modes(matter, self.element_modes_)
        return {row: f'{why}, or handle_unknown="nan".' for row, why in missing.items()}

    def _compute(self, reading: Reading[Any]) -> NDArray[Any]:
        """Compute the features; rejected rows are NaN."""
        layout, modes = self._layout, self.element_modes_
        if not reading.rejected:
            return layout.compute(reading.matter, modes, self.dtype)
        features = np.full((reading.n_rows, len(layout.names(modes))), np.nan, dtype=self.dtype)
        if len(reading.rows):
            features[reading.rows] = layout.compute(reading.matter, modes, self.dtype)
        return features

    def _to_record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays for a model file."""
        parameters = self.get_params(deep=False)
        arrays = {"modes": self.element_modes_.values}
        if isinstance(self.properties, pd.DataFrame):
            parameters["properties"] = {
                "index": self.properties.index.tolist(),
                "columns": self.properties.columns.astype(str).tolist(),
            }
            arrays["properties"] = self.properties.to_numpy(dtype=float)
        if self.prototype is not None:
            parameters["prototype"] = Prototype.of(self.prototype)._arguments()
        if self.autoencoder is not None:
            own = self.autoencoder.get_params()
            if not isinstance(self.autoencoder.random_state, Integral):
                own["random_state"] = None
            parameters["autoencoder"] = own
        settings = {
            "parameters": parameters,
            "elements": list(self.element_modes_.symbols),
            "modes_in_features": self._layout.holds_modes,
        }
        return settings, arrays

    @classmethod
    def _from_record(
        cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> ElementalModeTransformer:
        """Rebuild a fitted transformer from settings and arrays; check both."""
        parameters = own_parameters(cls, settings["parameters"])
        elements = strings(settings["elements"])
        if not elements or len(set(elements)) != len(elements):
            raise ValueError("it has no elements, or one of them twice")
        expected = {"modes": (len(elements), parameters["n_components"])}
        if isinstance(parameters["properties"], dict):
            table = parameters["properties"]
            index, columns = (strings(table[key]) for key in ("index", "columns"))
            expected["properties"] = (len(index), len(columns))
        if {name: array.shape for name, array in arrays.items()} != expected:
            raise ValueError("the modes or properties do not have the shapes of their tables")
        if "properties" in arrays:
            parameters["properties"] = pd.DataFrame(arrays["properties"], index, columns)
        if parameters["prototype"] is not None:
            parameters["prototype"] = Prototype(**parameters["prototype"])
        if parameters["autoencoder"] is not None:
            own = own_parameters(ElementAutoencoder, parameters["autoencoder"])
            parameters["autoencoder"] = ElementAutoencoder(**own)
        transformer = cls(**parameters)
        transformer._validate_params()
        transformer._set_mode_table(elements, arrays["modes"])
        return transformer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = True
        return tags
