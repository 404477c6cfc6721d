"""A compact residual 3-D U-Net: sums instead of concatenations, one answer per position.

Every choice serves blockwise use on ordinary processors.  Batch normalisation is an affine map
when a network is applied, so an answer depends on its receptive field and on nothing else of
the window (instance or group normalisation would make it depend on the whole window), and it
folds into the convolutions for storage.  Channels are best multiples of 16: with bfloat16 and
the channels-last layout the convolutions then run near the peak of the vector units.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.geometry import Coord, coord

Norm = Literal["batch", "none"]


class ResidualUNet3D(nn.Module):
    """A U-Net of residual blocks whose levels differ in kernel and pooling.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the answer (logits).
    widths : sequence of int
        Feature channels of every level, finest first.
    blocks : sequence of int
        Residual blocks of every level on the way down.
    decoder_blocks : sequence of int or None
        Residual blocks of every level but the coarsest on the way up; None is one each.
    kernels : sequence of (int, int, int) or None
        Odd kernel extents of every level, (z, y, x); None is 3 voxels on every axis.  For
        anisotropic voxels give the finest levels (1, 3, 3).
    pools : sequence of (int, int, int) or None
        Factor between every level and the next, (z, y, x); None is 2 on every axis.
    norm : {"batch", "none"}
        "batch" to train; "none" is a network whose normalisation was folded by `folded`.

    Raises
    ------
    ModelError
        If the lists do not fit together, or a kernel is even.

    References
    ----------
    Lee et al., Superhuman accuracy on the SNEMI3D connectomics challenge, 2017,
    doi:10.48550/arXiv.1706.00120.

    Examples
    --------
    >>> net = ResidualUNet3D(1, 2, widths=(8, 16), blocks=(1, 1))
    >>> net(torch.zeros(1, 1, 4, 6, 8)).shape, net.multiple
    (torch.Size([1, 2, 4, 6, 8]), (2, 2, 2))
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        widths: Sequence[int] = (16, 32, 64),
        blocks: Sequence[int] = (1, 1, 2),
        decoder_blocks: Sequence[int] | None = None,
        kernels: Sequence[Sequence[int]] | None = None,
        pools: Sequence[Sequence[int]] | None = None,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        levels = len(widths)
        up_blocks = decoder_blocks if decoder_blocks is not None else (1,) * (levels - 1)
        shapes = [coord(k, name="kernel") for k in kernels or (3,) * levels]
        self.pools = tuple(coord(p, name="pool") for p in pools or (2,) * (levels - 1))
        _check_levels(widths, blocks, up_blocks, shapes, self.pools)
        self.stem = _Convolution(in_channels, widths[0], shapes[0], norm=norm)
        self.encoder = nn.ModuleList(
            _stack(w, k, n, norm=norm) for w, k, n in zip(widths, shapes, blocks, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv3d(a, b, p, stride=p)
            for (a, b), p in zip(pairwise(widths), self.pools, strict=True)
        )
        self.up = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(
            _stack(w, k, n, norm=norm)
            for w, k, n in zip(widths[:-1], shapes[:-1], up_blocks, strict=True)
        )
        self.head = nn.Conv3d(widths[0], out_channels, 1)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @property
    def multiple(self) -> Coord:
        """What the extent of a window must be a multiple of, (z, y, x)."""
        z = y = x = 1
        for pool in self.pools:
            z, y, x = z * pool[0], y * pool[1], x * pool[2]
        return z, y, x

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, C, z, y, x) to logits (B, C', z, y, x)."""
        self._check_window(image)
        x = image.contiguous(memory_format=torch.channels_last_3d)
        x = functional.relu(self.stem(x), inplace=True)
        x = self.encoder[0](x)
        skips: list[Tensor] = []
        for down, stage in zip(self.down, self.encoder[1:], strict=True):
            skips.append(x)
            x = stage(down(x))
        for level in reversed(range(len(self.down))):
            pool, skip = self.pools[level], skips[level]
            # The 1x1x1 convolution comes before the repetition: an eighth of its work.
            x = functional.interpolate(self.up[level](x), scale_factor=[float(p) for p in pool])
            x = self.decoder[level](functional.relu(x + skip, inplace=True))
        return self.head(x)

    def _check_window(self, image: Tensor) -> None:
        window = tuple(image.shape[2:])
        if any(n % m for n, m in zip(window, self.multiple, strict=True)):
            raise ModelError(
                f"a window of {window} voxels does not divide by {self.multiple}, the product of "
                "the pools; choose a window that is a multiple on every axis"
            )


def folded(network: ResidualUNet3D) -> dict[str, Tensor]:
    """Fold batch normalisation into the convolutions before it.

    Parameters
    ----------
    network : ResidualUNet3D
        Trained with ``norm="batch"``; it is left as it is.

    Returns
    -------
    dict of str to Tensor
        State of the same network with ``norm="none"``; equal answers up to rounding.

    Examples
    --------
    >>> net = ResidualUNet3D(widths=(4,), blocks=(1,)).eval()
    >>> plain = ResidualUNet3D(widths=(4,), blocks=(1,), norm="none")
    >>> _ = plain.load_state_dict(folded(net))
    >>> x = torch.rand(1, 1, 4, 4, 4)
    >>> torch.allclose(net(x), plain(x), atol=1e-6)
    True
    """
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    for name, module in network.named_modules():
        if not isinstance(module, _Convolution) or module.norm is None:
            continue
        mean, var = module.norm.running_mean, module.norm.running_var
        if mean is None or var is None:
            raise ModelError(f"{name} keeps no running statistics, so nothing can be folded")
        gain = module.norm.weight / torch.sqrt(var + module.norm.eps)
        for key in [key for key in state if key.startswith(f"{name}.norm.")]:
            del state[key]
        state[f"{name}.conv.weight"] = (module.conv.weight * gain.view(-1, 1, 1, 1, 1)).detach()
        state[f"{name}.conv.bias"] = (module.norm.bias - mean * gain).detach()
    return state


class _Convolution(nn.Module):
    """A convolution that keeps the extent, and its normalisation."""

    def __init__(self, into: int, out: int, kernel: Coord, *, norm: Norm) -> None:
        super().__init__()
        z, y, x = kernel
        padding = (z // 2, y // 2, x // 2)
        self.conv = nn.Conv3d(into, out, kernel, padding=padding, bias=norm == "none")
        self.norm = nn.BatchNorm3d(out) if norm == "batch" else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y if self.norm is None else self.norm(y)


class _Residual(nn.Module):
    """Two convolutions around which the input passes unchanged."""

    def __init__(self, width: int, kernel: Coord, *, norm: Norm) -> None:
        super().__init__()
        self.first = _Convolution(width, width, kernel, norm=norm)
        self.second = _Convolution(width, width, kernel, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu(self.first(x), inplace=True))
        return functional.relu(x + y, inplace=True)


def _stack(width: int, kernel: Coord, count: int, *, norm: Norm) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width, kernel, norm=norm) for _ in range(count)))


def _check_levels(
    widths: Sequence[int],
    blocks: Sequence[int],
    decoder_blocks: Sequence[int],
    kernels: Sequence[Coord],
    pools: Sequence[Coord],
) -> None:
    levels = len(widths)
    for name, given, expected in (
        ("blocks", blocks, levels),
        ("decoder_blocks", decoder_blocks, levels - 1),
        ("kernels", kernels, levels),
        ("pools", pools, levels - 1),
    ):
        if len(given) != expected:
            raise ModelError(
                f"{name} has {len(given)} entries, but {levels} widths need {expected}; "
                "give one per level (decoder_blocks and pools: one fewer)"
            )
    if any(extent % 2 == 0 for kernel in kernels for extent in kernel):
        raise ModelError(f"kernels {kernels} must be odd on every axis, so that extents stay")
