"""The models to compare with, as scikit-learn regressors where they are not so already."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, RegressorMixin
from torch import nn

from sklearn_elmodes import ElementalModeTransformer, ElementAutoencoder
from sklearn_elmodes.elements import HERR2019_COLUMNS, property_table

KERNEL_WIDTHS = (0.01, 0.02, 0.04)
RIDGES = (1e-4, 1e-3, 1e-2)


class LaplacianKernelRidge(RegressorMixin, BaseEstimator):
    """Kernel ridge on the four sites, made symmetric in A and B.

    A site is described by the modes of its element or, standardised, by the ten
    properties of the paper with period and group. ``fit`` keeps the distances,
    so that ``set_params(...).solve()`` tries another width or ridge cheaply.
    """

    def __init__(self, gamma: float = 0.02, alpha: float = 1e-3, features: str = "modes") -> None:
        self.gamma = gamma
        self.alpha = alpha
        self.features = features

    def fit(self, X: NDArray[Any], y: NDArray[np.float64]) -> LaplacianKernelRidge:
        if self.features == "modes":
            table = ElementalModeTransformer().fit(["NaCl"]).modes_
        else:
            table = property_table("extended").loc[np.unique(X)]
            table = table[[*HERR2019_COLUMNS, "period", "group"]]
            table = (table - table.mean()) / table.std(ddof=0)
        self.row_ = {symbol: row for row, symbol in enumerate(table.index)}
        self.between_elements_ = cdist(table, table, "cityblock")
        self.reference_ = self._rows(X)
        self.y_ = y
        self.distances_ = self.distances(X)
        return self.solve()

    def solve(self) -> LaplacianKernelRidge:
        matrix = self.kernel(self.distances_)
        matrix[np.diag_indices_from(matrix)] += self.alpha
        factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
        self.weights_ = cho_solve(factor, self.y_ - self.y_.mean())
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return self.predict_from(self.distances(X))

    def predict_from(self, distances: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(self.kernel(distances) @ self.weights_ + self.y_.mean())

    def distances(self, X: NDArray[Any]) -> list[NDArray[np.float64]]:
        """Measure from the crystals, and from them with A and B exchanged.

        The city-block distance of two crystals is the sum over their sites.
        """
        rows = self._rows(X)
        return [
            sum(
                self.between_elements_[rows[:, site]][:, self.reference_[:, number]]
                for number, site in enumerate(order)
            )
            for order in ([0, 1, 2, 3], [1, 0, 2, 3])
        ]

    def _rows(self, X: NDArray[Any]) -> NDArray[np.intp]:
        return np.array([[self.row_[symbol] for symbol in crystal] for crystal in X])

    def kernel(self, distances: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        one, other = distances
        return np.exp(-self.gamma * one) + np.exp(-self.gamma * other)


class PaperRecipe(RegressorMixin, BaseEstimator):
    """The recipe of Herr et al. (2019).

    Four modes on each site, trained along with a 128-128 softplus network; Adam
    with step 1e-3, batches of 32. The epoch is chosen on validation data.
    """

    def __init__(
        self, validation: Any = None, max_epochs: int = 500, random_state: int = 0
    ) -> None:
        self.validation = validation
        self.max_epochs = max_epochs
        self.random_state = random_state

    def fit(self, X: NDArray[Any], y: NDArray[np.float64]) -> PaperRecipe:
        autoencoder = ElementAutoencoder(
            learning_rate_init=1e-4,
            max_iter=20 * self.max_epochs,
            alpha=0.0,
            random_state=self.random_state,
        )
        transformer = ElementalModeTransformer(4, properties="herr2019", autoencoder=autoencoder)
        table = transformer.fit(["NaCl"]).modes_
        table /= table.std(ddof=0)
        self.number_ = {symbol: row for row, symbol in enumerate(table.index)}
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            modes = torch.tensor(table.to_numpy()).float()
            self.network_ = nn.Sequential(
                nn.Embedding.from_pretrained(modes, freeze=False),
                nn.Flatten(),
                nn.Linear(16, 128),
                nn.Softplus(),
                nn.Linear(128, 128),
                nn.Softplus(),
                nn.Linear(128, 1),
                nn.Flatten(0),
            )
            self._train(X, y)
        return self

    def _train(self, X: NDArray[Any], y: NDArray[np.float64]) -> None:
        optimizer = torch.optim.Adam(self.network_.parameters(), lr=1e-3, fused=True)
        sites, energies = self._rows(X), torch.tensor(y).float()
        sites_validation, energies_validation = self._rows(self.validation[0]), self.validation[1]
        least, best_epoch, best_weights = np.inf, 0, None
        for epoch in range(self.max_epochs):
            for batch in torch.randperm(len(sites)).split(32):
                loss = ((self.network_(sites[batch]) - energies[batch]) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.inference_mode():
                predicted = self.network_(sites_validation).numpy()
            error = np.abs(predicted - energies_validation).mean()
            if error < least:
                least, best_epoch = error, epoch
                best_weights = {k: v.clone() for k, v in self.network_.state_dict().items()}
            if epoch - best_epoch > 100:
                break
        self.network_.load_state_dict(best_weights)

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        with torch.inference_mode():
            return np.asarray(self.network_(self._rows(X)).numpy(), dtype=np.float64)

    def _rows(self, X: NDArray[Any]) -> torch.Tensor:
        return torch.tensor([[self.number_[symbol] for symbol in row] for row in X])


def magpie_features(formulas: Any) -> NDArray[np.float64]:
    """Compute matminer's Magpie statistics, NaN where it has none."""
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Composition

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        featurizer = ElementProperty.from_preset("magpie", impute_nan=False)
        featurizer.set_n_jobs(1)
        compositions = [Composition(formula) for formula in formulas]
        rows = featurizer.featurize_many(compositions, ignore_errors=True, pbar=False)
    return np.array(rows, dtype=float)
