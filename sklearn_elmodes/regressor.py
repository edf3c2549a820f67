"""Regressor for formation energies."""

from __future__ import annotations

from typing import Any

from sklearn.base import _fit_context

from sklearn_elmodes._regression import EnsembleRegressor
from sklearn_elmodes._table_ensemble import TableEnsemble


class FormationEnergyRegressor(EnsembleRegressor, TableEnsemble):
    """An ensemble of neural networks that predicts formation energies of crystals.

    With ``architecture="sites"`` a row of X contains the features of all sites of a
    crystal, one site after the other, with the same number of features for each site:
    its elemental modes. An encoder shared by all sites reads each site, and a residual
    network reads the encoded sites together. Training crystals with an element on one
    site thus also improve the predictions for other sites, and elements that the
    training data lack are described by their modes. With a single site (``n_sites=1``,
    any table of numbers) there is no encoder.

    With ``architecture="set"`` a row contains a formula of any kind: the modes and the
    amount of each element, in any order, padded with zeros, as returned by
    ``ElementalModeTransformer(pooling=None)``. The encoder reads each element with its
    amount, its outputs are summed over the elements, and the residual network reads the
    sum.

    All members of the ensemble are trained together, in the skorch net ``net_``. The
    target is scaled internally; the features are not. The dtype of X is kept: float32
    takes about half the time of float64.

    Parameters
    ----------
    n_sites : int, default=1
        Number of sites in a row of X; 1 for any table of numbers. Not used with
        ``architecture="set"``.
    architecture : {"sites", "set"}, default="sites"
        Whether a row describes the sites of a crystal or the elements of a formula.
    max_elements : int, default=10
        Largest number of elements in a formula, as in :class:`ElementalModeTransformer`.
        Only used with ``architecture="set"``.
    equivalent_sites : sequence of sequences of int, default=None
        Sets of symmetry-equivalent sites, counted from 0, such as ``[(0, 1)]``. Exchanging
        the elements on equivalent sites gives bitwise-identical predictions.
    permutations : sequence of sequences of int, default=None
        Alternative to ``equivalent_sites`` for coupled exchanges: orders of the sites that
        give the same crystal. ``[(1, 0, 3, 2)]`` exchanges the first two and the last two
        sites at once. The orders must form a group of at most 24; the identity may be
        omitted.
    n_estimators : int, default=4
        Number of networks in the ensemble.
    encoder_layer_sizes : tuple of int, default=(128, 128, 16)
        Layer widths of the shared encoder; not used with a single site. With
        ``architecture="set"`` the last of these layers also reads the amount.
    hidden_layer_sizes : tuple of int, default=(256, 256, 256)
        Layer widths of the network after the encoder. A layer as wide as the one before
        it is residual: its output is added to its input. With ``architecture="set"`` the
        first width is that of the sum over the elements.
    activation : {"relu", "silu", "tanh"}, default="relu"
        Activation function of the network after the encoder.
    encoder_activation : {"relu", "silu", "tanh"}, default="silu"
        Activation function of the encoder. Smooth functions gave smaller errors than
        "relu" for held-out elements.
    dropout : float, default=0.1
        Fraction of activations dropped in residual layers during training.
    alpha : float, default=0.01
        Weight decay of the AdamW optimizer.
    learning_rate_init : float or "auto", default="auto"
        Maximum learning rate; during training the rate rises from nearly zero and falls
        back to it (one cycle). "auto" is 0.005 for sites and 0.004 for a set. For
        fine-tuning it is multiplied by a factor between 1/40 (300 rows or fewer) and 1
        (60,000 rows or more), or by 1/4 if the last layer is reinitialised.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is 256 for sites trained from scratch; otherwise a fiftieth
        of the rows, but at least 32 and at most 512.
    max_iter : int or "auto", default="auto"
        Number of epochs. "auto" is 150, or 30 for fine-tuning all layers.
    pretrained : str, path-like, regressor, Pipeline or None, default=None
        Fitted model whose weights and target scale are used as a start (fine-tuning): the
        name of an included model, see :func:`~sklearn_elmodes.load_pretrained`; the path
        of a file written by :func:`~sklearn_elmodes.save_model`; or a fitted regressor or
        a pipeline that ends in one. The name of an included model always means that model;
        write ``"./oqmd"`` for a file of that name.

        Layers and modes must be the same. If this ensemble is larger, several members
        start from the same weights. If the median error of the model on y exceeds the
        scale of its own targets, or twice the median absolute deviation of y, y is treated
        as a different quantity: a warning is issued, and the target scale and the last
        layer are reinitialised.

        A grid search clones estimators, which discards their fit; wrap a fitted model in
        ``sklearn.frozen.FrozenEstimator`` to keep it.
    freeze : {"encoder", "all_but_last"} or None, default=None
        Layers whose weights stay fixed when training starts from ``pretrained`` or from
        an earlier fit.
    warm_start : bool, default=False
        Start from the weights and target scale of the last fit.
    early_stopping : bool, default=False
        Hold out a part of the rows, stop when the error on them no longer decreases, and
        keep the best weights.
    calibrate_std : bool, default=False
        Scale the std of ``predict(X, return_std=True)`` to the errors on held-out rows, so
        that it is an error bar; the std over the members alone is too small. Unless early
        stopping holds out rows anyway, this trains twice: first without the held-out rows,
        to find the scale, then on all rows. If ``pretrained`` or an earlier fit was trained
        on the held-out rows, the std is too small. Ctrl-C during the first training keeps
        its weights, without calibration.
    validation_fraction : float, default=0.1
        Fraction of the rows held out by early stopping and calibration.
    n_iter_no_change : int, default=20
        Number of epochs without improvement after which early stopping ends training.
    tol : float, default=1e-4
        Smallest decrease of the error that counts as an improvement, in standard
        deviations of the target.
    device : str, default="auto"
        Device such as "cpu" or "cuda"; "auto" uses a GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, batches and dropout.
    verbose : int, default=0
        Show a progress bar if positive.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; its module contains all members.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had any.
    n_iter_ : int
        Number of epochs.
    loss_curve_ : list of float
        Training error of each epoch: mean absolute error with dropout, averaged over the
        members, in units of y.
    validation_loss_curve_ : list of float or None
        Mean absolute error on the held-out rows after each epoch, averaged over the
        members, in units of y; None without early stopping.
    target_mean_, target_scale_ : float
        Mean and scale with which the target is standardised.
    learning_rate_, batch_size_, max_iter_ : float, int, int
        Training settings, with the values of "auto". None for models loaded from files of
        earlier releases that did not record them.
    std_floor_, std_scale_ : float
        Calibration: if s is the std over the members, ``predict`` returns
        sqrt(`std_floor_`² + (`std_scale_` · s)²). The floor is in units of y. Without
        calibration they are 0 and 1.

    Notes
    -----
    The calibration maximises the Gaussian likelihood of the errors on the held-out
    rows [1]_ [2]_. For intervals with guaranteed coverage use conformal prediction, for
    instance with MAPIE.

    References
    ----------
    .. [1] F. Musil, M. J. Willatt, M. A. Langovoy, M. Ceriotti, "Fast and accurate
       uncertainty estimation in chemical machine learning", J. Chem. Theory
       Comput. 15, 906 (2019).
    .. [2] G. Palmer et al., "Calibration after bootstrap for accurate uncertainty
       quantification in regression models", npj Comput. Mater. 8, 115 (2022).

    See Also
    --------
    ElementalModeTransformer : Computes the rows of X from formulas.
    make_formation_energy_pipeline : Pipeline of both, with tuned parameters.

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
        **TableEnsemble._parameter_constraints,
        **EnsembleRegressor._parameter_constraints,
    }

    def __init__(
        self,
        n_sites: int = 1,
        *,
        architecture: str = "sites",
        max_elements: int = 10,
        equivalent_sites: Any = None,
        permutations: Any = None,
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
        self.calibrate_std = calibrate_std

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, checkpoint: Any = None
    ) -> FormationEnergyRegressor:
        """Train the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Features of each site, one site after the other.
        y : array-like of shape (n_samples,)
            Target, for instance the formation energy in eV/atom.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss, in early stopping, in the calibration and in
            mean and scale of the target.
            Only ratios matter: a row of weight 2 counts as two equal rows, and rows of
            weight 0 are left out. None means equal weights.
        checkpoint : str or path-like, default=None
            File in which the state of training is saved about every 20 seconds. If the
            file exists, from an interrupted fit with the same data, parameters and
            integer ``random_state``, training resumes from it and gives the same result.
            The file is removed when training is complete. Do not use it in
            cross-validation, where all folds would share the file.

        Returns
        -------
        self

        Raises
        ------
        OSError
            If ``pretrained`` is the path of a file that cannot be read.
        ValueError
            If the number of columns of X is not a multiple of ``n_sites`` or
            ``max_elements``, an amount is negative, ``pretrained`` has other layers or
            modes, ``calibrate_std`` is used with a single network, or training diverges.
        """
        with self._kept_on_failure():
            self._fit(X, y, checkpoint, sample_weight)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target, as the mean over the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Rows that are entirely NaN, such as those of
            ``ElementalModeTransformer(handle_invalid="nan")``, have NaN predictions.
        return_std : bool, default=False
            Also return the standard deviation over the members. It is too small to be an
            error bar unless the regressor was fitted with ``calibrate_std=True``.

        Returns
        -------
        y_mean : ndarray of shape (n_samples,)
            In the units of the training target.
        y_std : ndarray of shape (n_samples,)
            Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If a row contains NaN beside numbers, or ``return_std=True`` and the ensemble
            has a single network.
        """
        return self._predict(X, return_std)
