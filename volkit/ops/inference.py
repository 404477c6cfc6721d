"""Inference: a network over a domain by blended sliding windows.

The windows lie on one lattice of the whole domain, so that a result cannot depend on blocks.  A
block evaluates the windows that begin in it and hands over what reaches beyond (``exchange``), or
evaluates every window that touches it (``recompute``): the bytes are the same.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError
from volkit.geometry import Block, Box, Coord, Grid, Windows
from volkit.geometry.over_blocks import network_passes
from volkit.io.volume import Volume
from volkit.kernels.blend import Weighting, check_coverage
from volkit.kernels.histogram import add_histograms, value_histogram
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Scales
from volkit.models.scaling import Scale, Scaling
from volkit.ops.arguments import Call, arguments
from volkit.ops.chosen_network import Given, chosen_network
from volkit.ops.free_windows import are_free
from volkit.ops.inference_options import InferenceOptions as InferenceOptions
from volkit.ops.network import Network, resolved_scale
from volkit.ops.padding import Padding
from volkit.ops.skipper import Skipper
from volkit.ops.skipping import skipper
from volkit.ops.window_pass import OutputType, WindowPass, check_marks, check_output_type
from volkit.ops.window_spread import WindowSpread

Array = NDArray[Any]

_PAYS = 1.05  # network passes over the least, from which exchanging is worth its traffic


def infer(
    image: Any,
    model: Given,
    *,
    options: InferenceOptions | None = None,
    mask: Volume | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Run a network over a volume by blended sliding windows.

    The result does not depend on the grid: windows lie on one lattice of the domain.

    Parameters
    ----------
    image : Volume, dask array or DataArray, shape ([C,] Z, Y, X)
        What the network sees; scaled as the checkpoint's card says.
    model : Checkpoint, Ensemble, callable, str, Path, sequence of these, or Network
        A torch module or function gets and returns float32 batches, shape (B, C, Z, Y, X); a text
        is where a card lies; a sequence is an ensemble whose answers are averaged.
    options : InferenceOptions, optional
        How windows are laid and blended.
    mask : Volume, optional
        Instead of the one that ``options.skip`` names.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of ``options.dtype``, shape (C, Z, Y, X)
        What the network says, as the card names the channels.

    Raises
    ------
    ConfigError
        If options contradict each other, the model, or what is stored.
    GeometryError
        If windows would leave gaps.
    ContractError
        By the block that meets NaN or infinite voxels.
    ModelError
        If there is no card or a callable cannot be pickled; by the first block, if the network
        does not fit its card, or its device is not there.

    References
    ----------
    Isensee et al., nnU-Net, 2021, https://doi.org/10.1038/s41592-020-01008-z.
    """
    options = options or InferenceOptions()
    call = arguments(image, grid=grid, engine=engine)
    network = chosen_network(model, options)
    windows = lattice(call.grid.domain, network, options)
    if not options.floor:
        check_coverage(windows, options.weights)
    check_output_type(options.dtype, network)
    check_marks(windows, network)
    skip = skipper(options.skip, call, windows, mask=mask, dtype=options.dtype)
    shared = (
        replace(network, batch=0 if options.batch == "auto" else options.batch),
        input_scale(network, call),
        *(() if skip is None else (skip,)),
    )
    predict = Op(
        _predict_block,
        dtype=np.dtype(options.dtype),
        halo=window_halo(windows, call.grid.block_shape),
        channels=network.channels,
        params={
            "domain": [list(call.grid.domain.start), list(call.grid.domain.stop)],
            "stride": list(windows.stride),
            "weights": options.weights,
            "floor": options.floor,
            "padding": options.padding,
            "dtype": options.dtype,
        },
        version=2,
        needs_gpu=options.device != "cpu",
        at_once=options.blocks_at_once,
        spread=spread(windows, call.grid, options, skip=skip, marks=network.marks),
        idle=skip.idle if isinstance(skip, Skipper) else None,
    )
    return call.wrap(
        call.engine.map(predict, *call.inputs, grid=call.grid, name="prob", shared=shared)
    )


def spread(
    windows: Windows,
    grid: Grid,
    options: InferenceOptions,
    *,
    skip: Any = None,
    marks: bool = False,
) -> WindowSpread | None:
    """Decide whether blocks exchange what windows answer beyond their faces.

    Parameters
    ----------
    windows : Windows
        The lattice.
    grid : Grid
        The blocks.
    options : InferenceOptions
        Say whether to, or leave it to the cost.
    skip : Skipper or Delayed, optional
        Which voxels are wanted.
    marks : bool
        Whether answers may be NaN, and voxels become so.

    Returns
    -------
    WindowSpread or None
        None where every block evaluates all windows that touch it.
    """
    if options.seams == "recompute":
        return None
    pays = network_passes(windows, grid) > _PAYS * len(windows)
    if options.seams == "auto" and not pays and not _thin(windows, grid):
        return None
    return WindowSpread(
        WindowPass(windows, options.weights, options.floor, options.padding, options.dtype, marks),
        skip if isinstance(skip, Skipper) else None,
    )


def _thin(windows: Windows, grid: Grid) -> bool:
    """Tell whether the last block of an axis is thinner than the halo, which dask refuses."""
    halo = window_halo(windows, grid.block_shape)
    return any(len(c) > 1 and c[-1] < h for c, h in zip(grid.chunks, halo, strict=True))


def passes(windows: Windows, grid: Grid, options: InferenceOptions) -> int:
    """Count the windows that a domain takes, those on seams as often as they are evaluated.

    Parameters
    ----------
    windows : Windows
        The lattice.
    grid : Grid
        The blocks.
    options : InferenceOptions
        Say how seams are treated.

    Returns
    -------
    int
        At least ``len(windows)``.
    """
    once = spread(windows, grid, options) is not None
    return len(windows) if once else network_passes(windows, grid)


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

    Raises
    ------
    ConfigError
        If windows would be cut off where a network needs all of them.
    """
    if options.padding == "none" and any(
        isinstance(member, Checkpoint) and member.output == "valid" for member in network.members
    ):
        raise ConfigError(
            "padding 'none' cuts windows off at the domain's faces, where a network of valid "
            f"convolutions, whose margin is {network.margin}, has no answer then; choose reflect, "
            "edge or constant"
        )
    if options.stride is not None:
        return Windows(domain, network.window, options.stride, network.margin)
    overlapping = 1 if are_free(network) else 2
    stride: Coord = tuple(  # type: ignore[assignment]
        max(1, (n - 2 * m) // overlapping)
        for n, m in zip(network.window, network.margin, strict=True)
    )
    return Windows(domain, network.window, stride, network.margin)


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
    if not network.needs_histogram:
        return resolved_scale(network.scaling)
    histogram = Reduction(
        _histogram_block, add_histograms, finalize=partial(_scale, network.scaling)
    )
    return call.engine.reduce(histogram, *call.inputs, grid=call.grid, name="histogram")


def _histogram_block(block: Block, image: Array) -> Columns:
    return value_histogram(image)


def _scale(scaling: Scaling | tuple[Scaling, ...], histogram: Columns) -> Scale | Scales:
    return resolved_scale(scaling, histogram["value"], histogram["count"])


def _predict_block(
    block: Block,
    image: Array,
    network: Network,
    scale: Scale,
    skip: Skipper | None = None,
    *,
    domain: list[list[int]],
    stride: list[int],
    weights: Weighting,
    floor: float,
    padding: Padding,
    dtype: OutputType,
) -> Array:
    """Blend all windows that touch a block."""
    whole = Box(tuple(domain[0]), tuple(domain[1]))  # type: ignore[arg-type]
    windows = Windows(whole, network.window, tuple(stride), network.margin)  # type: ignore[arg-type]
    window_pass = WindowPass(windows, weights, floor, padding, dtype, network.marks)
    touching = window_pass.chosen(windows.touching(block.write), skip, within=block.write)
    sums = window_pass.sums(image, block.read, block.write, touching, network=network, scale=scale)
    return window_pass.finish(sums, block.write, skip)
