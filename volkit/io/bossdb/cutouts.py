"""Cutouts: voxels of a level in one request or several, checked, and asked for again.

The service keeps cuboids of 512 x 512 x 16 voxels and widens each request to whole ones, so large
boxes are divided where cuboids meet: none is asked for twice.

What is cut short, of another size, or cannot be unpacked is asked for again.  A bit that flips
among the voxels of a buffer is not seen: blosc has no checksum, and the service sends none.  Over
https none flips on the way.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from math import prod
from typing import Any, cast

import numpy as np
from numcodecs import Blosc  # type: ignore[import-untyped]

from volkit.errors import missing_extra
from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.bossdb.address import Address
from volkit.io.bossdb.client import BossClient, RefusedError
from volkit.io.faults import CorruptPayloadError, Patience, patiently
from volkit.io.fetching import fetch_at_once

try:
    from intern.resource.boss.resource import ChannelResource
    from intern.service.boss.v1.volume import CacheMode
except ImportError as error:
    raise missing_extra("intern", "bossdb") from error

_BLOSC = "application/blosc"
_HEADER = struct.Struct("<4xIII")  # of blosc: bytes unpacked, bytes of a block, bytes packed
# Cuboids along z are asked for together up to this, one at least: larger requests keep a service on
# loopback from answering several at once, smaller ones wait longer for the way than for the answer.
_REQUEST_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Cutouts:
    """Reads and writes voxels of one level, in absolute coordinates.

    Parameters
    ----------
    client : BossClient
        Whom to ask.
    address : Address
        Of the channel.
    level : int
        0 is the finest.
    dtype : dtype
        Of a voxel.
    cuboid : tuple of int
        Extent of a stored object.
    patience : Patience
        For each request.
    """

    client: BossClient
    address: Address
    level: int
    dtype: np.dtype[Any]
    cuboid: Coord
    patience: Patience

    def read(self, box: Box) -> Array:
        """Read a box: the caller's own array, of the box's shape.

        Raises
        ------
        SourceError
            If the service refuses, keeps failing, or what it sends stays damaged.
        """
        parts = list(pieces(box, self.request_shape))
        if len(parts) == 1:
            return self._fetch(box)
        values = np.empty(box.shape, self.dtype)

        def fetch(part: Box) -> None:
            values[part.relative_to(box).slices] = self._fetch(part)

        fetch_at_once(partial(fetch, part) for part in parts)
        return values

    def write(self, box: Box, values: Array, *, overwrite: bool) -> None:
        """Write a box of whole cuboids.

        Parameters
        ----------
        box : Box
            Absolute coordinates.
        values : ndarray, shape (Z, Y, X)
            Of the channel's type.
        overwrite : bool
            Whether zeros count: the service adds what is not zero to what it has, so a part with
            zeros in it is cleared first.

        Raises
        ------
        SourceError
            If the service refuses, or keeps failing.
        """

        def put(part: Box) -> None:
            inside = np.ascontiguousarray(values[part.relative_to(box).slices])
            if overwrite and not inside.all():
                self._in_halves(part, self._clear)
            if inside.any():
                self._in_halves(part, lambda b: self._post(b, inside[b.relative_to(part).slices]))

        fetch_at_once(partial(put, part) for part in pieces(box, self.request_shape))

    def is_served(self, box: Box) -> bool:
        """Tell whether the service takes a box to be inside the channel.

        Raises
        ------
        SourceError
            If it refuses for another reason, or keeps failing.
        """
        try:
            self._get(box)
        except RefusedError as error:
            if error.status != 400:
                self.client.explain(self._what(box), error)
            return False
        return True

    @property
    def request_shape(self) -> Coord:
        """What is asked for at once: whole cuboids, so that none is asked for twice."""
        z, y, x = self.cuboid
        count = max(1, _REQUEST_BYTES // (z * y * x * self.dtype.itemsize))
        return count * z, y, x

    def _fetch(self, box: Box) -> Array:
        values: Array | None = None

        def get(part: Box) -> None:
            nonlocal values
            found = self._get(part)
            if part == box:
                values = found
                return
            if values is None:
                values = np.empty(box.shape, self.dtype)
            values[part.relative_to(box).slices] = found

        self._in_halves(box, get)
        return cast("Array", values)

    def _in_halves(self, box: Box, act: Callable[[Box], None]) -> None:
        """Act on a box, or on its halves where the service finds it too large."""
        try:
            act(box)
        except RefusedError as error:
            halves = halve(box, self.cuboid)
            if error.status != 413 or not halves:
                self.client.explain(self._what(box), error)
            for half in halves:
                self._in_halves(half, act)

    def _get(self, box: Box) -> Array:
        request = self._request("GET", box, access_mode=CacheMode.no_cache)
        request.headers["Accept"] = _BLOSC
        what = self._what(box)

        def fetch(left: float) -> Array:
            payload = self.client.send_once(request, success=200, patience=self.patience, left=left)
            return unpack(payload, box.shape, self.dtype, what=what)

        return patiently(fetch, patience=self.patience, what=what)

    def _post(self, box: Box, values: Array) -> None:
        payload = Blosc(cname="lz4", clevel=5).encode(np.ascontiguousarray(values))
        request = self._request("POST", box, numpyVolume=payload)
        self.client.send(request, success=201, patience=self.patience, what=self._what(box))

    def _clear(self, box: Box) -> None:
        request = self.client.routes.get_cutout_to_black_request(*self._arguments("PUT", box))
        self.client.send(request, success=200, patience=self.patience, what=self._what(box))

    def _request(self, method: str, box: Box, **extra: Any) -> Any:
        return self.client.routes.get_cutout_request(*self._arguments(method, box), **extra)

    def _arguments(self, method: str, box: Box) -> tuple[Any, ...]:
        """Say a request in the terms of intern; None is the time, of which there is one."""
        names = self.address
        resource = ChannelResource(names.channel, names.collection, names.experiment)
        service = self.client.service
        z, y, x = ([a, b] for a, b in zip(box.start, box.stop, strict=True))
        return resource, method, _BLOSC, service.url_prefix, service.auth, self.level, x, y, z, None

    def _what(self, box: Box) -> str:
        return f"{self.address.uri}, level {self.level}, voxels {box}"


def pieces(box: Box, unit: Coord) -> Iterator[Box]:
    """Divide a box on absolute multiples of a unit.

    Examples
    --------
    >>> [str(b) for b in pieces(Box((60, 500, 0), (64, 520, 9)), (16, 512, 512))]
    ['[60:64, 500:512, 0:9]', '[60:64, 512:520, 0:9]']
    """
    spans = []
    for start, stop, n in zip(box.start, box.stop, unit, strict=True):
        cuts = [start, *range((start // n + 1) * n, stop, n), stop]
        spans.append(list(pairwise(cuts)))
    for (az, bz), (ay, by), (ax, bx) in product(*spans):
        yield Box((az, ay, ax), (bz, by, bx))


def halve(box: Box, cuboid: Coord) -> tuple[Box, ...]:
    """Cut a box in two along its longest axis: where cuboids meet, as long as several are in it.

    Returns
    -------
    tuple of Box
        Two; none where the box is one voxel.

    Examples
    --------
    >>> [str(b) for b in halve(Box((0, 0, 0), (48, 512, 600)), (16, 512, 512))]
    ['[0:16, 0:512, 0:600]', '[16:48, 0:512, 0:600]']
    """
    first = [a // n for a, n in zip(box.start, cuboid, strict=True)]
    count = [-(-b // n) - f for b, n, f in zip(box.stop, cuboid, first, strict=True)]
    if max(count) > 1:
        axis = count.index(max(count))
        cut = (first[axis] + count[axis] // 2) * cuboid[axis]
    else:
        axis = box.shape.index(max(box.shape))
        cut = box.start[axis] + box.shape[axis] // 2
    if not box.start[axis] < cut < box.stop[axis]:
        return ()
    middle_stop, middle_start = list(box.stop), list(box.start)
    middle_stop[axis] = middle_start[axis] = cut
    return Box(box.start, cast("Coord", tuple(middle_stop))), Box(
        cast("Coord", tuple(middle_start)), box.stop
    )


def unpack(payload: bytes, shape: Coord, dtype: np.dtype[Any], *, what: str) -> Array:
    """Unpack what the service sent, having made sure that all of it came.

    Returns
    -------
    ndarray
        Of the shape, contiguous, the caller's own.

    Raises
    ------
    CorruptPayloadError
        If it is cut short, damaged, or holds another number of bytes than the box.
    """
    expected = prod(shape) * dtype.itemsize
    if len(payload) < _HEADER.size:
        raise CorruptPayloadError(f"{what}: {len(payload)} bytes came, which are no blosc buffer")
    unpacked, _, packed = _HEADER.unpack_from(payload)
    if packed != len(payload):
        raise CorruptPayloadError(f"{what}: {len(payload)} of {packed} bytes came")
    if unpacked != expected:
        raise CorruptPayloadError(
            f"{what}: {unpacked} bytes came, where {shape} voxels of {dtype} are {expected}"
        )
    values = np.empty(shape, dtype.newbyteorder("<"))
    try:
        Blosc().decode(payload, out=values)
    except (RuntimeError, ValueError) as error:
        raise CorruptPayloadError(f"{what}: what came is damaged ({error})") from error
    return values.astype(dtype, copy=False)
