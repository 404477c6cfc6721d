"""A 2.5-D U-Net on ConvNeXt: images of slices on the way down, volumes on the way up.

It is the network of team yu4u & tattaka in the CZII challenge (their model A).
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.convnext import ConvNeXt
from volkit.models.depth_pooling import (
    Convolutions,
    as_images,
    as_volume,
    check_slices,
    check_window,
    pooled_depth,
    shuffled,
)


class ConvNeXtUNet(nn.Module):
    """Heat maps of particles from a 2-D backbone whose stages pool over depth.

    Every slice becomes an image of itself and its neighbours.  After every stage depth alone is
    averaged, and what is left goes on both to the next stage and to the decoder, which works in
    three dimensions; a pixel shuffle brings its answer back to the voxels.  The defaults are the
    published network: ConvNeXt-nano, 147 402 672 parameters.

    Parameters
    ----------
    in_channels, out_channels : int
        1, and the number of kinds of particles.  The answer has no activation.
    slices : int
        Neighbouring slices that make an image, odd.
    widths, blocks : sequence of int
        Channels and blocks of every stage of the backbone.
    depth_pools : sequence of int
        Slices that are averaged into one after every stage.
    decoder_widths : sequence of int
        Channels of the decoder, coarsest first: one fewer than stages.
    convolutions : int
        Convolutions between backbone and decoder at every level, and in every block of the
        decoder; 2 as published.
    patch : int
        Pixels that the stem joins, along y and x.
    layer_scale : float
        Start of the scale of a block's answer; larger where no trained backbone is loaded.

    Raises
    ------
    ModelError
        If the lists do not fit together.

    Examples
    --------
    >>> net = ConvNeXtUNet(1, 2, widths=(4, 8), blocks=(1, 1), depth_pools=(2, 1),
    ...                    decoder_widths=(8,))
    >>> net(torch.zeros(1, 1, 4, 16, 24)).shape, net.multiple
    (torch.Size([1, 2, 4, 16, 24]), (2, 8, 8))
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 6,
        *,
        slices: int = 5,
        widths: Sequence[int] = (80, 160, 320, 640),
        blocks: Sequence[int] = (2, 2, 8, 2),
        depth_pools: Sequence[int] = (4, 2, 2, 1),
        decoder_widths: Sequence[int] = (1024, 768, 256),
        convolutions: int = 2,
        patch: int = 4,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        check_slices(in_channels, slices)
        _check_levels(widths, blocks, depth_pools, decoder_widths)
        self.slices = slices
        self.pools = tuple(depth_pools)
        self.factors: Coord = (depth_pools[0], patch, patch)
        self.backbone = ConvNeXt(
            slices, widths=widths, blocks=blocks, patch=patch, layer_scale=layer_scale
        )
        self.neck = nn.ModuleList(Convolutions(w, w, convolutions) for w in widths)
        self.decoder = nn.ModuleList()
        into = widths[-1]
        for skip, width in zip(reversed(widths[:-1]), decoder_widths, strict=True):
            self.decoder.append(Convolutions(into + skip, width, convolutions))
            into = width
        self.head = nn.Conv3d(into, out_channels * prod(self.factors), 1)

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        plane = self.factors[1] * 2 ** (len(self.pools) - 1)
        return prod(self.pools), plane, plane

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, 1, z, y, x) to heat maps (B, C', z, y, x)."""
        check_window(tuple(image.shape[2:]), self.multiple)
        batch = image.shape[0]
        x = self.backbone.stem(as_images(image, slices=self.slices))
        levels: list[Tensor] = []
        for stage, pool, neck in zip(self.backbone.stages, self.pools, self.neck, strict=True):
            x = pooled_depth(stage(x), batch, pool)
            volume = as_volume(x, batch).contiguous(memory_format=torch.channels_last_3d)
            levels.append(neck(volume))
        y = levels.pop()
        for block, pool in zip(self.decoder, reversed(self.pools[1:]), strict=True):
            y = functional.interpolate(y, scale_factor=[float(pool), 2.0, 2.0])
            y = block(torch.cat([y, levels.pop()], dim=1))
        return shuffled(self.head(y), self.factors)


def _check_levels(
    widths: Sequence[int],
    blocks: Sequence[int],
    depth_pools: Sequence[int],
    decoder_widths: Sequence[int],
) -> None:
    stages = len(widths)
    if (len(blocks), len(depth_pools), len(decoder_widths)) != (stages, stages, stages - 1):
        raise ModelError(
            f"{stages} widths need {stages} blocks, {stages} depth_pools and {stages - 1} "
            f"decoder_widths; given were {len(blocks)}, {len(depth_pools)} and "
            f"{len(decoder_widths)}"
        )
