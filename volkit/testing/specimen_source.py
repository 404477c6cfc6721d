"""Specimens as sources of voxels: computed where they are read, and named by an address."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import DTypeLike, NDArray

from volkit.errors import SourceError
from volkit.geometry import Box, Coord, Grid
from volkit.geometry.scale import Vector
from volkit.testing.address_values import parsed_value

Made = TypeVar("Made")
_SIDE = 64  # voxels of a piece: larger ones spare what lies around them, smaller ones memory


@dataclass(frozen=True)
class SpecimenSource:
    """A specimen as a source of voxels, read-only.

    Parameters
    ----------
    specimen : object
        With ``shape``, (z, y, x), voxels.
    about : mapping
        What it was made of, which decides all of its voxels: its kind, the part that is shown, and
        its numbers, with ``voxel_size_nm``.
    dtype : dtype
        Of a voxel.
    draw : callable
        Computes a box.
    """

    specimen: Any
    about: Mapping[str, Any]
    dtype: "np.dtype[Any]"
    draw: Callable[[Box], NDArray[Any]]

    channels = None
    levels = 1
    origin_nm = (0.0, 0.0, 0.0)
    voxel_offset = (0, 0, 0)

    @classmethod
    def of(cls, kind: str, specimen: Any, part: str, dtype: DTypeLike) -> "SpecimenSource":
        """Make the source of a specimen that has a method for each part."""
        numbers = {f.name: getattr(specimen, f.name) for f in fields(specimen)}
        about = {"kind": kind, "part": part, **numbers}
        return cls(specimen, about, np.dtype(dtype), getattr(specimen, part))

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        shape: Coord = self.specimen.shape
        return shape

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, (z, y, x), nanometres."""
        size: Vector = self.about["voxel_size_nm"]
        return size

    @property
    def chunk_shape(self) -> Coord:
        """Any box is as cheap as any other."""
        z, y, x = (min(_SIDE, n) for n in self.shape)
        return z, y, x

    write_shape = chunk_shape

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What it was made of."""
        return {"specimen": dict(self.about)}

    def identity(self) -> str:
        """Digest of all that decides its voxels."""
        return "specimen:" + hashlib.sha256(repr(self.attributes).encode()).hexdigest()

    def read(self, box: Box) -> NDArray[Any]:
        """Compute a box, piece by piece: some 100 bytes a voxel may be needed on the way."""
        values = np.empty(box.shape, self.dtype)
        for piece in Grid(box, self.chunk_shape) if box.size else ():
            values[piece.write.relative_to(box).slices] = self.draw(piece.write)
        return values

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Refuse: specimens are given."""
        raise SourceError(f"a specimen cannot be written (box {box}); create a volume instead")


def address_of(
    uri: str,
    level: int,
    *,
    keys: Sequence[str],
    parts: Sequence[str],
    needed: str,
) -> tuple[str, dict[str, str]]:
    """Take the address of a specimen apart.

    Parameters
    ----------
    uri : str
        ``specimen://KIND?key=value&…``.
    level : int
        Only 0 exists.
    keys : sequence of str
        That are known, beside ``part``.
    parts : sequence of str
        That can be shown; the first one is where none is named.
    needed : str
        Keys that must be there, with values to show: ``shape=8,16,16``.

    Returns
    -------
    part : str
        What is to be shown.
    values : dict of str
        The others, as texts.

    Raises
    ------
    SourceError
        If the address cannot be understood.
    """
    if level:
        raise SourceError(f"{uri} has level 0 only, level {level} was asked for")
    given, known = dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True)), [*keys, "part"]
    if stray := sorted(set(given) - set(known)):
        raise SourceError(f"{uri}: {', '.join(stray)} is unknown; known are {', '.join(known)}")
    part = given.pop("part", parts[0])
    if part not in parts:
        raise SourceError(f"{uri}: part {part!r} is unknown; choose one of {tuple(parts)}")
    must = [name for name, _ in parse_qsl(needed)]
    if not {*must} <= given.keys():
        raise SourceError(f"{uri} has no {' or no '.join(must)}; write {needed}")
    return part, given


def made(uri: str, make: Callable[..., Made], values: Mapping[str, str]) -> Made:
    """Make a specimen of the texts of its address.

    Raises
    ------
    SourceError
        If they make no sense.
    """
    try:
        return make(**{name: parsed_value(name, text) for name, text in values.items()})
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from error
