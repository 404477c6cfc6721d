"""Attention maps: numbers known by hand, and constant maps without a division by zero."""

import numpy as np
import pytest
import torch

from volkit.errors import ContractError
from volkit.kernels.attention import channel_colours, enlarged, gradient_map, overlaid, to_bytes


def test_colours_are_deviation_maximum_and_mean() -> None:
    maps = np.array([[0.0, 0.0, 4.0], [0.0, 2.0, 2.0]]).reshape(2, 1, 1, 3)
    # deviation 0, 1, 1; maximum 0, 2, 4; mean 0, 1, 3
    expected = [[0, 255, 255], [0, 128, 255], [0, 85, 255]]
    assert channel_colours(maps).reshape(3, 3).tolist() == expected


def test_constant_maps_are_black() -> None:
    assert not channel_colours(np.full((4, 2, 2, 2), 3.0)).any()
    assert not to_bytes(np.full((2, 2), -7.0)).any()
    with pytest.raises(ContractError, match="finite values"):
        channel_colours(np.full((1, 1, 1, 1), np.nan))


def test_the_gradient_map_is_that_of_its_definition_and_never_negative() -> None:
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.random((3, 2, 4, 5))).requires_grad_()
    weight = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (maps.mean((1, 2, 3)) * weight).sum().backward()
    found = gradient_map(maps.detach().numpy(), maps.grad.numpy())
    expected = np.tensordot(weight.numpy() / 40, maps.detach().numpy(), 1).clip(0)
    np.testing.assert_allclose(found, expected)


def test_an_overlay_is_half_of_each() -> None:
    colours = enlarged(np.full((3, 1, 1, 1), 100, np.uint8), (2, 2, 2))
    grey = np.zeros((2, 2, 2))
    grey[0, 0, 0] = 5
    laid = overlaid(grey, colours)
    assert laid.shape == (3, 2, 2, 2)
    assert laid[0, 0, 0, 0] == 178  # half of 255 and 100
    assert laid[2, 1, 1, 1] == 50
