"""Levels that are to be: what they are, and what a kind of storage must offer to add them."""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, Protocol

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.io.place import Place
from volkit.io.volume import Volume

Made = dict[str, Any]
"""How a level was made: ``method``, and ``factor`` from the level before; empty if unknown."""


@dataclass(frozen=True, slots=True)
class NewLevel:
    """A coarser level.

    Parameters
    ----------
    number : int
        1 or more.
    domain : Box
        Its voxels, in its own volume coordinates.
    factor : tuple of int
        Voxels of level 0 that become one, counted from volume coordinate 0.
    made : dict
        How it is made.
    """

    number: int
    domain: Box
    factor: Coord
    made: Made


class LevelStore(Protocol):
    """The levels of a stored volume, to be added to."""

    @property
    def place(self) -> Place:
        """Where the volume lies."""

    def listed(self) -> Sequence[Made]:
        """Say how each finished level beyond 0 was made."""

    def write_shape(self, level: NewLevel) -> Coord:
        """Say which stored objects a level will have, voxels."""

    def begun(self, level: NewLevel, fingerprint: str) -> bool:
        """Tell whether an earlier attempt at the same computation has begun a level."""

    def begin(self, level: NewLevel, fingerprint: str) -> Volume:
        """Create a level, or take up the one that was begun; gives a handle to write to.

        Raises
        ------
        SourceError
            If something that volkit did not make is in the way.
        """

    def finish(self, level: NewLevel) -> None:
        """Make a level known whose voxels are all stored."""

    def remove_all(self) -> None:
        """Delete every level but the finest."""


def no_levels(uri: str, why: str) -> SourceError:
    """Say that a volume cannot have levels added, and what can be done instead.

    Parameters
    ----------
    uri : str
        The volume.
    why : str
        What it is, behind its name.

    Returns
    -------
    SourceError
        To be raised.
    """
    return SourceError(
        f"{uri} {why}, so no levels can be added; make a copy that has them: volkit mirror "
        f"{quote(uri)} TARGET.zarr, then volkit pyramid TARGET.zarr"
    )
