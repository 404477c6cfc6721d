"""Strided convolutions of single pixels, whose gradients oneDNN writes beyond its memory.

With channels last, oneDNN 3.12 (torch 2.13) copies the pixels that a stride keeps by eights of
channels, also where there are 2 to 7: on CPUs with AVX2 the gradient of the weights destroys what
lies behind (``jit_1x1:avx2``, ``backward_weights``), and the process ends some time later.  Taken
by slicing, the same pixels need no stride.
"""

import torch
from torch import Tensor, nn

_AT_ONCE = 8  # floats of a register; one channel, and more than these, were never seen to fail


class SlicedConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` of kernel 1 that learns from the pixels which its stride keeps."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a batch, shape (B, C, y, x)."""
        if input.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(input)
        y, x = self.stride
        kept = input[..., ::y, ::x]
        return nn.functional.conv2d(kept, self.weight, self.bias)

    def _get_name(self) -> str:
        return "Conv2d"  # what a module is called is part of its digest


def slice_strides(module: nn.Module) -> None:
    """Turn the convolutions of a module that could be met by it into `SlicedConv2d`, in place.

    Parameters
    ----------
    module : torch.nn.Module
        Any; its weights, and what it answers, stay as they are.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(4, 8, 1, stride=2), nn.Conv2d(8, 8, 1, stride=2))
    >>> slice_strides(network)
    >>> [type(layer).__name__ for layer in network]
    ['SlicedConv2d', 'Conv2d']
    """
    for child in module.modules():
        if type(child) is nn.Conv2d and _is_met(child):
            child.__class__ = SlicedConv2d


def _is_met(layer: nn.Conv2d) -> bool:
    whole = layer.groups == 1 and layer.padding == (0, 0)
    strided = layer.kernel_size == (1, 1) and layer.stride != (1, 1)
    return whole and strided and 1 < layer.in_channels < _AT_ONCE
