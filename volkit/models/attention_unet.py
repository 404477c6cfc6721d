"""A U-Net with attention over places and over channels, after MA-Net."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.geometry import Coord
from volkit.models.unet import Encoder, Stage

_REDUCED = 16  # channels that become one while they are weighed


class PlaceAttention(nn.Module):
    """Every place of the coarsest level takes from all others what is like it.

    Parameters
    ----------
    width : int
        Channels.
    planar : bool
        Whether places of other sections do not count.
    """

    def __init__(self, width: int, *, planar: bool) -> None:
        super().__init__()
        self.planar = planar
        small = max(1, width // 4)
        self.ask, self.answer = nn.Conv3d(width, small, 1), nn.Conv3d(width, small, 1)
        self.value = nn.Conv3d(width, width, 1)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add what other places say, shape (B, C, z, y, x)."""
        ask, answer, value = (self._rows(part(x)) for part in (self.ask, self.answer, self.value))
        found = functional.scaled_dot_product_attention(ask, answer, value)
        return x + self.share * self._back(found, x)

    def _rows(self, x: Tensor) -> Tensor:
        """Give one row of features for every place, by section or for all."""
        if self.planar:
            return x.permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)
        return x.flatten(2).transpose(1, 2)

    def _back(self, rows: Tensor, like: Tensor) -> Tensor:
        b, c, z, y, x = like.shape
        if self.planar:
            return rows.reshape(b, z, y, x, c).permute(0, 4, 1, 2, 3)
        return rows.transpose(1, 2).reshape(b, c, z, y, x)


class ChannelAttention(nn.Module):
    """Weigh channels by what a section, or the window, holds of them (squeeze and excitation).

    Parameters
    ----------
    width : int
        Channels.
    planar : bool
        Whether each section weighs for itself.
    """

    def __init__(self, width: int, *, planar: bool) -> None:
        super().__init__()
        self.axes = (3, 4) if planar else (2, 3, 4)
        small = max(1, width // _REDUCED)
        self.weigh = nn.Sequential(
            nn.Conv3d(width, small, 1), nn.ReLU(inplace=True), nn.Conv3d(small, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give the weights, shape (B, C, z or 1, 1, 1)."""
        return torch.sigmoid(self.weigh(x.mean(self.axes, keepdim=True)))


class AttentionUNet(nn.Module):
    """A U-Net whose levels weigh their channels, and whose coarsest level looks everywhere.

    The encoder is that of :class:`volkit.models.unet.UNet` and learns from the start, where the
    benchmark takes a pretrained EfficientNet.  An answer depends on the whole window: blended
    windows agree less than those of plain convolutions.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image and of the answer (logits).
    widths : sequence of int
        Channels of every level, finest first.
    planar : bool
        For sections: they do not see each other.

    References
    ----------
    Fan et al., MA-Net: A multi-scale attention network for liver and tumor segmentation, 2020,
    doi:10.1109/ACCESS.2020.3025372.

    Examples
    --------
    >>> net = AttentionUNet(out_channels=4, widths=(4, 8, 16), planar=True)
    >>> net(torch.zeros(1, 1, 2, 8, 12)).shape
    torch.Size([1, 4, 2, 8, 12])
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
        self.places = PlaceAttention(widths[-1], planar=planar)
        pairs = [(b, a) for a, b in pairwise(widths)][::-1]
        self.reduce = nn.ModuleList(nn.Conv3d(b, a, 1) for b, a in pairs)
        self.coarse = nn.ModuleList(ChannelAttention(a, planar=planar) for _, a in pairs)
        self.fine = nn.ModuleList(ChannelAttention(a, planar=planar) for _, a in pairs)
        self.decoder = nn.ModuleList(Stage(2 * a, a, planar=planar) for _, a in pairs)
        self.head = nn.Conv3d(widths[0], out_channels, 1)

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        return self.encoder.multiple

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, C, z, y, x) to logits (B, C', z, y, x)."""
        *skips, x = self.encoder(image)
        x = self.places(x)
        parts = zip(self.reduce, self.coarse, self.fine, self.decoder, skips[::-1], strict=True)
        for reduce, coarse, fine, stage, skip in parts:
            x = functional.interpolate(reduce(x), size=skip.shape[2:])
            x = stage(torch.cat((x * (coarse(x) + fine(skip)), skip), 1))
        return self.head(x)
