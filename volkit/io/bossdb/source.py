"""BossDB as a source: one level of a channel, cached, with the coordinates of its frame."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, cast

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.axes import Array
from volkit.io.bossdb.access import find_access
from volkit.io.bossdb.address import Address, parse_address
from volkit.io.bossdb.channel import WRITABLE, Channel, describe_stated, get_channel
from volkit.io.bossdb.client import connect
from volkit.io.bossdb.cutouts import Cutouts
from volkit.io.bossdb.levels import Level
from volkit.io.bossdb.provenance import read_provenance
from volkit.io.sources import CacheOptions, OpenOptions, Source
from volkit.io.uris import join_query

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BossSource:
    """One level of a channel.

    Voxels that were never written are zero: the service does not tell them from written zeros.

    Parameters
    ----------
    channel : Channel
        What the service says of it.
    cutouts : Cutouts
        Reads and writes its voxels.
    level : Level
        Where they lie.
    domain : Box
        The part of the level that the service gives out, absolute coordinates.
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x).
    """

    channel: Channel
    cutouts: Cutouts
    level: Level
    domain: Box
    voxel_size_nm: Vector

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        return self.domain.shape

    @property
    def channels(self) -> None:
        """None: a channel of BossDB has one value in each voxel."""
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.cutouts.dtype

    @property
    def chunk_shape(self) -> Coord:
        """A cuboid, cut to the volume where that lies within one."""
        return cast("Coord", tuple(extent for extent, _ in self._chunks()))

    @property
    def write_shape(self) -> Coord:
        """The same: a cuboid has one writer at a time."""
        return self.chunk_shape

    @property
    def chunk_start(self) -> Coord:
        """Where the cuboid of the first voxel begins: cuboids lie on absolute multiples."""
        return cast("Coord", tuple(start for _, start in self._chunks()))

    @property
    def request_shape(self) -> Coord:
        """What is fetched at once: a few whole chunks."""
        shape = zip(self.chunk_shape, self.level.cuboid, self.cutouts.request_shape, strict=True)
        return cast("Coord", tuple(r if chunk == n else chunk for chunk, n, r in shape))

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel; that of voxel (0, 0, 0) of level 0 lies at the origin."""
        z, y, x = (
            ((f - 1) / (2 * f) + start) * size
            for f, start, size in zip(
                self.level.factor, self.domain.start, self.voxel_size_nm, strict=True
            )
        )
        return z, y, x

    @property
    def voxel_offset(self) -> Coord:
        """Where the frame begins, in voxels of this level."""
        return self.domain.start

    @property
    def levels(self) -> int:
        """Number of levels."""
        return self.channel.levels

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """What the service says of the channel; ``volkit`` is the provenance of one made here."""
        client, patience = self.cutouts.client, self.cutouts.patience
        own = read_provenance(client, self.channel.address, patience)
        return {**self.channel.attributes(), **({"volkit": own} if own else {})}

    def identity(self) -> str:
        """Digest where the channel is, and what the service says of its shape and type.

        BossDB has no versions: voxels that somebody else changed leave the identity as it is.
        """
        facts = (
            self.cutouts.client.access.host,
            str(self.channel.address),
            self.cutouts.level,
            str(self.domain),
            self.dtype.name,
            self.channel.frame.voxel_size_nm,
            self.attributes.get("volkit", {}).get("fingerprint"),
        )
        return f"bossdb:{hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"

    def read(self, box: Box) -> Array:
        """Read a box; parts that fail are asked for again.

        Raises
        ------
        SourceError
            If the service refuses, keeps failing, or what it sends stays damaged.
        """
        return self.cutouts.read(box.shift(self.domain.start))

    def write(self, box: Box, values: Array, *, overwrite: bool = True) -> None:
        """Write a box of whole cuboids.

        Parameters
        ----------
        box : Box
            Array coordinates.
        values : ndarray, shape (Z, Y, X)
            Of the channel's type.
        overwrite : bool
            False adds what is not zero to what is there; the service has no other way to keep it.

        Raises
        ------
        SourceError
            If the channel is read-only, or the service refuses or keeps failing.
        """
        if self.dtype.name not in WRITABLE:
            raise SourceError(
                f"{self.channel.address.uri} is read-only: it holds {self.dtype}, and channels of "
                f"{', '.join(WRITABLE)} are written; write to a channel of uint64"
            )
        self.cutouts.write(box.shift(self.domain.start), values, overwrite=overwrite)

    def _chunks(self) -> list[tuple[int, int]]:
        """Give the extent of a chunk and the start of the first, for each axis."""
        found = []
        for start, stop, n in zip(
            self.domain.start, self.domain.stop, self.level.cuboid, strict=True
        ):
            alone = start // n == (stop - 1) // n
            found.append((stop - start, 0) if alone else (n, -(start % n)))
        return found


def open_bossdb(uri: str, level: int, options: OpenOptions) -> Source:
    """Open a level of a channel: through the service, or where the service keeps it.

    A channel that the service keeps itself is cached, whether or not ``options`` say so: it reads
    whole cuboids to answer anything.  One that is kept as a Neuroglancer layer is opened there, as
    anybody; ``credentials="profile:NAME"`` are those of the object store.

    Parameters
    ----------
    uri : str
        ``bossdb://collection/experiment/channel[?host=…&storage=…]``.
    level : int
        0 is the finest.
    options : OpenOptions
        ``credentials`` name the token; see :func:`volkit.io.bossdb.access.find_access`.

    Raises
    ------
    SourceError
        If the channel is not there, may not be read, or cannot be reached.
    """
    address = parse_address(uri)
    if options.axes is not None:
        raise SourceError(f"{uri} knows its axes; open it without axes={options.axes!r}")
    if address.level not in (None, level):
        raise SourceError(
            f"{uri} states level {address.level}, asked for {level}; say it once, as ?level="
        )
    client = connect(find_access(address, options.credentials))
    stated = get_channel(client, address, options.patience)
    if stated.get("storage_type") == "cloudvol":
        return _open_outside(address, stated, level, options)
    channel = describe_stated(client, address, stated, options.patience)
    place = channel.level(level)
    cutouts = Cutouts(client, address, level, channel.dtype, place.cuboid, options.patience)
    _warn_of_zeros(channel, level)
    source = BossSource(
        channel=channel,
        cutouts=cutouts,
        level=place,
        domain=_reachable(channel, cutouts, place),
        voxel_size_nm=options.voxel_size_nm or place.voxel_size_nm,
    )
    if options.cache is not None:
        return source  # the registry does it
    from volkit.io.cache.source import CachedSource

    return CachedSource.around(source, CacheOptions())


def _reachable(channel: Channel, cutouts: Cutouts, place: Level) -> Box:
    """Find the part of a level that the service gives out.

    It checks cutouts of every level against the frame of level 0, so where the frame does not
    begin at zero, the beginning of a coarser level can be out of its bounds.  One voxel tells.

    Raises
    ------
    SourceError
        If that is all of the level.
    """
    domain, first = place.domain, channel.frame.extent.start
    corner = Box.from_shape((1, 1, 1), domain.start)
    if all(a >= b for a, b in zip(domain.start, first, strict=True)) or cutouts.is_served(corner):
        return domain
    start = tuple(max(a, b) for a, b in zip(domain.start, first, strict=True))
    if any(a >= b for a, b in zip(start, domain.stop, strict=True)):
        raise SourceError(
            f"{channel.address.uri}: level {cutouts.level} covers {domain}, all of which the "
            f"service refuses, since its level 0 begins at {first}; read a finer level"
        )
    reached = Box(cast("Coord", start), domain.stop)
    _warn_once(
        f"{channel.address.uri}: level {cutouts.level} covers {domain}, of which the service gives "
        f"out {reached} only, since its level 0 begins at {first}; read a finer level for the rest"
    )
    return reached


def _warn_of_zeros(channel: Channel, level: int) -> None:
    status = str(channel.stated.get("downsample_status") or "").upper()
    if level > channel.first_level and status != "DOWNSAMPLED":
        _warn_once(
            f"{channel.address.uri}: level {level} of a channel whose downsampling is "
            f"{status or 'not known'}; levels that were not computed read as zeros"
        )


@cache
def _warn_once(message: str) -> None:
    """Warn once in a process, however often a level is opened."""
    logger.warning("%s", message)


def _open_outside(
    address: Address, stated: Mapping[str, Any], level: int, options: OpenOptions
) -> Source:
    """Open a channel that is kept as a Neuroglancer layer in an object store."""
    from volkit.io.precomputed.source import open_precomputed

    bucket, path = stated.get("bucket"), stated.get("cv_path") or str(address)
    if not bucket:
        raise SourceError(
            f"{address.uri} is kept outside the service, which does not say in which bucket; ask "
            "the keeper of the channel to mend it"
        )
    endpoint = {} if address.storage is None else {"endpoint": address.storage}
    uri = join_query(f"precomputed://s3://{bucket}/{path.strip('/')}", endpoint)
    # The token is the service's: an object store never gets it.
    profile = isinstance(options.credentials, str) and options.credentials.startswith("profile:")
    credentials = options.credentials if profile else "anonymous"
    try:
        return open_precomputed(uri, level, replace(options, credentials=credentials))
    except SourceError as error:
        error.add_note(f"{address.uri} is kept there, outside the service")
        raise
