"""Roles: which output channels point somewhere, and where their values go under a view.

A channel that says something of a voxel alone turns with the window.  An affinity says something
of an edge: channel ``j`` at voxel ``q`` means the edge from ``q`` to ``q + offset[j]``.  A turned
window holds the same edge in the channel of the turned offset, or, where only the opposite offset
has a channel, at the edge's other end: read back, that map is shifted by the offset.  A component
of a vector is taken from the component along the turned axis, with its sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from volkit.errors import ConfigError
from volkit.geometry import AXES, Coord
from volkit.models.views import View

Components = tuple[int | None, int | None, int | None]
"""Channels that hold the components of a vector along z, y and x; None where there is none."""

_STEPS: tuple[Coord, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@dataclass(frozen=True, slots=True)
class Move:
    """Where the values of one channel come from, once a view is undone.

    Parameters
    ----------
    channel : int
        Which channel of the answer that was turned back.
    sign : int
        1, or -1 where a vector's component changes its sign.
    shift : tuple of int
        The value of voxel ``q`` is that of ``q + shift``; there is none beyond the window.
    """

    channel: int
    sign: int = 1
    shift: Coord = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Roles:
    """Which output channels point somewhere; all others say something of a voxel alone.

    Parameters
    ----------
    offsets : tuple of tuple of int, or None
        For every channel the offset of its affinity, (z, y, x), voxels, or None; empty if no
        channel holds affinities.
    vectors : tuple of tuple of int or None
        For every vector the channels of its components along (z, y, x), None where it has none.

    Raises
    ------
    ConfigError
        If an offset is zero or stands twice, or a channel has two roles.

    Examples
    --------
    >>> roles = Roles(offsets=((-1, 0, 0), (0, -1, 0), (0, 0, -1)))
    >>> roles.under(View((False, False, True)), channels=3)[2]
    Move(channel=2, sign=1, shift=(0, 0, -1))
    >>> Roles(vectors=((None, 0, 1),)).under(View((False, True, False)), channels=2)[0]
    Move(channel=0, sign=-1, shift=(0, 0, 0))
    """

    offsets: tuple[Coord | None, ...] = ()
    vectors: tuple[Components, ...] = ()

    def __post_init__(self) -> None:
        given = [offset for offset in self.offsets if offset is not None]
        if (0, 0, 0) in given or len(set(given)) < len(given):
            raise ConfigError(
                f"offsets {list(self.offsets)} hold (0, 0, 0), or one of them twice; give each "
                "affinity an offset of its own, (z, y, x), and null to channels without one"
            )
        taken = [place for place, offset in enumerate(self.offsets) if offset is not None]
        taken += [channel for vector in self.vectors for channel in vector if channel is not None]
        if len(set(taken)) < len(taken):
            twice = sorted({channel for channel in taken if taken.count(channel) > 1})
            raise ConfigError(
                f"channels {twice} have two roles in offsets {list(self.offsets)} and vectors "
                f"{list(self.vectors)}; a channel is one affinity or one component of one vector"
            )

    def check(self, channels: int) -> None:
        """Compare with the number of output channels.

        Raises
        ------
        ConfigError
            If there are more or fewer offsets than channels, or a vector names others.
        """
        if self.offsets and len(self.offsets) != channels:
            raise ConfigError(
                f"there are {len(self.offsets)} offsets for {channels} output channels; give one "
                "to each, (z, y, x), or null to a channel that is no affinity"
            )
        named = [channel for vector in self.vectors for channel in vector if channel is not None]
        if wrong := sorted(c for c in named if not 0 <= c < channels):
            raise ConfigError(
                f"vectors {list(self.vectors)} name the channels {wrong}, there are {channels}; "
                "count them from 0"
            )

    def under(self, view: View, *, channels: int) -> tuple[Move, ...]:
        """Say where the values of every channel come from, once a view is undone.

        Parameters
        ----------
        view : View
            How the window was turned.
        channels : int
            Output channels.

        Returns
        -------
        tuple of Move
            One for each channel.

        Raises
        ------
        ConfigError
            If no channel holds an affinity or a component that the view asks for.
        """
        self.check(channels)
        moves = [Move(channel) for channel in range(channels)]
        for channel, offset in enumerate(self.offsets):
            if offset is not None:
                moves[channel] = self._edge(offset, view)
        for vector in self.vectors:
            for axis, here in enumerate(vector):
                if here is not None:
                    moves[here] = _component(vector, axis, view)
        return tuple(moves)

    def _edge(self, offset: Coord, view: View) -> Move:
        turned = view.turned(offset)
        if turned in self.offsets:
            return Move(self.offsets.index(turned))
        opposite = (-turned[0], -turned[1], -turned[2])
        if opposite in self.offsets:
            return Move(self.offsets.index(opposite), shift=offset)
        raise ConfigError(
            f"under the view {view.name} the affinity of offset {offset} becomes that of {turned}, "
            f"which no channel holds (offsets {_listed(self.offsets)}); choose flips without "
            "rotations, or views that keep the offsets"
        )


def _component(vector: Components, axis: int, view: View) -> Move:
    turned = view.turned(_STEPS[axis])
    along = next(place for place, step in enumerate(turned) if step)
    channel = vector[along]
    if channel is None:
        raise ConfigError(
            f"under the view {view.name} the {AXES[axis]} component of the vector {list(vector)} "
            f"becomes that along {AXES[along]}, which no channel holds; choose flips without "
            "rotations"
        )
    return Move(channel, sign=turned[along])


def _listed(offsets: Sequence[Coord | None]) -> str:
    return ", ".join(str(offset) for offset in offsets if offset is not None)
