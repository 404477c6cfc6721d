"""Stall networks: counts of parameters, MONAI as the oracle, and checkpoints that open."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from volkit.errors import ModelError
from volkit.models.checkpoint import load, read_checkpoint, save_checkpoint
from volkit.models.module_loading import read_module
from volkit.models.stall_networks import BACKBONES, StallNetwork

SMALL_DENSE = {"stem": 4, "growth": 2, "blocks": (2, 1)}
SMALL_RESIDUAL = {"widths": (8, 16), "blocks": (1, 2)}


def small(backbone: str, **options) -> StallNetwork:
    """A network of the family with few channels, its statistics moved away from 0 and 1."""
    size = dict(SMALL_DENSE if backbone.startswith("dense") else SMALL_RESIDUAL)
    if "resnext" in backbone:
        size |= {"group_width": 32, "groups": 2}
    torch.manual_seed(3)
    network = StallNetwork(backbone, size=size, **{"in_channels": 1, "units": 8, **options})
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 2)
    return network.eval()


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def statistics(module: nn.Module) -> int:
    return sum(b.numel() for n, b in module.named_buffers() if "running" in n)


def on_meta(backbone: str, **options) -> StallNetwork:
    with torch.device("meta"):
        return StallNetwork(backbone, **options)


def test_the_published_network_has_the_published_count() -> None:
    network = on_meta("densenet121")
    assert parameters(network.backbone) == 11_286_528
    assert parameters(network) == 11_811_841
    assert parameters(network) + statistics(network) == 11_895_489


@pytest.mark.parametrize(
    ("backbone", "name", "options", "biases"),
    [
        ("densenet121", "DenseNet121", {}, 0),
        ("densenet169", "DenseNet169", {}, 0),
        ("densenet201", "DenseNet201", {}, 0),
        ("se_resnext50", "SEResNext50", {}, 0),
        # MONAI gives shortcuts biases, which the normalisation behind them takes out again.
        ("resnet18", "resnet18", {}, 128 + 256 + 512),
        ("resnet34", "resnet34", {}, 128 + 256 + 512),
        ("resnet50", "resnet50", {}, 256 + 512 + 1024 + 2048),
    ],
)
def test_backbones_have_as_many_weights_as_those_of_monai(backbone, name, options, biases) -> None:
    networks = pytest.importorskip("monai.networks.nets")
    given = {"spatial_dims": 3, "num_classes": 1}
    if backbone.startswith("dense"):
        given = {"spatial_dims": 3, "out_channels": 1, "in_channels": 3}
    elif backbone.startswith("se_"):
        given["in_channels"] = 3
    with torch.device("meta"):
        theirs = getattr(networks, name)(**given, **options)
    ours = on_meta(backbone)
    classifier = ours.backbone.channels + 1
    assert parameters(ours.backbone) + classifier + biases == parameters(theirs)


def test_resnext_has_the_published_count() -> None:
    """Of the 2-D network on colours with 1000 classes: 25,028,904 (Xie et al., table 1: 25.0 M)."""
    flat = on_meta("resnext50", dims=2).backbone
    assert parameters(flat) + 1000 * (flat.channels + 1) == 25_028_904


def test_densenet_answers_as_the_one_of_monai() -> None:
    networks = pytest.importorskip("monai.networks.nets")
    ours = small("densenet121")
    theirs = networks.DenseNet(3, 1, 1, init_features=4, growth_rate=2, block_config=(2, 1)).eval()
    names = {k: k.replace("layers.", "") for k in theirs.state_dict() if k.startswith("features")}
    state = ours.backbone.state_dict()
    assert sorted(names.values()) == sorted(state)
    theirs.load_state_dict({old: state[new] for old, new in names.items()}, strict=False)
    clip = torch.rand(2, 1, 16, 32, 48)
    with torch.inference_mode():
        expected = theirs.features(clip).relu().mean((2, 3, 4))
        assert torch.allclose(ours.features(clip), expected, atol=1e-6)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_resnet_answers_as_the_one_of_monai(backbone) -> None:
    resnet = pytest.importorskip("monai.networks.nets.resnet")
    ours = small(backbone)
    kind = "basic" if backbone == "resnet18" else "bottleneck"
    theirs = resnet.ResNet(
        kind,
        [1, 2, 1, 1],
        [8, 16, 24, 32],
        n_input_channels=1,
        conv1_t_stride=2,
        bias_downsample=False,
    ).eval()
    theirs.layer3, theirs.layer4, theirs.fc = nn.Identity(), nn.Identity(), None
    theirs.load_state_dict(ours.backbone.state_dict())
    clip = torch.rand(2, 1, 16, 32, 48)
    with torch.inference_mode():
        assert torch.allclose(ours.features(clip), theirs(clip), atol=1e-5)


def test_se_resnext_block_answers_as_the_one_of_monai() -> None:
    blocks = pytest.importorskip("monai.networks.blocks.squeeze_and_excitation")
    from monai.networks.blocks.convolutions import Convolution

    torch.manual_seed(1)
    net = StallNetwork("se_resnext50", in_channels=1, size={"widths": (64,), "blocks": (1,)})
    ours = net.backbone.layer1[0].eval()
    project = Convolution(3, 64, 256, kernel_size=1, act=None, norm="batch", bias=False)
    theirs = blocks.SEResNeXtBottleneck(3, 64, 64, 32, 16, downsample=project).eval()
    with torch.no_grad():
        for ending in ("conv1", "conv2", "conv3"):
            getattr(theirs, ending).conv.weight.copy_(getattr(ours, ending).weight)
        theirs.project.conv.weight.copy_(ours.downsample[0].weight)
        for n, layer in ((0, ours.se.fc1), (2, ours.se.fc2)):
            theirs.se_layer.fc[n].weight.copy_(layer.weight.flatten(1))
            theirs.se_layer.fc[n].bias.copy_(layer.bias)
        x = torch.rand(2, 64, 3, 4, 5)
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_forward_is_the_head_of_features_of_maps(backbone, pooling) -> None:
    network = small(backbone, pooling=pooling, in_channels=2)
    clip = torch.rand(3, 2, 9, 33, 20)
    with torch.inference_mode():
        maps = network.maps(clip)
        reduced = maps.mean((2, 3, 4)) if pooling == "average" else maps.amax((2, 3, 4))
        features = network.features(clip)
        assert torch.allclose(features, reduced, atol=1e-6)
        assert torch.equal(network(clip), network.head(features))
        assert network(clip).shape == (3, 1)
        assert maps.min() >= 0


def test_only_the_head_is_uncertain() -> None:
    network = small("densenet121", units=64)
    clip = torch.rand(1, 1, 16, 32, 32)
    with torch.inference_mode():
        features = network.features(clip)
        network.head.train()
        answers = {float(network.head(features)) for _ in range(5)}
        assert torch.equal(network.features(clip), features)
    assert len(answers) == 5


@pytest.fixture
def saved(tmp_path):
    network = small("densenet121")
    arguments = {
        "backbone": "densenet121",
        "in_channels": 1,
        "units": 8,
        "size": {"stem": 4, "growth": 2, "blocks": [2, 1]},
    }
    card = {
        "architecture": "stall_network",
        "arguments": arguments,
        "channels": [1, 1],
        "window": [16, 32, 32],
        "output": "whole",
        "activation": "sigmoid",
    }
    return save_checkpoint(network.state_dict(), tmp_path / "stalls.yaml", card), network


def test_a_checkpoint_opens(saved) -> None:
    checkpoint, network = saved
    again = read_checkpoint(checkpoint.uri)
    assert again == checkpoint
    assert again.output == "whole"
    opened = read_module(again)
    clip = torch.rand(2, 1, 16, 32, 32)
    with torch.inference_mode():
        assert torch.equal(opened(clip), network(clip))
    assert set(load_file(checkpoint.weights_uri)) == set(network.state_dict())


def test_a_classifier_is_no_segmenter(saved, tmp_path) -> None:
    checkpoint, network = saved
    with pytest.raises(ModelError, match="answers a window as a whole"):
        load(checkpoint, "cpu")
    arguments = dict(checkpoint.arguments)
    card = {
        "architecture": "stall_network",
        "arguments": arguments,
        "channels": [1, 2],
        "window": [16, 32, 32],
        "output": "whole",
    }
    wrong = save_checkpoint(network.state_dict(), tmp_path / "wrong.yaml", card)
    with pytest.raises(ModelError, match=r"answered \(1, 1\) to one window, expected \(1, 2\)"):
        read_module(wrong)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ModelError, match="backbone 'densenet12' .*choose one of densenet121"):
        StallNetwork("densenet12")
    with pytest.raises(ModelError, match="pooling 'median'"):
        StallNetwork("densenet121", pooling="median")  # type: ignore[arg-type]


def test_gradients_reach_every_weight() -> None:
    network = small("se_resnext50").train()
    logits = network(torch.from_numpy(np.random.default_rng(0).random((4, 1, 8, 32, 32), "f4")))
    nn.functional.binary_cross_entropy_with_logits(
        logits[:, 0], torch.tensor([0.0, 1.0, 0.0, 1.0])
    ).backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())
