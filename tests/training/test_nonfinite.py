"""The first tensor that is not finite is named, wherever it is."""

import torch
from torch import nn

from volkit.training.nonfinite import first_nonfinite


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.ReLU(), nn.Conv3d(2, 1, 1))


def test_each_place_is_told_from_the_others() -> None:
    images = torch.rand(3, 1, 2, 2, 2)
    spoilt = images.clone()
    spoilt[1, 0, 0, 0, 0] = torch.nan
    assert first_nonfinite(network(), spoilt) == "image 1 of the batch"
    net = network()
    nn.init.constant_(net[3].weight, torch.inf)
    assert first_nonfinite(net, images) == "the weight 3.weight"
    net = network()
    net[1].eval().running_var[1] = torch.nan
    assert first_nonfinite(net, images) == "the buffer 1.running_var"
    net = network()
    nn.init.constant_(net[0].weight, 3e38)
    nn.init.constant_(net[0].bias, 3e38)
    net(images + 1)  # the step that failed: running statistics are infinite since
    assert not torch.isfinite(net[1].running_mean).all()
    assert first_nonfinite(net, images + 1) == "the answer of 0"
    net = network()
    net[3].bias.grad = torch.full((1,), torch.nan)
    assert first_nonfinite(net, images) == "the gradient of 3.bias"
    assert first_nonfinite(network(), images).startswith("none of images")


def test_looking_changes_nothing() -> None:
    net = network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert first_nonfinite(net, torch.rand(2, 1, 2, 2, 2)).startswith("none")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(part._forward_hooks for part in net.modules())
