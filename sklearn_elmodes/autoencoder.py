"""Auto-encoder from element properties to elemental modes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data
from tqdm import tqdm

from sklearn_elmodes._validation import layer_widths

_ACTIVATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
}

Layers = list[tuple[NDArray[np.float64], NDArray[np.float64]]]


class ElementAutoencoder(TransformerMixin, BaseEstimator):
    """Auto-encoder that compresses element properties into a few modes.

    An encoder and a mirrored decoder with a narrow layer between them are trained to
    reproduce the input. The activations of the narrow layer are the *elemental modes*
    of Herr et al. [1]_. After training they are rotated to their principal axes: they
    are uncorrelated, have mean zero over the training rows and are ordered by variance;
    the sign of each mode makes its strongest covariance with a property positive. As in
    a principal component analysis they are not scaled to equal variance, which gave
    networks on the modes the lowest errors for held-out elements.

    NaN marks an unknown property. Unknown values are left out of the loss, and the
    encoder also receives a mask of them. Elements with unknown properties therefore
    have modes too, and ``inverse_transform`` imputes the unknown values.

    Parameters
    ----------
    n_components : int, default=12
        Number of modes.
    hidden_layer_sizes : tuple of int, default=(128, 128)
        Widths of the encoder's hidden layers; the decoder mirrors them.
    activation : {"tanh", "relu"}, default="tanh"
        Non-linearity of the hidden layers.
    alpha : float, default=1e-4
        Strength of the L2 penalty on the weights. A larger value gives smoother modes,
        which are better features, and a worse reconstruction.
    learning_rate_init : float, default=0.003
        Initial learning rate of Adam; it is annealed to zero along a half cosine.
    max_iter : int, default=300
        Number of epochs. Each is one step on all rows.
    random_state : int, RandomState instance or None, default=None
        Controls the initial weights.
    verbose : int, default=0
        Show a progress bar if positive.

    Attributes
    ----------
    n_features_in_ : int
        Number of properties.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the properties, if X has column names.
    loss_curve_ : list of float
        Mean squared error of the known, standardised properties in each epoch.
    n_iter_ : int
        Number of epochs.
    mean_, scale_ : ndarray of shape (`n_features_in_`,)
        Mean and standard deviation of the known values of each property.
    encoder_, decoder_ : list of (weights, bias)
        The layers, weights of shape (n_in, n_out).

    See Also
    --------
    ElementalModeTransformer : Transforms formulas into features with these modes.

    References
    ----------
    .. [1] J. E. Herr, K. Koh, K. Yao, J. Parkhill, "Compressing physics with an
       autoencoder: Creating an atomic species representation to improve machine
       learning models in the chemical sciences", J. Chem. Phys. 151, 084103
       (2019). https://doi.org/10.1063/1.5108803

    Examples
    --------
    >>> from sklearn_elmodes import ElementAutoencoder
    >>> from sklearn_elmodes.elements import property_table
    >>> table = property_table("herr2019")
    >>> autoencoder = ElementAutoencoder(n_components=4, max_iter=200, random_state=0)
    >>> autoencoder.fit_transform(table).shape
    (69, 4)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 12,
        *,
        hidden_layer_sizes: tuple[int, ...] = (128, 128),
        activation: str = "tanh",
        alpha: float = 1e-4,
        learning_rate_init: float = 0.003,
        max_iter: int = 300,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> ElementAutoencoder:
        """Train the auto-encoder on a table of properties.

        Parameters
        ----------
        X : array-like of shape (n_elements, n_properties)
            One row per element; NaN where a property is unknown.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a row or a column of X is all NaN, a column is too large to scale, or
            training diverges.
        """
        X = self._validate(X, reset=True)
        known = ~np.isnan(X)
        if not known.any(axis=0).all():
            column = int(np.flatnonzero(~known.any(axis=0))[0])
            raise ValueError(f"Property {column} of X is NaN in every row; leave it out.")
        with np.errstate(over="ignore"):
            self.mean_ = np.nanmean(X, axis=0)
            self.scale_ = np.nanstd(X, axis=0)
        if not np.isfinite(self.scale_).all():
            column = int(np.flatnonzero(~np.isfinite(self.scale_))[0])
            raise ValueError(
                f"Property {column} of X is too large to scale: it reaches "
                f"{np.nanmax(np.abs(X[:, column]))}."
            )
        self.scale_[self.scale_ < 1e-12 * np.maximum(np.abs(self.mean_), 1e-300)] = 1.0

        inputs = self._encoder_inputs(X)  # (n_elements, 2 * n_properties)
        standardised = inputs[:, : X.shape[1]]
        hidden = layer_widths("hidden_layer_sizes", self.hidden_layer_sizes, allow_none=True)
        widths = [inputs.shape[1], *hidden, int(self.n_components)]
        random_state = check_random_state(self.random_state)
        encoder = _initial_layers(widths, random_state)
        encoder[0][0][X.shape[1] :] = 0.0  # at first the mask has no effect
        decoder = _initial_layers([*widths[:0:-1], X.shape[1]], random_state)
        encoder, decoder, self.loss_curve_ = self._train(
            encoder, decoder, inputs, standardised, known
        )
        self.n_iter_ = len(self.loss_curve_)
        code = _forward(encoder, inputs, self.activation)
        self.encoder_, self.decoder_ = _canonical(encoder, decoder, code, standardised)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the modes of each row.

        Parameters
        ----------
        X : array-like of shape (n_elements, n_properties)
            Properties; NaN where unknown.

        Returns
        -------
        ndarray of shape (n_elements, n_components)
        """
        check_is_fitted(self)
        return _forward(
            self.encoder_, self._encoder_inputs(self._validate(X, reset=False)), self.activation
        )

    def inverse_transform(self, X: Any) -> NDArray[np.float64]:
        """Decode modes into properties.

        Parameters
        ----------
        X : array-like of shape (n_elements, n_components)
            Modes.

        Returns
        -------
        ndarray of shape (n_elements, n_properties)
            Properties in the units of the training data.
        """
        check_is_fitted(self)
        modes = np.asarray(X, dtype=np.float64)
        n_components = self.decoder_[0][0].shape[0]
        if modes.ndim != 2 or modes.shape[1] != n_components:
            raise ValueError(
                f"Expected modes of shape (n_elements, {n_components}), got {modes.shape}."
            )
        return _forward(self.decoder_, modes, self.activation) * self.scale_ + self.mean_

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the modes: mode1, mode2, ….

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Checked against the columns seen in ``fit``, otherwise ignored.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(_mode_names(self.decoder_[0][0].shape[0]), dtype=object)

    def _validate(self, X: Any, *, reset: bool) -> NDArray[np.float64]:
        X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        empty = np.flatnonzero(np.isnan(X).all(axis=1))
        if len(empty):
            raise ValueError(f"Row {empty[0]} of X has no known property: every value is NaN.")
        return X

    def _encoder_inputs(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardise X, fill unknown values with zero and append their mask."""
        gaps = np.isnan(X)
        standardised = np.where(gaps, 0.0, (X - self.mean_) / self.scale_)
        return np.hstack([standardised, gaps])

    def _train(
        self,
        encoder: Layers,
        decoder: Layers,
        inputs: NDArray[np.float64],
        targets: NDArray[np.float64],
        known: NDArray[np.bool_],
    ) -> tuple[Layers, Layers, list[float]]:
        import torch

        activation = {"tanh": torch.tanh, "relu": torch.relu}[self.activation]
        layers = [
            (torch.tensor(weights, requires_grad=True), torch.tensor(bias, requires_grad=True))
            for weights, bias in encoder + decoder
        ]
        linear_after = (len(encoder) - 1, len(layers) - 1)
        optimizer = torch.optim.Adam(
            [tensor for layer in layers for tensor in layer], lr=self.learning_rate_init
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.max_iter)
        batch, goal = torch.tensor(inputs), torch.tensor(targets)
        weight = torch.tensor(known / known.sum())
        losses = []
        for _ in tqdm(range(self.max_iter), desc="Learning modes", disable=not self.verbose):
            output = batch
            for index, (weights, bias) in enumerate(layers):
                output = torch.addmm(bias, output, weights)
                if index not in linear_after:
                    output = activation(output)
            loss = (weight * (output - goal) ** 2).sum()
            penalty = sum((weights**2).sum() for weights, _ in layers)
            optimizer.zero_grad()
            (loss + self.alpha * penalty).backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise ValueError(
                "Training diverged: the loss is not finite. Lower learning_rate_init "
                f"(now {self.learning_rate_init})."
            )
        trained = [(weights.detach().numpy(), bias.detach().numpy()) for weights, bias in layers]
        return trained[: len(encoder)], trained[len(encoder) :], losses

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _mode_names(n_components: int) -> list[str]:
    """Return the column names of modes: mode1, mode2, …."""
    return [f"mode{number}" for number in range(1, n_components + 1)]


def _initial_layers(widths: list[int], random_state: np.random.RandomState) -> Layers:
    """Draw Glorot-uniform weights, as in scikit-learn's ``MLPRegressor``."""
    return [
        (random_state.uniform(-1, 1, (n_in, n_out)) * np.sqrt(6 / (n_in + n_out)), np.zeros(n_out))
        for n_in, n_out in itertools.pairwise(widths)
    ]


def _forward(layers: Layers, X: NDArray[np.float64], activation: str) -> NDArray[np.float64]:
    for index, (weights, bias) in enumerate(layers):
        X = X @ weights + bias
        if index < len(layers) - 1:
            X = _ACTIVATIONS[activation](X)
    return X


def _canonical(
    encoder: Layers,
    decoder: Layers,
    code: NDArray[np.float64],
    properties: NDArray[np.float64],
) -> tuple[Layers, Layers]:
    """Fold the rotation of the code to its principal axes into the adjacent layers."""
    mean = code.mean(axis=0)
    centred = code - mean
    _, _, axes = np.linalg.svd(centred, full_matrices=len(code) < code.shape[1])
    overlap = properties.T @ centred @ axes.T
    strongest = overlap[np.abs(overlap).argmax(axis=0), np.arange(overlap.shape[1])]
    rotation = axes.T * np.where(strongest < 0, -1.0, 1.0)  # code -> modes
    weights, bias = encoder[-1]
    encoder = [*encoder[:-1], (weights @ rotation, (bias - mean) @ rotation)]
    weights, bias = decoder[0]
    decoder = [(rotation.T @ weights, bias + mean @ weights), *decoder[1:]]
    return encoder, decoder
