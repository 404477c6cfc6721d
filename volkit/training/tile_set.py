"""Sets of tiles: what a Dataset of images and regions holds, small and in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from volkit.errors import ContractError
from volkit.kernels.hamming import Shrink, hamming_weights

_TILE_AXES = 3


@dataclass(frozen=True, slots=True, eq=False)
class TileSet:
    """Tiles and their regions.

    Parameters
    ----------
    tiles : Tensor of float32, shape (N, C, y, x)
        From 0 to 1.
    regions : Tensor of int64, shape (N,)
        From 0 on.
    """

    tiles: Tensor
    regions: Tensor

    def __len__(self) -> int:
        return len(self.tiles)

    def batches(self, batch: int, rng: torch.Generator) -> Iterator[Tensor]:
        """Shuffle the rows into batches; one that is left alone joins the batch before."""
        order = torch.randperm(len(self), generator=rng)
        chosen = list(order.split(batch))
        if len(chosen) > 1 and len(chosen[-1]) == 1:
            chosen[-2:] = [torch.cat(chosen[-2:])]
        return iter(chosen)


def gathered(dataset: Any, *, side: int = 0, shrink: Shrink = "mean") -> TileSet:
    """Read every sample of a Dataset once.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        With a length; sample ``i`` is (image, region): an image of shape (C, y, x) or (y, x), of 8
        bits or from 0 to 1, and a region as a whole number.
    side : int
        Pixels to which sides are brought down; 0 leaves them as they are.
    shrink : {"mean", "hamming"}
        How; see `averaged_down`.

    Returns
    -------
    TileSet

    Raises
    ------
    ContractError
        If there is nothing in it, shapes differ, or a region is no whole number from 0 on.
    """
    tiles, regions = [], []
    for n in range(len(dataset)):
        image, region = dataset[n]
        tiles.append(_tile(image, side, n, shrink))
        regions.append(int(region))
        if regions[-1] != region or regions[-1] < 0:
            raise ContractError(
                f"sample {n} has the region {region}; give whole numbers from 0 on, one per tile"
            )
    shapes = {tuple(tile.shape) for tile in tiles}
    if len(shapes) != 1:
        raise ContractError(
            f"a Dataset of {len(tiles)} samples has tiles of shapes {sorted(shapes) or 'none'}; "
            "give at least one, and the same shape for all"
        )
    return TileSet(torch.stack(tiles), torch.tensor(regions))


def averaged_down(tiles: Tensor, side: int, shrink: Shrink = "mean") -> Tensor:
    """Bring tiles, shape (B, C, y, x), down to a side of some pixels; 0 leaves them.

    By the mean of what becomes one pixel, or as published by
    `volkit.kernels.hamming.hamming_weights`.
    """
    if not side or tiles.shape[2:] == (side, side):
        return tiles
    if min(tiles.shape[2:]) < side:
        raise ContractError(
            f"tiles of {tuple(tiles.shape[2:])} pixels cannot be averaged down to {side}; choose a "
            "smaller side, or 0"
        )
    if shrink == "mean":
        return functional.adaptive_avg_pool2d(tiles, side)
    down, along = (torch.from_numpy(hamming_weights(extent, side)[1]) for extent in tiles.shape[2:])
    return (down @ tiles.double() @ along.T).float()


def _tile(image: Any, side: int, n: int, shrink: Shrink) -> Tensor:
    tile = torch.as_tensor(image)
    tile = tile.float() / 255 if tile.dtype == torch.uint8 else tile.float()
    tile = tile[None] if tile.ndim == _TILE_AXES - 1 else tile
    if tile.ndim != _TILE_AXES or not bool(torch.isfinite(tile).all()):
        raise ContractError(
            f"sample {n} has an image of shape {tuple(tile.shape)}; give finite values of shape "
            "(C, y, x)"
        )
    return averaged_down(tile[None], side, shrink)[0]
