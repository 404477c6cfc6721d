"""The residual U-Net: its shape, its reach, and what folding keeps."""

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.residual_unet import ResidualUNet3D, folded

SMALL = {"widths": (4, 8, 8), "blocks": (1, 1, 1)}


def warmed(**arguments) -> ResidualUNet3D:
    """A network whose normalisation has seen something, so that folding is not trivial."""
    torch.manual_seed(0)
    network = ResidualUNet3D(**{**SMALL, **arguments})
    network(3 + 2 * torch.randn(2, 1, 8, 16, 16))
    return network.eval()


def test_parameters_by_hand() -> None:
    network = ResidualUNet3D(1, 1, widths=(2, 4), blocks=(1, 1), norm="none")
    convolution = [27 * i * o + o for i, o in ((1, 2), (2, 2), (2, 2), (2, 2), (2, 2))]
    coarse = [27 * 4 * 4 + 4] * 2
    between = [8 * 2 * 4 + 4, 4 * 2 + 2, 2 + 1]  # down, up, head
    assert sum(p.numel() for p in network.parameters()) == sum(convolution + coarse + between)


def test_shipped_size_stays_small() -> None:
    network = ResidualUNet3D(widths=(16, 32, 48, 64), blocks=(1, 1, 1, 1))
    assert sum(p.numel() for p in network.parameters()) < 750_000


@pytest.mark.parametrize(
    ("pools", "multiple"), [(None, (4, 4, 4)), ([(1, 2, 2), (2, 2, 2)], (2, 4, 4))]
)
def test_levels_differ_in_pooling(pools, multiple) -> None:
    network = ResidualUNet3D(1, 3, **SMALL, pools=pools, kernels=[(1, 3, 3), (3, 3, 3), (3, 3, 3)])
    assert network.multiple == multiple
    window = tuple(2 * m for m in multiple)
    assert network(torch.zeros(1, 1, *window)).shape == (1, 3, *window)


def test_window_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ModelError, match=r"\(4, 6, 8\) voxels does not divide by \(4, 4, 4\)"):
        warmed()(torch.zeros(1, 1, 4, 6, 8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": (1, 1)}, "blocks has 2 entries, but 3 widths need 3"),
        ({"decoder_blocks": (1,)}, "decoder_blocks has 1 entries, but 3 widths need 2"),
        ({"pools": [2, 2, 2]}, "pools has 3 entries"),
        ({"kernels": [(3, 3, 3), (2, 3, 3), (3, 3, 3)]}, "must be odd"),
    ],
)
def test_lists_that_do_not_fit_are_refused(wrong, message) -> None:
    with pytest.raises(ModelError, match=message):
        ResidualUNet3D(**{**SMALL, **wrong})


def test_folding_keeps_the_answer() -> None:
    network = warmed()
    plain = build("residual_unet3d", **SMALL, norm="none")
    plain.load_state_dict(folded(network))
    x = torch.randn(1, 1, 8, 8, 12)
    torch.testing.assert_close(plain(x), network(x), rtol=1e-4, atol=1e-5)


def test_answer_depends_on_its_surroundings_alone() -> None:
    """Far voxels change nothing: no normalisation looks at the whole window."""
    network = warmed(widths=(4, 4), blocks=(1, 1))
    x = torch.randn(1, 1, 8, 8, 96)
    other = x.clone()
    other[..., 64:] = 100
    near = (..., slice(0, 32))
    torch.testing.assert_close(network(x)[near], network(other)[near], rtol=0, atol=0)


def test_answer_moves_with_the_image() -> None:
    network = warmed(widths=(4, 4), blocks=(1, 1))
    x = torch.randn(1, 1, 8, 8, 96)
    moved = torch.roll(x, 2, dims=-1)
    torch.testing.assert_close(
        network(x)[..., 40:56], network(moved)[..., 42:58], rtol=1e-5, atol=1e-5
    )
