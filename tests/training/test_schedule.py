"""The learning rate and the running average."""

import pytest
import torch
from torch import nn

from volkit.training.schedule import RunningAverage, learning_rate


def test_rate_rises_then_falls() -> None:
    rates = [learning_rate(step, peak=2.0, warmup=10, steps=100) for step in range(100)]
    assert rates[9] == max(rates) == 2.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] < 0.002


def test_half_way_down_is_half_the_peak() -> None:
    assert learning_rate(60, peak=1.0, warmup=20, steps=100) == pytest.approx(0.5)


def test_average_follows_and_keeps_the_network_alone() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = RunningAverage(network, decay=0.5)
    nn.init.ones_(network.weight)
    average.update(network, 0)  # keeps (1 + 0) / (10 + 0) of the old
    assert average.network.weight.item() == pytest.approx(0.9)
    average.update(network, 10**6)
    assert average.network.weight.item() == pytest.approx(0.95)
    assert not average.network.weight.requires_grad


def test_average_takes_normalisation_too() -> None:
    network = nn.BatchNorm3d(2)
    average = RunningAverage(network, decay=0.5)
    network(torch.full((1, 2, 2, 2, 2), 7.0))
    average.update(network, 0)
    assert average.network.running_mean.allclose(torch.full((2,), 0.63))
    assert average.network.num_batches_tracked == 1
