"""The network that predicts formation energies, as a scikit-learn regressor."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_elmodes.autoencoder import layer_widths
from sklearn_elmodes.elements import shown

_MAX_PERMUTATIONS = 24
_ACTIVATIONS = {"relu", "silu", "tanh"}
_PREDICT_ROWS = 16_384  # rows whose distinct sites are sought together
# What "auto" stands for: from scratch by architecture, and from weights that are there.
_LEARNING_RATES = {"sites": 0.005, "set": 0.004}
_FINE_TUNING_RATE = 0.05  # of the rate from scratch
_MAX_ITER, _FINE_TUNING_MAX_ITER = 150, 30


class FormationEnergyRegressor(RegressorMixin, BaseEstimator):
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
        training (one cycle). "auto" is 0.005 for sites and 0.004 for a set, and a
        twentieth of that for training that goes on from weights.
    batch_size : int or "auto", default="auto"
        Rows for one step. "auto" is 256 for training sites from scratch, else a
        fiftieth of the rows, but at least 32 and at most 512.
    max_iter : int or "auto", default="auto"
        Number of passes over the data. "auto" is 150, or 30 for training that goes
        on from weights.
    pretrained : str, path-like, regressor, Pipeline or None, default=None
        Fitted model from whose weights and target scale training starts (fine-tuning):
        the name of a model that ships, see
        :func:`~sklearn_elmodes.load_pretrained`, the path of a file written by
        :func:`~sklearn_elmodes.save_model`, or a fitted regressor or a pipeline that
        ends in one. Layers and modes must be the same; if this ensemble is larger,
        several members start from the same weights. In a grid of parameters
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
    calibrate_spread : bool, default=False
        Scale the spread of ``predict(X, return_std=True)`` to the errors on rows
        held out, so that it can be read as a standard deviation; the bare spread
        of an ensemble is too small. Unless early stopping holds out rows anyway,
        this trains a second time: once without the rows held out, to learn the
        scale, then on all rows. Ctrl-C in the first training keeps its weights, without
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    spread_floor_, spread_scale_ : float
        The spread s over the members is reported as
        sqrt(spread_floor_² + (spread_scale_ · s)²), with the floor in units of y;
        0 and 1 without calibration.

    Notes
    -----
    The two numbers of the calibrated spread maximise the likelihood of the errors
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
    >>> energy, spread = model.fit(X, y).predict(X[:2], return_std=True)
    >>> energy.shape, spread.shape
    ((2,), (2,))
    >>> bool((model.predict(X) == model.predict(X[:, [1, 0, 3, 2]])).all())
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_sites": [Interval(Integral, 1, None, closed="left")],
        "architecture": [StrOptions({"sites", "set"})],
        "equivalent_sites": ["array-like", None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "encoder_layer_sizes": ["array-like"],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(_ACTIVATIONS)],
        "encoder_activation": [StrOptions(_ACTIVATIONS)],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "pretrained": [object],  # what it holds is checked when it is loaded
        "freeze": [StrOptions({"encoder", "all_but_last"}), None],
        "warm_start": ["boolean"],
        "early_stopping": ["boolean"],
        "calibrate_spread": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
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
        calibrate_spread: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        tol: float = 1e-4,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_sites = n_sites
        self.architecture = architecture
        self.equivalent_sites = equivalent_sites
        self.n_estimators = n_estimators
        self.encoder_layer_sizes = encoder_layer_sizes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder_activation = encoder_activation
        self.dropout = dropout
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.pretrained = pretrained
        self.freeze = freeze
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.calibrate_spread = calibrate_spread
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

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
            the same end. It is removed when training is complete.

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
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), y_numeric=True)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        arguments = self._network_arguments(X.shape[1], X.dtype.name, seed)
        if checkpoint is not None and (self.early_stopping or self.calibrate_spread):
            raise ValueError("A checkpoint goes with neither early_stopping nor calibrate_spread.")
        if self.calibrate_spread and self.n_estimators == 1:
            raise ValueError("calibrate_spread needs n_estimators of at least 2.")
        y = y.astype(np.float64)
        if not np.isfinite(y).all():  # None in an array of objects is NaN only now
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise ValueError(f"The target of row {row} is {y[row]}; it must be a finite number.")
        start = self._start(X, arguments)
        if start is not None:
            self.target_mean_, self.target_scale_ = start.target
        else:
            with np.errstate(over="ignore"):
                self.target_mean_ = float(y.mean())
                # The squares of tiny differences may all be zero.
                self.target_scale_ = float(y.std()) or float(np.ptp(y)) or 1.0
        if not np.isfinite(self.target_scale_):
            raise ValueError(f"The target is too large to scale: its largest value is {y.max()}.")
        y = (y - self.target_mean_) / self.target_scale_

        X_part, y_part = X, y
        held_out: Any = None
        if self.early_stopping or self.calibrate_spread:
            X_part, X_held_out, y_part, y_held_out = train_test_split(
                X, y, test_size=self.validation_fraction, random_state=seed
            )
            held_out = X_held_out, y_held_out
        self.spread_floor_, self.spread_scale_ = 0.0, 1.0
        fixed: dict[str, Any] = {
            "arguments": arguments,
            "initial": None if start is None else start.weights,
        }
        trained = self._train(
            X_part, y_part, held_out if self.early_stopping else None, checkpoint, **fixed
        )
        if self.calibrate_spread and not trained.interrupted:
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
        return self

    def _train(
        self,
        X: NDArray[Any],
        y: NDArray[np.float64],
        held_out: tuple[NDArray[Any], NDArray[np.float64]] | None = None,
        checkpoint: Any = None,
        *,
        arguments: dict[str, Any],
        initial: dict[str, Any] | None,
    ) -> Any:
        from sklearn_elmodes.training import train

        device = self._resolve_device()
        scratch = initial is None
        rate, batch_size, max_iter = self.learning_rate_init, self.batch_size, self.max_iter
        if rate == "auto":
            rate = _LEARNING_RATES[self.architecture] * (1 if scratch else _FINE_TUNING_RATE)
        if batch_size == "auto":
            small = self.architecture == "set" or not scratch
            batch_size = min(max(len(X) // 50, 32), 512) if small else 256
        settings: dict[str, Any] = {
            "arguments": arguments,
            "freeze": self.freeze,
            "alpha": self.alpha,
            "learning_rate_init": rate,
            "batch_size": batch_size,
            "max_iter": (_MAX_ITER if scratch else _FINE_TUNING_MAX_ITER)
            if max_iter == "auto"
            else max_iter,
        }
        if checkpoint is not None:
            digest = hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode())
            parts = [X, y, *(tensor.numpy() for tensor in (initial or {}).values())]
            for part in parts:
                digest.update(np.ascontiguousarray(part).data)
            checkpoint = checkpoint, digest.hexdigest()
        return train(
            self._dataset(X, y, device),
            None if held_out is None else self._dataset(*held_out, device),
            network=self._network(),
            initial=initial,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            verbose=self.verbose,
            target_scale=self.target_scale_,
            checkpoint=checkpoint,
            **settings,
        )

    def _start(self, X: NDArray[Any], arguments: dict[str, Any]) -> _Start | None:
        """Return the weights and target scale that training goes on from, if any."""
        modes = None
        if self.warm_start and hasattr(self, "net_"):
            # A layer or a feature may have changed since.
            source, what = self, "The last fit, from which warm_start goes on,"
            theirs = self._fitted_arguments
        elif self.pretrained is not None:
            source, modes = _load_regressor(self.pretrained)
            what = f"pretrained={shown(self.pretrained)}"
            theirs = source._fitted_arguments
        else:
            return None
        differing = [
            f"{name} {shown(theirs.get(name))} instead of {shown(ours)}"
            for name, ours in arguments.items()
            if name not in _FREE_ARGUMENTS and theirs.get(name) != ours
        ]
        if source.net_.module_.__class__ is not self._network():
            differing.insert(0, f"not architecture={self.architecture!r}")
        if differing:
            raise ValueError(f"{what} does not fit this regressor: it has {'; '.join(differing)}.")
        if modes is not None and not _share_rows(
            modes, self._dataset(X, None, "cpu").described.numpy()
        ):
            raise ValueError(
                f"{what} was trained with other elemental modes: X holds none of them. Use an "
                "ElementalModeTransformer with the parameters that it was trained with."
            )
        member = np.arange(arguments["n_members"]) % source.net_.module_.n_members
        weights = {
            name: tensor.cpu()[member].to(arguments["dtype"])
            for name, tensor in source.net_.module_.state_dict().items()
        }
        return _Start(weights, (source.target_mean_, source.target_scale_))

    def _calibrate(self, X: NDArray[Any], y: NDArray[np.float64]) -> None:
        """Fit the spread to the errors on rows that the network has not seen; y is scaled."""
        members = self._members(X)
        error = y * self.target_scale_ + self.target_mean_ - members.mean(axis=0)
        self.spread_floor_, self.spread_scale_ = _fit_spread(error, members.std(axis=0, ddof=1))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target, as the mean over the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
        return_std : bool, default=False
            Also return the standard deviation over the members, which grows where
            they disagree. It is too small for an error bar unless the regressor was
            fitted with ``calibrate_spread=True``.

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
        spread = members.std(axis=0, ddof=1)
        return members.mean(axis=0), np.hypot(self.spread_floor_, self.spread_scale_ * spread)

    def _predict_members(self, X: Any) -> NDArray[np.float64]:
        """Return the prediction of each member, shape (n_estimators, n_samples)."""
        check_is_fitted(self)
        return self._members(validate_data(self, X, reset=False, dtype=(np.float64, np.float32)))

    def _members(self, X: NDArray[Any]) -> NDArray[np.float64]:
        weight = self.net_.module_.last.weight
        with np.errstate(over="ignore"):
            X = X.astype(str(weight.dtype).removeprefix("torch."), copy=False)
        if not np.isfinite(X).all():
            raise ValueError(f"X holds values that are too large for {X.dtype}, the model's type.")
        parts = []
        for start in range(0, len(X), _PREDICT_ROWS):
            rows = self._dataset(X[start : start + _PREDICT_ROWS], None, str(weight.device))
            parts.append(self.net_.module_.predict(**rows.for_prediction()).double().cpu())
        members = np.concatenate(parts, axis=1) * self.target_scale_ + self.target_mean_
        if not np.isfinite(members).all():
            row = int(np.argwhere(~np.isfinite(members))[0, 1])
            raise ValueError(
                f"The prediction of row {row} is not a finite number: its features lie too far "
                "from those of the training data, or the model is unsound."
            )
        return members

    def _dataset(self, X: NDArray[Any], y: NDArray[np.float64] | None, device: str) -> Any:
        from sklearn_elmodes.batches import SetDataset, SiteDataset

        if self.architecture == "set":
            return SetDataset.from_arrays(X, y, self.n_sites, device)
        groups = _site_groups(self.n_sites, self.equivalent_sites)
        return SiteDataset.from_arrays(X, y, self.n_sites, groups, device)

    def _network(self) -> Any:
        from sklearn_elmodes.networks import SetNetwork, SiteNetwork

        return SetNetwork if self.architecture == "set" else SiteNetwork

    def _network_arguments(self, n_features: int, dtype: str, seed: int) -> dict[str, Any]:
        import torch

        if n_features % self.n_sites:
            raise ValueError(
                f"X has {n_features} features, which do not divide into n_sites={self.n_sites} "
                "sites of equally many."
            )
        width = n_features // int(self.n_sites)
        layout: dict[str, Any]
        if self.architecture == "set":
            if width == 1:
                raise ValueError(
                    f"A set needs at least one feature and the amount of each element; X has "
                    f"n_features={n_features} for n_sites={self.n_sites}."
                )
            if self.equivalent_sites is not None:
                raise ValueError("equivalent_sites has no meaning for a set, which has no order.")
            layout = {"n_element_features": width - 1}
        else:
            layout = {
                "n_sites": int(self.n_sites),
                "n_site_features": width,
                "permutations": site_permutations(
                    self.n_sites, _site_groups(self.n_sites, self.equivalent_sites)
                ),
            }
        return {
            "n_members": int(self.n_estimators),
            **layout,
            "encoder_layer_sizes": layer_widths("encoder_layer_sizes", self.encoder_layer_sizes),
            "hidden_layer_sizes": layer_widths("hidden_layer_sizes", self.hidden_layer_sizes),
            "activation": self.activation,
            "encoder_activation": self.encoder_activation,
            "dropout": self.dropout,
            "dtype": getattr(torch, dtype),
            "seed": seed,
        }

    @property
    def _fitted_arguments(self) -> dict[str, Any]:
        """The arguments with which the network of the last fit was made."""
        prefix = "module__"
        settings = self.net_.get_params(deep=False)
        return {
            name.removeprefix(prefix): value
            for name, value in settings.items()
            if name.startswith(prefix)
        }

    def __sklearn_clone__(self) -> FormationEnergyRegressor:
        # The fit of a pretrained model is what it is for.
        copy = super().__sklearn_clone__()
        return copy.set_params(pretrained=self.pretrained)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.architecture == "set"  # the amounts are
        return tags

    def _resolve_device(self) -> str:
        import torch

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device


@dataclass(frozen=True)
class _Start:
    """What training goes on from: weights, and mean and scale of the target."""

    weights: dict[str, Any]
    target: tuple[float, float]


# Arguments of a network that may differ from those of the weights it starts from.
_FREE_ARGUMENTS = {"n_members", "permutations", "dropout", "dtype", "seed"}


def _load_regressor(
    pretrained: Any,
) -> tuple[FormationEnergyRegressor, NDArray[np.float64] | None]:
    """Find the fitted regressor in what was given, and the modes that it reads, if known."""
    from sklearn_elmodes.persistence import load_model, load_pretrained

    shows = f"pretrained={shown(pretrained)}"
    model = pretrained
    if isinstance(model, str) and not os.path.exists(model):
        model = load_pretrained(model)
    elif isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    if isinstance(model, FrozenEstimator):
        model = model.estimator
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    if not isinstance(steps[-1], FormationEnergyRegressor):
        raise ValueError(
            f"{shows} must be the name of a model that ships, the path of a model file, or a "
            f"fitted FormationEnergyRegressor or a pipeline that ends in one, not a "
            f"{type(steps[-1]).__name__}."
        )
    if not hasattr(steps[-1], "net_"):
        raise NotFittedError(
            "pretrained is not fitted. If it was, and a grid of parameters copied it, wrap it: "
            "sklearn.frozen.FrozenEstimator(model)."
        )
    # Only without a step between them does the regressor see the modes themselves.
    transformer = steps[-2] if len(steps) > 1 else None
    return steps[-1], getattr(transformer, "_modes_in_blocks", None)


def _share_rows(table: NDArray[np.float64], rows: NDArray[Any]) -> bool:
    """Tell whether any row is one of the table, to the precision of float32."""
    known = {row.tobytes() for row in np.asarray(table, dtype=np.float32)}
    return any(row.tobytes() in known for row in rows.astype(np.float32))


def _fit_spread(error: NDArray[np.float64], spread: NDArray[np.float64]) -> tuple[float, float]:
    """Find floor and scale with which errors are most likely Gaussian of that spread."""
    from scipy.optimize import minimize

    unit = float(np.sqrt(np.mean(error**2)))
    if not unit or not spread.any():
        return unit, 1.0

    def surprise(logarithms: NDArray[np.float64]) -> float:
        floor, scale = np.exp(logarithms)
        deviation = np.hypot(floor, scale * spread / unit)
        return float(np.mean(0.5 * (error / unit / deviation) ** 2 + np.log(deviation)))

    start = np.log([0.5, unit / np.sqrt(np.mean(spread**2))])
    bounds = [(np.log(1e-3), np.log(1e3)), (start[1] - 7, start[1] + 7)]
    floor, scale = np.exp(minimize(surprise, start, bounds=bounds).x)
    return float(floor * unit), float(scale)


def _site_groups(n_sites: int, equivalent_sites: Any) -> list[list[int]]:
    """Check and normalise sets of equivalent sites."""
    message = (
        f"equivalent_sites={shown(equivalent_sites)} must be sets of sites from 0 to "
        f"{n_sites - 1}, each site in one set at most: [(0, 1)]."
    )
    try:
        groups = [list(group) for group in (() if equivalent_sites is None else equivalent_sites)]
    except TypeError:
        raise ValueError(message) from None
    listed = [site for group in groups for site in group]
    usable = all(isinstance(site, (int, np.integer)) and 0 <= site < n_sites for site in listed)
    if not usable or len(set(listed)) != len(listed):
        raise ValueError(message)
    return [sorted(int(site) for site in group) for group in groups]


def site_permutations(n_sites: int, groups: list[list[int]]) -> list[tuple[int, ...]]:
    """List the orders of the sites that equivalent sites allow, identity first."""
    groups = [group for group in groups if len(group) > 1]
    if (
        sum(map(len, groups)) > _MAX_PERMUTATIONS
        or math.prod(math.factorial(len(group)) for group in groups) > _MAX_PERMUTATIONS
    ):
        raise ValueError(
            f"equivalent_sites={shown(groups)} allows more than {_MAX_PERMUTATIONS} orders "
            "of the sites."
        )
    permutations = []
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        permutation = list(range(n_sites))
        for group, order in zip(groups, orders, strict=True):
            for site, source in zip(group, order, strict=True):
                permutation[site] = source
        permutations.append(tuple(permutation))
    return permutations
