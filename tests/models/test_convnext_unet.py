"""The 2.5-D U-Net on ConvNeXt: the published size, shapes at every size, its reach."""

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.convnext_unet import ConvNeXtUNet
from volkit.models.module_loading import ready_module
from volkit.models.running import Running

SMALL = {
    "widths": (4, 4, 8, 8),
    "blocks": (1, 1, 1, 1),
    "decoder_widths": (8, 4, 4),
    "convolutions": 1,
}


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_published_network_has_its_parameters() -> None:
    with torch.device("meta"):
        network = ConvNeXtUNet(1, 6)
    parts = (network.backbone, network.neck, network.decoder, network.head)
    assert [count(part) for part in parts] == [14_953_840, 29_380_800, 102_969_344, 98_688]
    assert count(network) == 147_402_672


def test_the_published_window_gives_maps_of_its_shape() -> None:
    with torch.device("meta"):
        network = ConvNeXtUNet(1, 6)
        assert network(torch.zeros(1, 1, 16, 128, 128)).shape == (1, 6, 16, 128, 128)
        assert network(torch.zeros(1, 1, 32, 128, 128)).shape == (1, 6, 32, 128, 128)
    assert network.multiple == (16, 32, 32)


@pytest.mark.parametrize(
    ("pools", "patch", "window"),
    [
        ((4, 2, 2, 1), 4, (16, 32, 64)),
        ((2, 1, 1, 1), 2, (4, 16, 32)),
        ((1, 1, 1, 1), 4, (3, 32, 32)),
    ],
)
def test_depth_and_patch_are_free(pools, patch, window) -> None:
    network = build("convnext_unet", out_channels=2, depth_pools=pools, patch=patch, **SMALL)
    assert network(torch.zeros(2, 1, *window)).shape == (2, 2, *window)


def test_a_volume_is_answered_alike_in_every_batch() -> None:
    torch.manual_seed(0)
    network = ConvNeXtUNet(1, 2, **SMALL).eval()
    images = torch.rand(3, 1, 16, 32, 32)
    with torch.inference_mode():
        together = network(images)
        for n in range(3):
            torch.testing.assert_close(network(images[n : n + 1])[0], together[n])


def test_every_weight_learns() -> None:
    network = ConvNeXtUNet(1, 2, layer_scale=0.1, **SMALL)
    network(torch.rand(2, 1, 16, 32, 32)).square().mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"in_channels": 3}, "its channels are slices"),
        ({"slices": 4}, "an odd number of slices"),
        ({"decoder_widths": (8, 4)}, "4 widths need 4 blocks, 4 depth_pools and 3 decoder_widths"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message) -> None:
    with pytest.raises(ModelError, match=message):
        ConvNeXtUNet(**{**SMALL, **wrong})


def test_window_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ModelError, match=r"\(8, 32, 32\) voxels does not divide by \(16, 32, 32\)"):
        ConvNeXtUNet(1, 2, **SMALL)(torch.zeros(1, 1, 8, 32, 32))


def test_layers_of_images_are_laid_out_for_inference() -> None:
    torch.manual_seed(0)
    network = ConvNeXtUNet(1, 2, **SMALL).eval()
    image = torch.rand(1, 1, 16, 32, 32)
    with torch.inference_mode():
        expected = network(image)
        ready = ready_module(network, Running("cpu", "float32"))
        torch.testing.assert_close(ready(image), expected)
    assert ready.backbone.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
