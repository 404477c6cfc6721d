"""Networks of ZNN: their weights in HDF5 turned into ours.

ZNN computes true convolutions, so kernels are reversed along z, y and x.  Filters lie at
``<edge>/filters`` as (in, out, z, y, x), biases at ``<node>/biases``; an edge is named like the
layer here, but for ``-`` instead of ``_``, and the node behind it begins with ``n``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.checkpoint import Checkpoint, save_checkpoint
from volkit.models.dense_layers import reach_of

Array = npt.NDArray[np.float32]

# N4 numbers its nodes, pools included; the last node of every network is its output.
_NODES: Mapping[str, tuple[str, ...]] = {
    "conv1": ("nl1",),
    "conv2": ("nl3",),
    "conv3": ("nl5",),
    "conv4": ("nl7",),
    "conv5": ("nl9",),
    "conv6": ("output", "nl10"),
    "convx": ("output",),
}


def read_znn(
    source: str | Path, network: nn.Module, *, names: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, Tensor]:
    """Read the weights of a network of ZNN.

    Parameters
    ----------
    source : str or Path
        The HDF5 file.
    network : torch.nn.Module
        What the weights are for; it is left as it is.
    names : mapping of str to (str, str), optional
        Edge and node of layers that are named otherwise in the file, by the last part of the
        layer's name here.

    Returns
    -------
    dict of str to Tensor
        State of the network, float32, kernels reversed.

    Raises
    ------
    ModelError
        If the file cannot be read, or a layer is absent or of another shape.

    References
    ----------
    Zlateski, Lee & Seung, ZNN: a fast and scalable algorithm for training 3D convolutional
    networks on multi-core and many-core shared memory machines, IPDPS 2016,
    https://doi.org/10.1109/IPDPS.2016.119
    """
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise ModelError(
            f"{source} is no HDF5 file that can be read: {error}; give the weights ZNN wrote"
        ) from error
    with file:
        return dict(_state(file, network, names or {}))


def convert_znn(
    source: str | Path,
    target: str | Path,
    card: Mapping[str, Any],
    *,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> Checkpoint:
    """Turn a network of ZNN into a checkpoint.

    Parameters
    ----------
    source : str or Path
        The HDF5 file.
    target : str or Path
        The card to write.
    card : mapping
        Keys of the card; ``architecture`` and ``arguments`` say what the weights are for.
        ``output``, ``stride`` and ``margin`` are found from the network where they are not given.
    names : mapping, optional
        As in `read_znn`.

    Returns
    -------
    Checkpoint
        Complete.

    Raises
    ------
    ModelError
        As `read_znn` does, or if the card names no architecture.
    ConfigError
        If the card is wrong.
    """
    if "architecture" not in card:
        raise ModelError(
            f"the card for {source} names no architecture; give n4, vd2d or vd2d3d, with the "
            "arguments that the network has (activation, recursive)"
        )
    network = build(card["architecture"], **card.get("arguments", {}))
    reach = reach_of(network)
    found = {"output": "valid", "stride": list(reach.stride), "margin": list(reach.margin)}
    return save_checkpoint(read_znn(source, network, names=names), target, {**found, **card})


def _state(
    file: h5py.File, network: nn.Module, names: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, Tensor]]:
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv3d):
            if next(layer.parameters(recurse=False), None) is not None:
                raise ModelError(
                    f"{name} is {type(layer).__name__}, which ZNN does not have; choose the "
                    "architecture that the file was written for"
                )
            continue
        place = name.rpartition(".")[2]
        edge, nodes = _names(place, names)
        filters = _array(file, [f"{edge}/filters"], layer=name)
        kernel = filters.swapaxes(0, 1)[..., ::-1, ::-1, ::-1]
        yield f"{name}.weight", _fitting(kernel, layer.weight, f"{edge}/filters", file)
        if layer.bias is not None:
            biases = _array(file, [f"{node}/biases" for node in nodes], layer=name)
            yield f"{name}.bias", _fitting(biases.ravel(), layer.bias, f"biases of {edge}", file)


def _names(layer: str, names: Mapping[str, tuple[str, str]]) -> tuple[str, tuple[str, ...]]:
    if layer in names:
        return names[layer][0], (names[layer][1],)
    edge = layer.replace("_", "-")
    return edge, (f"n{edge}", *_NODES.get(layer, ()))


def _array(file: h5py.File, paths: list[str], *, layer: str) -> Array:
    for path in paths:
        if isinstance(found := file.get(path), h5py.Dataset):
            return np.asarray(found, np.float32)
    raise ModelError(
        f"{file.filename} holds no {' or '.join(paths)} for the layer {layer}; it holds "
        f"{', '.join(sorted(file))}: choose the architecture it was written for, or give names"
    )


def _fitting(values: Array, expected: Tensor, what: str, file: h5py.File) -> Tensor:
    if values.shape != tuple(expected.shape):
        raise ModelError(
            f"{what} of {file.filename} has shape {values.shape}, the network "
            f"{tuple(expected.shape)}; choose the architecture it was written for"
        )
    return torch.from_numpy(values.copy())
