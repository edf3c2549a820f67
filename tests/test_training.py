"""What keeps a training from going astray."""

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn

from sklearn_elmodes._networks._layers import EnsembleLinear
from sklearn_elmodes._networks._training import LimitGradients


class Members(nn.Module):
    """Three members of one layer each."""

    def __init__(self):
        super().__init__()
        self.linear = EnsembleLinear(3, 4, 2, torch.Generator().manual_seed(0))

    def forward(self, X):
        return self.linear(X)


def step(limit, net, lengths):
    """Set gradients of the given lengths, and return them before and after."""
    generator = torch.Generator().manual_seed(len(lengths))
    weights = list(net.module_.parameters())
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator)
    length = torch.sqrt(sum(w.grad.flatten(1).pow(2).sum(1) for w in weights))
    for weight in weights:
        weight.grad *= (torch.tensor(lengths) / length).view(-1, 1, 1)
    before = [weight.grad.clone() for weight in weights]
    limit.on_grad_computed(net)
    return before, [weight.grad for weight in weights]


def test_only_outliers_are_cut_and_only_those_of_the_member_concerned():
    net = NeuralNet(Members, nn.MSELoss).initialize()
    limit = LimitGradients()
    limit.on_train_begin(net)
    for lengths in ([100.0, 2.0, 0.0], [20.0, 2.0, 0.0], [2.0, 7.9, 3.0], [2.0, 2.0, 3.0]):
        for before, after in zip(*step(limit, net, lengths), strict=True):
            np.testing.assert_array_equal(after, before)  # to the bit
    usual = limit.usual_.clone()
    for before, after in zip(*step(limit, net, [2.0, 700.0, 3.0]), strict=True):
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
        np.testing.assert_allclose(after[1], before[1] * float(4 * usual[1]) / 700, rtol=1e-4)
    # Not the outlier, but what was left of it, enters the mean.
    np.testing.assert_allclose(limit.usual_[1], usual[1] * 1.03, rtol=1e-5)
    limit.on_train_begin(net)
    assert limit.usual_ is None
