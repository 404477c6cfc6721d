"""An image with a boundary map behind it: what a recursive network sees."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Op
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Grid
from volkit.models.ensemble import Ensemble
from volkit.models.scaling import UNSCALED, Scale
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import single_channel
from volkit.ops.inference import input_scale
from volkit.ops.network import Network

Array = NDArray[Any]


def map_stack(
    image: Any,
    prob: Any,
    *,
    network: Network | None = None,
    channel: int = 0,
    levels: tuple[float, float] = (0.0, 1.0),
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Put a boundary map behind an image, as one more channel.

    Parameters
    ----------
    image : Volume, dask array or DataArray, shape (Z, Y, X)
        What the first network saw.
    prob : Volume, dask array or DataArray of float, shape ([C,] Z, Y, X)
        What it answered.
    network : Network, optional
        The first one, as whose card says the image is scaled; None leaves it as it is.
    channel : int
        Which channel of the map.
    levels : tuple of float
        What 0 and 1 of the map become.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of float32, shape (2, Z, Y, X)
        The image, and the map.

    Raises
    ------
    ConfigError
        If it is an ensemble, whose members may scale differently.
    ContractError
        By the first block, if the image has several channels or the map has no such channel.
    """
    if network is not None and isinstance(network.model, Ensemble):
        raise ConfigError(
            "the first network is an ensemble, and its members may scale the image differently; "
            "give one checkpoint"
        )
    call = arguments(image, prob, grid=grid, engine=engine)
    seen = Call(call.inputs[:1], call.grid, call.engine, None)
    scale = UNSCALED if network is None else input_scale(network, seen)
    stack = Op(
        _stacked_block,
        dtype=np.float32,
        channels=2,
        params={"channel": channel, "levels": list(levels)},
    )
    return call.wrap(
        call.engine.map(stack, *call.inputs, grid=call.grid, name="stack", shared=(scale,))
    )


def _stacked_block(
    block: Block, image: Array, prob: Array, scale: Scale, *, channel: int, levels: list[float]
) -> NDArray[np.float32]:
    planes = image if image.ndim == 3 else image[0]
    if image.ndim == 4 and len(image) != 1:
        raise ContractError(
            f"the image has {len(image)} channels; a map goes behind an image of one"
        )
    known, (low, high) = single_channel(prob, channel), levels
    return np.stack([scale.apply(planes), (low + (high - low) * known).astype(np.float32)])
