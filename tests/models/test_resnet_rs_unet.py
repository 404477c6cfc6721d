"""The 2.5-D U-Net on ResNet-RS: the known size of its backbone, its shapes, its parts."""

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.resnet_rs import ResNetRS
from volkit.models.resnet_rs_unet import Attention, JointPyramid, ResNetRSUNet

SMALL = {
    "widths": (4, 4, 4, 4),
    "blocks": (1, 1, 1, 1),
    "stem": 4,
    "joint_width": 4,
    "decoder_widths": (8, 8, 4, 4),
}


def test_the_backbone_with_its_classifier_has_the_known_parameters() -> None:
    with torch.device("meta"):
        backbone = ResNetRS(3)
    classifier = 2048 * 1000 + 1000
    assert sum(p.numel() for p in backbone.parameters()) + classifier == 35_691_912


def test_the_published_window_gives_maps_of_its_shape() -> None:
    with torch.device("meta"):
        network = build("resnet_rs_unet", out_channels=6)
        assert network(torch.zeros(1, 1, 32, 128, 128)).shape == (1, 6, 32, 128, 128)
    assert network.multiple == (4, 32, 32)


@pytest.mark.parametrize("pools", [(2, 2, "mix", "mix"), (1, 4, 1, "mix"), (1, 1, 1, 1)])
def test_depth_is_restored_however_it_was_pooled(pools) -> None:
    network = ResNetRSUNet(1, 2, **SMALL, depth_pools=pools)
    assert network(torch.zeros(2, 1, 8, 32, 64)).shape == (2, 2, 8, 32, 64)


def test_single_slices_are_mixed_over_depth() -> None:
    torch.manual_seed(0)
    network = ResNetRSUNet(1, 1, **SMALL).eval()
    image = torch.rand(1, 1, 8, 32, 32)
    other = image.clone()
    other[0, 0, 0] += 1
    with torch.inference_mode():
        change = (network(other) - network(image)).abs().amax((0, 1, 3, 4))
    assert (change > 0).all()


def test_casting_the_backbone_still_works() -> None:
    assert ResNetRS(3, widths=(4,), blocks=(1,), stem=4).half().bn1.weight.dtype == torch.float16


def test_attention_by_hand() -> None:
    attention = Attention(2)
    for p in attention.parameters():
        torch.nn.init.zeros_(p)
    # Both gates are sigmoid(0) = 1/2, and their answers are added.
    x = torch.rand(1, 2, 2, 3, 4)
    assert torch.equal(attention(x), x)


def test_joint_pyramid_answers_at_the_finest_map() -> None:
    joint = JointPyramid((3, 5), 2)
    assert joint([torch.rand(2, 3, 8, 6), torch.rand(2, 5, 4, 3)]).shape == (2, 8, 8, 6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"widths": (4, 4, 4)}, "give four of each"),
        ({"depth_pools": (2, 2, 2, 1)}, "reduce depth between the maps that are joined"),
        ({"slices": 2}, "an odd number of slices"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message) -> None:
    with pytest.raises(ModelError, match=message):
        ResNetRSUNet(**{**SMALL, **wrong})
