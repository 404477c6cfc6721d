"""A feature pyramid network: all levels answer, and their answers are added."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.geometry import Coord
from volkit.models.unet import Encoder, Stage


class FeaturePyramid(nn.Module):
    """Features of all levels, handed down from coarse to fine and added up.

    The encoder is that of :class:`volkit.models.unet.UNet` and learns from the start, where the
    benchmark takes a pretrained EfficientNet.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image and of the answer (logits).
    widths : sequence of int
        Channels of every level, finest first.
    pyramid : int
        Channels of every level of the pyramid.
    planar : bool
        For sections: they do not see each other.

    References
    ----------
    Lin et al., Feature pyramid networks for object detection, 2017,
    doi:10.1109/CVPR.2017.106; Kirillov et al., Panoptic feature pyramid networks, 2019,
    doi:10.1109/CVPR.2019.00656.

    Examples
    --------
    >>> net = FeaturePyramid(out_channels=4, widths=(4, 8, 16), pyramid=8, planar=True)
    >>> net(torch.zeros(1, 1, 2, 8, 12)).shape
    torch.Size([1, 4, 2, 8, 12])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 4,
        *,
        widths: Sequence[int] = (32, 64, 128, 256),
        pyramid: int = 64,
        planar: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(in_channels, widths, planar=planar)
        self.across = nn.ModuleList(nn.Conv3d(width, pyramid, 1) for width in widths)
        self.answers = nn.ModuleList(Stage(pyramid, pyramid, planar=planar) for _ in widths)
        self.head = nn.Conv3d(pyramid, out_channels, 1)

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        return self.encoder.multiple

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, C, z, y, x) to logits (B, C', z, y, x)."""
        found = [across(x) for across, x in zip(self.across, self.encoder(image), strict=True)]
        size = found[0].shape[2:]
        total = torch.zeros_like(found[0])
        above: Tensor | None = None
        for x, answer in zip(reversed(found), reversed(self.answers), strict=True):
            above = x if above is None else x + functional.interpolate(above, size=x.shape[2:])
            total = total + functional.interpolate(answer(above), size=size)
        return self.head(total)
