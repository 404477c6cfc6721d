"""Tensors of a model description: axes, extents, halo and offset, of versions 0.4 and 0.5 alike."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from volkit.errors import ModelError

_LETTERS = {"batch": "b", "channel": "c", "index": "i", "time": "t"}
_NANOMETRES = {"nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "angstrom": 0.1,
               "picometer": 1e-3, "centimeter": 1e7, "meter": 1e9}  # fmt: skip
Size = tuple[int, int]
"""Least extent, and the step between extents that are possible; 0 where there is only one."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output.

    Parameters
    ----------
    name : str
        Its id.
    axes : str
        Letters b, c, z, y, x in the order of the tensor.
    sizes : mapping of str to (int, int)
        Of spatial axes: least extent and step.
    lost : mapping of str to int
        Of spatial axes of an output: voxels that it is shorter than the input.
    halo : mapping of str to int
        Of spatial axes of an output: voxels at each end that are not to be used.
    channels : int
        How many.
    classes : tuple of str
        Names of the channels, where they have some of their own.
    scales : mapping of str to float
        Of spatial axes: extent of a voxel in whatever unit, as version 0.5 has it.
    size_nm : mapping of str to float
        Of spatial axes: nanometres of a voxel, where it is said.
    steps : sequence of mapping
        What is done to it: pre- or postprocessing.
    """

    name: str
    axes: str
    sizes: Mapping[str, Size]
    lost: Mapping[str, int]
    halo: Mapping[str, int]
    channels: int
    classes: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    size_nm: Mapping[str, float] = field(default_factory=dict)
    steps: Sequence[Mapping[str, Any]] = ()

    @property
    def space(self) -> str:
        """Letters of the spatial axes."""
        return "".join(a for a in self.axes if a in "zyx")


def read_input(said: Mapping[str, Any]) -> Tensor:
    """Understand an input.

    Raises
    ------
    ModelError
        If it cannot be what a network of voxels sees.
    """
    steps = said.get("preprocessing") or ()
    if isinstance(said.get("axes"), str):
        return _old(said, steps)
    axes = _axes(said)
    name = str(said.get("id", "input"))
    sizes = {a: _size(axes, axes[a].get("size"), name) for a in axes if a in "zyx"}
    return _new(said, axes, steps, sizes=sizes, lost={}, halo={})


def read_output(said: Mapping[str, Any], given: Tensor) -> Tensor:
    """Understand an output of a network that sees a given input.

    Raises
    ------
    ModelError
        If it does not answer voxels of its input.
    """
    steps = said.get("postprocessing") or ()
    if isinstance(said.get("axes"), str):
        letters = str(said["axes"])
        lost = {a: _old_lost(said, letters.index(a), a, given) for a in letters if a in "zyx"}
        told = said.get("halo") or [0] * len(letters)
        halo = {a: int(n) for a, n in zip(letters, told, strict=True) if a in "zyx"}
        return replace(_old(said, steps, given), lost=lost, halo=halo)
    axes = _axes(said)
    space = [a for a in axes if a in "zyx"]
    lost = {a: _lost(axes[a], a, given) for a in space}
    halo = {a: int(axes[a].get("halo") or 0) for a in space}
    return _new(said, axes, steps, sizes={}, lost=lost, halo=halo)


def _old(
    said: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    given: Tensor | None = None,
) -> Tensor:
    letters = str(said["axes"])
    shape: Any = said.get("shape")
    name = str(said.get("name", "tensor"))
    least, step = _old_shape(shape, len(letters), name, said)
    _check_axes(letters, name)
    at = letters.index("c")
    count = _implicit_channels(shape, at, given) if _implicit(shape) else least[at]
    sizes = {a: (least[n], step[n]) for n, a in enumerate(letters) if a in "zyx"}
    return Tensor(name, letters, sizes, {}, {}, count, steps=steps)


def _implicit(shape: Any) -> bool:
    return isinstance(shape, Mapping) and "reference_tensor" in shape


def _implicit_channels(shape: Mapping[str, Any], at: int, given: Tensor | None) -> int:
    """Count the channels of a tensor whose shape follows from that of another."""
    known = 0 if given is None else given.channels
    return round(known * float(shape["scale"][at] or 0) + 2 * float(shape["offset"][at]))


def _old_shape(
    shape: Any, axes: int, name: str, said: Mapping[str, Any]
) -> tuple[list[int], list[int]]:
    if _implicit(shape):
        return [0] * axes, [0] * axes
    if isinstance(shape, Mapping) and "min" in shape:
        return [int(n) for n in shape["min"]], [int(n) for n in shape["step"]]
    if isinstance(shape, Sequence) and len(shape) == axes:
        return [int(n) for n in shape], [0] * axes
    raise ModelError(f"tensor {name} has the shape {shape!r}, which is none for {said['axes']}")


def _old_lost(said: Mapping[str, Any], at: int, axis: str, given: Tensor) -> int:
    shape = said.get("shape")
    if _implicit(shape):
        if float(shape["scale"][at] or 0) != 1:  # type: ignore[index]
            raise _other_scale(axis, shape["scale"][at])  # type: ignore[index]
        return round(-2 * float(shape["offset"][at]))  # type: ignore[index]
    if not isinstance(shape, Sequence) or given.sizes[axis][1]:
        raise ModelError(f"the output has the shape {shape!r}, the input is of any size: which?")
    return given.sizes[axis][0] - int(shape[at])


def _axes(said: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Name the axes of a tensor of version 0.5 by letters."""
    found: dict[str, Mapping[str, Any]] = {}
    for axis in said.get("axes") or ():
        kind = str(axis.get("type"))
        found[_LETTERS.get(kind) or str(axis.get("id", "x"))] = axis
    _check_axes("".join(found), str(said.get("id", "tensor")))
    return found


def _check_axes(letters: str, name: str) -> None:
    if letters not in ("bczyx", "bcyx"):
        raise ModelError(
            f"tensor {name} has the axes {letters or 'none'}; volkit's networks see batches with "
            "the axes b, c, z, y, x, or b, c, y, x"
        )


def _new(
    said: Mapping[str, Any],
    axes: Mapping[str, Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
    *,
    sizes: Mapping[str, Size],
    lost: Mapping[str, int],
    halo: Mapping[str, int],
) -> Tensor:
    names = axes["c"].get("channel_names") or ()
    if isinstance(names, str):
        raise ModelError(f"channels are named {names!r}, which does not count them; list the names")
    classes = tuple(str(name) for name in names)
    plain = all(re.fullmatch(r"c(hannel)?[ _]?\d+", name.lower()) for name in classes)
    scales = {a: float(axis.get("scale", 1.0)) for a, axis in axes.items() if a in "zyx"}
    units = {a: _NANOMETRES.get(str(axes[a].get("unit"))) for a in scales}
    size_nm = {a: scales[a] * unit for a, unit in units.items() if unit is not None}
    return Tensor(
        str(said.get("id", "tensor")), "".join(axes), sizes, lost, halo, len(classes),
        () if plain else classes, scales, size_nm, steps,
    )  # fmt: skip


def _size(axes: Mapping[str, Mapping[str, Any]], said: Any, name: str) -> Size:
    """Find which extents an axis of an input can have."""
    if isinstance(said, int):
        return said, 0
    if isinstance(said, Mapping) and "min" in said:
        return int(said["min"]), int(said["step"])
    if isinstance(said, Mapping) and said.get("tensor_id") == name:
        other = str(said.get("axis_id"))
        if other in axes and isinstance(axes[other].get("size"), int | Mapping):
            least, step = _size(axes, axes[other]["size"], f"{name} again")
            return least + int(said.get("offset") or 0), step
    raise ModelError(f"tensor {name} has an axis of the size {said!r}, which cannot be understood")


def _lost(axis: Mapping[str, Any], letter: str, given: Tensor) -> int:
    said, scale = axis.get("size"), float(axis.get("scale", 1.0))
    if isinstance(said, Mapping) and said.get("axis_id") == letter:
        if abs(given.scales[letter] - scale) > 1e-9 * scale:
            raise _other_scale(letter, given.scales[letter] / scale)
        return -int(said.get("offset") or 0)
    if isinstance(said, int) and letter in given.sizes and not given.sizes[letter][1]:
        return given.sizes[letter][0] - said
    raise ModelError(
        f"axis {letter} of the output has the size {said!r}, which does not follow from the input's"
    )


def _other_scale(axis: str, scale: Any) -> ModelError:
    return ModelError(
        f"along {axis} the output has {scale} voxels for each of the input; volkit's networks "
        "answer on the voxels that they see"
    )
