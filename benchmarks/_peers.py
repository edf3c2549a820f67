"""Models for comparison."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from _common import Rows
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import Pipeline, make_pipeline
from torch import nn

from sklearn_elmodes import (
    ElementalModeTransformer,
    ElementAutoencoder,
    make_formation_energy_pipeline,
)
from sklearn_elmodes.elements import HERR2019_COLUMNS, SYMBOLS, property_table
from sklearn_elmodes.formulas import parse_formulas
from sklearn_elmodes.modes import ElementModes

KERNELS = {name: f"Laplacian kernel ridge on the {name}" for name in ("modes", "properties")}
KERNEL_WIDTHS = {"modes": (0.01, 0.02, 0.04), "properties": (0.02, 0.04, 0.08)}
RIDGES = (1e-4, 1e-3, 1e-2)


def element_rows(elements: pd.Index, X: NDArray[Any]) -> NDArray[np.intp]:
    """Return the row of each site's element in a table, shape of X."""
    rows = pd.Series(np.arange(len(elements)), index=elements)
    return rows.loc[np.ravel(X)].to_numpy().reshape(np.shape(X))


def site_distances(
    table: pd.DataFrame, X: NDArray[Any], known: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the city-block distances of crystals from known ones, summed over their sites.

    ``X`` and ``known`` contain the element on each site, shapes (n_crystals, n_sites) and
    (n_known, n_sites); the rows of ``table`` describe the elements.
    """
    between = cdist(table, table, "cityblock")
    sites, others = (element_rows(table.index, crystals).T for crystals in (X, known))
    return sum(between[:, other][site] for site, other in zip(sites, others, strict=True))


class LaplacianKernelRidge(RegressorMixin, BaseEstimator):
    """Kernel ridge on the four sites, with a kernel symmetric in A and B.

    A site is described by the modes of its element, or by the ten properties of the
    paper, period and group, all standardised.
    """

    def __init__(
        self, gamma: float = 0.02, alpha: float = 1e-3, features: str = "properties"
    ) -> None:
        self.gamma = gamma
        self.alpha = alpha
        self.features = features

    def fit(self, X: NDArray[Any], y: NDArray[np.float64]) -> LaplacianKernelRidge:
        between = self._measure(X)
        self.mean_ = y.mean()
        self.weights_ = _solve(_kernel(between, self.gamma), self.alpha, y - self.mean_)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return _kernel(self._distances(X), self.gamma) @ self.weights_ + self.mean_

    def grid_errors(self, train: Rows, validation: Rows) -> dict[tuple[float, float], float]:
        """Return the mean absolute error on validation rows for each width and ridge."""
        (X, y), (X_validation, y_validation) = train, validation
        between, across = self._measure(X), self._distances(X_validation)
        mean, found = y.mean(), {}
        for gamma in KERNEL_WIDTHS[self.features]:
            matrix, other = _kernel(between, gamma), _kernel(across, gamma)
            for alpha in RIDGES:
                predicted = other @ _solve(matrix, alpha, y - mean) + mean
                found[gamma, alpha] = float(np.abs(predicted - y_validation).mean())
        return found

    def tune(self, train: Rows, validation: Rows) -> LaplacianKernelRidge:
        """Set the width and ridge with the lowest validation error; does not fit."""
        found = self.grid_errors(train, validation)
        gamma, alpha = min(found, key=found.__getitem__)
        return self.set_params(gamma=gamma, alpha=alpha)

    def _measure(self, X: NDArray[Any]) -> list[NDArray[np.float64]]:
        """Compute the element features, and return the distances between training crystals."""
        if self.features == "modes":
            table = ElementModes.from_properties("extended").to_frame()
        else:
            table = property_table("extended")[[*HERR2019_COLUMNS, "period", "group"]].dropna()
            known = table.loc[np.unique(X)]
            table = (table - known.mean()) / known.std(ddof=0)
        self.table_, self.reference_ = table, X
        return self._distances(X)

    def _distances(self, X: NDArray[Any]) -> list[NDArray[np.float64]]:
        """Return the distances of the crystals, and of those with A and B exchanged."""
        return [
            site_distances(self.table_, X[:, order], self.reference_)
            for order in ([0, 1, 2, 3], [1, 0, 2, 3])
        ]


def _kernel(distances: list[NDArray[np.float64]], gamma: float) -> NDArray[np.float64]:
    one, other = distances
    return np.exp(-gamma * one) + np.exp(-gamma * other)


def _solve(
    matrix: NDArray[np.float64], alpha: float, target: NDArray[np.float64]
) -> NDArray[np.float64]:
    matrix = matrix.copy()
    matrix[np.diag_indices_from(matrix)] += alpha
    return cho_solve(cho_factor(matrix, overwrite_a=True, check_finite=False), target)


class PaperRecipe(RegressorMixin, BaseEstimator):
    """The network of Herr et al. (2019).

    Four modes on each site, trained together with a 128-128 softplus network; Adam
    with learning rate 1e-3 and batches of 32. The validation rows select the epoch.
    """

    def __init__(self, validation: Rows, max_epochs: int = 500, random_state: int = 0) -> None:
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
        table = ElementModes.from_properties("herr2019", 4, autoencoder).to_frame()
        table = table / table.std(ddof=0)
        self.elements_ = table.index

        torch.manual_seed(self.random_state)
        self.network_ = network = nn.Sequential(
            nn.Embedding.from_pretrained(torch.tensor(table.to_numpy()).float(), freeze=False),
            nn.Flatten(),
            nn.Linear(16, 128),
            nn.Softplus(),
            nn.Linear(128, 128),
            nn.Softplus(),
            nn.Linear(128, 1),
            nn.Flatten(0),
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        sites, energies = self._sites(X), torch.tensor(y).float()
        validation = self._sites(self.validation[0]), torch.tensor(self.validation[1])
        least, best_epoch, best_weights = np.inf, 0, network.state_dict()
        for epoch in range(self.max_epochs):
            for batch in torch.randperm(len(sites)).split(32):
                loss = ((network(sites[batch]) - energies[batch]) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.inference_mode():
                error = float((network(validation[0]) - validation[1]).abs().mean())
            if error < least:
                least, best_epoch = error, epoch
                best_weights = {name: w.clone() for name, w in network.state_dict().items()}
            if epoch - best_epoch > 100:
                break
        network.load_state_dict(best_weights)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        with torch.inference_mode():
            return self.network_(self._sites(X)).double().numpy()

    def _sites(self, X: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(element_rows(self.elements_, X))


def magpie_features(formulas: Any) -> NDArray[np.float64]:
    """Compute matminer's Magpie statistics, NaN where an element has no data."""
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Composition

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        featurizer = ElementProperty.from_preset("magpie", impute_nan=False)
        featurizer.set_n_jobs(1)
        compositions = [Composition(formula) for formula in formulas]
        rows = featurizer.featurize_many(compositions, ignore_errors=True, pbar=False)
    return np.array(rows, dtype=float)


def magpie_statistics(formulas: Any) -> NDArray[np.float64]:
    """Compute the same statistics for many formulas at once, from matminer's table.

    The first 20 rows are checked against matminer's own.
    """
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        magpie = ElementProperty.from_preset("magpie", impute_nan=False)
        table = np.full((len(SYMBOLS) + 1, len(magpie.features)), np.nan)
        for number, symbol in enumerate(SYMBOLS, start=1):
            for column, name in enumerate(magpie.features):
                value = magpie.data_source.get_elemental_property(Element(symbol), name)
                table[number, column] = np.nan if value is None else value
    compositions = parse_formulas(formulas)
    starts, rows = compositions.starts[:-1], compositions.rows
    fraction = compositions.fractions[:, None]
    values = table[compositions.atomic_numbers]
    least, most = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    mean = np.add.reduceat(fraction * values, starts)
    deviation = np.add.reduceat(fraction * np.abs(values - mean[rows]), starts)
    frequent = np.isclose(fraction, np.maximum.reduceat(fraction, starts)[rows])
    mode = np.minimum.reduceat(np.where(frequent, values, np.inf), starts)
    statistics = np.stack([least, most, most - least, mean, deviation, mode], axis=2)
    statistics = statistics.reshape(len(starts), -1)
    if not np.allclose(statistics[:20], magpie_features(formulas[:20]), equal_nan=True):
        raise SystemExit("The statistics differ from matminer's.")
    return statistics


class TableTransformer(ElementalModeTransformer):
    """Uses the rows of ``properties`` in place of modes."""

    def _learn(self) -> Self:
        self._set_mode_table(self.properties.index.tolist(), self.properties.to_numpy())
        return self


def table_transformer(table: pd.DataFrame, prototype: str | None = None) -> TableTransformer:
    """Return a transformer that describes elements by the rows of a table."""
    return TableTransformer(table.shape[1], properties=table, prototype=prototype, pooling=None)


def one_hot_table(symbols: Sequence[str]) -> pd.DataFrame:
    """Return a one-hot vector for each element."""
    return pd.DataFrame(np.eye(len(symbols)), index=list(symbols))


def one_hot_pipeline(
    n_elements: int = 103, prototype: str | None = None, **parameters: Any
) -> Pipeline:
    """Return the default pipeline with the first elements one-hot in place of modes."""
    network = make_formation_energy_pipeline(prototype, **parameters)[-1]
    return make_pipeline(table_transformer(one_hot_table(SYMBOLS[:n_elements]), prototype), network)
