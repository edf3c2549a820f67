"""The parts of the networks, one by one."""

import numpy as np
import pytest
import torch

from sklearn_elmodes._networks import _recipes, architecture
from sklearn_elmodes._networks._batches import EnsembleBatches
from sklearn_elmodes._networks._layers import EnsembleLinear, Residual
from sklearn_elmodes._networks._sets import N_AMOUNT_FEATURES, amount_features
from sklearn_elmodes._networks._sites import SiteDataset


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_dropout_keeps_the_mean():
    """What is kept is scaled up, so that prediction needs no scaling."""
    layer = Residual(EnsembleLinear(2, 8, 8, generator()), "relu", dropout=0.5)
    x = torch.rand(2, 20_000, 8, generator=generator(1))
    with torch.no_grad():
        change, dropped = layer(x, None) - x, layer(x, generator(2)) - x
    torch.testing.assert_close(dropped.mean(1), change.mean(1), rtol=0.05, atol=1e-3)
    assert 0.45 < (dropped[change > 0] == 0).float().mean() < 0.55
    kept = dropped[(change > 0) & (dropped > 0)]
    torch.testing.assert_close(kept, 2 * change[(change > 0) & (dropped > 0)])


def test_members_see_the_rows_in_orders_of_their_own():
    X = np.arange(50, dtype=np.float32)[:, None]
    rows = SiteDataset.from_arrays(X, X[:, 0].astype(float), 1, ((0,),), "cpu")
    batches = list(EnsembleBatches(rows, 10, 3, generator()))
    assert [targets.shape for _, targets in batches] == [(3, 10)] * 5
    orders = torch.cat([targets for _, targets in batches], dim=1)
    for order in orders:
        assert sorted(order.tolist()) == list(range(50))
    assert len({tuple(order.tolist()) for order in orders}) == 3
    again = next(iter(EnsembleBatches(rows, 50, 3)))[1]
    assert (again == torch.arange(50)).all()


def test_training_draws_every_order_of_equivalent_sites():
    kind = architecture("sites")
    arguments = {
        "n_members": 1,
        "n_outputs": 1,
        "n_sites": 2,
        "n_site_features": 3,
        "encoder_layer_sizes": (4, 4),
        "hidden_layer_sizes": (8, 8),
        "activation": "relu",
        "encoder_activation": "silu",
        "dropout": 0.0,
        "dtype": torch.float64,
        "seed": 0,
    }
    features = torch.rand(1, 2, 3, generator=generator(), dtype=torch.float64)
    sites = torch.tensor([0, 1]).expand(1, 1000, 2)
    alone = kind.network(**arguments, permutations=((0, 1),))
    both = kind.network(**arguments, permutations=((0, 1), (1, 0)))
    both.load_state_dict(alone.state_dict())
    with torch.no_grad():
        one, other = (alone(features, sites[:, :1, order]).item() for order in ([0, 1], [1, 0]))
        drawn = both(features, sites).flatten()
        both.eval()
        mean = both(features, sites[:, :1]).item()
    assert one != other
    shares = [float((drawn - value).abs().lt(1e-12).double().mean()) for value in (one, other)]
    assert sum(shares) == 1
    assert 0.4 < shares[0] < 0.6
    assert mean == pytest.approx((one + other) / 2)


def test_amounts_of_five_elements_and_more_are_told_from_four():
    amounts, atoms = np.ones(4), np.array([3.0, 4, 5, 6])
    found = amount_features(amounts, atoms, np.array([3, 4, 5, 6]))
    assert found.shape == (4, N_AMOUNT_FEATURES)
    # The indicators of 2, 3, 4, and of 5 and more elements.
    np.testing.assert_array_equal(
        found[:, 8:12], [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    )


def test_fine_tuning_takes_a_share_of_the_learning_rate():
    recipe = _recipes.SET
    scratch = recipe.resolve(100, "scratch")["learning_rate"]
    assert scratch == recipe.learning_rate

    def share(n_rows, start="all"):
        return recipe.resolve(n_rows, start)["learning_rate"] / scratch

    assert share(1) == share(30) == pytest.approx(1 / 40)  # never less
    assert share(600) == pytest.approx(0.1)
    assert share(15_000) == pytest.approx(0.5)
    assert share(60_000) == share(10**6) == 1
    assert share(100, "all_but_last") == 0.25
