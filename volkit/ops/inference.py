"""Inference: a network over a domain by blended sliding windows.

The windows lie on one lattice of the whole domain.  A block evaluates every window that touches
it and keeps its own voxels, so that its neighbours need not be asked (``recompute``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError, ContractError, ModelError
from volkit.geometry import Block, Box, Coord, Grid, Windows
from volkit.kernels.blend import Weighting, weight_sums, window_weights
from volkit.kernels.histogram import add_histograms, value_histogram
from volkit.models.checkpoint import Checkpoint
from volkit.models.scaling import UNSCALED, Scale, Scaling
from volkit.ops.arguments import Call, arguments
from volkit.ops.network import Network

Array = NDArray[Any]
Padding = Literal["reflect", "edge", "constant", "none"]


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """How windows are laid and blended.

    Parameters
    ----------
    window : tuple of int, optional
        What the network sees once, (z, y, x); None takes the card's.
    stride : tuple of int, optional
        Distance between windows; None is half the part of a window that is used.
    weights : {'gaussian', 'linear', 'constant'}
        How answers of overlapping windows are weighted.
    padding : {'reflect', 'edge', 'constant', 'none'}
        What windows see beyond the domain's faces; ``none`` cuts them off there, for networks
        that take any extent.
    batch : int
        Windows that go through the network together.
    device : str
        ``auto``, ``cuda``, ``mps`` or ``cpu``.
    precision : {'float32', 'bfloat16', 'float16'}
        Of the network's arithmetic; blending is float32 always.
    """

    window: Coord | None = None
    stride: Coord | None = None
    weights: Weighting = "gaussian"
    padding: Padding = "reflect"
    batch: int = 4
    device: str = "auto"
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("weights", self.weights, get_args(Weighting)),
            ("padding", self.padding, get_args(Padding)),
        ):
            if value not in known:
                raise ConfigError(f"{name} {value!r} is unknown; choose one of {', '.join(known)}")
        if self.batch < 1:
            raise ConfigError(f"batch {self.batch} must be at least 1")


def infer(
    image: Any,
    model: Checkpoint | Callable[..., Any] | Network,
    *,
    options: InferenceOptions | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Run a network over a volume by blended sliding windows.

    The result does not depend on the grid: windows lie on one lattice of the domain.

    Parameters
    ----------
    image : Volume, dask array or DataArray, shape ([C,] Z, Y, X)
        What the network sees; scaled as the checkpoint's card says.
    model : Checkpoint, callable or Network
        A callable gets and returns float32 batches, shape (B, C, Z, Y, X).
    options : InferenceOptions, optional
        How windows are laid and blended.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of float32, shape (C, Z, Y, X)
        What the network says, as the card names the channels.

    Raises
    ------
    GeometryError
        If windows would leave gaps.
    ContractError
        By the block that meets NaN or infinite voxels.
    ModelError
        By the first block, if the network does not fit its card.

    References
    ----------
    Isensee et al., nnU-Net, 2021, https://doi.org/10.1038/s41592-020-01008-z.
    """
    options = options or InferenceOptions()
    call = arguments(image, grid=grid, engine=engine)
    network = model if isinstance(model, Network) else _network(model, options)
    windows = lattice(call.grid.domain, network, options)
    shared = (network, input_scale(network, call))
    predict = Op(
        _predict_block,
        dtype=np.float32,
        halo=window_halo(windows, call.grid.block_shape),
        channels=network.channels,
        params={
            "domain": [list(call.grid.domain.start), list(call.grid.domain.stop)],
            "stride": list(windows.stride),
            "weights": options.weights,
            "padding": options.padding,
            "batch": options.batch,
        },
        needs_gpu=options.device != "cpu",
    )
    return call.wrap(
        call.engine.map(predict, *call.inputs, grid=call.grid, name="prob", shared=shared)
    )


def lattice(domain: Box, network: Network, options: InferenceOptions) -> Windows:
    """Lay the windows of a domain.

    Parameters
    ----------
    domain : Box
        The voxels to cover.
    network : Network
        Says window and margin.
    options : InferenceOptions
        Says the stride.

    Returns
    -------
    Windows
    """
    half: Coord = tuple(  # type: ignore[assignment]
        max(1, (n - 2 * m) // 2) for n, m in zip(network.window, network.margin, strict=True)
    )
    return Windows(domain, network.window, options.stride or half, network.margin)


def window_halo(windows: Windows, block_shape: Coord) -> Coord:
    """Find the halo with which a block sees every window that touches it.

    Parameters
    ----------
    windows : Windows
        The lattice.
    block_shape : tuple of int
        Blocks that begin on a window's origin need less.

    Returns
    -------
    tuple of int
        Voxels on each face.
    """
    z, y, x = (
        margin + ((trusted - 1) // stride * stride if block % stride == 0 else trusted - 1)
        for margin, trusted, stride, block in zip(
            windows.margin, windows.trusted, windows.stride, block_shape, strict=True
        )
    )
    return z, y, x


def input_scale(network: Network, call: Call) -> Any:
    """Find the numbers that scale the input: by the card alone, or with the whole domain."""
    if not isinstance(network.model, Checkpoint):
        return UNSCALED
    if not network.model.scaling.needs_histogram:
        return network.model.scaling.resolve()
    histogram = Reduction(
        _histogram_block, add_histograms, finalize=partial(_scale, network.model.scaling)
    )
    return call.engine.reduce(histogram, *call.inputs, grid=call.grid, name="histogram")


def _network(model: Checkpoint | Callable[..., Any], options: InferenceOptions) -> Network:
    return Network.of(
        model, window=options.window, device=options.device, precision=options.precision
    )


def _histogram_block(block: Block, image: Array) -> Columns:
    return value_histogram(image)


def _scale(scaling: Scaling, histogram: Columns) -> Scale:
    return scaling.resolve(histogram["value"], histogram["count"])


def _predict_block(
    block: Block,
    image: Array,
    network: Network,
    scale: Scale,
    *,
    domain: list[list[int]],
    stride: list[int],
    weights: Weighting,
    padding: Padding,
    batch: int,
) -> NDArray[np.float32]:
    """Blend all windows that touch a block."""
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ContractError(
            f"{int((~np.isfinite(image)).sum())} voxels are NaN or infinite; replace them in the "
            "source, or choose a box without them"
        )
    whole = Box(tuple(domain[0]), tuple(domain[1]))  # type: ignore[arg-type]
    windows = Windows(whole, network.window, tuple(stride), network.margin)  # type: ignore[arg-type]
    weight = window_weights(windows.trusted, weights)
    total = np.zeros((network.channels, *block.write.shape), np.float32)
    predictor = network.predictor()
    for indices in _batches(windows, block.write, clip=padding == "none", size=batch):
        boxes = [windows.window(index) for index in indices]
        seen = np.stack([_cut(image, block.read, box, whole, padding) for box in boxes])
        answers = predictor(seen, scale=scale)
        if answers.shape[1] != network.channels:
            raise ModelError(
                f"the network answered {answers.shape[1]} channels, {network.channels} were "
                "announced; correct the number of channels"
            )
        for index, box, answer in zip(indices, boxes, answers, strict=True):
            held = box.intersect(whole) if padding == "none" else box
            trusted = windows.trusted_box(index)
            part = trusted.intersect(block.write)
            total[(..., *part.relative_to(block.write).slices)] += (
                answer[(..., *part.relative_to(held).slices)]
                * weight[part.relative_to(trusted).slices]
            )
    total /= weight_sums(windows, block.write, weights)
    return total


def _batches(windows: Windows, box: Box, *, clip: bool, size: int) -> Iterator[list[Coord]]:
    """Yield the windows of a box in batches of equal extent."""
    if not clip:
        groups: Any = [windows.touching(box)]
    else:
        groups = (
            group
            for _, group in groupby(
                windows.touching(box),
                key=lambda index: windows.window(index).intersect(windows.domain).shape,
            )
        )
    for group in groups:
        rest = iter(group)
        while batch := list(islice(rest, size)):
            yield batch


def _cut(image: Array, held: Box, window: Box, domain: Box, padding: Padding) -> Array:
    """Cut a window out of what a block read, with channels first, padded beyond the domain."""
    inside = window.intersect(domain)
    cut = image[(..., *inside.relative_to(held).slices)]
    cut = cut if cut.ndim == 4 else cut[None]
    if padding == "none" or inside == window:
        return cut
    before = [a - b for a, b in zip(inside.start, window.start, strict=True)]
    after = [b - a for a, b in zip(inside.stop, window.stop, strict=True)]
    width = [(0, 0), *zip(before, after, strict=True)]
    return np.pad(cut, width, mode=padding)
