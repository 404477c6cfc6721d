"""Reader of model packages: a description of bioimage.io becomes a checkpoint."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import yaml

from volkit.errors import ConfigError, ModelError
from volkit.models import location
from volkit.models.bioimageio.processing import input_scaling, output_activation
from volkit.models.bioimageio.tensors import Tensor, read_input, read_output
from volkit.models.bioimageio.weights import chosen_weights
from volkit.models.card import Checkpoint, parse_card

VERSIONS = ("0.4", "0.5")
_WINDOW = {"zyx": 64, "yx": 256}  # voxels along an axis whose extent can be chosen
OWN = ("window", "margin", "classes", "offsets", "vectors", "thresholds", "voxel_size_nm",
       "description", "version", "licence", "attribution", "training_data")  # fmt: skip
"""Keys of a card that a package of volkit's own keeps as they are."""


def read_package(uri: str) -> Checkpoint:
    """Read the description of a model package; its weights stay where they are.

    Parameters
    ----------
    uri : str
        Of the description, from :func:`volkit.models.bioimageio.address.package_uri`.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ModelError
        If it is no model, or one that volkit cannot run exactly as it is described.
    """
    said = _read(uri)
    version = ".".join(str(said.get("format_version", "")).split(".")[:2])
    if version not in VERSIONS or said.get("type", "model") != "model":
        raise ModelError(
            f"{uri} describes a {said.get('type')} in format {said.get('format_version')}; volkit "
            f"reads models of {' and '.join(VERSIONS)}: update it with bioimageio update-format"
            " (package bioimageio.core)"
        )
    try:
        return parse_card(_card(said, uri), uri)
    except ModelError as error:
        if uri in str(error):
            raise
        raise ModelError(f"{uri}: {error}") from error
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
        told = str(error) if isinstance(error, ConfigError) else f"it lacks or garbles {error}"
        raise ModelError(
            f"{uri} cannot be understood ({told}); check it with bioimageio "
            "validate-format (package bioimageio.core)"
        ) from error


def _read(uri: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(location.read_bytes(uri))
    except FileNotFoundError as error:
        raise ModelError(f"there is no model description at {uri}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ModelError(f"{uri} is not YAML: {error}; fetch it again") from error
    if not isinstance(found, Mapping):
        raise ModelError(f"{uri} holds {type(found).__name__}, no model description")
    return found


def _card(said: Mapping[str, Any], uri: str) -> dict[str, Any]:
    for role in ("inputs", "outputs"):
        if len(said.get(role) or ()) != 1:
            raise ModelError(f"it has {len(said.get(role) or ())} {role}; volkit's networks have 1")
    given = read_input(said["inputs"][0])
    answer = read_output(said["outputs"][0], given)
    if answer.axes != given.axes:
        raise ModelError(
            f"it turns {given.axes} into {answer.axes}; volkit's networks answer on the voxels "
            "that they see"
        )
    lost = max(answer.lost.values())
    if min(answer.lost.values()) < 0:
        raise ModelError(f"its output is larger than its input ({dict(answer.lost)} voxels less)")
    margin = _coord({a: ceil(answer.lost[a] / 2) + answer.halo[a] for a in given.space}, 0)
    card = {
        **_words(said),
        **chosen_weights(said.get("weights") or {}, uri),
        "channels": (given.channels, answer.channels),
        "window": _coord(_window(given, margin), 1),
        "margin": margin,
        "output": "valid" if lost else "same",
        "planes": given.space == "yx",
        "scaling": _scaling(given),
        "activation": output_activation(answer),
        "classes": answer.classes,
        "voxel_size_nm": _voxel_size(given),
    }
    own = _own(said)
    return {**card, **{key: own[key] for key in OWN if key in own}}


def _own(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find what a package of volkit's own keeps of its card."""
    config = said.get("config") or {}
    mine = config.get("volkit") if isinstance(config, Mapping) else None
    card = mine.get("card") if isinstance(mine, Mapping) else None
    return card if isinstance(card, Mapping) else {}


def _scaling(given: Tensor) -> dict[str, Any]:
    found = input_scaling(given)
    names = ("kind", "shift", "divide", "low", "high", "clip", "epsilon")
    return {name: getattr(found, name) for name in names if getattr(found, name) is not None}


def _window(given: Tensor, margin: tuple[int, int, int]) -> dict[str, int]:
    """Choose extents: the only ones, or the first that are large enough for the margin."""
    found = {}
    for axis, lost in zip("zyx", margin, strict=True):
        if axis not in given.space:
            continue
        least, step = given.sizes[axis]
        wanted = max(_WINDOW[given.space], 4 * lost)
        found[axis] = least if not step else least + max(0, ceil((wanted - least) / step)) * step
    return found


def _coord(values: Mapping[str, int], unsaid: int) -> tuple[int, int, int]:
    z, y, x = (values.get(axis, unsaid) for axis in "zyx")
    return z, y, x


def _voxel_size(given: Tensor) -> tuple[float, float, float] | None:
    if {*given.size_nm} != {*"zyx"}:
        return None
    return given.size_nm["z"], given.size_nm["y"], given.size_nm["x"]


def _words(said: Mapping[str, Any]) -> dict[str, str]:
    """Take what people wrote."""
    authors = [str(one.get("name", "")) for one in said.get("authors") or ()]
    cited = [str(one.get("doi") or one.get("text") or "") for one in said.get("cite") or ()]
    data = said.get("training_data") or {}
    return {
        "description": " ".join(str(said.get("description") or said.get("name") or "").split()),
        "version": str(said.get("version") or "1"),
        "licence": str(said.get("license") or "unknown"),
        "attribution": "; ".join(word for word in (*authors, *cited) if word),
        "training_data": str(data.get("id") or data.get("name") or "unknown"),
    }
