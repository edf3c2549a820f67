"""Stability from predicted formation energies: a regressor and a classifier around a model."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import Tags, _safe_indexing, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._inputs import as_sequence, composition_groups
from sklearn_elmodes._validation import shown
from sklearn_elmodes.stability import CompetingPhases, _energies
from sklearn_elmodes.typing import InputLike

Floats = NDArray[np.float64]

_HELD_OUT = 0.2  # share of the compositions on which probabilities are calibrated


class _Stability(MetaEstimatorMixin, BaseEstimator):
    """A model of formation energies and a hull, with decomposition energies as the target."""

    model: Any
    hull: CompetingPhases

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _check(self) -> None:
        if not isinstance(self.hull, CompetingPhases):
            raise ValueError(f"hull must be a CompetingPhases, got {shown(self.hull)}.")
        self.hull._check_source(self.model)

    def _fit_model(self, X: Any, energies: Floats, fit_params: dict[str, Any]) -> Any:
        """Fit a clone of the model to formation energies."""
        return clone(self.model).fit(X, energies, **fit_params)

    def _predict(self, model: Any, X: Any, return_std: bool) -> Any:
        hull = self.hull.hull_energy(X, exclude_self=True)
        if not return_std:
            return np.asarray(model.predict(X), dtype=np.float64) - hull
        predicted, std = model.predict(X, return_std=True)
        return np.asarray(predicted, dtype=np.float64) - hull, np.asarray(std)


class StabilityRegressor(RegressorMixin, _Stability):
    """Predict decomposition energies: predicted formation energies relative to a hull.

    Parameters
    ----------
    model : estimator
        Regressor of formation energies in eV/atom from compositions, such as a pipeline of
        :func:`make_formation_energy_pipeline`. ``fit`` trains a clone; to use a fitted model
        as it is, pass ``sklearn.frozen.FrozenEstimator(model)``.
    hull : CompetingPhases
        Fitted, with energies like those of the model.

    Attributes
    ----------
    model_ : estimator
        The fitted model.

    Notes
    -----
    The phases of a hull are known without error, as calculations are; only the energy of the
    compound is predicted. The standard deviation is that of the model.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn_elmodes import CompetingPhases, StabilityRegressor, load_pretrained
    >>> from sklearn_elmodes.datasets import load_oqmd_phases
    >>> hull = CompetingPhases("OQMD").fit(*load_oqmd_phases(return_X_y=True))
    >>> model = StabilityRegressor(FrozenEstimator(load_pretrained("oqmd")), hull)
    >>> model = model.fit(["NaCl"], hull.decomposition_energy(["NaCl"], [-2.0]))
    >>> model.predict(["NaCl3"]).round(1)
    array([0.1])
    """

    def __init__(self, model: Any, hull: CompetingPhases) -> None:
        self.model = model
        self.hull = hull

    def fit(self, X: InputLike, y: Any, **fit_params: Any) -> Self:
        """Train the model on the formation energies that y and the hull give.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        y : array-like of shape (n_samples,)
            Decomposition energies in eV/atom, as from
            :meth:`~sklearn_elmodes.CompetingPhases.decomposition_energy`.
        **fit_params
            Passed to ``fit`` of the model.

        Returns
        -------
        self : object

        Raises
        ------
        RowError
            If a row cannot be read, or its energy is not a finite number.
        ValueError
            If the hull is not that of the model, or ``y`` has another length than X.
        """
        self._check()
        X = as_sequence(X)
        hull = self.hull.hull_energy(X, exclude_self=True)
        self.model_ = self._fit_model(X, _energies(y, len(hull)) + hull, fit_params)
        return self

    def predict(self, X: InputLike, return_std: bool = False) -> Any:
        """Predict decomposition energies.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        return_std : bool, default=False
            Return the standard deviation as well; the model must offer it.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            In eV/atom; at most 0 for a compound that is predicted to be stable.
        std : ndarray of shape (n_samples,)
            Only with ``return_std=True``.
        """
        check_is_fitted(self)
        return self._predict(self.model_, as_sequence(X), return_std)


class StabilityClassifier(ClassifierMixin, _Stability):
    """Predict whether compounds are stable, and with which probability.

    A compound counts as stable if its predicted decomposition energy is at most
    ``threshold``. Its probability is calibrated on compounds that the model has not seen: by
    isotonic regression of their stability on the distance of the prediction from the
    threshold, in standard deviations if the model predicts them.

    Parameters
    ----------
    model : estimator
        As for :class:`StabilityRegressor`. Of a ``FrozenEstimator``, ``fit`` only calibrates
        the probabilities; the rows must be new to the model.
    hull : CompetingPhases
        Fitted, with energies like those of the model.
    threshold : float, default=0.0
        Largest decomposition energy of a stable compound, in eV/atom. A larger one also
        accepts metastable compounds.
    random_state : int, RandomState instance or None, default=None
        Seed for the choice of the fifth of the compositions that is held out to calibrate
        the probabilities. The model is then fitted to all rows.

    Attributes
    ----------
    model_ : estimator
        The fitted model.
    classes_ : ndarray of shape (2,)
        False and True.
    calibrator_ : IsotonicRegression
        From ``decision_function`` to probability.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn_elmodes import CompetingPhases, StabilityClassifier, load_pretrained
    >>> from sklearn_elmodes.datasets import load_oqmd_phases
    >>> X, y = load_oqmd_phases(return_X_y=True)
    >>> hull = CompetingPhases("OQMD").fit(X, y)
    >>> model = StabilityClassifier(FrozenEstimator(load_pretrained("oqmd")), hull)
    >>> model = model.fit(X[::50], hull.decomposition_energy(X[::50], y[::50]))
    >>> model.predict(["NaCl", "NaCl3"])
    array([ True, False])
    """

    def __init__(
        self,
        model: Any,
        hull: CompetingPhases,
        threshold: float = 0.0,
        *,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.hull = hull
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X: InputLike, y: Any, **fit_params: Any) -> Self:
        """Train the model, and calibrate the probabilities on rows held out.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        y : array-like of shape (n_samples,)
            Decomposition energies in eV/atom, from which a model can learn more than from
            labels.
        **fit_params
            Passed to ``fit`` of the model; one value for all rows each.

        Returns
        -------
        self : object

        Raises
        ------
        RowError
            If a row cannot be read, or its energy is not a finite number.
        ValueError
            If the hull is not that of the model, ``y`` has another length than X or contains
            labels, or there are fewer than two compositions.
        """
        self._check()
        if np.asarray(y).dtype == bool:
            raise ValueError("y contains labels; it must contain decomposition energies.")
        X = as_sequence(X)
        hull = self.hull.hull_energy(X, exclude_self=True)
        y = _energies(y, len(hull))
        if isinstance(self.model, FrozenEstimator):
            self.model_ = self.model
            self._calibrate(self.model_, X, y)
        else:
            groups = composition_groups(X)
            if len(np.unique(groups)) < 2:
                raise ValueError("X needs at least two compositions, of which one is held out.")
            seed = check_random_state(self.random_state)
            part, rest = next(
                GroupShuffleSplit(1, test_size=_HELD_OUT, random_state=seed).split(y, groups=groups)
            )
            trained = self._fit_model(_safe_indexing(X, part), (y + hull)[part], fit_params)
            self._calibrate(trained, _safe_indexing(X, rest), y[rest])
            self.model_ = self._fit_model(X, y + hull, fit_params)
        self.classes_ = np.array([False, True])
        return self

    def _calibrate(self, model: Any, X: Any, y: Floats) -> None:
        self.calibrator_ = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
            self._decide(model, X), y <= self.threshold
        )

    def _decide(self, model: Any, X: Any) -> Floats:
        if not _has_std(model):
            return np.asarray(self.threshold - self._predict(model, X, False))
        energy, std = self._predict(model, X, True)
        return np.asarray((self.threshold - energy) / np.maximum(std, np.finfo(float).tiny))

    def decision_function(self, X: InputLike) -> Floats:
        """Return how far below the threshold compounds are, in standard deviations.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.

        Returns
        -------
        ndarray of shape (n_samples,)
            Not negative for stable compounds. In eV/atom if the model has no standard
            deviation.
        """
        check_is_fitted(self)
        return self._decide(self.model_, as_sequence(X))

    def predict(self, X: InputLike) -> NDArray[np.bool_]:
        """Predict which compounds are stable.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.

        Returns
        -------
        ndarray of bool of shape (n_samples,)
        """
        return self.decision_function(X) >= 0

    def predict_proba(self, X: InputLike) -> Floats:
        """Predict the probability that compounds are stable.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.

        Returns
        -------
        ndarray of shape (n_samples, 2)
            Columns in the order of ``classes_``.
        """
        stable = self.calibrator_.predict(self.decision_function(X))
        return np.stack([1 - stable, stable], axis=1)

    def score(self, X: InputLike, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        y : array-like of shape (n_samples,)
            Decomposition energies in eV/atom, or labels of type bool.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        true = np.asarray(y)
        if true.dtype != bool:
            true = _energies(y, len(predicted)) <= self.threshold
        return float(accuracy_score(true, predicted, sample_weight=sample_weight))


def _has_std(model: Any) -> bool:
    """Whether ``predict`` of a fitted model offers ``return_std``."""
    last = model
    while isinstance(last, FrozenEstimator):
        last = last.estimator
    if hasattr(last, "steps"):
        last = last.steps[-1][1]
    return bool(getattr(last, "_has_std", False))
