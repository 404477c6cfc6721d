"""ConvNeXt: the 2-D network, stage by stage, its weights named as in timm."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-6


class ConvNeXt(nn.Module):
    """The stages of a ConvNeXt, without its classifier.

    Parameters
    ----------
    in_channels : int
        Channels of an image.
    widths, blocks : sequence of int
        Channels and blocks of every stage; nano is (80, 160, 320, 640) and (2, 2, 8, 2).
    patch : int
        Pixels that the stem joins into one, along each axis.
    layer_scale : float
        What a block's answer is multiplied by at the start.

    References
    ----------
    Liu et al., A ConvNet for the 2020s, 2022, doi:10.1109/CVPR52688.2022.01167.

    Examples
    --------
    >>> net = ConvNeXt(3, widths=(4, 8), blocks=(1, 1))
    >>> x = net.stem(torch.zeros(1, 3, 16, 16))
    >>> [x.shape[1:] for stage in net.stages if (x := stage(x)) is not None]
    [torch.Size([4, 4, 4]), torch.Size([8, 2, 2])]
    """

    def __init__(
        self,
        in_channels: int,
        *,
        widths: Sequence[int],
        blocks: Sequence[int],
        patch: int = 4,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], patch, stride=patch), _Norm(widths[0])
        )
        before = (None, *(a for a, _ in pairwise(widths)))
        self.stages = nn.ModuleList(
            _Stage(a, b, n, layer_scale) for a, b, n in zip(before, widths, blocks, strict=True)
        )


class _Norm(nn.LayerNorm):
    """Normalise the channels of every pixel."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        done = functional.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps)
        return done.permute(0, 3, 1, 2)


class _Perceptron(nn.Module):
    """Two layers on every pixel, four times as wide between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, 4 * width, 1)
        self.fc2 = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, width: int, layer_scale: float) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = _Norm(width)
        self.mlp = _Perceptron(width)
        self.gamma = nn.Parameter(torch.full((width,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp(self.norm(self.conv_dw(x)))
        return x + y * self.gamma.view(1, -1, 1, 1)


class _Stage(nn.Module):
    def __init__(self, into: int | None, width: int, blocks: int, layer_scale: float) -> None:
        super().__init__()
        if into is None:  # the stem has halved already
            self.downsample: nn.Module = nn.Identity()
        else:
            self.downsample = nn.Sequential(_Norm(into), nn.Conv2d(into, width, 2, stride=2))
        self.blocks = nn.Sequential(*(_Block(width, layer_scale) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.downsample(x))
