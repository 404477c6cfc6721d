"""Axis orders: every stored order becomes (c) z y x here, and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from volkit.errors import SourceError
from volkit.geometry import Box, Coord

Array = npt.NDArray[Any]
T = TypeVar("T")

_SHORT = {"channel": "c", "channels": "c", "time": "t"}
_DEFAULT = {3: "zyx", 4: "czyx", 5: "tczyx"}


@dataclass(frozen=True, slots=True)
class AxisOrder:
    """How stored axes map to (c) z y x.

    Parameters
    ----------
    names : str
        One letter for each stored axis, among t, c, z, y, x.
    shape : tuple of int
        Stored extents.
    has_channels : bool
        Whether the channel axis, if there is one, is kept.

    Examples
    --------
    >>> order = AxisOrder.understand("xyz", (4, 3, 2))
    >>> order.spatial, order.read_axes(np.zeros((4, 3, 2))).shape
    ((2, 3, 4), (2, 3, 4))
    """

    names: str
    shape: tuple[int, ...]
    has_channels: bool

    @classmethod
    def understand(
        cls,
        names: Sequence[str] | None,
        shape: Sequence[int],
        *,
        uri: str = "the array",
        keep_channel: bool = False,
    ) -> Self:
        """Check the axes of a stored array.

        Parameters
        ----------
        names : sequence of str or None
            Names of the stored axes; None for (c) z y x by their number.
        shape : sequence of int
            Stored extents.
        uri : str
            Which array, for messages.
        keep_channel : bool
            Keep a channel axis of one channel, which is dropped otherwise.

        Raises
        ------
        SourceError
            If the axes are not those of one volume, or one of them is empty.
        """
        shape = tuple(int(n) for n in shape)
        letters = _letters(names, shape, uri)
        extents = dict(zip(letters, shape, strict=True))
        if extents.get("t", 1) != 1:
            raise SourceError(
                f"{uri} has {extents['t']} time points; volkit reads one volume: store one of them"
            )
        if 0 in shape:
            raise SourceError(f"{uri} is empty: its shape is {shape} ({letters}); give voxels")
        has_channels = "c" in extents and (keep_channel or extents["c"] > 1)
        return cls(letters, shape, has_channels)

    @property
    def spatial(self) -> Coord:
        """Extents (z, y, x)."""
        z, y, x = self.pick(self.shape)
        return z, y, x

    @property
    def channels(self) -> int | None:
        """Number of channels, if there is such an axis."""
        return self.shape[self.names.index("c")] if self.has_channels else None

    def pick(self, values: Sequence[T]) -> tuple[T, T, T]:
        """Pick (z, y, x) from one value for each stored axis."""
        z, y, x = (values[self.names.index(axis)] for axis in "zyx")
        return z, y, x

    def stored(self, box: Box) -> tuple[slice, ...]:
        """Give the slices of a box in the stored order, all channels."""
        spatial = dict(zip("zyx", box.slices, strict=True))
        return tuple(
            spatial.get(axis, slice(0, n)) for axis, n in zip(self.names, self.shape, strict=True)
        )

    def read_axes(self, values: Array) -> Array:
        """Bring stored values into (c) z y x, contiguous and in native byte order."""
        kept = "czyx" if self.has_channels else "zyx"
        dropped = tuple(i for i, axis in enumerate(self.names) if axis not in kept)
        left = [axis for axis in self.names if axis in kept]
        ordered = values.squeeze(dropped).transpose([left.index(axis) for axis in kept])
        return np.ascontiguousarray(ordered, ordered.dtype.newbyteorder("="))

    def write_axes(self, values: Array) -> Array:
        """Bring values of (c) z y x into the stored order; the inverse of ``read_axes``."""
        kept = "czyx" if self.has_channels else "zyx"
        left = [axis for axis in self.names if axis in kept]
        ordered = values.transpose([kept.index(axis) for axis in left])
        return np.expand_dims(ordered, [i for i, a in enumerate(self.names) if a not in kept])


def _letters(names: Sequence[str] | None, shape: tuple[int, ...], uri: str) -> str:
    if names is None:
        if len(shape) not in _DEFAULT:
            raise SourceError(
                f"{uri} has {len(shape)} axes {shape}; a volume has 3 (z, y, x), or 4 with channels"
            )
        return _DEFAULT[len(shape)]
    shown = ", ".join(map(str, names))
    letters = [_SHORT.get(str(name).lower(), str(name).lower()) for name in names]
    if len(letters) != len(shape):
        raise SourceError(
            f"{uri} has {len(shape)} axes {shape} but names them {shown}; name each one, with "
            "letters among t, c, z, y, x"
        )
    if (
        set(letters) - set("tczyx")
        or len(set(letters)) < len(letters)
        or not set("zyx") <= set(letters)
    ):
        raise SourceError(
            f"{uri} has axes {shown}; a volume has z, y and x once each, and may have c and t"
        )
    return "".join(letters)
