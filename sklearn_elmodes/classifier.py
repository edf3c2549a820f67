"""The same networks for classes, as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_elmodes._ensemble import NetworkEnsemble
from sklearn_elmodes._validation import shown


class ElementalModeClassifier(ClassifierMixin, NetworkEnsemble):
    """An ensemble of neural networks for classes of crystals, such as metal or not.

    The twin of :class:`FormationEnergyRegressor`, trained by cross-entropy. It can
    start from a regressor, such as the general model of formation energies that
    ships; its last layer then starts afresh.

    Parameters
    ----------
    n_sites, architecture, equivalent_sites, n_estimators, encoder_layer_sizes, \
hidden_layer_sizes, activation, encoder_activation, dropout, alpha, learning_rate_init, \
batch_size, max_iter, pretrained, freeze, warm_start, early_stopping, validation_fraction, \
n_iter_no_change, tol, device, random_state, verbose
        As those of :class:`FormationEnergyRegressor`. The rows that
        ``early_stopping`` holds out have the shares of the classes of all rows, and
        ``tol`` is in units of the cross-entropy.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNet
        The trained net; its module holds all members.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had any.
    n_iter_ : int
        Passes over the data.
    loss_curve_ : list of float
        Cross-entropy of a member over the batches of each pass, dropout included.
    validation_loss_curve_ : list of float or None
        Cross-entropy of a member on the rows held out, after each pass; None without
        early stopping.

    See Also
    --------
    FormationEnergyRegressor : Its twin for numbers, where the parameters are described.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_elmodes import ElementalModeClassifier, ElementalModeTransformer
    >>> formulas = ["Fe", "NaCl", "Cu", "KBr", "CuZn", "LiF", "NiAl", "CsI"]
    >>> metal = [True, False] * 4
    >>> model = make_pipeline(
    ...     ElementalModeTransformer(pooling=None),
    ...     ElementalModeClassifier(10, architecture="set", max_iter=30, random_state=0),
    ... )
    >>> model.fit(formulas, metal).predict(["Ag", "NaF"])
    array([ True, False])
    """

    classes_: NDArray[Any]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, checkpoint: Any = None) -> ElementalModeClassifier:
        """Train the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Features of each site, one site after the other.
        y : array-like of shape (n_samples,)
            Class of each row: numbers, strings or booleans.
        checkpoint : str or path-like, default=None
            File for the state of a long training, as in
            :meth:`FormationEnergyRegressor.fit`.

        Returns
        -------
        self

        Raises
        ------
        OSError
            If ``pretrained`` is the path of a file that cannot be read.
        ValueError
            If there is only one class, X does not fit the parameters, ``warm_start``
            goes on from other classes, or training diverges.
        """
        with self._kept_on_failure():
            self._fit(X, y, checkpoint)
        return self

    def _fit(self, X: Any, y: Any, checkpoint: Any) -> None:
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        if len(encoder.classes_) == 1:
            only = shown(encoder.classes_.tolist()[0])
            raise ValueError(f"y holds only one class, {only}; there must be two at least.")
        goes_on = self.warm_start and hasattr(self, "net_")
        if goes_on and not np.array_equal(self.classes_, encoder.classes_):
            raise ValueError(
                f"The last fit, from which warm_start goes on, had the classes "
                f"{shown(self.classes_.tolist())}, not {shown(encoder.classes_.tolist())}."
            )
        self.classes_ = encoder.classes_
        self._check_checkpoint(checkpoint, self.early_stopping)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        arguments = self._network_arguments(X.shape[1], X.dtype.name, seed)
        start = self._start(X, arguments)
        classes = encoder.transform(y)
        held_out = None
        if self.early_stopping:
            X, X_held_out, classes, classes_held_out = train_test_split(
                X, classes, test_size=self.validation_fraction, random_state=seed, stratify=classes
            )
            held_out = X_held_out, classes_held_out
        trained = self._train(
            X,
            classes,
            held_out,
            checkpoint,
            arguments=arguments,
            initial=None if start is None else start.weights,
        )
        self.net_ = trained.net
        self.loss_curve_ = trained.losses
        self.validation_loss_curve_ = trained.validation_losses if self.early_stopping else None
        self.n_iter_ = len(self.loss_curve_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each class, as the mean over the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        from scipy.special import softmax

        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        return softmax(self._outputs(X), axis=2).mean(axis=0)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[probable]

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _predicts_like(self, source: NetworkEnsemble) -> bool:
        return isinstance(source, type(self)) and np.array_equal(source.classes_, self.classes_)

    def _criterion(self) -> Any:
        from sklearn_elmodes.networks import EnsembleCrossEntropy

        return EnsembleCrossEntropy
