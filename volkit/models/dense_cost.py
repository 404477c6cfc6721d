"""What a dense evaluation costs, and which way costs less."""

from dataclasses import dataclass
from math import prod
from time import perf_counter
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import torch
from torch import nn

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.dense_layers import (
    ONE,
    chain,
    extent_of,
    padding_of,
    reach_of,
    stride_of,
    triple,
)
from volkit.models.streams import SummedStreams

DenseMethod = Literal["dilation", "fragments"]

_FLOAT_BYTES = 4
_MOVED = 30
_MEASURED: WeakKeyDictionary[nn.Module, dict[Coord, DenseMethod]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class DenseCost:
    """What one window costs.

    Parameters
    ----------
    work : int
        Multiplications of convolutions, and as many for every number that is only moved or
        compared as take the same time.
    memory_bytes : int
        Numbers that live at once, in float32: what a layer takes and what it gives, where it is
        not computed in place.
    """

    work: int
    memory_bytes: int


def choose_dense(module: nn.Module, window: Coord, *, measure: bool = False) -> DenseMethod:
    """Choose how to answer every voxel of a window.

    The two ways differ in the last bits of their answers.  So that a result can be repeated, the
    choice follows from the network and the window alone, by an estimate; only ``measure`` times
    both, once per process.

    Parameters
    ----------
    module : torch.nn.Module
        As `volkit.models.dense.DenseNetwork` takes it.
    window : tuple of int
        Voxels, (z, y, x).
    measure : bool
        Whether to time both on a window of zeros, where the module is.

    Returns
    -------
    {"dilation", "fragments"}

    Raises
    ------
    ModelError
        If the module is no chain, or the window smaller than its field of view.

    Examples
    --------
    >>> pooled = nn.Sequential(nn.Conv3d(1, 8, 3), nn.MaxPool3d(2), nn.Conv3d(8, 8, 3))
    >>> choose_dense(pooled, (8, 8, 9))
    'dilation'
    """
    if not measure:
        costs = {m: dense_cost(module, window, method=m).work for m in get_args(DenseMethod)}
        return min(costs, key=lambda method: costs[method])
    known = _MEASURED.setdefault(module, {})
    if window not in known:
        spent = {m: _seconds(module, window, m) for m in get_args(DenseMethod)}
        known[window] = min(spent, key=lambda method: spent[method])
    return known[window]


def dense_cost(
    module: nn.Module, window: Coord, *, method: DenseMethod = "dilation", batch: int = 1
) -> DenseCost:
    """Estimate what windows cost.

    Parameters
    ----------
    module : torch.nn.Module
        A chain, `volkit.models.dense_layers.chain`.
    window : tuple of int
        Voxels, (z, y, x).
    method : {"dilation", "fragments"}
        How pools are answered; the same without pools.
    batch : int
        Windows at once.

    Returns
    -------
    DenseCost
        Of all windows of the batch.

    Raises
    ------
    ModelError
        If the module is no chain, or the window smaller than its field of view.
    """
    reach = reach_of(module)
    padded = tuple(n + 2 * p for n, p in zip(window, reach.padding, strict=True))
    if any(n < field for n, field in zip(padded, reach.field, strict=True)):
        raise ModelError(
            f"a window of {window} voxels is smaller than the field of view {reach.field}; "
            "choose a larger window"
        )
    extent = list(window)
    if method == "fragments":
        extent = [
            n + -(n - field + 1) % s
            for n, field, s in zip(window, reach.field, reach.stride, strict=True)
        ]
    tally = _Tally(method, extent, batch)
    tally.add(module)
    return DenseCost(tally.work, tally.peak * _FLOAT_BYTES)


class _Tally:
    """Walks a chain and counts; mutable while it walks."""

    def __init__(self, method: DenseMethod, extent: list[int], batch: int) -> None:
        self.method, self.extent, self.batch = method, extent, batch
        self.dilation = ONE
        self.maps: int | None = None
        self.work = self.peak = 0

    def add(self, module: nn.Module) -> None:
        for layer in chain(module):
            if isinstance(layer, SummedStreams):
                self._add_streams(layer)
            else:
                self._add_layer(layer)

    def _add_streams(self, layer: SummedStreams) -> None:
        begin = (list(self.extent), self.batch, self.dilation, self.maps)
        held = 0  # the sum of the streams before
        for stream in layer.streams:
            self.extent, self.batch, self.dilation, self.maps = list(begin[0]), *begin[1:]
            before, self.peak = self.peak, 0
            self.add(stream)
            answer = self._numbers()
            self.peak = max(before, held + self.peak, held + answer + (held and answer))
            held = answer

    def _add_layer(self, layer: nn.Module) -> None:
        if self.maps is None and isinstance(layer, nn.Conv3d):
            self.maps = layer.in_channels
        taken = self._numbers()
        for axis, (wide, padding, apart) in enumerate(
            zip(extent_of(layer), padding_of(layer), self.dilation, strict=True)
        ):
            self.extent[axis] += 2 * padding - (wide - 1) * apart
        if isinstance(layer, nn.Conv3d):
            self.maps = layer.out_channels
            multiplied = layer.in_channels // layer.groups * prod(triple(layer.kernel_size))
            self.work += self._numbers() * multiplied
        given = self._numbers() if isinstance(layer, (nn.Conv3d, nn.MaxPool3d)) else 0
        between = given if isinstance(layer, nn.MaxPool3d) else 0  # after one axis of three
        self.peak = max(self.peak, taken + between + given)
        self.work += _MOVED * self._numbers()
        if (stride := stride_of(layer)) != ONE:
            self._pass_stride(stride)

    def _pass_stride(self, stride: Coord) -> None:
        if self.method == "dilation":
            z, y, x = (d * s for d, s in zip(self.dilation, stride, strict=True))
            self.dilation = z, y, x
            return
        self.work += _MOVED * self._numbers()  # every number is copied to its fragment
        self.extent = [n // s for n, s in zip(self.extent, stride, strict=True)]
        self.batch *= prod(stride)

    def _numbers(self) -> int:
        return self.batch * (self.maps or 1) * prod(self.extent)


def _seconds(module: nn.Module, window: Coord, method: DenseMethod) -> float:
    """Time a window, the faster of two after one that warms up."""
    from volkit.models.dense import DenseNetwork

    dense = DenseNetwork(module, method=method)
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv3d)), None)
    channels = _channels(module)
    weights = first.weight if first is not None else torch.zeros(1)
    batch = torch.zeros((1, channels, *window), dtype=weights.dtype, device=weights.device)
    spent = []
    with torch.inference_mode():
        for _ in range(3):
            begun = perf_counter()
            float(dense(batch).sum())  # waits for the device
            spent.append(perf_counter() - begun)
    return min(spent[1:])


def _channels(module: nn.Module) -> int:
    for layer in chain(module):
        if isinstance(layer, SummedStreams):
            return sum(layer.channels)
        if isinstance(layer, nn.Conv3d):
            return layer.in_channels
    return 1
