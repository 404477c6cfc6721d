"""Convolutions on the CPU that always take the fast path.

torch sends a float32 convolution with a batch of one and few channels to a path that is up to
twelve times slower than oneDNN, and sums in another order, so that an answer depends on the size
of its batch.  Calling oneDNN itself removes both; with channels last it is twice as fast again.
"""

import torch
from torch import Tensor, nn


class OneDnnConv3d(nn.Conv3d):
    """`torch.nn.Conv3d` for inference on the CPU, straight through oneDNN."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a batch of float32, shape (B, C, z, y, x)."""
        padding = self.padding
        traced = torch.compiler.is_compiling()  # compilers know the convolution by its own name
        if traced or isinstance(padding, str) or self.padding_mode != "zeros":
            return super().forward(input)
        return torch.mkldnn_convolution(
            input, self.weight, self.bias, padding, self.stride, self.dilation, self.groups
        )


def use_onednn(module: nn.Module) -> nn.Module:
    """Turn the convolutions of a module into `OneDnnConv3d`, in place.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, float32, for inference only.

    Returns
    -------
    torch.nn.Module
        The same, unchanged where oneDNN is absent.
    """
    if torch.backends.mkldnn.is_available():
        for child in module.modules():
            if type(child) is nn.Conv3d:
                child.__class__ = OneDnnConv3d
    return module
