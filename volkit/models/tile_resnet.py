"""Residual network of tiles: an image in, a vector out; weights are named as in torchvision."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.residual_net import ResidualNet

Stem = Literal["fine", "coarse"]


class TileResNet(ResidualNet):
    """ResNet-18 for tiles of sections, with or without a classifier.

    Parameters
    ----------
    in_channels : int
        Channels of a tile.
    classes : int
        Answers of the classifier; 0 answers the features themselves.
    stem : {"fine", "coarse"}
        ``fine`` begins with 3 x 3 voxels at full extent and no pooling, as the published benchmark
        does; ``coarse`` as the original, with 7 x 7 at half the extent and a pooling.
    widths, blocks : sequence of int
        Of every stage; the default is ResNet-18, with 512 features.
    dropout : float
        Share of the features left out before the classifier, while it trains.

    Raises
    ------
    ModelError
        If the stem is unknown.

    References
    ----------
    He et al., Deep residual learning for image recognition, 2016, doi:10.1109/CVPR.2016.90.

    Examples
    --------
    >>> import torch
    >>> net = TileResNet(classes=4, widths=(4, 8), blocks=(1, 1)).eval()
    >>> tiles = torch.zeros(2, 1, 16, 16)
    >>> net.features(tiles).shape, net(tiles).shape
    (torch.Size([2, 8]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        in_channels: int = 1,
        *,
        classes: int = 0,
        stem: Stem = "fine",
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (2, 2, 2, 2),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels, dims=2, widths=widths, blocks=blocks, bottleneck=False)
        if stem not in ("fine", "coarse"):
            raise ModelError(f"stem {stem!r} is unknown; choose fine or coarse")
        if stem == "fine":
            self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="relu")
            self.maxpool = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.channels, classes) if classes else nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        """Answer the features of tiles, shape (B, C, y, x) or (B, C, 1, y, x): shape (B, F)."""
        return super().forward(x.squeeze(2) if x.ndim == 5 else x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of tiles, or their features where there is no classifier."""
        return self.fc(self.dropout(self.features(x)))
