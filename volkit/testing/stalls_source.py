"""Specimens of blood as sources of voxels, and their addresses."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.geometry import Box, Coord, Grid
from volkit.geometry.scale import Vector
from volkit.testing.address_values import parsed_value
from volkit.testing.stalls import StallSpecimen, stall_specimen

Part = Literal["image", "mask", "segments", "stalled"]

_KEYS = ("shape", "seed", "stalled", "segments", "noise", "motion", "voxel_size_nm", "part")
_SIZE_NM = (1000.0, 1000.0, 1000.0)


@dataclass(frozen=True)
class StallSource:
    """A specimen of blood as a source of voxels, read-only.

    Parameters
    ----------
    specimen : StallSpecimen
        Vessels and what flows in them.
    part : {'image', 'mask', 'segments', 'stalled'}
        What the microscope shows; 1 in vessels; the number of the vessel; 1 in stalled ones.
    made_of : mapping
        What the specimen was made with.
    voxel_size_nm : tuple of float
        (z, y, x), nanometres.
    """

    specimen: StallSpecimen
    part: Part
    made_of: Mapping[str, Any]
    voxel_size_nm: Vector = _SIZE_NM

    channels = None
    levels = 1
    origin_nm = (0.0, 0.0, 0.0)
    voxel_offset = (0, 0, 0)

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        return self.specimen.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return np.dtype(np.uint64 if self.part == "segments" else np.uint8)

    @property
    def chunk_shape(self) -> Coord:
        """Any box is as cheap as any other."""
        z, y, x = (min(64, n) for n in self.shape)
        return z, y, x

    write_shape = chunk_shape

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What it was made of."""
        return {"specimen": {"kind": "stalls", "part": self.part, **self.made_of}}

    def identity(self) -> str:
        """Digest of all that decides its voxels."""
        facts = (sorted(self.made_of.items()), self.part, self.voxel_size_nm)
        return "specimen:" + hashlib.sha256(repr(facts).encode()).hexdigest()

    def read(self, box: Box) -> NDArray[Any]:
        """Compute a box, piece by piece."""
        values = np.empty(box.shape, self.dtype)
        for piece in Grid(box, self.chunk_shape) if box.size else ():
            values[piece.write.relative_to(box).slices] = self._drawn(piece.write)
        return values

    def _drawn(self, box: Box) -> NDArray[Any]:
        if self.part == "image":
            return self.specimen.image(box)
        labels = self.specimen.tree.labels(box)
        if self.part == "segments":
            return labels
        shown = np.concatenate([[False], self.specimen.stalled | (self.part == "mask")])
        return shown[labels.astype(np.intp)].astype(np.uint8)

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Refuse: specimens are given."""
        raise SourceError(f"a specimen cannot be written (box {box}); create a volume instead")


def open_stalls(uri: str, level: int = 0) -> StallSource:
    """Open a specimen of blood by its address.

    Parameters
    ----------
    uri : str
        ``specimen://stalls?shape=72,144,144&seed=7&part=mask``; further keys are those of
        `stall_specimen` and ``voxel_size_nm``, parts ``image``, ``mask``, ``segments`` and
        ``stalled``.
    level : int
        Only 0 exists.

    Returns
    -------
    StallSource

    Raises
    ------
    SourceError
        If the address cannot be understood.

    Examples
    --------
    >>> open_stalls("specimen://stalls?shape=40,48,48&seed=1&segments=3&part=segments").dtype
    dtype('uint64')
    """
    if level:
        raise SourceError(f"{uri} has level 0 only, level {level} was asked for")
    given = dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    if stray := sorted(set(given) - set(_KEYS)):
        raise SourceError(f"{uri}: {', '.join(stray)} is unknown; known are {', '.join(_KEYS)}")
    part = given.pop("part", "image")
    if part not in get_args(Part):
        raise SourceError(f"{uri}: part {part!r} is unknown; choose one of {get_args(Part)}")
    if not {"shape", "seed"} <= given.keys():
        raise SourceError(f"{uri} has no shape or no seed; write shape=72,144,144&seed=7")
    try:
        values = {name: parsed_value(name, text) for name, text in given.items()}
        size = values.pop("voxel_size_nm", _SIZE_NM)
        return StallSource(stall_specimen(**values), part, values, size)  # type: ignore[arg-type]
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from error
