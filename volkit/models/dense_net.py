"""DenseNet in two or three dimensions, without its classifier; weights are named as in timm."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Dims = Literal[2, 3]

CONVOLUTION: dict[int, type[Any]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, type[Any]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LARGEST: dict[int, type[Any]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE: dict[int, type[Any]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class DenseNet(nn.Module):
    """Blocks whose layers each see the answers of all layers before.

    Parameters
    ----------
    in_channels : int
        Channels of an image.
    dims : {2, 3}
        Of an image; the names of the weights are the same, so that one can be made of the other.
    stem : int
        Channels of the first convolution, 7 voxels wide and of stride 2, before the pooling.
    growth : int
        Channels that a layer adds.
    blocks : sequence of int
        Layers of every block; DenseNet121 is (6, 12, 24, 16).
    bottleneck : int
        Channels within a layer, in units of ``growth``.

    References
    ----------
    Huang et al., Densely connected convolutional networks, 2017, doi:10.1109/CVPR.2017.243.

    Examples
    --------
    >>> net = DenseNet(1, dims=3, stem=4, growth=2, blocks=(1, 1))
    >>> net.channels, net(torch.zeros(1, 1, 16, 32, 32)).shape
    (5, torch.Size([1, 5, 2, 4, 4]))
    """

    def __init__(
        self,
        in_channels: int,
        *,
        dims: Dims = 3,
        stem: int = 64,
        growth: int = 32,
        blocks: Sequence[int] = (6, 12, 24, 16),
        bottleneck: int = 4,
    ) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv0"] = CONVOLUTION[dims](in_channels, stem, 7, stride=2, padding=3, bias=False)
        parts["norm0"] = NORM[dims](stem)
        parts["relu0"] = nn.ReLU()
        parts["pool0"] = LARGEST[dims](3, stride=2, padding=1)
        channels = stem
        for number, count in enumerate(blocks, start=1):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for n in range(1, count + 1):
                layers[f"denselayer{n}"] = _Layer(channels, growth, bottleneck, dims)
                channels += growth
            parts[f"denseblock{number}"] = nn.Sequential(layers)
            if number < len(blocks):
                parts[f"transition{number}"] = _transition(channels, dims)
                channels //= 2
        parts["norm5"] = NORM[dims](channels)
        self.features = nn.Sequential(parts)
        self.channels = channels
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Answer the maps before the global pooling, of a stride of 2 for stem, pool and blocks."""
        return self.features(x).relu()


class _Layer(nn.Module):
    def __init__(self, into: int, growth: int, bottleneck: int, dims: Dims) -> None:
        super().__init__()
        inner = bottleneck * growth
        self.norm1 = NORM[dims](into)
        self.conv1 = CONVOLUTION[dims](into, inner, 1, bias=False)
        self.norm2 = NORM[dims](inner)
        self.conv2 = CONVOLUTION[dims](inner, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv2(self.norm2(self.conv1(self.norm1(x).relu())).relu())
        return torch.cat([x, new], 1)


def _transition(channels: int, dims: Dims) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        norm=NORM[dims](channels),
        relu=nn.ReLU(),
        conv=CONVOLUTION[dims](channels, channels // 2, 1, bias=False),
        pool=AVERAGE[dims](2, stride=2),
    )
    return nn.Sequential(parts)


def start_weights(network: nn.Module) -> None:
    """Draw the weights of convolutions from torch's generator, in place.

    Parameters
    ----------
    network : torch.nn.Module
        Its normalisations keep the 1 and 0 they are made with.

    References
    ----------
    He et al., Delving deep into rectifiers, 2015, doi:10.1109/ICCV.2015.123.
    """
    for part in network.modules():
        if isinstance(part, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
