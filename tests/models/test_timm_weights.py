"""Weights in timm's names: what a stored file becomes, and what is refused."""

import pytest
import torch
from safetensors.torch import save_file

from volkit.errors import ModelError
from volkit.models.convnext import ConvNeXt
from volkit.models.resnet_rs import ResNetRS
from volkit.models.timm_weights import fitted_colours, load_timm

WIDTHS, BLOCKS = (4, 8), (1, 2)


def stored_convnext() -> dict[str, torch.Tensor]:
    """Weights of a ConvNeXt of colours, named and shaped by hand as timm stores them."""
    torch.manual_seed(0)
    state = {
        "stem.0.weight": torch.rand(4, 3, 4, 4),
        "stem.0.bias": torch.rand(4),
        "stem.1.weight": torch.rand(4),
        "stem.1.bias": torch.rand(4),
        "stages.1.downsample.0.weight": torch.rand(4),
        "stages.1.downsample.0.bias": torch.rand(4),
        "stages.1.downsample.1.weight": torch.rand(8, 4, 2, 2),
        "stages.1.downsample.1.bias": torch.rand(8),
        "head.norm.weight": torch.rand(8),
        "head.norm.bias": torch.rand(8),
        "head.fc.weight": torch.rand(10, 8),
        "head.fc.bias": torch.rand(10),
    }
    for stage, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
        for block in range(blocks):
            name = f"stages.{stage}.blocks.{block}"
            state |= {
                f"{name}.gamma": torch.rand(width),
                f"{name}.conv_dw.weight": torch.rand(width, 1, 7, 7),
                f"{name}.conv_dw.bias": torch.rand(width),
                f"{name}.norm.weight": torch.rand(width),
                f"{name}.norm.bias": torch.rand(width),
                f"{name}.mlp.fc1.weight": torch.rand(4 * width, width),
                f"{name}.mlp.fc1.bias": torch.rand(4 * width),
                f"{name}.mlp.fc2.weight": torch.rand(width, 4 * width),
                f"{name}.mlp.fc2.bias": torch.rand(width),
            }
    return state


@pytest.fixture
def file(tmp_path):
    save_file(stored_convnext(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_convnext_takes_a_file_of_timm(file) -> None:
    network = ConvNeXt(5, widths=WIDTHS, blocks=BLOCKS)
    load_timm(network, file)
    stored = stored_convnext()
    pixels = stored["stages.1.blocks.1.mlp.fc1.weight"]
    assert torch.equal(network.stages[1].blocks[1].mlp.fc1.weight[..., 0, 0], pixels)
    assert torch.equal(network.stem[0].weight, fitted_colours(stored["stem.0.weight"], 5))


@pytest.mark.parametrize("channels", [1, 3, 5, 7])
def test_grey_is_answered_as_grey_colours_were(channels) -> None:
    weight = torch.rand(2, 3, 4, 4).mean(1, keepdim=True).repeat(1, 3, 1, 1)
    grey = torch.rand(1, 1, 4, 4)
    expected = torch.nn.functional.conv2d(grey.repeat(1, 3, 1, 1), weight)
    images = grey.repeat(1, channels, 1, 1)
    answer = torch.nn.functional.conv2d(images, fitted_colours(weight, channels))
    torch.testing.assert_close(answer, expected)


def test_resnet_names_are_those_of_timm() -> None:
    names = set(ResNetRS(3, widths=(4, 4), blocks=(1, 2), stem=4).state_dict())
    for name in (
        "conv1.0.weight",
        "conv1.4.running_mean",
        "conv1.6.weight",
        "bn1.bias",
        "maxpool.0.weight",
        "maxpool.1.weight",
        "layer1.0.se.fc1.bias",
        "layer1.0.downsample.1.weight",
        "layer2.0.downsample.2.running_var",
        "layer2.1.bn3.weight",
        "layer2.1.conv2.weight",
    ):
        assert name in names


def test_resnet_takes_its_own_weights_without_the_classifier(tmp_path) -> None:
    network = ResNetRS(3, widths=(4, 4), blocks=(1, 1), stem=4)
    state = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    state["fc.weight"] = torch.rand(10, 16)
    save_file(state, tmp_path / "model.safetensors")
    other = ResNetRS(1, widths=(4, 4), blocks=(1, 1), stem=4)
    load_timm(other, tmp_path / "model.safetensors")
    assert torch.equal(other.layer2[0].conv2.weight, network.layer2[0].conv2.weight)
    assert torch.equal(other.conv1[0].weight, network.conv1[0].weight.sum(1, keepdim=True))


def test_weights_of_another_network_are_refused(file) -> None:
    with pytest.raises(ModelError, match=r"misses bn1.bias"):
        load_timm(ResNetRS(3, widths=(4,), blocks=(1,), stem=4), file)
    with pytest.raises(ModelError, match=r"instead of \(6,"):
        load_timm(ConvNeXt(3, widths=(6, 8), blocks=BLOCKS), file)


def test_absent_file_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="there are no weights at"):
        load_timm(ConvNeXt(3, widths=WIDTHS, blocks=BLOCKS), tmp_path / "none.safetensors")
