"""Tiles of regions: a Dataset of sections of boxes, each box of one region."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.geometry import Box
from volkit.io.volume import Volume


class RegionTiles(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Tiles of every section of some boxes, with the region that each box lies in.

    Parameters
    ----------
    image : Volume of shape (Z, Y, X)
        Is read box by box, and kept.
    boxes : mapping of str to sequence of Box
        By region; regions are numbered in this order.
    tile : tuple of int
        Extent of a tile, pixels, (y, x); what is left of a box at its end is left out.
    intensity_range : tuple of float, optional
        What becomes 0 and 1; None is that of the type, which is then one of whole numbers.

    Raises
    ------
    ConfigError
        If no box holds a tile.
    GeometryError
        If a box leaves the volume.
    ContractError
        If the image is real, and nobody knows its range.
    """

    def __init__(
        self,
        image: Volume,
        boxes: Mapping[str, Sequence[Box]],
        tile: tuple[int, int],
        *,
        intensity_range: tuple[float, float] | None = None,
    ) -> None:
        self.regions = tuple(boxes)
        self._light = intensity_range or _range_of(image)
        self._tiles: list[tuple[NDArray[Any], int]] = []
        for number, (region, places) in enumerate(boxes.items()):
            for box in places:
                if not image.domain.contains(box):
                    raise GeometryError(
                        f"box {box} of {region} leaves the volume {image.uri}, which covers "
                        f"{image.domain}"
                    )
                self._tiles += [(part, number) for part in _cut(image.read(box), tile)]
        if not self._tiles:
            raise ConfigError(f"no box of {', '.join(boxes) or 'no region'} holds a tile of {tile}")

    def __len__(self) -> int:
        return len(self._tiles)

    def __getitem__(self, n: int) -> tuple[torch.Tensor, int]:
        pixels, region = self._tiles[n]
        low, high = self._light
        return torch.from_numpy((pixels.astype(np.float32) - low) / (high - low))[None], region


def _cut(values: NDArray[Any], tile: tuple[int, int]) -> list[NDArray[Any]]:
    _, height, width = values.shape
    return [
        section[y : y + tile[0], x : x + tile[1]]
        for section in values
        for y in range(0, height - tile[0] + 1, tile[0])
        for x in range(0, width - tile[1] + 1, tile[1])
    ]


def _range_of(image: Volume) -> tuple[float, float]:
    if image.dtype.kind != "u" or image.channels is not None:
        raise ContractError(
            f"{image.uri} holds {image.dtype} in {image.channels or 'no'} channels; give an image "
            "of unsigned integers without channels, or intensity_range"
        )
    return 0.0, float(np.iinfo(image.dtype).max)
