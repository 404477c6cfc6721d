"""The contract of architectures, kept by some of volkit's, and broken in each of its points."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from volkit.testing.architecture_contract import ArchitectureTests


class TestMeshNet(ArchitectureTests):
    name = "meshnet"
    arguments: ClassVar = {"channels": 3, "dilations": [1, 2], "out_channels": 2}
    channels = (1, 2)
    window = (8, 8, 8)


class TestResidualUNet(ArchitectureTests):
    name = "residual_unet3d"
    arguments: ClassVar = {"widths": [2, 4], "blocks": [1, 1], "norm": "none"}
    window = (8, 16, 16)


class Fickle(nn.Module):
    """Sees the mean of its batch, has dropout that never ends, and a weight of no use."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.idle = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * nn.functional.dropout(x - x.mean(), 0.5, training=True)


def test_a_network_that_keeps_nothing_is_told_of(tmp_path: Path) -> None:
    contract = ArchitectureTests()
    contract.name = "fickle"
    network, batch = Fickle().eval(), torch.randn(2, 1, 4, 4, 4)
    with pytest.raises(AssertionError, match="fickle"):
        contract.test_is_found_by_its_name()
    with pytest.raises(AssertionError, match="two answers to one batch differ"):
        contract.test_answers_alike_twice(network, batch)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        contract.test_windows_do_not_know_each_other(network, batch)
    contract.channels = (1, 2)
    contract.window = (4, 4, 4)
    with pytest.raises(AssertionError, match=r"is \(2, 1, 4, 4, 4\), not \(2, 2, 4, 4, 4\)"):
        contract.test_answers_a_window(network, batch)


def test_an_idle_weight_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArchitectureTests, "_built", classmethod(lambda cls, seed: Fickle()))
    with pytest.raises(AssertionError, match="idle"):
        ArchitectureTests().test_every_weight_learns(torch.randn(1, 1, 4, 4, 4))


def test_seeds_of_others_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = float(torch.rand(1))
    torch.manual_seed(3)
    TestMeshNet._built(0)
    np.testing.assert_equal(float(torch.rand(1)), expected)
