"""Description of a checkpoint as bioimage.io has it, version 0.5."""

from collections.abc import Mapping, Sequence
from typing import Any

from volkit.errors import ModelError
from volkit.models.bioimageio.reader import OWN
from volkit.models.card import Checkpoint, as_card
from volkit.models.scaling import Scaling

FORMAT_VERSION = "0.5.4"
"""What is written; every reader of 0.5 reads it."""

_NO_EPSILON = 1e-30  # it has to be positive; this changes no float32
_MOST_EPSILON = 0.1  # that may be said
_LEAST_DEVIATION = 1e-6  # that may be said
_INPUT, _OUTPUT = "image", "answer"
Rdf = dict[str, Any]
Space = Mapping[str, tuple[int, float | None]]
"""Extent of a window and of a voxel, nanometres, by axis."""


def described(
    card: Checkpoint,
    name: str,
    weights: Mapping[str, Any],
    *,
    lost: Sequence[int],
    files: Mapping[str, str],
) -> Rdf:
    """Describe a checkpoint.

    Parameters
    ----------
    card : Checkpoint
        Any that answers voxels.
    name : str
        Of the model, for people.
    weights : mapping
        As the description has them.
    lost : sequence of int
        Voxels that the network loses along (z, y, x).
    files : mapping of str to str
        Names of ``test_input``, ``test_output``, ``documentation`` and ``cover``.

    Returns
    -------
    dict
        The description.

    Raises
    ------
    ModelError
        If it cannot be said exactly.
    """
    size = card.voxel_size_nm
    axes = "yx" if card.planes else "zyx"
    space = {a: (card.window["zyx".index(a)], None if size is None else size["zyx".index(a)])
             for a in axes}  # fmt: skip
    found: Rdf = {
        "format_version": FORMAT_VERSION,
        "type": "model",
        "name": name,
        "description": card.description[:1024] or f"{card.architecture} of volkit",
        "version": card.version if _is_version(card.version) else None,
        "license": None if card.licence == "unknown" else card.licence,
        "authors": [{"name": card.attribution}] if _is_name(card.attribution) else [],
        "cite": [_CITED],
        "tags": ["volkit", "3d" if axes == "zyx" else "2d", "segmentation"],
        "documentation": {"source": files["documentation"]},
        "covers": [files["cover"]],
        "inputs": [{**_input(card, space), "test_tensor": {"source": files["test_input"]}}],
        "outputs": [
            {**_output(card, space, lost), "test_tensor": {"source": files["test_output"]}}
        ],
        "weights": dict(weights),
        "config": {"volkit": {"card": {k: v for k, v in as_card(card).items() if k in OWN}}},
    }
    return {key: value for key, value in found.items() if value is not None}


_CITED = {
    "text": "volkit: peta-scale brain volumes into segmentations, particles and tables",
    "url": "https://pypi.org/project/volkit",
}


def _input(card: Checkpoint, space: Space) -> Rdf:
    return {
        "id": _INPUT,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": _names((), card.channels[0])},
            *({**_space(a, s), "size": n} for a, (n, s) in space.items()),
        ],
        "data": {"type": "float32"},
        "preprocessing": preprocessing(card.scaling),
    }


def _output(card: Checkpoint, space: Space, lost: Sequence[int]) -> Rdf:
    return {
        "id": _OUTPUT,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": _names(card.classes, card.channels[1])},
            *(_answer_axis(card, a, s, lost) for a, (_, s) in space.items()),
        ],
        "data": {"type": "float32"},
        "postprocessing": _postprocessing(card),
    }


def preprocessing(scaling: Scaling) -> list[dict[str, Any]]:
    """Write a scaling as the steps of an input.

    Parameters
    ----------
    scaling : Scaling
        Of a card.

    Returns
    -------
    list of dict
        Steps that compute the same in float32.

    Raises
    ------
    ModelError
        If there are none.

    Examples
    --------
    >>> preprocessing(Scaling("fixed", shift=10.0, divide=20.0))
    [{'id': 'fixed_zero_mean_unit_variance', 'kwargs': {'mean': 10.0, 'std': 20.0}}]
    """
    if scaling.kind == "none":
        return []
    if scaling.kind == "fixed":
        shift, divide = float(scaling.shift or 0.0), float(scaling.divide or 1.0)
        if divide >= _LEAST_DEVIATION:
            known = {"mean": shift, "std": divide}
            return [{"id": "fixed_zero_mean_unit_variance", "kwargs": known}]
        line = {"gain": 1 / divide, "offset": -shift / divide}
        return [{"id": "scale_linear", "kwargs": line}]
    if scaling.epsilon is not None and scaling.epsilon > _MOST_EPSILON:
        raise ModelError(
            f"the card adds the epsilon {scaling.epsilon}; bioimage.io knows none over "
            f"{_MOST_EPSILON}"
        )
    epsilon = {"eps": scaling.epsilon or _NO_EPSILON}
    if scaling.kind == "moments":
        return [{"id": "zero_mean_unit_variance", "kwargs": epsilon}]
    low, high = 100 * float(scaling.low or 0.0), 100 * float(scaling.high or 0.0)
    if high <= 1:
        raise ModelError(
            f"the card scales by the quantile {scaling.high}; bioimage.io knows none up to 0.01"
        )
    kwargs = {"min_percentile": low, "max_percentile": high, **epsilon}
    steps = [{"id": "scale_range", "kwargs": kwargs}]
    return [*steps, {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}}] if scaling.clip else steps


def _postprocessing(card: Checkpoint) -> list[dict[str, Any]]:
    if card.activation == "none":
        return []
    if card.activation == "softmax":
        return [{"id": "softmax", "kwargs": {"axis": "channel"}}]
    return [{"id": "sigmoid"}]


def _space(axis: str, size_nm: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "space", "id": axis}
    return found if size_nm is None else {**found, "unit": "nanometer", "scale": size_nm}


def _answer_axis(
    card: Checkpoint, axis: str, size_nm: float | None, lost: Sequence[int]
) -> dict[str, Any]:
    at = "zyx".index(axis)
    halo = card.margin[at] - lost[at] // 2
    size = {"tensor_id": _INPUT, "axis_id": axis, "offset": -lost[at]}
    found = {**_space(axis, size_nm), "size": size}
    return {**found, "halo": halo} if halo else found


def _names(classes: Sequence[str], count: int) -> list[str]:
    """Name channels as bioimage.io allows: the card in it has the names themselves."""
    if len(classes) == count and all(name.isidentifier() and name.islower() for name in classes):
        return list(classes)
    return [f"channel{n}" for n in range(count)]


def _is_version(text: str) -> bool:
    return bool(text) and all(part.isdigit() for part in text.split("."))


def _is_name(text: str) -> bool:
    return bool(text) and "/" not in text and "\\" not in text and len(text) < 120
