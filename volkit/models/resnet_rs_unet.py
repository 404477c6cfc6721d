"""A 2.5-D U-Net on ResNet-RS, with joint pyramid upsampling and attention.

It follows model B of team yu4u & tattaka in the CZII challenge, which is described in words only.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.depth_pooling import (
    Convolutions,
    Pool,
    as_images,
    as_volume,
    check_slices,
    check_window,
    pooled_depth,
)
from volkit.models.resnet_rs import EXPANSION, ResNetRS

_JOINED = 3  # coarsest maps that are upsampled jointly
_DILATIONS = (1, 2, 4, 8)


class ResNetRSUNet(nn.Module):
    """Heat maps of particles from a ResNet-RS whose stages pool, then mix, over depth.

    Known from the description: the backbone ResNet-RS50 on single slices of a window of
    32 x 128 x 128; depth halved after each of the first two stages and mixed (mean of three)
    after the others; the three coarsest maps joined by joint pyramid upsampling with dilations 1,
    2, 4 and 8; blocks of 3-D convolution, scSE attention and upsampling up to the input's size.
    Reconstructed, since it is not known: the widths of the decoder and of the joint maps, the
    skips from the two finest maps, two convolutions to a block, that depth is restored at the
    scales where it was halved, and the number of slices in an image.

    Parameters
    ----------
    in_channels, out_channels : int
        1, and the number of kinds of particles.  The answer has no activation.
    slices : int
        Neighbouring slices that make an image, odd.
    widths, blocks : sequence of int
        Width and blocks of every stage of the backbone, four of them.
    stem : int
        Channels of the stem.
    depth_pools : sequence of int or "mix"
        What happens to depth after every stage.
    joint_width : int
        Channels of every map before it is joined.
    decoder_widths : sequence of int
        Channels of the blocks at an eighth, a quarter, a half and the whole of the extent.

    Raises
    ------
    ModelError
        If the lists do not fit together.

    References
    ----------
    Wu et al., FastFCN, 2019, doi:10.48550/arXiv.1903.11816 (joint pyramid upsampling); Roy et al.,
    Concurrent spatial and channel squeeze & excitation, 2018, doi:10.1007/978-3-030-00928-1_48.

    Examples
    --------
    >>> net = ResNetRSUNet(1, 2, widths=(4, 4, 4, 4), blocks=(1, 1, 1, 1), stem=4,
    ...                    joint_width=4, decoder_widths=(8, 8, 4, 4))
    >>> net(torch.zeros(2, 1, 4, 32, 32)).shape, net.multiple
    (torch.Size([2, 2, 4, 32, 32]), (4, 32, 32))
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 6,
        *,
        slices: int = 1,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (3, 4, 6, 3),
        stem: int = 32,
        depth_pools: Sequence[Pool] = (2, 2, "mix", "mix"),
        joint_width: int = 256,
        decoder_widths: Sequence[int] = (256, 128, 64, 32),
    ) -> None:
        super().__init__()
        check_slices(in_channels, slices)
        if {len(widths), len(blocks), len(depth_pools), len(decoder_widths)} != {4}:
            raise ModelError(
                f"widths, blocks, depth_pools and decoder_widths have {len(widths)}, "
                f"{len(blocks)}, {len(depth_pools)} and {len(decoder_widths)} entries; give four "
                "of each"
            )
        if any(pool not in (1, "mix") for pool in depth_pools[2:]):
            raise ModelError(
                f"depth_pools {list(depth_pools)} reduce depth between the maps that are joined; "
                "let the last two be 1 or mix"
            )
        self.slices = slices
        self.pools = tuple(depth_pools)
        self.backbone = ResNetRS(slices, widths=widths, blocks=blocks, stem=stem)
        maps = [width * EXPANSION for width in widths]
        self.joint = JointPyramid(maps[-_JOINED:], joint_width)
        skips = (0, maps[0], widths[0], 0)
        self.decoder = nn.ModuleList()
        into = joint_width * len(_DILATIONS)
        for skip, width in zip(skips, decoder_widths, strict=True):
            self.decoder.append(
                nn.Sequential(Convolutions(into + skip, width, 2), Attention(width))
            )
            into = width
        self.head = nn.Conv3d(into, out_channels, 1)

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        return prod(_factors(self.pools)), 32, 32

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, 1, z, y, x) to heat maps (B, C', z, y, x)."""
        check_window(tuple(image.shape[2:]), self.multiple)
        batch = image.shape[0]
        half = self.backbone.finest(as_images(image, slices=self.slices))
        x, levels = self.backbone.maxpool(half), []
        for stage, pool in zip(self.backbone.layers(), self.pools, strict=True):
            x = pooled_depth(stage(x), batch, pool)
            levels.append(x)
        y = self.decoder[0](as_volume(self.joint(levels[-_JOINED:]), batch))
        first, second = _factors(self.pools)[:2]
        skips = (as_volume(levels[0], batch), as_volume(half, batch), None)
        for block, skip, depth in zip(self.decoder[1:], skips, (second, first, 1), strict=True):
            y = functional.interpolate(y, scale_factor=[float(depth), 2.0, 2.0])
            y = block(y if skip is None else torch.cat([y, skip], dim=1))
        return self.head(y)


class JointPyramid(nn.Module):
    """Join maps of several scales at the finest of them.

    Parameters
    ----------
    channels : sequence of int
        Of the maps, finest first.
    width : int
        Channels of each before they are joined; the answer has four times as many.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.level = nn.ModuleList(_rectified(nn.Conv2d(c, width, 3, 1, 1)) for c in channels)
        joined = width * len(channels)
        self.dilated = nn.ModuleList(_separable(joined, width, d) for d in _DILATIONS)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Join maps (B, C, y, x), (B, C, y / 2, x / 2) ... to (B, 4 * width, y, x)."""
        extent = maps[0].shape[2:]
        even = [level(x) for level, x in zip(self.level, maps, strict=True)]
        up = [even[0]] + [
            functional.interpolate(x, size=extent, mode="bilinear", align_corners=False)
            for x in even[1:]
        ]
        joined = torch.cat(up, dim=1)
        return torch.cat([branch(joined) for branch in self.dilated], dim=1)


class Attention(nn.Module):
    """Concurrent attention to channels and to places (scSE), in three dimensions.

    Parameters
    ----------
    channels : int
        Of the maps.
    reduction : int
        By which the channels are squeezed.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        kept = max(1, channels // reduction)
        self.squeeze = nn.Conv3d(channels, kept, 1)
        self.excite = nn.Conv3d(kept, channels, 1)
        self.place = nn.Conv3d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what channels and what places keep of maps (B, C, z, y, x)."""
        mean = x.mean((2, 3, 4), keepdim=True)
        channels = self.excite(self.squeeze(mean).relu()).sigmoid()
        return x * channels + x * self.place(x).sigmoid()


def _rectified(convolution: nn.Conv2d) -> nn.Sequential:
    width = convolution.out_channels
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _separable(into: int, out: int, dilation: int) -> nn.Sequential:
    """Convolve every channel by itself, then pixels."""
    own = nn.Conv2d(into, into, 3, 1, dilation, dilation, groups=into, bias=False)
    return nn.Sequential(own, *_rectified(nn.Conv2d(into, out, 1, bias=False)))


def _factors(pools: Sequence[Pool]) -> list[int]:
    return [1 if pool == "mix" else pool for pool in pools]
