"""Networks with pooling, answered at every voxel instead of at every stride-th.

By *dilation*, pooling becomes a maximum at stride one and all layers behind it see voxels that
are further apart.  By *fragments*, the answers of every offset of a pool are computed as a batch
and woven together at the end.  Both do the multiplications of a voxel once and are equal up to
rounding; which of them costs less depends on the window.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.dense_cost import DenseMethod, choose_dense
from volkit.models.dense_layers import ONE, Reach, chain, extent_of, reach_of, stride_of, triple
from volkit.models.streams import SummedStreams


class DenseNetwork(nn.Module):
    """A strided network, answering every voxel whose field of view lies inside the window.

    A window of ``w`` voxels yields ``w - field + 1`` answers, each equal to that of ``network``
    on its field of view alone.  It can be trained: weights belong to ``network``.

    Parameters
    ----------
    network : torch.nn.Module
        A chain of convolutions without padding, max-pooling and pointwise layers.
    method : {"auto", "dilation", "fragments"}
        "auto" takes what `volkit.models.dense_cost.choose_dense` estimates for every extent of
        window, so that the same window is always answered in the same way.

    Raises
    ------
    ModelError
        If a layer is of another kind or pads its input.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843 (max-filtering).
    Giusti et al., Fast image scanning with deep max-pooling convolutional neural networks,
    ICIP 2013, https://doi.org/10.1109/ICIP.2013.6738831 (fragments).

    Examples
    --------
    >>> pooled = nn.Sequential(nn.Conv3d(1, 1, 3), nn.MaxPool3d(2), nn.Conv3d(1, 1, 2))
    >>> dense = DenseNetwork(pooled)
    >>> dense.reach.field, dense(torch.zeros(1, 1, 6, 9, 7)).shape
    ((6, 6, 6), torch.Size([1, 1, 1, 4, 2]))
    """

    def __init__(
        self, network: nn.Module, *, method: Literal["auto", "dilation", "fragments"] = "auto"
    ) -> None:
        super().__init__()
        if method not in ("auto", "dilation", "fragments"):
            raise ModelError(f"method {method!r} is unknown; choose auto, dilation or fragments")
        self.reach: Reach = reach_of(network)
        if any(self.reach.padding):
            raise ModelError(
                f"the network pads its input by up to {self.reach.padding} voxels, so its answers "
                "depend on where the window ends; use valid convolutions (padding=0)"
            )
        self.network = network
        self.method = method

    def forward(self, batch: Tensor) -> Tensor:
        """Answer windows, shape (B, C, z, y, x), with (B, C', z', y', x').

        Raises
        ------
        ModelError
            If a window is smaller than the field of view.
        """
        z, y, x = batch.shape[2:]
        fields = zip((z, y, x), self.reach.field, strict=True)
        answers = [n - field + 1 for n, field in fields]
        if min(answers) < 1:
            raise ModelError(
                f"a window of {(z, y, x)} voxels is smaller than the field of view "
                f"{self.reach.field}; choose a larger window"
            )
        method = self.method
        if method == "auto":
            method = choose_dense(self.network, (z, y, x))
        if batch.device.type == "cpu":
            batch = batch.contiguous(memory_format=torch.channels_last_3d)
        if method == "dilation":
            return _answer(self.network, batch, _Place(method))[0]
        return self._woven(batch, answers)

    def _woven(self, batch: Tensor, answers: list[int]) -> Tensor:
        """Answer by fragments, all of one extent: the far faces are filled up for that."""
        missing = [-n % s for n, s in zip(answers, self.reach.stride, strict=True)]
        if any(missing):
            z, y, x = missing
            batch = functional.pad(batch, (0, x, 0, y, 0, z))
        fragments, place = _answer(self.network, batch, _Place("fragments"))
        for stride in reversed(place.splits):
            fragments = _weave(fragments, stride)
        z, y, x = answers
        return fragments[:, :, :z, :y, :x]


class _Place:
    """Where in a dense evaluation a layer stands: the pools before it."""

    __slots__ = ("dilation", "method", "splits")

    def __init__(
        self, method: DenseMethod, dilation: Coord = ONE, splits: tuple[Coord, ...] = ()
    ) -> None:
        self.method, self.dilation, self.splits = method, dilation, splits

    def behind(self, stride: Coord) -> "_Place":
        if self.method == "fragments":
            return _Place(self.method, self.dilation, (*self.splits, stride))
        z, y, x = (d * s for d, s in zip(self.dilation, stride, strict=True))
        return _Place(self.method, (z, y, x), self.splits)


def _answer(module: nn.Module, batch: Tensor, place: _Place) -> tuple[Tensor, _Place]:
    for layer in chain(module):
        if isinstance(layer, SummedStreams):
            batch, place = _answer_streams(layer, batch, place)
            continue
        batch = _at_every_voxel(layer, batch, place.dilation)
        if (stride := stride_of(layer)) != ONE:
            batch = _split(batch, stride) if place.method == "fragments" else batch
            place = place.behind(stride)
    return batch, place


def _answer_streams(streams: SummedStreams, batch: Tensor, place: _Place) -> tuple[Tensor, _Place]:
    total, behind = None, place
    for stream, share in zip(streams.streams, streams.shares(batch), strict=True):
        answer, behind = _answer(stream, share, place)
        total = answer if total is None else total + answer
    return batch if total is None else total, behind


def _at_every_voxel(layer: nn.Module, batch: Tensor, dilation: Coord) -> Tensor:
    """Apply a layer at stride one, to voxels that are ``dilation`` apart."""
    if isinstance(layer, nn.MaxPool3d):
        return _maximum(batch, layer, dilation)
    if not isinstance(layer, nn.Conv3d):
        return layer(batch)
    z, y, x = (a * b for a, b in zip(triple(layer.dilation), dilation, strict=True))
    weights, bias = layer.weight, layer.bias
    if _takes_onednn(batch, weights):
        # torch itself sends dilated convolutions to a path that is five times slower.  Weights
        # with channels last settle the layout, and so the order of sums, for every window.
        weights = weights.contiguous(memory_format=torch.channels_last_3d)
        return torch.mkldnn_convolution(
            batch, weights, bias, (0, 0, 0), ONE, (z, y, x), layer.groups
        )
    return functional.conv3d(batch, weights, bias, dilation=(z, y, x), groups=layer.groups)


def _takes_onednn(batch: Tensor, weights: Tensor) -> bool:
    return (
        batch.device.type == "cpu"
        and batch.dtype == weights.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # compilers know the convolution by its own name
    )


def _maximum(batch: Tensor, pool: nn.MaxPool3d, dilation: Coord) -> Tensor:
    """Take the maximum over a pool's voxels; shifted copies are faster than max_pool3d."""
    sides, steps, reach = triple(pool.kernel_size), triple(pool.dilation), extent_of(pool)
    for axis, (side, step, wide, apart) in enumerate(
        zip(sides, steps, reach, dilation, strict=True), 2
    ):
        left = batch.shape[axis] - (wide - 1) * apart
        most = batch.narrow(axis, 0, left)
        for number in range(1, side):
            most = torch.maximum(most, batch.narrow(axis, number * step * apart, left))
        batch = most
    return batch


def _split(batch: Tensor, stride: Coord) -> Tensor:
    """Turn the offsets of a stride into windows of a batch, (B sz sy sx, C, z/sz, y/sy, x/sx)."""
    count, maps = batch.shape[:2]
    (z, y, x), (sz, sy, sx) = batch.shape[2:], stride
    parts = batch.reshape(count, maps, z // sz, sz, y // sy, sy, x // sx, sx)
    # Channels last, so that a voxel's maps are copied in one piece and stay together.
    parts = parts.permute(0, 3, 5, 7, 2, 4, 6, 1)
    flat = parts.reshape(count * sz * sy * sx, z // sz, y // sy, x // sx, maps)
    return flat.permute(0, 4, 1, 2, 3)


def _weave(fragments: Tensor, stride: Coord) -> Tensor:
    """Undo `_split`."""
    (count, maps, z, y, x), (sz, sy, sx) = fragments.shape, stride
    parts = fragments.reshape(count // (sz * sy * sx), sz, sy, sx, maps, z, y, x)
    woven = parts.permute(0, 4, 5, 1, 6, 2, 7, 3)
    return woven.reshape(-1, maps, z * sz, y * sy, x * sx)
