"""Compositions to features: the modes of the elements, site by site or pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from functools import partial
from importlib.resources import files
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    check_is_fitted,
)

from sklearn_elmodes._validation import own_parameters, shown, strings
from sklearn_elmodes.autoencoder import ElementAutoencoder, mode_names
from sklearn_elmodes.elements import ATOMIC_NUMBERS, PROPERTY_TABLES, SYMBOLS, property_table
from sklearn_elmodes.formulas import (
    Compositions,
    RowError,
    RowErrors,
    as_column,
    format_composition,
    parse_formulas,
    reduce_amounts,
    refuse,
)
from sklearn_elmodes.occupations import count_columns, factorize_sites, parse_species, read_species
from sklearn_elmodes.prototypes import Prototype, site_names

DEFAULT_N_COMPONENTS = 12
_STATISTICS = ("mean", "std", "min", "max")
_POOLED_ROWS = 2048  # rows pooled together


class ElementalModeTransformer(TransformerMixin, BaseEstimator):
    """Turn compositions into features made of elemental modes.

    The modes come from an :class:`ElementAutoencoder` over a table of element
    properties. Fitting never looks at y, and takes from X only its layout: it
    builds the table of modes and makes sure that every element in X has some.
    For a named table and the default settings the modes ship with the package,
    so that fitting is instant; other settings train an auto-encoder, which
    takes seconds and is repeated for every fold unless the pipeline has a
    ``memory``.

    Parameters
    ----------
    n_components : int, default=12
        Number of modes of an element.
    properties : {"extended", "herr2019"} or DataFrame, default="extended"
        What is known of the elements: a named table, see
        :func:`~sklearn_elmodes.elements.property_table`, or a frame of your own
        indexed by element symbol, with NaN where a value is unknown.
    prototype : str or Prototype, default=None
        Structure whose sites make the features, such as ``"ABC2D6"``; see
        :class:`Prototype`. None takes formulas of any kind.
    pooling : {"statistics"} or None, default="statistics"
        What becomes of the modes without a prototype: statistics over the
        composition, for any regressor, or as they are: for each element of the
        formula, by atomic number, its modes and its atoms in the reduced formula
        unit, then zeros up to ``max_elements``. That is what
        ``FormationEnergyRegressor(architecture="set")`` reads.
    max_elements : int, default=10
        Elements in a formula for which there is room with ``pooling=None``.
    handle_unknown : {"error", "nan"}, default="error"
        What to do with a row whose element has no modes: raise an error that
        names it, or return NaN in all features of that row.
    dtype : {"float32", "float64"}, default="float32"
        Type of the output. A network trains in float32 twice as fast.
    autoencoder : ElementAutoencoder, default=None
        Settings for the auto-encoder, apart from its ``n_components``; None
        takes its defaults with ``random_state=0``.

    Attributes
    ----------
    modes_ : DataFrame of shape (n_elements, n_components)
        Modes by element symbol.
    autoencoder_ : ElementAutoencoder or None
        The auto-encoder that was trained, or None for modes that ship.
    prototype_ : Prototype or None
    n_features_in_ : int
        Number of columns of the X seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a frame.

    See Also
    --------
    FormationEnergyRegressor : A network for such features.

    Notes
    -----
    Without a prototype the features are statistics of the modes over the atoms
    of a formula unit, with the atomic fractions as weights: mean, standard
    deviation, smallest and largest value of each mode, and the covariance of
    each pair of modes. To second order in the
    modes the energy of a mixture depends on mean and covariance alone, as
    Pauling's energy of a bond depends on the squared difference in
    electronegativity. Stoichiometry itself adds the number of elements and the
    2-norm, 3-norm and maximum of the atomic fractions [1]_.

    The reduced formula unit has the smallest whole amounts. Where these are not
    whole, as in La0.85Sr0.15MnO3, it has the smallest whole number of atoms for which
    they are nearly; see :func:`~sklearn_elmodes.formulas.reduce_amounts`.

    A site may hold a mixture, ``"Na0.5K0.5"``: its modes are the mean of those
    of its elements (the virtual-crystal approximation).

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
    >>> sites = ElementalModeTransformer(prototype="ABC2D6")
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
        "dtype": [StrOptions({"float32", "float64"})],
        "autoencoder": [ElementAutoencoder, None],
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
        dtype: str = "float32",
        autoencoder: ElementAutoencoder | None = None,
    ) -> None:
        self.n_components = n_components
        self.properties = properties
        self.prototype = prototype
        self.pooling = pooling
        self.max_elements = max_elements
        self.handle_unknown = handle_unknown
        self.dtype = dtype
        self.autoencoder = autoencoder

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> ElementalModeTransformer:
        """Build the table of modes, and check that X can be read with it.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            Formula strings, ``{symbol: amount}`` mappings or pymatgen
            ``Composition`` objects; or, with a prototype, what sits on each
            site: symbols, atomic numbers or mixtures such as ``"Na0.5K0.5"``.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a row cannot be read, does not fit the prototype, has more than
            ``max_elements`` elements, or contains an element without modes and
            ``handle_unknown="error"``.
        """
        self._set_modes()
        self._read_features(X, reset=True)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
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
        return self._read_features(X, reset=False)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X: Any, y: Any = None) -> NDArray[Any]:
        """Fit and return the features of each row, reading X once.

        Parameters and errors are those of ``fit``.
        """
        self._set_modes()
        return self._read_features(X, reset=True)

    def check_rows(self, X: Any) -> tuple[NDArray[np.intp], pd.DataFrame]:
        """Find all rows that ``transform`` would refuse or fill with NaN, in one pass.

        Parameters
        ----------
        X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
            As in ``fit``.

        Returns
        -------
        valid : ndarray of int
            The rows that can be transformed, in order.
        rejected : DataFrame of shape (n_rejected, 2)
            Columns "value" (what the row holds) and "reason", indexed by "row",
            counted from 0.

        Raises
        ------
        ValueError
            If X is no column of compositions or matrix of species at all.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_elmodes import ElementalModeTransformer
        >>> X = np.array(["NaCl", "NaCl2)", "KBr", "Xx"])
        >>> valid, rejected = ElementalModeTransformer().fit(["NaCl"]).check_rows(X)
        >>> X[valid].tolist()
        ['NaCl', 'KBr']
        >>> rejected.loc[3, "reason"]
        "Cannot read the formula 'Xx': unknown element 'Xx' at position 0."
        """
        check_is_fitted(self)
        X = _sliceable(X)
        single = count_columns(X) == 1
        values = as_column(X) if single else X.to_numpy() if hasattr(X, "to_numpy") else X
        errors = RowErrors(len(values))
        read = self._as_read(X, reset=False, errors=errors)
        if isinstance(read, Compositions):
            self._check_elements(read, errors)
            if self.pooling is None:
                self._check_room(read, errors)
        else:
            sites = self.prototype_.sites  # type: ignore[union-attr]
            read_species(*read, partial(self._species_modes, strict=True), sites, errors)
        rows = sorted(errors.reasons)
        rejected = pd.DataFrame(
            {
                "value": pd.Series([values[row] for row in rows], dtype=object),
                "reason": pd.Series([errors.reasons[row] for row in rows], dtype=object),
            }
        )
        return errors.rows, rejected.set_index(pd.Index(rows, dtype=np.intp, name="row"))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Checked against the columns seen in ``fit``, and not used.

        Returns
        -------
        ndarray of str
            ``A_mode1``, ``A_mode2``, … for sites; ``mean_mode1``, …,
            ``covariance_mode1_mode2``, …, ``n_elements``, … for statistics;
            ``element1_mode1``, …, ``element1_amount``, … without pooling.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        modes = mode_names(self.modes_.shape[1])
        if self.prototype_ is not None:
            return np.array(site_names(self.prototype_, modes), dtype=object)
        if self.pooling is None:
            blocks = [f"element{number + 1}" for number in range(self.max_elements)]
            return np.array([f"{b}_{n}" for b in blocks for n in (*modes, "amount")], dtype=object)
        names = [f"{statistic}_{mode}" for statistic in _STATISTICS for mode in modes]
        first, second = np.triu_indices(len(modes), k=1)
        names += [f"covariance_{modes[i]}_{modes[j]}" for i, j in zip(first, second, strict=True)]
        names += ["n_elements", "fraction_norm2", "fraction_norm3", "fraction_max"]
        return np.array(names, dtype=object)

    def _set_modes(self) -> None:
        self.autoencoder_ = None
        if ships_modes(self.n_components, self.properties, self.autoencoder):
            modes = shipped_modes(self.properties)
        else:
            named = isinstance(self.properties, str)
            table = property_table(self.properties) if named else self.properties
            modes, self.autoencoder_ = learn_modes(table, self.n_components, self.autoencoder)
        self._set_mode_table(modes.index.tolist(), modes.to_numpy())

    def _set_mode_table(self, symbols: list[str], modes: NDArray[np.float64]) -> None:
        """Set what is fitted, all of which follows from parameters and modes."""
        self.prototype_ = None if self.prototype is None else Prototype.of(self.prototype)
        self.modes_ = pd.DataFrame(
            modes, index=pd.Index(symbols, name="symbol"), columns=mode_names(self.n_components)
        )
        # Row Z holds the modes of atomic number Z; NaN where there are none.
        by_number = np.full((len(SYMBOLS) + 1, self.modes_.shape[1]), np.nan)
        by_number[[ATOMIC_NUMBERS[symbol] for symbol in symbols]] = modes
        self._modes_by_number = by_number

    def _read_features(self, X: Any, *, reset: bool) -> NDArray[Any]:
        """Read X and compute its features; the first row at fault is in the error."""
        X = _sliceable(X)
        try:
            return self._features(self._as_read(X, reset=reset))
        except RowError as error:
            first = error
        if first.row:  # a later step may refuse a row before it
            self._read_features(getattr(X, "iloc", X)[: first.row], reset=False)
        raise first

    def _as_read(
        self, X: Any, *, reset: bool, errors: RowErrors | None = None
    ) -> Compositions | tuple[NDArray[np.intp], list[Any]]:
        """Read X into compositions, or into sites and what they hold.

        The number and names of the columns are recorded or checked on the way.
        ``errors`` takes rows that cannot be read, in place of an exception.
        """
        _check_feature_names(self, X, reset=reset)
        sites = () if self.prototype_ is None else self.prototype_.sites
        if len(sites) > 1 and set(getattr(X, "columns", ())) == set(sites):
            X = X[list(sites)]  # columns named like the sites may come in any order
        n_columns = count_columns(X)
        if reset:
            self.n_features_in_ = n_columns
        if self.prototype_ is None:
            return parse_formulas(X, errors=errors)
        if len(sites) == 1:
            return factorize_sites([[species] for species in as_column(X)], errors)
        if n_columns == 1:
            compositions = parse_formulas(X, errors=errors)
            numbers = self.prototype_.assign_all(compositions, errors)
            return numbers, list(range(len(SYMBOLS) + 1))
        if n_columns != self.prototype_.n_sites:
            raise ValueError(
                f"X has {n_columns} columns; the prototype {self.prototype_.formula} has the "
                f"{self.prototype_.n_sites} sites {', '.join(self.prototype_.sites)}. Pass one "
                "column of formulas, or one column for each site."
            )
        return factorize_sites(X, errors)

    def _features(self, read: Compositions | tuple[NDArray[np.intp], list[Any]]) -> NDArray[Any]:
        if not len(read if isinstance(read, Compositions) else read[0]):
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        if isinstance(read, Compositions):
            return self._pooled(read) if self.pooling else self._by_element(read)
        return self._by_site(*read)

    def _by_site(self, sites: NDArray[np.intp], species: list[Any]) -> NDArray[Any]:
        """Look up the modes of what sits on each site."""
        names = self.prototype_.sites  # type: ignore[union-attr]
        found = read_species(sites, species, self._species_modes, names)
        modes = np.zeros((len(species), self._modes_by_number.shape[1]), dtype=self.dtype)
        modes[list(found)] = list(found.values())
        features = modes[sites]  # (n_samples, n_sites, n_components)
        if np.isnan(modes).any():
            features[np.isnan(features).any(axis=(1, 2))] = np.nan
        return features.reshape(len(sites), -1)

    def _species_modes(self, species: Any, strict: bool = False) -> NDArray[np.float64]:
        """Return the modes of a symbol, an atomic number or a mixture.

        NaN only if ``handle_unknown`` asks for it, and not if ``strict``.
        """
        amounts = parse_species(species)
        modes = self._modes_by_number[[ATOMIC_NUMBERS[symbol] for symbol in amounts]]
        unknown = np.isnan(modes[:, 0])
        if unknown.any() and (strict or self.handle_unknown == "error"):
            raise ValueError(self._no_modes(list(amounts)[int(unknown.argmax())]))
        weights = np.fromiter(amounts.values(), dtype=float)
        return weights / weights.sum() @ modes

    def _pooled(self, compositions: Compositions) -> NDArray[Any]:
        """Compute the statistics of the modes over each composition."""
        by_number = self._modes_by_number
        unknown = self._check_elements(compositions)
        first, second = np.triu_indices(by_number.shape[1], k=1)
        moments = np.hstack([by_number, by_number**2, by_number[:, first] * by_number[:, second]])
        # What comes of the moments, smallest and largest modes, and four of the stoichiometry.
        n_features = moments.shape[1] + 2 * by_number.shape[1] + 4
        features = np.empty((len(compositions), n_features), dtype=self.dtype)
        for start in range(0, len(compositions), _POOLED_ROWS):
            stop = start + _POOLED_ROWS
            self._pool_block(compositions.part(start, stop), moments, features[start:stop])
        if unknown.any():
            features[compositions.rows[unknown]] = np.nan
        return features

    @property
    def _modes_in_blocks(self) -> NDArray[np.float64] | None:
        """The modes that stand in the features as they are; None where they are pooled."""
        pooled = self.prototype_ is None and self.pooling is not None
        return None if pooled else self.modes_.to_numpy()

    def _by_element(self, compositions: Compositions) -> NDArray[Any]:
        """Write modes and amount of each element of a formula, one element after the other."""
        unknown = self._check_elements(compositions)
        self._check_room(compositions)
        rows, numbers = compositions.rows, compositions.atomic_numbers
        order = np.lexsort([numbers, rows])
        place = np.arange(len(rows)) - compositions.starts[rows]
        shape = len(compositions), self.max_elements
        features = np.zeros((*shape, self._modes_by_number.shape[1] + 1), dtype=self.dtype)
        amounts = np.zeros(shape)
        amounts[rows, place] = compositions.amounts[order]
        features[:, :, -1] = reduce_amounts(amounts)
        features[rows, place, :-1] = self._modes_by_number.astype(self.dtype)[numbers[order]]
        if unknown.any():
            features[rows[unknown]] = np.nan
        return features.reshape(len(features), -1)

    def _check_room(self, compositions: Compositions, errors: RowErrors | None = None) -> None:
        """Refuse formulas of too many elements."""
        n_elements = np.diff(compositions.starts)
        found = {}
        for row in np.flatnonzero(n_elements > self.max_elements).tolist():
            formula = format_composition(compositions[row])
            found[row] = (
                f"{formula} has {n_elements[row]} elements; there is room for "
                f"max_elements={self.max_elements}."
            )
        refuse(found, errors)

    def _check_elements(
        self, compositions: Compositions, errors: RowErrors | None = None
    ) -> NDArray[np.bool_]:
        """Mark the entries whose element has no modes, shape (n_entries,); refuse them."""
        unknown = np.isnan(self._modes_by_number[:, 0])[compositions.atomic_numbers]
        if unknown.any() and (self.handle_unknown == "error" or errors is not None):
            found: dict[int, str] = {}
            rows = compositions.rows
            for entry in np.flatnonzero(unknown).tolist():
                row = int(rows[entry])
                symbol = SYMBOLS[compositions.atomic_numbers[entry] - 1]
                formula = format_composition(compositions[row])
                found.setdefault(row, f"{formula}: {self._no_modes(symbol)}")
                if errors is None:
                    break
            refuse(found, errors)
        return unknown

    def _pool_block(
        self,
        compositions: Compositions,
        moments: NDArray[np.float64],
        features: NDArray[Any],
    ) -> None:
        """Fill in the features of so few rows that everything stays in the cache."""
        numbers, starts = compositions.atomic_numbers, compositions.starts[:-1]
        n_elements = np.diff(compositions.starts)
        fraction = compositions.fractions
        modes = self._modes_by_number.astype(self.dtype)  # (119, n_modes)
        n_modes = modes.shape[1]
        first, second = np.triu_indices(n_modes, k=1)

        # Means of the modes and of their products, in double precision: a
        # covariance is a small difference between them.
        weights = csr_array(
            (fraction, numbers, compositions.starts),
            shape=(len(compositions), len(moments)),
        )
        means = np.asarray(weights @ moments)
        mean, square, product = np.split(means, [n_modes, 2 * n_modes], axis=1)
        mean = np.ascontiguousarray(mean)
        product -= np.take(mean, first, axis=1) * np.take(mean, second, axis=1)

        smallest = largest = np.take(modes, numbers[starts], axis=0)
        for place in range(1, n_elements.max()):
            # A formula with fewer elements repeats its last one, which changes nothing.
            entries = starts + np.minimum(place, n_elements - 1)
            other = np.take(modes, numbers[entries], axis=0)
            smallest, largest = np.minimum(smallest, other), np.maximum(largest, other)

        statistics = [
            mean,
            np.sqrt(np.maximum(square - mean**2, 0.0)),
            smallest,
            largest,
            product,
            n_elements[:, None],
            np.add.reduceat(fraction**2, starts)[:, None] ** (1 / 2),
            np.add.reduceat(fraction**3, starts)[:, None] ** (1 / 3),
            np.maximum.reduceat(fraction, starts)[:, None],
        ]
        np.concatenate(statistics, axis=1, out=features, casting="same_kind")

    def _no_modes(self, symbol: str) -> str:
        named = isinstance(self.properties, str)
        table = f"property table {self.properties!r}" if named else "DataFrame of properties"
        return (
            f"no modes for the element {symbol}, which the {table} lacks. Use a table that has "
            'it, or handle_unknown="nan".'
        )

    def _to_record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays for a model file."""
        parameters = self.get_params(deep=False)
        arrays = {"modes": self.modes_.to_numpy()}
        if isinstance(self.properties, pd.DataFrame):
            parameters["properties"] = {
                "index": self.properties.index.tolist(),
                "columns": self.properties.columns.astype(str).tolist(),
            }
            arrays["properties"] = self.properties.to_numpy(dtype=float)
        if self.prototype is not None:
            prototype = Prototype.of(self.prototype)
            parameters["prototype"] = [prototype.formula, prototype.equivalent_sites]
        if self.autoencoder is not None:
            parameters["autoencoder"] = self.autoencoder.get_params()
        settings = {
            "parameters": parameters,
            "elements": self.modes_.index.tolist(),
            "modes_in_features": self._modes_in_blocks is not None,
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
            parameters["prototype"] = Prototype(*parameters["prototype"])
        if parameters["autoencoder"] is not None:
            own = own_parameters(ElementAutoencoder, parameters["autoencoder"])
            parameters["autoencoder"] = ElementAutoencoder(**own)
        transformer = cls(**parameters)
        transformer._validate_params()
        transformer.autoencoder_ = None
        transformer._set_mode_table(elements, arrays["modes"])
        return transformer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = True
        return tags


def _sliceable(X: Any) -> Any:
    """Make a list of what can only be iterated over; leave what is no column as it is."""
    if hasattr(X, "shape") or isinstance(X, (list, str, bytes, Mapping, Set)):
        return X
    return list(X) if isinstance(X, Iterable) else X


def learn_modes(
    table: pd.DataFrame, n_components: int, autoencoder: ElementAutoencoder | None = None
) -> tuple[pd.DataFrame, ElementAutoencoder]:
    """Train an auto-encoder on a property table indexed by element symbol.

    Returns
    -------
    modes : DataFrame of shape (n_elements, n_components)
    autoencoder : ElementAutoencoder
        The trained one; that given is left as it is.
    """
    for symbol in table.index:
        if not isinstance(symbol, str) or symbol not in ATOMIC_NUMBERS:
            raise ValueError(
                f"properties must be indexed by element symbol; {shown(symbol)} is none."
            )
    try:
        values = table.astype(object).where(table.notna(), np.nan).to_numpy(dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"properties must be numbers, or NaN where unknown: {error}") from error
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise ValueError(
            f"properties holds {values[row, column]} for {table.index[row]} in the column "
            f"{table.columns[column]!r}; use NaN for what is unknown."
        )
    table = pd.DataFrame(values, table.index, table.columns.map(str))
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise ValueError(f"properties has several rows for the element {twice}.")
    autoencoder = ElementAutoencoder(random_state=0) if autoencoder is None else clone(autoencoder)
    autoencoder.set_params(n_components=n_components)
    modes = autoencoder.set_output(transform="default").fit_transform(table)
    return pd.DataFrame(modes, index=table.index, columns=mode_names(n_components)), autoencoder


def ships_modes(n_components: int, properties: Any, autoencoder: Any) -> bool:
    """Whether modes of these settings ship, so that none need be learnt."""
    named = isinstance(properties, str)
    return named and autoencoder is None and n_components == DEFAULT_N_COMPONENTS


def shipped_modes(properties: str) -> pd.DataFrame:
    """Read the modes of a named property table that ship with the package."""
    path = files("sklearn_elmodes.pretrained").joinpath(f"modes_{properties}.csv")
    with path.open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col="symbol", keep_default_na=False, na_values=[""])
