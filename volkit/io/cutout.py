"""Cutouts: which voxels a part stands for that is said in physical units, or at another level.

A voxel belongs to a part if its centre does.  Corners are compared as exact decimals, so that two
parts which touch share no voxel and leave none out, whatever the arithmetic of floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, cast

from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.layout import vector_nm

if TYPE_CHECKING:
    from volkit.io.volume import Volume

# Of a voxel: a corner so near to a centre is meant to be there.  Stored places are decimals too,
# rounded, and the corners of fine voxels are the centres of coarse ones.
_NEAR = Fraction(1, 10_000)
_HALF = Fraction(1, 2)
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """One way of saying which part of a volume; see :meth:`Volume.cutout`."""

    box: Box | None = None
    center_um: Vector | None = None
    size_um: Vector | None = None
    start_nm: Vector | None = None
    stop_nm: Vector | None = None
    level_0: Box | None = None

    def __post_init__(self) -> None:
        given = {f.name for f in fields(self) if getattr(self, f.name) is not None}
        ways = ({"box"}, {"center_um", "size_um"}, {"start_nm", "stop_nm"}, {"level_0"})
        if given not in ways:
            raise ConfigError(
                f"a cutout by {', '.join(sorted(given)) or 'nothing'}; give box, or center_um and "
                "size_um, or start_nm and stop_nm, or level_0"
            )


def find_box(volume: "Volume", part: Part) -> Box:
    """Find the voxels of a part at the level of a volume.

    Raises
    ------
    GeometryError
        If there are none.
    """
    if part.box is not None:
        return _some(volume, part.box, f"box {part.box}")
    if part.level_0 is not None:
        return _of_level_0(volume, part.level_0)
    if part.center_um is not None and part.size_um is not None:
        center = [v * 1000 for v in _exact(part.center_um, "center_um")]
        half = [v * 500 for v in _exact(part.size_um, "size_um")]
        start = [c - h for c, h in zip(center, half, strict=True)]
        stop = [c + h for c, h in zip(center, half, strict=True)]
    else:
        start = _exact(cast("Vector", part.start_nm), "start_nm")
        stop = _exact(cast("Vector", part.stop_nm), "stop_nm")
    shown = f"from {_shown(start)} to {_shown(stop)} nm"
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        raise GeometryError(f"a cutout {shown} has no extent; give a positive size on every axis")
    return _some(volume, _between(volume.scale, start, stop), f"a cutout {shown}")


def same_tissue(of: "Volume", box: Box, volume: "Volume") -> Box:
    """Find the voxels of one level whose centres lie in a box of another.

    Where the box ends with its volume, so does what is found: a voxel at a ragged edge is kept
    although its centre lies beyond.

    Parameters
    ----------
    of : Volume
        Whole, at the level of the box.
    box : Box
        Voxels of it.
    volume : Volume
        The same tissue, whole, at another level.

    Returns
    -------
    Box
        Inside the domain of ``volume``.

    Raises
    ------
    GeometryError
        If there are none.
    """
    scale = of.scale
    start, stop = (
        [
            o + (v - _HALF) * s
            for o, v, s in zip(
                _exact(scale.origin_nm), corner, _exact(scale.voxel_size_nm), strict=True
            )
        ]
        for corner in (box.start, box.stop)
    )
    found = _between(volume.scale, start, stop)
    there, domain = of.domain, volume.domain
    spans = [
        _span(*axis)
        for axis in zip(
            zip(found.start, found.stop, strict=True),
            zip(box.start, box.stop, strict=True),
            zip(there.start, there.stop, strict=True),
            zip(domain.start, domain.stop, strict=True),
            strict=True,
        )
    ]
    corners: Any = zip(*spans, strict=True)
    return _some(volume, Box(*corners), f"box {box} of level {of.level}")


def _span(found: Range, box: Range, there: Range, domain: Range) -> Range:
    """Keep what was found on one axis inside the domain, and take its end where the box ends."""
    start = domain[0] if box[0] == there[0] else found[0]
    stop = domain[1] if box[1] == there[1] else found[1]
    start = min(max(start, domain[0]), domain[1])
    return start, max(start, min(stop, domain[1]))


def _of_level_0(volume: "Volume", box: Box) -> Box:
    if volume.level == 0:
        return _some(volume, box, f"box {box}")
    finest = replace(volume, level=0, region=None)
    if not finest.domain.contains(box):
        raise GeometryError(
            f"box {box} is outside level 0 of {volume.uri}, which covers {finest.domain}; choose a "
            "box within it"
        )
    return same_tissue(finest, box, replace(volume, region=None))


def _between(scale: VoxelScale, start: Sequence[Fraction], stop: Sequence[Fraction]) -> Box:
    """Find the voxels whose centres lie in ``[start, stop)``, nanometres."""
    origin, size = _exact(scale.origin_nm), _exact(scale.voxel_size_nm)
    corners: Any = (
        tuple(_first((p - o) / s) for p, o, s in zip(corner, origin, size, strict=True))
        for corner in (start, stop)
    )
    return Box(*corners)


def _first(place: Fraction) -> int:
    """Find the first voxel at a place or after it, in units of voxels."""
    nearest = round(place)
    return nearest if abs(place - nearest) <= _NEAR else ceil(place)


def _some(volume: "Volume", box: Box, asked: str) -> Box:
    if not box.size:
        raise GeometryError(
            f"{asked} holds the centre of no voxel of {volume.uri} at level {volume.level}, whose "
            f"voxels are {volume.voxel_size_nm} nm; choose a larger part, or a finer level"
        )
    return box


def _exact(values: Sequence[float], name: str = "place") -> list[Fraction]:
    """Take floats as the decimals that they are written as: 0.1 is a tenth."""
    checked = vector_nm(values, name)
    if not all(isfinite(v) for v in checked):
        raise GeometryError(f"{name} {values!r} is not finite; give three numbers (z, y, x)")
    return [Fraction(repr(v)) for v in checked]


def _shown(corner: Sequence[Fraction]) -> tuple[float, ...]:
    return tuple(float(v) for v in corner)
