"""Sources: what a kind of storage must offer, and what its opener is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.credentials import Credentials, check_credentials
from volkit.io.faults import Patience

Array = npt.NDArray[Any]


class Source(Protocol):
    """One level of a stored volume, in array coordinates: its first voxel is (0, 0, 0).

    A source may be used from several threads at once.  It converts its own axis order and units:
    everything here is (z, y, x) and nanometres.  A source whose chunks are not counted from its
    first voxel has ``chunk_start`` as well; see :func:`chunk_start`.
    """

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""

    @property
    def channels(self) -> int | None:
        """Number of channels; None where there is no channel axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""

    @property
    def chunk_shape(self) -> Coord:
        """The smallest box that is cheap to read."""

    @property
    def write_shape(self) -> Coord:
        """The box of one stored object: writes are multiples of it."""

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, nanometres."""

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel, nanometres."""

    @property
    def voxel_offset(self) -> Coord:
        """Volume coordinates of the first voxel."""

    @property
    def levels(self) -> int:
        """Number of levels; 0 is the finest."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the volume says of itself, as JSON."""

    def identity(self) -> str:
        """Tell the content apart from any other, without reading it."""

    def read(self, box: Box) -> Array:
        """Read a box: (Z, Y, X), or (C, Z, Y, X) where there are channels."""

    def write(self, box: Box, values: Array) -> None:
        """Write a box that is aligned with ``write_shape``; SourceError where read-only."""


def chunk_start(source: Source) -> Coord:
    """Say where the chunks of a source are counted from, in array coordinates.

    Returns
    -------
    tuple of int
        First voxel of the chunk that holds voxel (0, 0, 0); 0 or less on every axis.
    """
    start: Coord = getattr(source, "chunk_start", (0, 0, 0))
    return start


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How many decoded chunks a process keeps, so that reads that overlap fetch each one once.

    All volumes of a process that are opened with equal options share one cache.

    Parameters
    ----------
    memory_bytes : int
        Most bytes held in memory; 0 holds none.
    folder : str or None
        Where chunks that leave memory are kept on a disk; None keeps none.
    disk_bytes : int
        Most bytes in the folder, of all processes that share it together.

    Raises
    ------
    ConfigError
        If a number is negative.
    """

    memory_bytes: int = 256 * 2**20
    folder: str | None = None
    disk_bytes: int = 64 * 2**30

    def __post_init__(self) -> None:
        if self.memory_bytes < 0 or self.disk_bytes < 0:
            raise ConfigError(
                f"a cache of {self.memory_bytes} bytes in memory and {self.disk_bytes} on disk; "
                "give 0 or more"
            )


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to understand a source that does not say everything itself, and how to reach it.

    Parameters
    ----------
    axes : str or None
        Order of the stored axes, such as ``"xyz"``, for a source that says nothing about it.
    voxel_size_nm : tuple of float or None
        Extent of a voxel of level 0, (z, y, x), nanometres, instead of what the source says; other
        levels and the origin follow it.
    missing : {"error", "zero"}
        Whether a chunk that is not stored is an error, or holds the fill value (zero mostly).
    credentials : str, Secret or None
        ``anonymous``, ``env:NAME``, ``file:PATH`` or ``profile:NAME``; None asks the usual places
        of each kind of store.
    patience : Patience
        How long a store is asked again.
    cache : CacheOptions or None
        Keep decoded chunks; None leaves that to the kind of source.

    Raises
    ------
    ConfigError
        If ``missing`` is another word, ``patience`` or ``cache`` another thing, or credentials
        are a bare token.
    """

    axes: str | None = None
    voxel_size_nm: Vector | None = None
    missing: Literal["error", "zero"] = "error"
    credentials: Credentials | None = None
    patience: Patience = field(default_factory=Patience)
    cache: CacheOptions | None = None

    def __post_init__(self) -> None:
        if self.missing not in ("error", "zero"):
            raise ConfigError(f"missing={self.missing!r}; choose 'error' or 'zero'")
        if not isinstance(self.patience, Patience):
            raise ConfigError(f"patience={self.patience!r}; give Patience(…)")
        if not isinstance(self.cache, CacheOptions | None):
            raise ConfigError(f"cache={self.cache!r}; give CacheOptions(memory_bytes=…), or None")
        check_credentials(self.credentials)


class OpenArguments(TypedDict, total=False):
    """The fields of OpenOptions, as arguments."""

    axes: str | None
    voxel_size_nm: Vector | None
    missing: Literal["error", "zero"]
    credentials: Credentials | None
    patience: Patience
    cache: CacheOptions | None


Opener = Callable[[str, int, OpenOptions], Source]
