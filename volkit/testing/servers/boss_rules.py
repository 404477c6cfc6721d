"""Rules of the Boss service: bounds, limits, merging, error bodies.

They are those of the published code of the service where intern, or a user, can notice them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.testing.servers.loopback import Answer

Array = NDArray[Any]
Path = tuple[str, ...]  # (collection[, experiment[, channel]])

CUTOUT_BYTES = 520 * 2**20  # of one cutout; the service's message says 500 MB
CUBOID = (16, 512, 512)  # z, y, x: what the service keeps as one object
DATATYPES = ("uint8", "uint16", "uint32", "uint64")

URL, CUTOUT_ARGUMENTS, TYPE, POST_ARGUMENT, ARGUMENT = 1000, 1001, 1002, 1003, 1005
TOO_LARGE, DATATYPE, DIMENSIONS, INVALID = 2000, 2001, 2002, 2004
ROLE, PERMISSION, LOGIN = 3000, 3001, 3004
NOT_FOUND, IN_USE, NO_OBJECT, EXISTS = 4000, 4003, 4004, 6002
SYSTEM, UNHANDLED = 9001, 9002
METHOD = 405  # the answer of the framework below the service

# A resource that exists, or that others need, is 404 as one that is absent.
_STATUS = {TOO_LARGE: 413, INVALID: 404, ROLE: 403, PERMISSION: 403, LOGIN: 403}
_STATUS |= {
    METHOD: 405,
    URL: 404,
    NOT_FOUND: 404,
    IN_USE: 404,
    NO_OBJECT: 404,
    EXISTS: 404,
    UNHANDLED: 500,
}


class BossError(Exception):
    """A refusal.

    Parameters
    ----------
    code : int
        The service's own number.
    message : str
        What is wrong.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def to_answer(self) -> Answer:
        """Make the answer that says so."""
        return refusal(_STATUS.get(self.code, 400), self.code, self.message)


def said(value: Any, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(status, json.dumps(value).encode(), (("Content-Type", "application/json"),))


def refusal(status: int, code: int, message: str) -> Answer:
    """Answer as the service does to what it refuses."""
    return said({"status": status, "code": code, "message": message}, status)


def injected(status: int) -> Answer:
    """Answer as the service fails: it throttles and breaks in JSON, its balancer in HTML."""
    if status in (502, 503, 504):
        page = f"<html><head><title>{status}</title></head><body>injected</body></html>"
        return Answer(status, page.encode(), (("Content-Type", "text/html"),))
    return refusal(status, UNHANDLED if status >= 500 else status, "injected")


@dataclass(frozen=True, slots=True)
class Region:
    """A box of a level, in voxels of that level counted from the absolute zero.

    Parameters
    ----------
    start, stop : tuple of int
        (z, y, x).
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent, (z, y, x)."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def within(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Find what an array holds of it: slices of the array, and of the region."""
        theirs, ours = [], []
        for a, b, o, n in zip(self.start, self.stop, origin, shape, strict=True):
            low = min(max(a, o), o + n)
            high = max(min(b, o + n), low)
            theirs.append(slice(low - o, high - o))
            ours.append(slice(low - a, high - a) if high > low else slice(0, 0))
        return tuple(theirs), tuple(ours)


def parse_region(x: str, y: str, z: str) -> Region:
    """Read three ranges ``start:stop``.

    Raises
    ------
    BossError
        If they are no ranges of integers.
    """
    try:
        pairs = [tuple(map(int, text.split(":"))) for text in (z, y, x)]
    except ValueError:
        raise BossError(TYPE, f"Type error in cutout argument {x}/{y}/{z}") from None
    if any(len(pair) != 2 for pair in pairs):
        raise BossError(CUTOUT_ARGUMENTS, f"Incorrect cutout arguments {x}/{y}/{z}")
    return Region(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def check_bounds(region: Region, frame: Mapping[str, Any], level: int) -> None:
    """Refuse what is empty or leaves the NATIVE extent, whatever the level.

    So at coarser levels a region past the edge is answered, with zeros; and one before the native
    start is refused, though the level may have voxels there.

    Raises
    ------
    BossError
        If it does.
    """
    for axis, a, b in zip("zyx", region.start, region.stop, strict=True):
        if a >= b or a < frame[f"{axis}_start"] or b > frame[f"{axis}_stop"]:
            ranges = zip(region.start[::-1], region.stop[::-1], strict=True)
            text = "/".join(f"{first}:{last}" for first, last in ranges)
            raise BossError(CUTOUT_ARGUMENTS, f"Incorrect cutout arguments {level}/{text}")


def check_size(region: Region, dtype: np.dtype[Any], limit: int | None) -> None:
    """Refuse what is too large, by the service's own limit if None; uint64 counts a quarter.

    Raises
    ------
    BossError
        If it is.
    """
    size = prod(region.shape) * dtype.itemsize / (4 if dtype.itemsize == 8 else 1)
    if size > (CUTOUT_BYTES if limit is None else limit):
        raise BossError(
            TOO_LARGE,
            "Cutout request is over 500MB when uncompressed. Reduce cutout dimensions.",
        )


def merge(stored: Array, given: Array) -> None:
    """Write in place: voxels that are zero leave what is stored."""
    np.copyto(stored, given, where=given != 0)
