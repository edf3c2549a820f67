"""The network that predicts formation energies, as a scikit-learn regressor."""

from __future__ import annotations

import warnings
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_elmodes._ensemble import NetworkEnsemble

_ERROR_OF_SAME = 2.0  # a pretrained model's error on its own quantity, in median deviations of y


class FormationEnergyRegressor(RegressorMixin, NetworkEnsemble):
    """An ensemble of neural networks for the formation energy of crystals.

    A row of X describes the sites of a crystal one after the other, each with
    the same number of features: its elemental modes. One encoder, shared by
    all sites, reads each of them before a residual network joins the sites, so
    that what is learnt about an element on one site serves on all others, and
    an element that was never seen is read by its modes. With a single site
    (``n_sites=1``, any table of numbers) the encoder is left out.

    With ``architecture="set"`` a row holds a formula of any kind: for each of its
    elements, in any order, the modes followed by the amount, and zeros to the end
    of the row, as ``ElementalModeTransformer(pooling=None)`` writes it. The
    encoder reads each element with its amount, what it gives is summed over the
    elements, and the residual network goes on from the sum.

    All members of the ensemble train at once, in a skorch net kept in ``net_``.
    The target is scaled inside; scale the features before. Computation has the
    precision of X, and float32 takes about half the time of float64.

    Parameters
    ----------
    n_sites : int, default=1
        Number of sites in a row of X, or of elements for which it has room.
    architecture : {"sites", "set"}, default="sites"
        Whether a row describes the sites of a crystal or the set of elements of a
        formula.
    equivalent_sites : sequence of sequences of int, default=None
        Sets of sites, counted from 0, whose exchange leaves the crystal as it
        is: ``[(0, 1)]``. Predictions are exactly equal under such an exchange.
    n_estimators : int, default=4
        Members of the ensemble.
    encoder_layer_sizes : tuple of int, default=(128, 128, 16)
        Layers of the shared encoder; not used with the one site of a table. In a
        set network the last of them reads the amount, too.
    hidden_layer_sizes : tuple of int, default=(256, 256, 256)
        Layers of the network that joins the sites. A layer as wide as the one
        before it adds to its input instead of replacing it. In a set network the
        first is the sum over the elements.
    activation : {"relu", "silu", "tanh"}, default="relu"
        Non-linearity of the network that joins the sites.
    encoder_activation : {"relu", "silu", "tanh"}, default="silu"
        Non-linearity of the site encoder. A smooth one served better than "relu"
        where elements were held out.
    dropout : float, default=0.1
        Share of activations dropped in training, in layers that add to their
        input.
    alpha : float, default=0.01
        Weight decay of the AdamW optimizer.
    learning_rate_init : float or "auto", default="auto"
        Largest step size; it rises from and falls back to nearly zero over the
        training (one cycle). "auto" is 0.005 for sites and 0.004 for a set. Training that
        goes on from weights takes a share of that, from 1/40 for 300 rows and fewer to
        the whole for 60,000, and 1/4 if the last layer starts afresh.
    batch_size : int or "auto", default="auto"
        Rows for one step. "auto" is 256 for training sites from scratch, else a
        fiftieth of the rows, but at least 32 and at most 512.
    max_iter : int or "auto", default="auto"
        Number of passes over the data. "auto" is 150, or 30 for training that goes
        on from the weights of all layers.
    pretrained : str, path-like, regressor, Pipeline or None, default=None
        Fitted model from whose weights and target scale training starts (fine-tuning):
        the name of a model that ships, see
        :func:`~sklearn_elmodes.load_pretrained`, the path of a file written by
        :func:`~sklearn_elmodes.save_model`, or a fitted regressor or a pipeline that
        ends in one. Layers and modes must be the same; if this ensemble is larger,
        several members start from the same weights. If that model errs by more
        than its own targets vary, or by twice as much as y does, y is taken for another
        quantity, with a warning: it is scaled anew, and the last layer starts afresh.
        In a grid of parameters
        scikit-learn takes the fit from an estimator unless it is wrapped in
        ``sklearn.frozen.FrozenEstimator``.
    freeze : {"encoder", "all_but_last"} or None, default=None
        Weights that stay as they are in training that goes on from ``pretrained`` or
        from an earlier fit.
    warm_start : bool, default=False
        Go on from the weights and target scale of the last fit.
    early_stopping : bool, default=False
        Hold out a part of the data, stop when its error no longer falls and
        keep the best weights.
    calibrate_std : bool, default=False
        Scale the std of ``predict(X, return_std=True)`` to the errors on rows
        held out, so that it can be read as a standard deviation; the bare std
        of an ensemble is too small. Unless early stopping holds out rows anyway,
        this trains a second time: once without the rows held out, to learn the
        scale, then on all rows. Rows that ``pretrained`` or an earlier fit has seen
        make the std too small. Ctrl-C in the first training keeps its weights, without
        calibration.
    validation_fraction : float, default=0.1
        Share of the rows held out by early stopping and calibration.
    n_iter_no_change : int, default=20
        Passes without improvement before early stopping ends the training.
    tol : float, default=1e-4
        Smallest improvement that counts, in standard deviations of the target.
    device : str, default="auto"
        Where to compute, such as "cpu" or "cuda"; "auto" takes a GPU if there
        is one.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, batches and dropout.
    verbose : int, default=0
        Show a progress bar if positive.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; its module holds all members.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had any.
    n_iter_ : int
        Passes over the data.
    loss_curve_ : list of float
        Mean absolute error of a member over the batches of each pass, dropout
        included, in units of y.
    validation_loss_curve_ : list of float or None
        Mean absolute error of a member on the rows held out, after each pass;
        None without early stopping.
    target_mean_, target_scale_ : float
        What the target was centred and divided by.
    std_floor_, std_scale_ : float
        The std s over the members is reported as
        sqrt(`std_floor_`² + (`std_scale_` · s)²), with the floor in units of y;
        0 and 1 without calibration.

    Notes
    -----
    The two numbers of the calibrated std maximise the likelihood of the errors
    on the rows held out, as if these were Gaussian [1]_ [2]_. For intervals with a
    guaranteed coverage use conformal prediction, for instance with MAPIE.

    References
    ----------
    .. [1] F. Musil, M. J. Willatt, M. A. Langovoy, M. Ceriotti, "Fast and accurate
       uncertainty estimation in chemical machine learning", J. Chem. Theory
       Comput. 15, 906 (2019).
    .. [2] G. Palmer et al., "Calibration after bootstrap for accurate uncertainty
       quantification in regression models", npj Comput. Mater. 8, 115 (2022).

    See Also
    --------
    ElementalModeTransformer : Makes such rows from formulas.
    make_formation_energy_pipeline : Both, with tuned settings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_elmodes import FormationEnergyRegressor
    >>> X = np.random.RandomState(0).uniform(-1, 1, (200, 4))
    >>> y = X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3]
    >>> model = FormationEnergyRegressor(n_sites=4, equivalent_sites=[(0, 1), (2, 3)],
    ...                                  max_iter=30, batch_size=32, random_state=0)
    >>> energy, std = model.fit(X, y).predict(X[:2], return_std=True)
    >>> energy.shape, std.shape
    ((2,), (2,))
    >>> bool((model.predict(X) == model.predict(X[:, [1, 0, 3, 2]])).all())
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEnsemble._parameter_constraints,
        "calibrate_std": ["boolean"],
    }

    def __init__(
        self,
        n_sites: int = 1,
        *,
        architecture: str = "sites",
        equivalent_sites: Any = None,
        n_estimators: int = 4,
        encoder_layer_sizes: tuple[int, ...] = (128, 128, 16),
        hidden_layer_sizes: tuple[int, ...] = (256, 256, 256),
        activation: str = "relu",
        encoder_activation: str = "silu",
        dropout: float = 0.1,
        alpha: float = 0.01,
        learning_rate_init: float | str = "auto",
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        pretrained: Any = None,
        freeze: str | None = None,
        warm_start: bool = False,
        early_stopping: bool = False,
        calibrate_std: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        tol: float = 1e-4,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            n_sites,
            architecture=architecture,
            equivalent_sites=equivalent_sites,
            n_estimators=n_estimators,
            encoder_layer_sizes=encoder_layer_sizes,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            encoder_activation=encoder_activation,
            dropout=dropout,
            alpha=alpha,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            pretrained=pretrained,
            freeze=freeze,
            warm_start=warm_start,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.calibrate_std = calibrate_std

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, checkpoint: Any = None) -> FormationEnergyRegressor:
        """Train the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Features of each site, one site after the other.
        y : array-like of shape (n_samples,)
            Target, for instance the formation energy in eV/atom.
        checkpoint : str or path-like, default=None
            File for the state of a long training, written every 20 seconds or so. If
            it is there already, from a fit with the same data, parameters and
            integer ``random_state`` that was broken off, training goes on from it to
            the same end. It is removed when training is complete. Not for the folds of
            a cross-validation, which would share it.

        Returns
        -------
        self

        Raises
        ------
        OSError
            If ``pretrained`` is the path of a file that cannot be read.
        ValueError
            If the columns of X do not divide into ``n_sites``, an amount of a set is
            negative, ``pretrained`` has other layers or modes, a single network is
            to be calibrated, or training diverges.
        """
        with self._kept_on_failure():
            self._fit(X, y, checkpoint)
        return self

    def _fit(self, X: Any, y: Any, checkpoint: Any) -> None:
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), y_numeric=True)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        arguments = self._network_arguments(X.shape[1], X.dtype.name, seed)
        self._check_checkpoint(checkpoint, self.early_stopping or self.calibrate_std)
        if self.calibrate_std and self.n_estimators == 1:
            raise ValueError("calibrate_std needs n_estimators of at least 2.")
        y = y.astype(np.float64)
        if not np.isfinite(y).all():  # None in an array of objects is NaN only now
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise ValueError(f"The target of row {row} is {y[row]}; it must be a finite number.")
        initial = self._start_with_target(X, y, arguments)
        if not np.isfinite(self.target_scale_):
            raise ValueError(f"The target is too large to scale: its largest value is {y.max()}.")
        y = (y - self.target_mean_) / self.target_scale_

        X_part, y_part = X, y
        held_out: Any = None
        if self.early_stopping or self.calibrate_std:
            X_part, X_held_out, y_part, y_held_out = train_test_split(
                X, y, test_size=self.validation_fraction, random_state=seed
            )
            held_out = X_held_out, y_held_out
        self.std_floor_, self.std_scale_ = 0.0, 1.0
        fixed: dict[str, Any] = {
            "arguments": arguments,
            "initial": initial,
            "unit_scale": self.target_scale_,
        }
        trained = self._train(
            X_part, y_part, held_out if self.early_stopping else None, checkpoint, **fixed
        )
        if self.calibrate_std and not trained.interrupted:
            self.net_ = trained.net
            self._calibrate(*held_out)
            if not self.early_stopping:
                trained = self._train(X, y, **fixed)
        self.net_ = trained.net
        self.loss_curve_ = [loss * self.target_scale_ for loss in trained.losses]
        self.validation_loss_curve_ = (
            [loss * self.target_scale_ for loss in trained.validation_losses]
            if self.early_stopping
            else None
        )
        self.n_iter_ = len(self.loss_curve_)

    def _start_with_target(
        self, X: NDArray[Any], y: NDArray[np.float64], arguments: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Set mean and scale of the target, and return the weights to start from, if any."""
        start = self._start(X, arguments)
        if start is not None and (start.source is self or self._same_quantity(start.source, X, y)):
            self.target_mean_ = start.source.target_mean_
            self.target_scale_ = start.source.target_scale_
            return start.weights
        with np.errstate(over="ignore"):
            self.target_mean_ = float(y.mean())
            # The squares of tiny differences may all be zero.
            self.target_scale_ = float(y.std()) or float(np.ptp(y)) or 1.0
        if start is None:
            return None
        return {name: w for name, w in start.weights.items() if not name.startswith("last.")}

    def _same_quantity(
        self, source: NetworkEnsemble, X: NDArray[Any], y: NDArray[np.float64]
    ) -> bool:
        """Tell whether targets are of the kind that a fitted regressor predicts."""
        if not isinstance(source, FormationEnergyRegressor):
            return False
        reader = copy(source)
        reader.n_sites = self.n_sites  # of a set, only the room
        # Medians, so that a few rows unlike the rest do not decide.
        error = np.median(np.abs(reader._members(X).mean(axis=0) - y))
        variation = np.median(np.abs(y - np.median(y)))
        if error < min(source.target_scale_, _ERROR_OF_SAME * variation):
            return True
        warnings.warn(
            "The pretrained model errs so much on y that this is taken for another quantity: its "
            "scale and the last layer start afresh.",
            UserWarning,
            stacklevel=6,
        )
        return False

    def _calibrate(self, X: NDArray[Any], y: NDArray[np.float64]) -> None:
        """Fit the std to the errors on rows that the network has not seen; y is scaled."""
        members = self._members(X)
        error = y * self.target_scale_ + self.target_mean_ - members.mean(axis=0)
        self.std_floor_, self.std_scale_ = _fit_std(error, members.std(axis=0, ddof=1))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target, as the mean over the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
        return_std : bool, default=False
            Also return the standard deviation over the members, which grows where
            they disagree. It is too small for an error bar unless the regressor was
            fitted with ``calibrate_std=True``.

        Returns
        -------
        y_mean : ndarray of shape (n_samples,)
            In the units of the training target.
        y_std : ndarray of shape (n_samples,)
            Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If ``return_std`` is asked of a single network.
        """
        members = self._predict_members(X)
        if not return_std:
            return members.mean(axis=0)
        if len(members) == 1:
            raise ValueError("return_std needs n_estimators of at least 2; one network has none.")
        std = members.std(axis=0, ddof=1)
        return members.mean(axis=0), np.hypot(self.std_floor_, self.std_scale_ * std)

    def _predict_members(self, X: Any) -> NDArray[np.float64]:
        """Return the prediction of each member, shape (n_estimators, n_samples)."""
        check_is_fitted(self)
        return self._members(validate_data(self, X, reset=False, dtype=(np.float64, np.float32)))

    def _members(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return self._outputs(X)[..., 0] * self.target_scale_ + self.target_mean_


def _fit_std(error: NDArray[np.float64], std: NDArray[np.float64]) -> tuple[float, float]:
    """Find floor and scale with which errors are most likely Gaussian of that std."""
    from scipy.optimize import minimize

    unit = float(np.sqrt(np.mean(error**2)))
    if not unit or not std.any():
        return unit, 1.0

    def surprise(logarithms: NDArray[np.float64]) -> float:
        floor, scale = np.exp(logarithms)
        deviation = np.hypot(floor, scale * std / unit)
        return float(np.mean(0.5 * (error / unit / deviation) ** 2 + np.log(deviation)))

    start = np.log([0.5, unit / np.sqrt(np.mean(std**2))])
    bounds = [(np.log(1e-3), np.log(1e3)), (start[1] - 7, start[1] + 7)]
    floor, scale = np.exp(minimize(surprise, start, bounds=bounds).x)
    return float(floor * unit), float(scale)
