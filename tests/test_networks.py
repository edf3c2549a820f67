"""An architecture of one's own, for data that are not a table, in the same ensemble."""

import subprocess
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_elmodes import _networks
from sklearn_elmodes._networks._architecture import Architecture
from sklearn_elmodes._networks._batches import EnsembleDataset, as_targets, distinct_rows
from sklearn_elmodes._networks._layers import EnsembleLinear, EnsembleNetwork, hidden_layers
from sklearn_elmodes._networks._recipes import SET, SITES, Recipe
from sklearn_elmodes._regression import EnsembleRegressor
from sklearn_elmodes.applicability import widest_std


class Bags:
    """Rows of any number of vectors: what atoms in space will be."""

    def __init__(self, bags):
        self.bags = bags

    def __len__(self):
        return len(self.bags)

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            return Bags(self.bags[rows])
        return Bags([self.bags[row] for row in rows])


@dataclass(frozen=True)
class BagDataset(EnsembleDataset):
    sums: torch.Tensor  # (n_samples, n_features)
    targets: torch.Tensor | None

    def __len__(self):
        return len(self.sums)

    @property
    def device(self):
        return self.sums.device

    @property
    def described(self):
        return self.sums

    def groups(self):
        return distinct_rows(self.sums.numpy())[1]

    def for_prediction(self):
        return {"sums": self.sums}

    def inputs(self, rows):
        return {"sums": self.sums[rows]}


class BagNetwork(EnsembleNetwork):
    def __init__(
        self,
        n_members,
        n_outputs,
        n_features,
        encoder_layer_sizes,
        hidden_layer_sizes,
        activation,
        encoder_activation,
        dropout,
        dtype,
        seed,
    ):
        super().__init__(n_members, n_outputs, seed)
        initial = torch.Generator().manual_seed(seed)

        def linear(n_in, n_out):
            return EnsembleLinear(n_members, n_in, n_out, initial)

        self.encoder = nn.Sequential()
        self.joint = nn.ModuleList(
            hidden_layers((n_features, *hidden_layer_sizes), linear, activation, dropout)
        )
        self.last = linear(hidden_layer_sizes[-1], n_outputs)
        self.to(dtype)

    def forward(self, sums):
        return self._finish(sums, self.joint)

    @torch.inference_mode()
    def predict(self, sums):
        self.eval()
        return self(sums.expand(self.n_members, *sums.shape))


class BagArchitecture(Architecture):
    name = "bags"
    recipe = Recipe(learning_rate=0.01, batch_size=16, max_iter=40)
    network = BagNetwork

    def n_features(self, X):
        return X.bags[0].shape[1]

    def dtype(self, X):
        return "float64"

    def cast(self, X, dtype):
        return X

    def content(self, X):
        for bag in X.bags:
            yield np.ascontiguousarray(bag).data

    def layout(self, n_features, parameters):
        return {"n_features": n_features}

    def dataset(self, X, y, arguments, device):
        sums = np.array([bag.sum(axis=0) for bag in X.bags])
        return BagDataset(torch.as_tensor(sums, device=device), as_targets(y, sums.dtype, device))

    def describe(self, arguments, site_names):
        return f"layers read the sums of {arguments['n_features']} numbers"


class BagRegressor(EnsembleRegressor):
    def __init__(
        self,
        *,
        architecture="bags",
        n_estimators=2,
        encoder_layer_sizes=(4,),
        hidden_layer_sizes=(32, 32),
        activation="relu",
        encoder_activation="silu",
        dropout=0.1,
        pretrained=None,
        early_stopping=False,
        calibrate_std=False,
        random_state=0,
    ):
        super().__init__(
            n_estimators=n_estimators,
            encoder_layer_sizes=encoder_layer_sizes,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            encoder_activation=encoder_activation,
            dropout=dropout,
            pretrained=pretrained,
            early_stopping=early_stopping,
            random_state=random_state,
        )
        self.architecture = architecture
        self.calibrate_std = calibrate_std

    @property
    def _architecture(self):
        return _networks.architecture(self.architecture)

    def _read(self, X, *y, y_numeric=False):
        self.n_features_in_ = X.bags[0].shape[1]
        return (X, np.asarray(*y)) if y else X

    def fit(self, X, y, checkpoint=None):
        self._fit(X, y, checkpoint)
        return self

    def predict(self, X, return_std=False):
        return self._predict(X, return_std)


@pytest.fixture
def bags(monkeypatch, rng):
    module = types.ModuleType("sklearn_elmodes._networks._bags")
    module.ARCHITECTURE = BagArchitecture()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(_networks.ARCHITECTURES, "bags", "_bags")
    bags = [rng.normal(size=(rng.randint(1, 5), 3)) for _ in range(200)]
    return Bags(bags), np.array([bag.sum(axis=0) @ [1, -2, 3] for bag in bags])


def test_a_third_architecture_needs_nothing_but_itself(bags, tmp_path):
    X, y = bags
    model = BagRegressor().fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.9
    assert (model.learning_rate_, model.batch_size_, model.max_iter_) == (0.01, 16, 40)
    assert model._description() == "layers read the sums of 3 numbers"
    tuned = BagRegressor(pretrained=model, early_stopping=True, calibrate_std=True).fit(X, y)
    assert tuned.max_iter_ == 30
    assert tuned.target_scale_ == model.target_scale_ == widest_std(tuned)
    mean, std = tuned.predict(X, return_std=True)
    assert mean.shape == std.shape == (200,)
    settings, arrays = tuned._to_record()
    again = BagRegressor._from_record({**settings, "n_features_in": 3}, arrays)
    np.testing.assert_array_equal(again.predict(X, return_std=True), (mean, std))
    path = tmp_path / "state"
    model.fit(X[:150], y[:150], checkpoint=path)
    assert not path.exists()


def test_building_and_cloning_a_pipeline_loads_no_torch():
    code = """
import sys
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn_elmodes import ElementalModeClassifier, make_formation_energy_pipeline
pipeline = clone(make_formation_energy_pipeline(pretrained="oqmd"))
assert get_tags(pipeline[-1]).input_tags.positive_only
assert not get_tags(ElementalModeClassifier()).input_tags.positive_only
print(*sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"torch", "skorch", "safetensors"} & set(out.stdout.split())


def test_unknown_names():
    with pytest.raises(ValueError, match=r"Unknown architecture 'atom'; choose from \['set"):
        _networks.architecture("atom")


def test_recipes():
    assert SITES.resolve(10_000, "scratch") == {
        "learning_rate": 0.005,
        "batch_size": 256,
        "max_iter": 150,
    }
    assert SET.resolve(10_000, "scratch")["batch_size"] == 200
    assert SITES.resolve(10_000, "all")["batch_size"] == 200
    assert SET.resolve(60, "all") == {
        "learning_rate": pytest.approx(0.004 * (60 / 60_000) ** 0.5),
        "batch_size": 32,
        "max_iter": 30,
    }
    assert SET.resolve(10**6, "all")["learning_rate"] == 0.004
    assert SET.resolve(10, "all_but_last") == {
        "learning_rate": 0.001,
        "batch_size": 32,
        "max_iter": 150,
    }
    # The rise of a set's step size takes at least two and a half steps.
    assert SET.cycle(1) == {"total_steps": 4, "pct_start": 0.625, "cycle_momentum": False}
    assert SET.cycle(999) == {"total_steps": 1000, "pct_start": 0.1, "cycle_momentum": False}
    assert SITES.cycle(1) == {"total_steps": 2, "pct_start": 0.3, "cycle_momentum": True}
