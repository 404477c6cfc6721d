"""Synthetic tissue as a source of voxels, and its address."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.geometry import Box, Coord, Grid
from volkit.geometry.scale import Vector
from volkit.testing.address_values import parsed_value
from volkit.testing.tissue import Part, TissueSpecimen


@dataclass(frozen=True)
class TissueSource:
    """Synthetic tissue as a source of voxels, read-only.

    Parameters
    ----------
    specimen : TissueSpecimen
        The tissue.
    part : {'image', 'labels', 'cells', 'regions'}
        What of it.
    """

    specimen: TissueSpecimen
    part: Part = "image"

    channels = None
    levels = 1
    origin_nm = (0.0, 0.0, 0.0)
    voxel_offset = (0, 0, 0)

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        return self.specimen.shape

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, (z, y, x), nanometres."""
        return self.specimen.voxel_size_nm

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return np.dtype(np.uint64 if self.part == "cells" else np.uint8)

    @property
    def chunk_shape(self) -> Coord:
        """Any box is as cheap as any other; larger ones spare the objects around them."""
        z, y, x = (min(64, n) for n in self.shape)
        return z, y, x

    write_shape = chunk_shape

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """What it was made of."""
        values = {f.name: getattr(self.specimen, f.name) for f in fields(self.specimen)}
        return {"specimen": {"kind": "tissue", "part": self.part, **values}}

    def identity(self) -> str:
        """Digest of all that decides its voxels."""
        return "specimen:" + hashlib.sha256(repr(self.attributes).encode()).hexdigest()

    def read(self, box: Box) -> NDArray[Any]:
        """Compute a box, piece by piece."""
        values = np.empty(box.shape, self.dtype)
        for piece in Grid(box, self.chunk_shape) if box.size else ():
            place = piece.write.relative_to(box).slices
            values[place] = getattr(self.specimen, self.part)(piece.write)
        return values

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Refuse: specimens are given."""
        raise SourceError(f"a specimen cannot be written (box {box}); create a volume instead")


def open_tissue(uri: str, level: int = 0) -> TissueSource:
    """Open synthetic tissue by its address.

    Parameters
    ----------
    uri : str
        ``specimen://tissue?shape=64,128,512&seed=7&part=labels``; further keys are
        ``voxel_size_nm`` and ``noise``, parts ``image``, ``labels``, ``cells`` and ``regions``.
    level : int
        Only 0 exists.

    Returns
    -------
    TissueSource

    Raises
    ------
    SourceError
        If the address cannot be understood.

    Examples
    --------
    >>> open_tissue("specimen://tissue?shape=8,16,64&part=cells").dtype
    dtype('uint64')
    """
    if level:
        raise SourceError(f"{uri} has level 0 only, level {level} was asked for")
    given = dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    known = [f.name for f in fields(TissueSpecimen)] + ["part"]
    if stray := sorted(set(given) - set(known)):
        raise SourceError(f"{uri}: {', '.join(stray)} is unknown; known are {', '.join(known)}")
    part = given.pop("part", "image")
    if part not in get_args(Part):
        raise SourceError(f"{uri}: part {part!r} is unknown; choose one of {get_args(Part)}")
    if "shape" not in given:
        raise SourceError(f"{uri} has no shape; write shape=64,128,512")
    try:
        specimen = TissueSpecimen(
            **{name: parsed_value(name, text) for name, text in given.items()}
        )
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from error
    return TissueSource(specimen, part)  # type: ignore[arg-type]
