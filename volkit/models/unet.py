"""The U-Net that the MTNeuro benchmark publishes, for sections and for volumes."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.geometry import Coord


class Stage(nn.Sequential):
    """Two convolutions that keep the extent, each with ReLU and batch normalisation after it.

    Parameters
    ----------
    into, out : int
        Channels.
    planar : bool
        Whether sections do not see each other.
    """

    def __init__(self, into: int, out: int, *, planar: bool) -> None:
        kernel, padding = ((1, 3, 3), (0, 1, 1)) if planar else ((3, 3, 3), (1, 1, 1))
        super().__init__(
            nn.Conv3d(into, out, kernel, padding=padding),
            nn.ReLU(inplace=True),
            nn.BatchNorm3d(out),
            nn.Conv3d(out, out, kernel, padding=padding),
            nn.ReLU(inplace=True),
            nn.BatchNorm3d(out),
        )


class Encoder(nn.Module):
    """The way down: stages with max-pooling between them.

    Parameters
    ----------
    into : int
        Channels of the image.
    widths : sequence of int
        Channels of every level, finest first.
    planar : bool
        Whether sections do not see each other; else z is pooled, too.

    Raises
    ------
    ModelError
        If there are no levels.
    """

    def __init__(self, into: int, widths: Sequence[int], *, planar: bool) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ModelError(f"widths {list(widths)}: give at least one level of 1 channel or more")
        self.pool_shape: Coord = (1, 2, 2) if planar else (2, 2, 2)
        self.stages = nn.ModuleList(
            Stage(a, b, planar=planar) for a, b in pairwise((into, *widths))
        )
        self.pool = nn.MaxPool3d(self.pool_shape)

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        z, y, x = (p ** (len(self.stages) - 1) for p in self.pool_shape)
        return z, y, x

    def forward(self, image: Tensor) -> list[Tensor]:
        """Give the features of every level, finest first."""
        window = tuple(image.shape[2:])
        if any(n % m for n, m in zip(window, self.multiple, strict=True)):
            raise ModelError(
                f"a window of {window} voxels does not divide by {self.multiple}, the product of "
                "the pools; choose a window that is a multiple on every axis"
            )
        found = [self.stages[0](image)]
        for stage in self.stages[1:]:
            found.append(stage(self.pool(found[-1])))
        return found


class UNet(nn.Module):
    """A U-Net of "same" convolutions, as the benchmark trains it.

    Each level upwards is a transposed convolution, joined to the features beside it, and two
    convolutions.  The published counts of parameters (1,971,587 for sections and three classes)
    are those of this network and 43,232 more: 1x1 convolutions from every level to the next, which
    that code has for another way of upsampling and through which nothing passes in this one.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image and of the answer (logits).
    widths : sequence of int
        Channels of every level, finest first.
    planar : bool
        For sections: they do not see each other.

    Raises
    ------
    ModelError
        If there are no levels; when called, if a window does not divide by the pools.

    References
    ----------
    Ronneberger, Fischer, Brox, U-Net, 2015, doi:10.1007/978-3-319-24574-4_28; Çiçek et al., 3D
    U-Net, 2016, doi:10.1007/978-3-319-46723-8_49; Quesada et al., MTNeuro, 2022,
    doi:10.48550/arXiv.2301.00345.

    Examples
    --------
    >>> net = UNet(out_channels=3, planar=True)
    >>> sum(weight.numel() for weight in net.parameters()) + 43_232
    1971587
    >>> net(torch.zeros(1, 1, 2, 16, 8)).shape
    torch.Size([1, 3, 2, 16, 8])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 4,
        *,
        widths: Sequence[int] = (32, 64, 128, 256),
        planar: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(in_channels, widths, planar=planar)
        pool = self.encoder.pool_shape
        upwards = [(b, a) for a, b in pairwise(widths)][::-1]
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose3d(b, a, pool, stride=pool),
                nn.ReLU(inplace=True),
                nn.BatchNorm3d(a),
            )
            for b, a in upwards
        )
        self.decoder = nn.ModuleList(Stage(2 * a, a, planar=planar) for _, a in upwards)
        self.head = nn.Conv3d(widths[0], out_channels, 1)

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        return self.encoder.multiple

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, C, z, y, x) to logits (B, C', z, y, x)."""
        *skips, x = self.encoder(image)
        for up, stage, skip in zip(self.up, self.decoder, skips[::-1], strict=True):
            x = stage(torch.cat((up(x), skip), 1))
        return self.head(x)
