"""ResNet-RS: the 2-D network, stage by stage, its weights named as in timm."""

from collections import OrderedDict
from collections.abc import Sequence
from math import floor

from torch import Tensor, nn

EXPANSION = 4  # channels of a stage's answer over its width


class ResNetRS(nn.Module):
    """The stages of a ResNet-RS, without its classifier.

    Parameters
    ----------
    in_channels : int
        Channels of an image.
    widths, blocks : sequence of int
        Width and blocks of every stage, which answers four times as many channels; ResNet-RS50 is
        (64, 128, 256, 512) and (3, 4, 6, 3).
    stem : int
        Channels of the first two convolutions; the third has as many as the first width.
    squeeze : float
        Share of the channels that squeeze-and-excitation keeps.

    References
    ----------
    Bello et al., Revisiting ResNets, 2021, doi:10.48550/arXiv.2103.07579; Hu et al.,
    Squeeze-and-excitation networks, 2018, doi:10.1109/CVPR.2018.00745.

    Examples
    --------
    >>> import torch
    >>> net = ResNetRS(3, widths=(8, 8), blocks=(1, 1), stem=4)
    >>> net.layers()[0](net.stem(torch.zeros(1, 3, 32, 32))).shape
    torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (3, 4, 6, 3),
        stem: int = 32,
        squeeze: float = 0.25,
    ) -> None:
        super().__init__()
        first = widths[0]
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
            nn.Conv2d(stem, stem, 3, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
            nn.Conv2d(stem, first, 3, padding=1, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(first)
        self.act1 = nn.ReLU(inplace=True)
        # A strided convolution in the place of ResNet's max pooling, and under its name.
        self.maxpool = nn.Sequential(
            nn.Conv2d(first, first, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        self._stages = len(widths)
        into = first
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            stage = _stage(into, width, count, stride=1 if number == 0 else 2, squeeze=squeeze)
            self.add_module(f"layer{number + 1}", stage)
            into = width * EXPANSION

    def stem(self, x: Tensor) -> Tensor:
        """Answer the maps at half the extent, then at a quarter."""
        return self.maxpool(self.finest(x))

    def finest(self, x: Tensor) -> Tensor:
        """Answer the maps at half the extent, which the first skip takes."""
        return self.act1(self.bn1(self.conv1(x)))

    def layers(self) -> list[nn.Module]:
        """List the stages."""
        return [self.get_submodule(f"layer{n + 1}") for n in range(self._stages)]


class _Squeeze(nn.Module):
    """Weigh channels by what is in the whole image."""

    def __init__(self, channels: int, share: float) -> None:
        super().__init__()
        # Multiples of 8, as timm rounds: the stored weights have these shapes.
        kept = max(8, floor(channels * share / 8 + 0.5) * 8)
        self.fc1 = nn.Conv2d(channels, kept, 1)
        self.fc2 = nn.Conv2d(kept, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu())
        return x * gate.sigmoid()


class _Bottleneck(nn.Module):
    def __init__(self, into: int, width: int, stride: int, squeeze: float) -> None:
        super().__init__()
        out = width * EXPANSION
        self.conv1 = nn.Conv2d(into, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.se = _Squeeze(out, squeeze)
        self.downsample = _shortcut(into, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.se(self.bn3(self.conv3(y)))
        return (y + self.downsample(x)).relu()


def _shortcut(into: int, out: int, stride: int) -> nn.Module:
    """Average instead of leaving pixels out, where a block halves the extent."""
    if stride == 1 and into == out:
        return nn.Identity()
    pool = nn.AvgPool2d(2, stride) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm2d(out))


def _stage(into: int, width: int, count: int, *, stride: int, squeeze: float) -> nn.Sequential:
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for n in range(count):
        blocks[str(n)] = _Bottleneck(into, width, stride if n == 0 else 1, squeeze)
        into = width * EXPANSION
    return nn.Sequential(blocks)
