"""Attention of networks for scans: which part of a scan speaks for a class (Grad-CAM)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.kernels.attention import gradient_map
from volkit.kernels.resize import resized

Floats = NDArray[np.float32]


def attention_map(network: nn.Module, window: Floats, *, answer: int) -> NDArray[np.float64]:
    """Map what speaks for an answer, at the extent of the network's last maps.

    Parameters
    ----------
    network : torch.nn.Module
        With ``attended``, the name of the submodule whose maps are looked at: ``layer4`` of the
        residual networks.  In evaluation mode.
    window : ndarray of float32, shape (Z, Y, X)
        What it sees.
    answer : int
        Whose logit.

    Returns
    -------
    ndarray of float64, shape (z, y, x)
        0 or more.

    Raises
    ------
    ModelError
        If the network has no maps to look at, or they or their gradients are not finite.

    References
    ----------
    R. R. Selvaraju et al., Grad-CAM, 2017, doi:10.1109/ICCV.2017.74.
    """
    name = getattr(network, "attended", "")
    if not name:
        raise ModelError(
            f"a {type(network).__name__} has no maps before its pooling, from which attention "
            "could be drawn; leave attention out, or choose a convolutional network"
        )
    seen: list[Tensor] = []

    def cut(module: nn.Module, given: Any, maps: Tensor) -> Tensor:
        # What comes before needs no gradient, and may not have one as it is run here.
        seen.append(maps.detach().clone().requires_grad_(True))
        return seen[0] * 1  # a copy, since what comes behind may change it in place

    where = next(network.parameters()).device
    handle = network.get_submodule(name).register_forward_hook(cut)
    try:
        with torch.enable_grad():
            logits = network(torch.from_numpy(np.ascontiguousarray(window))[None, None].to(where))
            (slope,) = torch.autograd.grad(logits[0, answer], seen[0])
    finally:
        handle.remove()
    found = gradient_map(seen[0][0].detach().cpu().numpy(), slope[0].cpu().numpy())
    if not np.isfinite(found).all():
        raise ModelError(
            f"where a {type(network).__name__} looks is NaN or infinite, so its weights are, or "
            "grew too large; train it again with a lower learning_rate"
        )
    return found


def attention_over(found: NDArray[np.float64], shape: Coord) -> Floats:
    """Bring a map to the extent of a scan, linear between its voxels; its largest value is 1.

    Parameters
    ----------
    found : ndarray of float64, shape (z, y, x)
        From `attention_map`.
    shape : tuple of int
        Of the scan, (z, y, x): the map covers the same box.

    Returns
    -------
    ndarray of float32, ``shape``
        0 everywhere where the map is.
    """
    large = resized(found, shape)
    most = float(large.max())
    return large / np.float32(most) if most > 0 else large
