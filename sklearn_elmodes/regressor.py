"""The network that predicts formation energies, as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

from sklearn.base import _fit_context

from sklearn_elmodes._ensemble import TableEnsemble
from sklearn_elmodes._regression import EnsembleRegressor


class FormationEnergyRegressor(EnsembleRegressor, TableEnsemble):
    """An ensemble of neural networks for the formation energy of crystals.

    A row of X describes the sites of a crystal one after the other, each with
    the same number of features: its elemental modes. One encoder, shared by
    all sites, reads each site before a residual network joins them. The encoder
    learns about an element on one site for all sites, and reads an element that it
    never saw by its modes. With a single site (``n_sites=1``, any table of numbers)
    there is no encoder.

    With ``architecture="set"`` a row holds a formula of any kind: for each of its
    elements, in any order, the modes followed by the amount, and zeros to the end
    of the row, as ``ElementalModeTransformer(pooling=None)`` writes it. The
    encoder reads each element with its amount, its codes are summed over the
    elements, and the residual network reads the sum.

    All members of the ensemble train at once, in a skorch net kept in ``net_``.
    The target is scaled inside; scale the features before. Computation has the
    precision of X, and float32 takes about half the time of float64.

    Parameters
    ----------
    n_sites : int, default=1
        Number of sites in a row of X; 1 for any table of numbers. Not used by a set.
    architecture : {"sites", "set"}, default="sites"
        Whether a row describes the sites of a crystal or the set of elements of a
        formula.
    max_elements : int, default=10
        Number of elements for which a row of a set has room, as in
        :class:`ElementalModeTransformer`.
    equivalent_sites : sequence of sequences of int, default=None
        Sets of sites, counted from 0, whose exchange leaves the crystal as it
        is: ``[(0, 1)]``. Predictions are bitwise equal under such an exchange.
    permutations : sequence of sequences of int, default=None
        In place of ``equivalent_sites``, the orders of the sites that leave the crystal
        as it is, for exchanges that go together: ``[(1, 0, 3, 2)]`` exchanges the first
        two sites and the last two at once. The orders must form a group of at most 24;
        the identity may be left out.
    n_estimators : int, default=4
        Members of the ensemble.
    encoder_layer_sizes : tuple of int, default=(128, 128, 16)
        Layers of the shared encoder; not used with a single site. In a set network
        the last of them reads the amount, too.
    hidden_layer_sizes : tuple of int, default=(256, 256, 256)
        Layers of the network that joins the sites. A layer as wide as the one
        before it adds to its input instead of replacing it. In a set network the
        first is the sum over the elements.
    activation : {"relu", "silu", "tanh"}, default="relu"
        Non-linearity of the network that joins the sites.
    encoder_activation : {"relu", "silu", "tanh"}, default="silu"
        Non-linearity of the encoder. A smooth one gave smaller errors than "relu" for
        held-out elements.
    dropout : float, default=0.1
        Share of activations dropped in training, in layers that add to their
        input.
    alpha : float, default=0.01
        Weight decay of the AdamW optimizer.
    learning_rate_init : float or "auto", default="auto"
        Largest step size; it rises from nearly zero and falls back to it over the
        training (one cycle). "auto" is 0.005 for sites and 0.004 for a set. Training that
        starts from the weights of another model takes a share of that: from 1/40 for 300
        rows or fewer to the whole for 60,000, and 1/4 if the last layer is new.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is 256 for training sites from scratch, else a
        fiftieth of the rows, but at least 32 and at most 512.
    max_iter : int or "auto", default="auto"
        Number of passes over the data. "auto" is 150, or 30 for training that starts
        from the weights of all layers.
    pretrained : str, path-like, regressor, Pipeline or None, default=None
        Fitted model from whose weights and target scale training starts (fine-tuning):
        the name of a shipped model, see :func:`~sklearn_elmodes.load_pretrained`; the
        path of a file written by :func:`~sklearn_elmodes.save_model`, ``"./oqmd"`` if it
        has the name of a shipped one; or a fitted regressor or a pipeline that
        ends in one. Layers and modes must be the same; if this ensemble is larger,
        several members start from the same weights. If the model's median error on y
        exceeds the scale of its own targets, or twice the median deviation of y, y is
        treated as a different quantity, with a warning: target scale and last layer are
        reinitialised.
        In a grid of parameters
        scikit-learn takes the fit from an estimator unless it is wrapped in
        ``sklearn.frozen.FrozenEstimator``.
    freeze : {"encoder", "all_but_last"} or None, default=None
        Weights that stay as they are in training that starts from ``pretrained`` or
        an earlier fit.
    warm_start : bool, default=False
        Start from the weights and target scale of the last fit.
    early_stopping : bool, default=False
        Hold out a part of the data, stop when its error no longer falls and
        keep the best weights.
    calibrate_std : bool, default=False
        Scale the std of ``predict(X, return_std=True)`` to the errors on rows
        held out, so that it is an error bar; the std over the members alone is too
        small. Unless early stopping holds out rows anyway,
        this trains a second time: once without the rows held out, for the
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
        Mean and scale with which the target is standardised.
    learning_rate_, batch_size_, max_iter_ : float, int, int
        The settings of the training, with numbers in place of "auto". None in a model
        from a file of an earlier release that does not record them.
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
    ElementalModeTransformer : Computes such rows from formulas.
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
    def fit(self, X: Any, y: Any, checkpoint: Any = None) -> FormationEnergyRegressor:
        """Train the ensemble.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites * n_site_features)
            Features of each site, one site after the other.
        y : array-like of shape (n_samples,)
            Target, for instance the formation energy in eV/atom.
        checkpoint : str or path-like, default=None
            File for the state of a long training, written about every 20 seconds. If
            it exists, from an interrupted fit with the same data, parameters and
            integer ``random_state``, training resumes from it to the same result. It
            is removed when training is complete. Do not use it in a cross-validation,
            whose folds would share it.

        Returns
        -------
        self

        Raises
        ------
        OSError
            If ``pretrained`` is the path of a file that cannot be read.
        ValueError
            If the columns of X do not divide into ``n_sites`` or ``max_elements``, an
            amount of a set is negative, ``pretrained`` has other layers or modes, a single
            network is to be calibrated, or training diverges.
        """
        with self._kept_on_failure():
            self._fit(X, y, checkpoint)
        return self

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
        return self._predict(X, return_std)
