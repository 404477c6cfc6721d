"""ResNet, ResNeXt and SE-ResNeXt in two or three dimensions; weights are named as in timm."""

from collections.abc import Sequence

from torch import Tensor, nn

from volkit.models.dense_net import CONVOLUTION, LARGEST, NORM, Dims, start_weights

EXPANSION = 4  # channels of a bottleneck's answer over its width


class ResidualNet(nn.Module):
    """The stages of a residual network, without its classifier.

    Parameters
    ----------
    in_channels : int
        Channels of an image.
    dims : {2, 3}
        Of an image; the names of the weights are the same.
    widths : sequence of int
        Of every stage; a bottleneck answers four times as many channels.
    blocks : sequence of int
        Blocks of every stage; ResNet18 is (2, 2, 2, 2), ResNet34 and ResNet50 (3, 4, 6, 3).
    bottleneck : bool
        Whether blocks narrow the channels before they look around.
    groups, group_width : int
        Of a bottleneck's middle convolution: 32 groups, 4 channels each at a width of 64, make
        ResNeXt; 1 group leaves ``group_width`` out.
    squeeze : int
        Channels over those that weigh them (squeeze-and-excitation); 0 does not weigh.

    References
    ----------
    He et al., Deep residual learning for image recognition, 2016, doi:10.1109/CVPR.2016.90;
    Xie et al., Aggregated residual transformations for deep neural networks, 2017,
    doi:10.1109/CVPR.2017.634; Hu et al., Squeeze-and-excitation networks, 2018,
    doi:10.1109/CVPR.2018.00745.

    Examples
    --------
    >>> import torch
    >>> net = ResidualNet(1, dims=3, widths=(4, 8), blocks=(1, 1), bottleneck=False)
    >>> net.channels, net(torch.zeros(1, 1, 16, 32, 32)).shape
    (8, torch.Size([1, 8, 2, 4, 4]))
    """

    def __init__(
        self,
        in_channels: int,
        *,
        dims: Dims = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (3, 4, 6, 3),
        bottleneck: bool = True,
        groups: int = 1,
        group_width: int = 4,
        squeeze: int = 0,
    ) -> None:
        super().__init__()
        into = widths[0]
        self.conv1 = CONVOLUTION[dims](in_channels, into, 7, stride=2, padding=3, bias=False)
        self.bn1 = NORM[dims](into)
        self.maxpool = LARGEST[dims](3, stride=2, padding=1)
        self._stages = len(widths)
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            stage: list[nn.Module] = []
            for n in range(count):
                stride = 2 if number and not n else 1
                if bottleneck:
                    inner = width if groups == 1 else width * group_width * groups // 64
                    wide = width * EXPANSION
                    stage.append(_Bottleneck((into, inner, wide), stride, groups, squeeze, dims))
                else:
                    wide = width
                    stage.append(_Plain(into, wide, stride, dims))
                into = wide
            self.add_module(f"layer{number + 1}", nn.Sequential(*stage))
        self.channels = into
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Answer the maps before the global pooling, of a stride of 2 for stem, pool and stages."""
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for n in range(self._stages):
            x = self.get_submodule(f"layer{n + 1}")(x)
        return x


class _Plain(nn.Module):
    def __init__(self, into: int, out: int, stride: int, dims: Dims) -> None:
        super().__init__()
        self.conv1 = CONVOLUTION[dims](into, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = NORM[dims](out)
        self.conv2 = CONVOLUTION[dims](out, out, 3, padding=1, bias=False)
        self.bn2 = NORM[dims](out)
        self.downsample = _shortcut(into, out, stride, dims)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()


class _Bottleneck(nn.Module):
    def __init__(
        self, widths: tuple[int, int, int], stride: int, groups: int, squeeze: int, dims: Dims
    ) -> None:
        super().__init__()
        into, inner, out = widths
        make = CONVOLUTION[dims]
        self.conv1 = make(into, inner, 1, bias=False)
        self.bn1 = NORM[dims](inner)
        self.conv2 = make(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = NORM[dims](inner)
        self.conv3 = make(inner, out, 1, bias=False)
        self.bn3 = NORM[dims](out)
        self.se = _Squeeze(out, out // squeeze, dims) if squeeze else nn.Identity()
        self.downsample = _shortcut(into, out, stride, dims)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.se(self.bn3(self.conv3(y)))
        return (y + self.downsample(x)).relu()


class _Squeeze(nn.Module):
    """Weigh channels by what is in the whole image."""

    def __init__(self, channels: int, kept: int, dims: Dims) -> None:
        super().__init__()
        self.fc1 = CONVOLUTION[dims](channels, kept, 1)
        self.fc2 = CONVOLUTION[dims](kept, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        return x * self.fc2(self.fc1(mean).relu()).sigmoid()


def _shortcut(into: int, out: int, stride: int, dims: Dims) -> nn.Module:
    if stride == 1 and into == out:
        return nn.Identity()
    convolution = CONVOLUTION[dims](into, out, 1, stride=stride, bias=False)
    return nn.Sequential(convolution, NORM[dims](out))
