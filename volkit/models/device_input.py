"""Device input: windows as stored travel to the device, and are scaled there.

Voxels of one byte are a fourth of float32: the copy is shorter, and the processor is free.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from volkit.models.predictor import Batch, Floats, check_batch, scaled_batch
from volkit.models.scaling import Scale

_TRAVELS = ("?", "u1", "i1", "i2", "f2", "f4")  # at most as wide as what they become


def sent(batch: Batch, scale: Scale, *, device: str) -> Tensor:
    """Copy a batch to the device, scaled.

    Parameters
    ----------
    batch : ndarray of real, shape (B, C, z, y, x) or (B, z, y, x)
        Voxels as stored.
    scale : Scale
        Numbers in the unit of the voxels.
    device : str
        A device of torch; to CUDA the copy runs from pinned memory in a stream of its own, while
        the device computes.

    Returns
    -------
    Tensor of float32, shape (B, C, z, y, x)
        The same bits on every device.

    Raises
    ------
    ModelError
        If the array is of another rank or complex.
    """
    kind = torch.device(device).type
    given = check_batch(batch)
    if kind != "cuda" or not given.dtype.isnative or given.dtype.str[1:] not in _as_stored():
        scaled = torch.from_numpy(scaled_batch(given, scale))
        return scaled.to(device) if kind != "cuda" else _pinned(scaled.numpy(), device)
    return scaled_tensor(_pinned(given, device), scale)


def _as_stored() -> set[str]:
    return {np.dtype(kind).str[1:] for kind in _TRAVELS}


def _pinned(array: Batch | Floats, device: str) -> Tensor:
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    host = torch.empty(array.shape, dtype=kind, pin_memory=True)
    np.copyto(host.numpy(), array)
    # Beside the passes: in their own stream it would wait for all that was asked for before.
    beside, passes = _copies(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(beside):
        there = host.to(device, non_blocking=True)
    passes.wait_stream(beside)
    there.record_stream(passes)  # so that its memory is not given away before they have read it
    return there


@cache
def _copies(device: str) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def scaled_tensor(voxels: Tensor, scale: Scale) -> Tensor:
    """Scale voxels as `volkit.models.scaling.Scale.apply` does, to the bit.

    Parameters
    ----------
    voxels : Tensor of real, any shape
        On any device.
    scale : Scale
        Numbers in the unit of the voxels.

    Returns
    -------
    Tensor of float32, same shape and device
        Always a copy.

    Examples
    --------
    >>> scaled_tensor(torch.tensor([0, 10, 99]), Scale(10.0, 20.0, high=50.0)).tolist()
    [-0.5, 0.0, 2.0]
    """
    x = voxels.to(torch.float32, copy=True)
    if scale.low is not None or scale.high is not None:
        x.clamp_(scale.low, scale.high)
    if scale.shift:
        x -= x.new_full((), scale.shift)
    if scale.divide != 1:
        # By a tensor: for a number, CUDA would multiply by its reciprocal, which rounds twice.
        x /= x.new_full((), scale.divide)
    return x
