"""Depth pooling: how 2-D networks see volumes, slice by slice, and give volumes back.

A 2.5-D network takes every slice with its neighbours as the channels of an image, pools over
depth between its stages, and shuffles the channels of its coarse answer into voxels.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.geometry import Coord

Pool = int | Literal["mix"]
"""Slices averaged into one; "mix" averages every slice with its two neighbours and keeps depth."""


def as_images(volume: Tensor, *, slices: int) -> Tensor:
    """Turn volumes into images, a slice and its neighbours to each.

    Parameters
    ----------
    volume : Tensor, shape (B, 1, z, y, x)
        Beyond the first and the last slice there are zeros.
    slices : int
        Channels of an image, odd: a slice in the middle of its neighbours.

    Returns
    -------
    Tensor, shape (B * z, slices, y, x)

    Examples
    --------
    >>> as_images(torch.arange(1.0, 4).view(1, 1, 3, 1, 1), slices=3)[..., 0, 0].tolist()
    [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 0.0]]
    """
    batch, _, depth, height, width = volume.shape
    reach = slices // 2
    padded = functional.pad(volume[:, 0], (0, 0, 0, 0, reach, reach))
    stack = torch.stack([padded[:, k : k + depth] for k in range(slices)], dim=2)
    images = stack.reshape(batch * depth, slices, height, width)
    return images.contiguous(memory_format=torch.channels_last)


def as_volume(images: Tensor, batch: int) -> Tensor:
    """Turn maps of slices, (B * z, C, y, x), into maps of volumes, (B, C, z, y, x)."""
    return images.unflatten(0, (batch, -1)).transpose(1, 2)


def pooled_depth(images: Tensor, batch: int, pool: Pool) -> Tensor:
    """Average maps over depth, and over nothing else.

    Parameters
    ----------
    images : Tensor, shape (B * z, C, y, x)
        Maps of slices.
    batch : int
        Volumes among them.
    pool : int or "mix"
        Slices averaged into one; "mix" averages over three and keeps the depth, at the first and
        the last slice with zeros beyond (kernel 3, stride 1, padding 1).

    Returns
    -------
    Tensor, shape (B * z / pool, C, y, x)

    Examples
    --------
    >>> x = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(4, 1, 1, 1)
    >>> pooled_depth(x, 2, 2).flatten().tolist(), pooled_depth(x, 1, "mix").flatten().tolist()
    ([2.0, 6.0], [1.3333333730697632, 3.0, 5.0, 4.0])
    """
    if pool == 1:
        return images
    if pool == "mix":
        volumes = images.unflatten(0, (batch, -1))
        padded = functional.pad(volumes, (0, 0, 0, 0, 0, 0, 1, 1))
        mixed = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
        return mixed.flatten(0, 1)
    return images.unflatten(0, (-1, pool)).mean(dim=1)


def shuffled(maps: Tensor, factors: Coord) -> Tensor:
    """Shuffle channels into voxels: a pixel shuffle over three axes.

    Parameters
    ----------
    maps : Tensor, shape (B, C * fz * fy * fx, z, y, x)
        The channels of a class are together, those of its voxels in the order (z, y, x).
    factors : tuple of int
        Voxels that a position becomes, (z, y, x).

    Returns
    -------
    Tensor, shape (B, C, z * fz, y * fy, x * fx)

    References
    ----------
    Shi et al., Real-time single image and video super-resolution, 2016, doi:10.1109/CVPR.2016.207.

    Examples
    --------
    >>> shuffled(torch.arange(4.0).view(1, 4, 1, 1, 1), (1, 2, 2)).tolist()
    [[[[[0.0, 1.0], [2.0, 3.0]]]]]
    """
    fz, fy, fx = factors
    batch, channels, z, y, x = maps.shape
    split = maps.reshape(batch, channels // (fz * fy * fx), fz, fy, fx, z, y, x)
    voxels = split.permute(0, 1, 5, 2, 6, 3, 7, 4)
    return voxels.reshape(batch, -1, z * fz, y * fy, x * fx)


def gathered(volume: Tensor, factors: Coord) -> Tensor:
    """Undo `shuffled`: (B, C, z, y, x) to (B, C * fz * fy * fx, z / fz, y / fy, x / fx)."""
    fz, fy, fx = factors
    batch, channels, z, y, x = volume.shape
    split = volume.reshape(batch, channels, z // fz, fz, y // fy, fy, x // fx, fx)
    maps = split.permute(0, 1, 3, 5, 7, 2, 4, 6)
    return maps.reshape(batch, channels * fz * fy * fx, z // fz, y // fy, x // fx)


class Convolutions(nn.Sequential):
    """Convolutions of 3 voxels along every axis, each normalised and rectified.

    Parameters
    ----------
    into, out : int
        Channels.
    count : int
        Convolutions.
    """

    def __init__(self, into: int, out: int, count: int) -> None:
        layers: list[nn.Module] = []
        for n in range(count):
            layers += [
                nn.Conv3d(out if n else into, out, 3, padding=1, bias=False),
                nn.BatchNorm3d(out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


def check_window(window: tuple[int, ...], multiple: Coord) -> None:
    """Refuse windows that pooling does not divide.

    Raises
    ------
    ModelError
        If an extent is no multiple.
    """
    if any(n % m for n, m in zip(window, multiple, strict=True)):
        raise ModelError(
            f"a window of {window} voxels does not divide by {multiple}, what the network pools; "
            "choose a window that is a multiple on every axis"
        )


def check_slices(in_channels: int, slices: int) -> None:
    """Refuse volumes with channels, and images without a middle slice.

    Raises
    ------
    ModelError
        If there is more than one channel, or an even number of slices.
    """
    if in_channels != 1 or slices < 1 or slices % 2 == 0:
        raise ModelError(
            f"a 2.5-D network of {in_channels} channels and {slices} slices cannot be; its "
            "channels are slices: give in_channels 1 and an odd number of slices"
        )
