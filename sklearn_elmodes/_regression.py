"""Base class of regressors: scaled target, calibrated std, model files."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._ensemble import NetworkEnsemble
from sklearn_elmodes._model_files import Settings
from sklearn_elmodes._sources import Source
from sklearn_elmodes._units import guess_unit
from sklearn_elmodes._validation import check_target
from sklearn_elmodes._weights import drop_weightless, positive_weights

_ERROR_OF_SAME = 2.0  # largest error on the same quantity, in median deviations of y


class EnsembleRegressor(RegressorMixin, NetworkEnsemble):
    """An ensemble of networks that predicts numbers, with the parameter ``calibrate_std``."""

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEnsemble._parameter_constraints,
        "calibrate_std": ["boolean"],
    }

    calibrate_std: bool

    def _fit(self, X: Any, y: Any, checkpoint: Any, sample_weight: Any = None) -> None:
        check_target(y)
        X, y = self._read(X, y, y_numeric=True)
        seed = self._draw_seed()
        arguments = self._network_arguments(X, seed)
        self._check_checkpoint(checkpoint, self.early_stopping or self.calibrate_std)
        if self.calibrate_std and self.n_estimators == 1:
            raise ValueError("calibrate_std=True needs n_estimators of at least 2, not 1.")
        y = y.astype(np.float64)
        if not np.isfinite(y).all():  # None in an object array becomes NaN only here
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise ValueError(f"The target of row {row} is {y[row]}; it must be a finite number.")
        weights = positive_weights(sample_weight, X)
        X, y, weights = drop_weightless(X, y, weights)
        initial = self._start_with_target(X, y, weights, arguments)
        if not np.isfinite(self.target_scale_):
            raise ValueError(f"The target is too large to be scaled: its maximum is {y.max()}.")
        y = (y - self.target_mean_) / self.target_scale_
        if len(y) == 1:
            warnings.warn(
                "X has a single row: the model predicts its target everywhere.",
                UserWarning,
                stacklevel=5,
            )

        data = (X, y) if weights is None else (X, y, weights)
        training: Any = data
        held_out: Any = None
        if self.early_stopping or self.calibrate_std:
            part, rest = self._hold_out(X, arguments, seed)
            training = tuple(array[part] for array in data)
            held_out = tuple(array[rest] for array in data)
        self.std_floor_, self.std_scale_ = 0.0, 1.0
        fixed: dict[str, Any] = {
            "arguments": arguments,
            "initial": initial,
            "unit_scale": self.target_scale_,
        }
        X_part, y_part, *weights_part = training
        trained = self._train(
            X_part,
            y_part,
            held_out if self.early_stopping else None,
            checkpoint,
            weights=weights_part[0] if weights_part else None,
            **fixed,
        )
        if self.calibrate_std and not trained.interrupted:
            self.net_ = trained.net
            self._calibrate(*held_out)
            if not self.early_stopping:
                trained = self._train(X, y, weights=weights, **fixed)
        self.net_ = trained.net
        self.loss_curve_ = [loss * self.target_scale_ for loss in trained.losses]
        self.validation_loss_curve_ = (
            [loss * self.target_scale_ for loss in trained.validation_losses]
            if self.early_stopping
            else None
        )
        self.n_iter_ = len(self.loss_curve_)

    def _start_with_target(
        self,
        X: Any,
        y: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        arguments: dict[str, Any],
    ) -> dict[str, Any] | None:
        """Set mean and scale of the target, and return the initial weights, if any."""
        initial, source = self._start(X, arguments)
        if source is not None and (self._continues or self._same_quantity(source, X, y, weights)):
            assert source.target is not None
            self.target_mean_, self.target_scale_ = source.target
            return initial
        with np.errstate(over="ignore"):
            if weights is None:
                mean, scale = y.mean(), y.std()
            else:
                mean = np.average(y, weights=weights)
                scale = np.sqrt(np.average((y - mean) ** 2, weights=weights))
            self.target_mean_ = float(mean)
            # The squares of tiny differences can underflow to zero.
            self.target_scale_ = float(scale) or float(np.ptp(y)) or 1.0
        if initial is None:
            return None
        return {name: w for name, w in initial.items() if not name.startswith("last.")}

    def _same_quantity(
        self,
        source: Source,
        X: Any,
        y: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
    ) -> bool:
        """Whether a fitted regressor predicts the quantity y."""
        if source.target is None:
            return False
        mean, scale = source.target
        # Medians, which a few outliers do not change.
        members = source.outputs(X)[..., 0] * scale + mean
        error = _median(np.abs(members.mean(axis=0) - y), weights)
        variation = _median(np.abs(y - _median(y, weights)), weights)
        if error < min(scale, _ERROR_OF_SAME * variation):
            return True
        unit = guess_unit(y, members.mean(axis=0))
        hint = f" It looks like {unit}, if the model predicts eV/atom." if unit else ""
        warnings.warn(
            "The pretrained model's error is large relative to the variation of y, so y is treated "
            f"as a different quantity: target scale and last layer are reinitialised.{hint}",
            UserWarning,
            stacklevel=6,
        )
        return False

    def _calibrate(
        self, X: Any, y: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> None:
        """Fit the std to the errors on held-out rows; y is scaled."""
        members = self._members(X)
        error = y * self.target_scale_ + self.target_mean_ - members.mean(axis=0)
        self.std_floor_, self.std_scale_ = fit_std(error, members.std(axis=0, ddof=1), weights)

    def _predict(self, X: Any, return_std: bool) -> Any:
        members = self._predict_members(X)
        if not return_std:
            return members.mean(axis=0)
        if len(members) == 1:
            raise ValueError(
                "return_std=True needs n_estimators of at least 2; this model has one network."
            )
        std = members.std(axis=0, ddof=1)
        return members.mean(axis=0), np.hypot(self.std_floor_, self.std_scale_ * std)

    def _predict_members(self, X: Any) -> NDArray[np.float64]:
        """Return the prediction of each member, shape (n_estimators, n_samples)."""
        check_is_fitted(self)
        return self._members(self._read(X))

    def _members(self, X: Any) -> NDArray[np.float64]:
        return self._outputs(X)[..., 0] * self.target_scale_ + self.target_mean_

    @property
    def _has_std(self) -> bool:
        """Whether ``predict`` of the fitted model can return a std."""
        return self.net_.module_.n_members > 1

    def _predicts_like(self, source: Source) -> bool:
        return source.target is not None

    def _target_settings(self) -> Settings:
        return {
            "target": (self.target_mean_, self.target_scale_),
            "std": (self.std_floor_, self.std_scale_),
        }

    def _read_target(self, settings: Settings) -> None:
        mean, scale = map(float, settings["target"])
        if not np.isfinite([mean, scale]).all() or scale <= 0:
            raise ValueError("the target has no finite mean and scale")
        std_floor, std_scale = map(float, settings["std"])
        if not 0 <= std_floor < np.inf or not 0 < std_scale < np.inf:
            raise ValueError("the std has no finite floor and scale")
        self.target_mean_, self.target_scale_ = mean, scale
        self.std_floor_, self.std_scale_ = std_floor, std_scale


def _median(values: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Any:
    """Return the median; a row of weight 2 counts as two rows."""
    if weights is None:
        return np.median(values)
    return np.quantile(values, 0.5, weights=weights, method="inverted_cdf")


def fit_std(
    error: NDArray[np.float64],
    std: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """Find the floor and scale of the std that maximise the Gaussian likelihood of the errors."""
    from scipy.optimize import minimize

    unit = float(np.sqrt(np.average(error**2, weights=weights)))
    if not unit or not std.any():
        return unit, 1.0

    def surprise(logarithms: NDArray[np.float64]) -> float:
        floor, scale = np.exp(logarithms)
        deviation = np.hypot(floor, scale * std / unit)
        surprises = 0.5 * (error / unit / deviation) ** 2 + np.log(deviation)
        return float(np.average(surprises, weights=weights))

    start = np.log([0.5, unit / np.sqrt(np.average(std**2, weights=weights))])
    bounds = [(np.log(1e-3), np.log(1e3)), (start[1] - 7, start[1] + 7)]
    floor, scale = np.exp(minimize(surprise, start, bounds=bounds).x)
    return float(floor * unit), float(scale)
