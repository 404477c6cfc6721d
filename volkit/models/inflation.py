"""Inflation: weights of a network for images, made into those of its twin for volumes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.timm_weights import fitted_colours
from volkit.models.weights import check_state, read_state

Spread = Literal["mean", "centre"]

_KERNEL_AXES = 4  # of a 2-D convolution: out, in, and two of the image
_COUNTER = "num_batches_tracked"  # which some files leave out


def inflated(weight: Tensor, depth: int, *, spread: Spread = "mean", axis: int = 0) -> Tensor:
    """Make a 3-D kernel of a 2-D one.

    Away from borders along the new axis, the kernel answers an image that is the same in every
    plane as the 2-D kernel answers one plane.

    Parameters
    ----------
    weight : Tensor, shape (out, in, y, x)
        Of an image's convolution.
    depth : int
        Extent of the kernel along the new axis.
    spread : {"mean", "centre"}
        Whether every plane gets an equal share, or the middle plane all and the others zeros.
    axis : int
        Where the new axis is among the three of the kernel: 0 for (z, y, x), 1 for (y, z, x), 2
        for (y, x, z).

    Returns
    -------
    Tensor
        With one more axis.

    Raises
    ------
    ModelError
        If the kernel is not one of an image, the axis is none, or there is no middle plane.

    References
    ----------
    Carreira and Zisserman, Quo vadis, action recognition?, 2017, doi:10.1109/CVPR.2017.502.

    Examples
    --------
    >>> flat = torch.tensor([6.0]).view(1, 1, 1, 1)
    >>> inflated(flat, 3).flatten().tolist(), inflated(flat, 3, spread="centre").flatten().tolist()
    ([2.0, 2.0, 2.0], [0.0, 6.0, 0.0])
    """
    if weight.ndim != _KERNEL_AXES or axis not in (0, 1, 2) or depth < 1:
        raise ModelError(
            f"a kernel of shape {tuple(weight.shape)} cannot be inflated to {depth} planes along "
            f"axis {axis}; give one of shape (out, in, y, x), and axis 0, 1 or 2"
        )
    planes = torch.zeros(depth, dtype=weight.dtype, device=weight.device)
    if spread == "mean":
        planes += 1 / depth
    elif spread == "centre" and depth % 2:
        planes[depth // 2] = 1
    else:
        raise ModelError(
            f"inflation {spread!r} of a kernel of {depth} planes is not defined; choose mean, or "
            "centre where the number of planes is odd"
        )
    shape = [1] * (_KERNEL_AXES + 1)
    shape[2 + axis] = depth
    return weight.unsqueeze(2 + axis) * planes.view(shape)


def inflated_state(
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    *,
    spread: Spread = "mean",
    axis: int = 0,
) -> dict[str, Tensor]:
    """Make the weights of a 3-D network of those of its 2-D twin.

    Parameters
    ----------
    state : mapping of str to Tensor
        Of the 2-D network, by the names that the 3-D one has, too; others are left out.
    expected : mapping of str to Tensor
        ``state_dict()`` of the 3-D network.
    spread, axis
        See `inflated`.

    Returns
    -------
    dict of str to Tensor
        Convolutions inflated, the rest as it is; a first convolution on three colours fitted to
        other numbers of channels.  Shapes that still differ are for `check_state` to name.

    Raises
    ------
    ModelError
        If a kernel cannot be inflated.
    """
    ready: dict[str, Tensor] = {}
    for name, wanted in expected.items():
        value = state.get(name)
        if value is None:
            if name.endswith(_COUNTER):
                ready[name] = wanted
            continue
        if wanted.ndim == _KERNEL_AXES + 1 and value.ndim == _KERNEL_AXES:
            if value.shape[1] == 3 and wanted.shape[1] != 3:
                value = fitted_colours(value, wanted.shape[1])
            value = inflated(value, wanted.shape[2 + axis], spread=spread, axis=axis)
        ready[name] = value
    return ready


def load_inflated(
    backbone: nn.Module, path: str | Path, *, spread: Spread = "mean", axis: int = 0
) -> None:
    """Give a 3-D backbone the weights of a file for its 2-D twin, in place.

    Parameters
    ----------
    backbone : torch.nn.Module
        Such as ``StallNetwork.backbone``.
    path : str or Path
        A ``.safetensors`` file in timm's names, of the backbone alone or with a classifier, which
        is left out; such as Hugging Face has for ``timm/densenet121.tv_in1k``,
        ``timm/resnet18.tv_in1k`` or ``timm/resnext50_32x4d.tv_in1k``; or one of a `StallNetwork`
        of two dimensions.
    spread, axis
        See `inflated`.

    Raises
    ------
    ModelError
        If the file cannot be read, or is not of this backbone; names and shapes are said.
    """
    found = Path(path)
    if not found.is_file():
        raise ModelError(
            f"there are no weights at {found}; download model.safetensors of the backbone from "
            "the page of timm's model, and give its path"
        )
    state = read_state(found.read_bytes(), "safetensors", source=str(found))
    own = "backbone."
    if any(name.startswith(own) for name in state):
        state = {k.removeprefix(own): v for k, v in state.items() if k.startswith(own)}
    ready = inflated_state(state, backbone.state_dict(), spread=spread, axis=axis)
    check_state(ready, backbone.state_dict(), source=str(found))
    backbone.load_state_dict(ready)
