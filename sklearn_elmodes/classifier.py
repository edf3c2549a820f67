"""Classifier with the same networks as the regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelEncoder
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._ensemble import NetworkEnsemble
from sklearn_elmodes._model_files import Arrays, Settings
from sklearn_elmodes._sources import Source
from sklearn_elmodes._table_ensemble import TableEnsemble
from sklearn_elmodes._validation import check_target, shown
from sklearn_elmodes._weights import drop_weightless, positive_weights


class ElementalModeClassifier(ClassifierMixin, TableEnsemble):
    """An ensemble of neural networks that predicts classes, such as metal or non-metal.

    The networks are those of :class:`FormationEnergyRegressor`, trained with the
    cross-entropy loss. Training can start from a regressor, such as the included model
    ``"oqmd"``, with a new last layer.

    Parameters
    ----------
    n_sites, architecture, max_elements, equivalent_sites, permutations, n_estimators, \
encoder_layer_sizes, hidden_layer_sizes, activation, encoder_activation, dropout, alpha, \
learning_rate_init, batch_size, max_iter, pretrained, freeze, warm_start, early_stopping, \
validation_fraction, n_iter_no_change, tol, device, random_state, verbose
        As in :class:`FormationEnergyRegressor`. ``early_stopping`` holds out rows by
        stratified sampling, and ``tol`` is in units of the cross-entropy.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, multiplied by ``sample_weight``: a mapping from
        class to weight, 1 for classes it lacks, or "balanced" for weights inversely
        proportional to the total weight of the class.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNet
        The trained net; its module contains all members.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had any.
    n_iter_ : int
        Number of epochs.
    loss_curve_ : list of float
        Training loss of each epoch: cross-entropy with dropout, averaged over the members.
    validation_loss_curve_ : list of float or None
        Cross-entropy on the held-out rows after each epoch, averaged over the members;
        None without early stopping.
    learning_rate_, batch_size_, max_iter_ : float, int, int
        Training settings, with the values of "auto". None for models loaded from files of
        earlier releases that did not record them.

    See Also
    --------
    FormationEnergyRegressor : Regressor with the same networks; documents the parameters.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_elmodes import ElementalModeClassifier, ElementalModeTransformer
    >>> formulas = ["Fe", "NaCl", "Cu", "KBr", "CuZn", "LiF", "NiAl", "CsI"]
    >>> metal = [True, False] * 4
    >>> model = make_pipeline(
    ...     ElementalModeTransformer(pooling=None),
    ...     ElementalModeClassifier(architecture="set", max_iter=30, random_state=0),
    ... )
    >>> model.fit(formulas, metal).predict(["Ag", "NaF"])
    array([ True, False])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **TableEnsemble._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    classes_: NDArray[Any]

    def __init__(
        self,
        n_sites: int = 1,
        *,
        architecture: str = "sites",
        max_elements: int = 10,
        equivalent_sites: Any = None,
        permutations: Any = None,
        class_weight: Any = None,
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
            max_elements=max_elements,
            equivalent_sites=equivalent_sites,
            permutations=permutations,
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
        self.class_weight = class_weight

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, checkpoint: Any = None
    ) -> ElementalModeClassifier:
        """Train the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Features of each site, one site after the other.
        y : array-like of shape (n_samples,)
            Class of each row: numbers, strings or booleans.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss, in early stopping and in
            ``class_weight="balanced"``.
            Only ratios matter: a row of weight 2 counts as two equal rows, and rows of
            weight 0 are left out. None means equal weights.
        checkpoint : str or path-like, default=None
            File in which the state of training is saved, as in
            :meth:`FormationEnergyRegressor.fit`.

        Returns
        -------
        self

        Raises
        ------
        OSError
            If ``pretrained`` is the path of a file that cannot be read.
        ValueError
            If there is only one class, X does not match the parameters, the last fit had
            other classes and ``warm_start=True``, or training diverges.
        """
        with self._kept_on_failure():
            self._fit(X, y, checkpoint, sample_weight)
        return self

    def _fit(self, X: Any, y: Any, checkpoint: Any, sample_weight: Any = None) -> None:
        check_target(y)
        X, y = self._read(X, y)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        if len(encoder.classes_) == 1:
            only = shown(encoder.classes_.tolist()[0])
            raise ValueError(f"y has only one class, {only}; it must have at least two.")
        if self._continues and not np.array_equal(self.classes_, encoder.classes_):
            raise ValueError(
                f"warm_start cannot continue from the last fit, which had the classes "
                f"{shown(self.classes_.tolist())}, not {shown(encoder.classes_.tolist())}."
            )
        self.classes_ = encoder.classes_
        self._check_checkpoint(checkpoint, self.early_stopping)
        seed = self._draw_seed()
        arguments = self._network_arguments(X, seed)
        classes = encoder.transform(y)
        weights = self._weigh_classes(classes, positive_weights(sample_weight, X))
        X, classes, weights = drop_weightless(X, classes, weights)
        initial, _ = self._start(X, arguments)
        held_out: Any = None
        if self.early_stopping:
            part, rest = self._hold_out(X, arguments, seed, classes)
            held_out = X[rest], classes[rest]
            X, classes = X[part], classes[part]
            if weights is not None:
                held_out, weights = (*held_out, weights[rest]), weights[part]
        trained = self._train(
            X,
            classes,
            held_out,
            checkpoint,
            weights=weights,
            arguments=arguments,
            initial=initial,
        )
        self.net_ = trained.net
        self.loss_curve_ = trained.losses
        self.validation_loss_curve_ = trained.validation_losses if self.early_stopping else None
        self.n_iter_ = len(self.loss_curve_)

    def _weigh_classes(
        self, classes: NDArray[np.intp], weights: NDArray[np.float64] | None
    ) -> NDArray[np.float64] | None:
        """Multiply the weights of rows by those of their classes."""
        if self.class_weight is None:
            return weights
        if isinstance(self.class_weight, str):  # "balanced"
            totals = np.bincount(classes, weights, minlength=len(self.classes_))
            present = totals > 0
            by_class = np.zeros(len(totals))
            by_class[present] = totals.sum() / (present.sum() * totals[present])
        else:
            by_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[classes]
            )
        both = by_class[classes] if weights is None else by_class[classes] * weights
        return positive_weights(both, classes)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each class, as the mean over the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Rows that are entirely NaN, such as those of
            ``ElementalModeTransformer(handle_invalid="nan")``, have NaN probabilities.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        from scipy.special import softmax

        check_is_fitted(self)
        return softmax(self._outputs(self._read(X)), axis=2).mean(axis=0)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If a row is NaN. ``predict_proba`` returns NaN for such a row, but ``predict`` has
            no class to return.
        """
        probability = self.predict_proba(X)
        absent = np.flatnonzero(np.isnan(probability[:, 0]))
        if len(absent):
            raise ValueError(
                f"Input X contains NaN: all features of row {absent[0]} are NaN, so it has no "
                "class. Use predict_proba, which returns NaN for it, or remove the row."
            )
        return self.classes_[probability.argmax(axis=1)]

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _criterion(self) -> Any:
        from sklearn_elmodes._networks._layers import EnsembleCrossEntropy

        return EnsembleCrossEntropy

    def _predicts_like(self, source: Source) -> bool:
        return source.classes is not None and np.array_equal(source.classes, self.classes_)

    def _target_settings(self) -> Settings:
        return {"classes": self.classes_}

    def _to_record(self) -> tuple[Settings, Arrays]:
        settings, arrays = super()._to_record()
        if isinstance(self.class_weight, dict):  # the keys of a JSON object are strings
            settings["parameters"]["class_weight"] = list(self.class_weight.items())
        return settings, arrays

    @classmethod
    def _from_record(cls, settings: Settings, arrays: Arrays) -> NetworkEnsemble:
        weight = settings["parameters"].get("class_weight")
        if isinstance(weight, list):
            parameters = {**settings["parameters"], "class_weight": dict(weight)}
            settings = {**settings, "parameters": parameters}
        return super()._from_record(settings, arrays)

    def _read_target(self, settings: Settings) -> None:
        self.classes_ = _read_classes(settings["classes"])


def _read_classes(written: Any) -> NDArray[Any]:
    """Read sorted classes: all strings, all booleans or all numbers."""
    kinds = {type(name) for name in written} if isinstance(written, list) else set()
    if kinds not in ({str}, {bool}, {int}, {float}) or len(written) < 2:
        raise ValueError(f"{shown(written)} are not valid classes")
    classes = np.array(written)
    if classes.dtype.kind == "O" or (classes[1:] <= classes[:-1]).any():
        raise ValueError(f"{shown(written)} are not valid classes")
    return classes
