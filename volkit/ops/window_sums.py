"""Window sums: where the answers of a block's windows add up, beside the network."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Array
from volkit.geometry import Coord
from volkit.kernels.sums import add_answer, empty_sums
from volkit.models.predictor import Predictor
from volkit.models.scaling import Scale
from volkit.ops.network import Network

Floats = NDArray[np.float32]
Part = tuple[slice, slice, slice]


class WindowSums(Protocol):
    """Sums over the voxels of a block: exact, the same wherever they are kept."""

    def ask(self, seen: Array, scale: Scale) -> Any:
        """Answer a batch of windows, shape (B, C, z, y, x), where sums are kept."""

    def add(self, answer: Any, corner: Coord, z: Floats, plane: Floats, part: Part) -> None:
        """Add a part of a window's answer with its weights, at a corner of the sums."""

    def total(self) -> Array:
        """Give the sums, ndarray of int32 or int64, shape (C, Z, Y, X)."""


class HostSums:
    """Sums in the memory of the process.

    Parameters
    ----------
    predictor : Predictor
        What answers.
    network : Network
        Says channels, bounds, and what becomes of NaN.
    shape : tuple of int
        Voxels, (z, y, x).
    """

    def __init__(self, predictor: Predictor, network: Network, shape: Coord) -> None:
        self._predictor = predictor
        self._marks = network.marks
        self._sums = empty_sums(network.channels, shape, bounded=network.bounded)

    def ask(self, seen: Array, scale: Scale) -> Floats:
        """Answer a batch of windows."""
        return self._predictor(seen, scale=scale)

    def add(self, answer: Floats, corner: Coord, z: Floats, plane: Floats, part: Part) -> None:
        """Add a part of a window's answer."""
        seen = answer[(..., *part)]
        add_answer(self._sums, seen, z, plane, corner=corner, marks=self._marks)

    def total(self) -> Array:
        """Give the sums."""
        return self._sums


class DeviceWindowSums:
    """Sums in the memory of the network's device: only they travel, not the answers.

    Parameters
    ----------
    predictor : Predictor
        What answers, on a device.
    network : Network
        Says channels and bounds.
    shape : tuple of int
        Voxels, (z, y, x).
    """

    def __init__(self, predictor: Any, network: Network, shape: Coord) -> None:
        from volkit.models.device_sums import DeviceSums

        self._predictor = predictor
        self._sums = DeviceSums(network.channels, shape, predictor.device, bounded=network.bounded)

    def ask(self, seen: Array, scale: Scale) -> Any:
        """Answer a batch of windows, and leave the answer there."""
        return self._predictor.on_device(seen, scale=scale)

    def add(self, answer: Any, corner: Coord, z: Floats, plane: Floats, part: Part) -> None:
        """Add a part of a window's answer."""
        self._sums.add(answer, corner, z, plane, part)

    def total(self) -> Array:
        """Give the sums, when the device is done."""
        return self._sums.to_numpy()


def window_sums(predictor: Predictor, network: Network, shape: Coord) -> WindowSums:
    """Choose where sums are kept: with the network, where that is on CUDA.

    Parameters
    ----------
    predictor : Predictor
        What answers.
    network : Network
        What it is of.
    shape : tuple of int
        Voxels, (z, y, x).

    Returns
    -------
    WindowSums
    """
    on_cuda = str(getattr(predictor, "device", "cpu")).startswith("cuda")
    if on_cuda and hasattr(predictor, "on_device") and not network.marks:
        return DeviceWindowSums(predictor, network, shape)
    return HostSums(predictor, network, shape)
