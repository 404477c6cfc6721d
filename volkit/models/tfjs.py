"""Networks of TensorFlow.js, as brainchop ships them: their weights turned into checkpoints."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from volkit.errors import ModelError
from volkit.models.checkpoint import Checkpoint, save_checkpoint

Arrays = dict[str, npt.NDArray[np.float32]]

_WINDOW = 192  # leaves a core of 100 voxels where the margin is 46, at 0.6 GB of memory
_MILLIMETRE = 1e6


def read_tfjs(model: str | Path) -> tuple[dict[str, Any], Arrays]:
    """Read a network that the TensorFlow.js converter wrote.

    Parameters
    ----------
    model : str or Path
        Its JSON file; the shards of weights lie beside it.

    Returns
    -------
    topology : dict
        The layers, as written by Keras.
    weights : dict of str to ndarray of float32
        In the axis order of Keras: (z, y, x, in, out) for a 3-D convolution.

    Raises
    ------
    ModelError
        If files are absent, cut short, or hold anything but plain float32.
    """
    path = Path(model)
    try:
        described = json.loads(path.read_bytes())
        groups, topology = described["weightsManifest"], described["modelTopology"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is no network of TensorFlow.js: {error}; give the JSON file that its "
            "converter wrote"
        ) from error
    weights: Arrays = {}
    for group in groups:
        weights.update(_group(path, group))
    return topology, weights


def _group(path: Path, group: Mapping[str, Any]) -> Arrays:
    try:
        data = b"".join(path.with_name(Path(name).name).read_bytes() for name in group["paths"])
    except OSError as error:
        raise ModelError(f"the weights of {path} cannot be read: {error}; fetch them") from error
    expected = 4 * sum(prod(item["shape"]) for item in group["weights"])
    kinds = {item["dtype"] for item in group["weights"]}
    packed = [item["name"] for item in group["weights"] if "quantization" in item]
    if len(data) != expected or kinds != {"float32"} or packed:
        raise ModelError(
            f"the weights of {path} hold {len(data)} bytes of {sorted(kinds)}, expected "
            f"{expected} bytes of float32, not quantised; fetch them again"
        )
    values, arrays, first = np.frombuffer(data, "<f4"), {}, 0
    for item in group["weights"]:
        size = prod(item["shape"])
        arrays[item["name"]] = values[first : first + size].reshape(item["shape"])
        first += size
    return arrays


def convert_brainchop(folder: str | Path, target: str | Path) -> Checkpoint:
    """Turn a MeshNet of brainchop into a checkpoint.

    The network wants a T1-weighted head of 256 x 256 x 256 voxels of 1 mm, its array axes
    towards left, inferior and anterior (LIA), scaled by the quantiles of that whole array.

    Parameters
    ----------
    folder : str or Path
        Holds the JSON file of the network and its shards.
    target : str or Path
        The card to write.

    Returns
    -------
    Checkpoint
        Three classes: background, white and grey matter.

    Raises
    ------
    ModelError
        If the network is not a plain MeshNet.

    References
    ----------
    Masoud, Hu & Plis, Brainchop: in-browser MRI volumetric segmentation and rendering,
    JOSS 2023, https://doi.org/10.21105/joss.05098
    """
    import torch

    model = _json_in(Path(folder))
    topology, weights = read_tfjs(model)
    convolutions = _convolutions(topology, model)
    dilations = [int(layer["dilation_rate"][0]) for layer in convolutions[:-1]]
    state, places = {}, [f"layers.{2 * i}" for i in range(len(dilations))] + ["output"]
    for layer, place in zip(convolutions, places, strict=True):
        kernel = weights[f"{layer['name']}/kernel"].transpose(4, 3, 0, 1, 2)
        state[f"{place}.weight"] = torch.from_numpy(kernel.copy())
        state[f"{place}.bias"] = torch.from_numpy(weights[f"{layer['name']}/bias"].copy())
    channels = (state["layers.0.weight"].shape[1], state["output.weight"].shape[0])
    arguments = {
        "in_channels": channels[0],
        "out_channels": channels[1],
        "channels": state["output.weight"].shape[1],
        "dilations": dilations,
    }
    card = _card(channels, margin=sum(dilations))
    return save_checkpoint(state, target, {**card, "arguments": arguments})


def _card(channels: tuple[int, int], *, margin: int) -> dict[str, Any]:
    named = ["background", "white_matter", "grey_matter"]
    return {
        "architecture": "meshnet",
        "channels": channels,
        "window": [max(_WINDOW, 2 * margin + 1)] * 3,
        "margin": [margin] * 3,
        "scaling": {"kind": "quantile", "low": 0.02, "high": 0.98, "clip": True},
        "activation": "softmax",
        "classes": named if channels[1] == len(named) else [],
        "voxel_size_nm": [_MILLIMETRE] * 3,
        "description": "MeshNet of brainchop: tissue classes of a T1-weighted head (axes LIA)",
        "licence": "MIT",
        "attribution": "neuroneural/brainchop; NiiVue developers (niivue/niivue-brainchop)",
        "training_data": "T1-weighted heads, 256 x 256 x 256 voxels of 1 mm",
    }


def _json_in(folder: Path) -> Path:
    found = sorted(folder.glob("*model*.json"))
    if len(found) != 1:
        raise ModelError(
            f"{folder} holds {len(found)} files *model*.json; give the folder of one network"
        )
    return found[0]


def _convolutions(topology: Mapping[str, Any], model: Path) -> list[dict[str, Any]]:
    """Check that the layers are those of `MeshNet`, in its order."""
    layers = topology["model_config"]["config"]["layers"]
    kinds = [layer["class_name"] for layer in layers]
    pairs = (len(kinds) - 2) // 2
    plain = kinds == ["InputLayer", *["Conv3D", "Activation"] * pairs, "Conv3D"]
    inside = [layer["config"] for layer in layers if layer["class_name"] == "Conv3D"]
    rectified = {c["config"]["activation"] for c in layers if c["class_name"] == "Activation"}
    sizes = [list(layer["kernel_size"]) for layer in inside]
    fits = plain and rectified == {"relu"} and sizes == [[3, 3, 3]] * pairs + [[1, 1, 1]]
    same = all(
        layer["padding"] == "same" and layer["use_bias"] and set(layer["strides"]) == {1}
        for layer in inside
    )
    if not (fits and same):
        raise ModelError(
            f"{model} is not a plain MeshNet: it has {sorted(set(kinds))}, kernels {sizes}; "
            "convert it by hand, or export it with torch.export"
        )
    return inside
