"""Volume: the voxels of a loopback Boss, and the questions about them."""

import io
import zlib
from collections.abc import Mapping
from math import prod
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from volkit.errors import missing_extra
from volkit.testing.servers.boss_project import Project
from volkit.testing.servers.boss_rules import (
    ARGUMENT,
    CUBOID,
    CUTOUT_ARGUMENTS,
    DIMENSIONS,
    INVALID,
    NO_OBJECT,
    SYSTEM,
    TYPE,
    Array,
    BossError,
    Path,
    Region,
    check_bounds,
    check_size,
    merge,
    parse_region,
    said,
)
from volkit.testing.servers.loopback import Answer, Call

try:
    import blosc
except ImportError as error:
    raise missing_extra("blosc", "bossdb") from error

blosc.set_nthreads(1)  # its pool of threads and those of the server would get in each other's way

_MODES = ("cache", "no-cache", "raw")


def factors(level: int, hierarchy: str) -> tuple[int, int, int]:
    """Say how many voxels of level 0 one of a level covers, (z, y, x)."""
    return (2**level if hierarchy == "isotropic" else 1, 2**level, 2**level)


def pyramid(voxels: Array, origin: tuple[int, ...], levels: int, hierarchy: str) -> list[Array]:
    """Make the levels of a volume: each voxel is the first of those that it covers.

    Levels are counted from the absolute zero, so with an odd origin or extent the outermost voxels
    of a level cover less than the others, and no extent is rounded down.

    Examples
    --------
    >>> [a.shape for a in pyramid(np.zeros((3, 5, 7)), (0, 1, 0), 2, "anisotropic")]
    [(3, 5, 7), (3, 3, 4)]
    """
    made = []
    for level in range(levels):
        indices = []
        for start, size, f in zip(origin, voxels.shape, factors(level, hierarchy), strict=True):
            first = np.arange(start // f, -(-(start + size) // f)) * f
            indices.append(np.maximum(first, start) - start)
        made.append(np.ascontiguousarray(voxels[np.ix_(*indices)]))
    return made


class Volume:
    """Answers what is asked about voxels.

    Parameters
    ----------
    project : Project
        Which channels there are.
    limit : int or None
        Largest cutout, bytes uncompressed; None is the service's own.
    """

    def __init__(self, project: Project, limit: int | None) -> None:
        self.project, self.limit = project, limit
        self._lock = Lock()

    def level(self, path: Path, level: int) -> tuple[tuple[int, ...], Array]:
        """Give where a level of a channel begins, (z, y, x), and its voxels."""
        frame, experiment = self.project.frame_of(path), self.project.find(path[:2])
        f = factors(level, experiment["hierarchy_method"])
        origin = tuple(frame[f"{a}_start"] // n for a, n in zip("zyx", f, strict=True))
        stop = tuple(-(-frame[f"{a}_stop"] // n) for a, n in zip("zyx", f, strict=True))
        stored = self.project.voxels.setdefault(path, {})
        with self._lock:
            if level not in stored:
                shape = [b - a for a, b in zip(origin, stop, strict=True)]
                stored[level] = np.zeros(shape, self.project.find(path)["datatype"])
        return origin, stored[level]

    def read(self, path: Path, level: int, region: Region) -> Array:
        """Cut out; what lies past the edge of the level is zero."""
        origin, stored = self.level(path, level)
        theirs, ours = region.within(origin, stored.shape)
        found = np.zeros(region.shape, stored.dtype)
        found[ours] = stored[theirs]
        return found

    def write(self, path: Path, level: int, region: Region, voxels: Array | None) -> None:
        """Merge voxels into a level; None clears."""
        origin, stored = self.level(path, level)
        theirs, ours = region.within(origin, stored.shape)
        with self._lock:
            if voxels is None:
                stored[theirs] = 0
            else:
                merge(stored[theirs], voxels[ours])
            channel = self.project.find(path)
            if channel["downsample_status"] == "DOWNSAMPLED":
                channel["downsample_status"] = "NOT_DOWNSAMPLED"

    def answer_cutout(
        self, call: Call, path: Path, level: int, ranges: Mapping[str, Any]
    ) -> Answer:
        """Answer a cutout that is read or written."""
        region = self._region(path, level, ranges)
        dtype = np.dtype(self.project.find(path)["datatype"])
        check_size(region, dtype, self.limit)
        if call.method == "POST":
            self._check_stored_here(path)
            self.write(path, level, region, _unpack(call.body, dtype, region))
            return Answer(201)
        query = parse_qs(call.query)
        mode = query.get("access-mode", ["no-cache"])[0]
        if mode not in _MODES:
            raise BossError(ARGUMENT, f"Invalid access-mode {mode}; it is one of {_MODES}")
        voxels = self.read(path, level, region)
        if "filter" in query:
            wanted = [int(text) for text in query["filter"][0].split(",")]
            voxels[~np.isin(voxels, np.array(wanted, dtype))] = 0
        if ranges.get("t"):
            voxels = voxels[np.newaxis]
        return _pack(voxels, call.headers.get("accept", ""))

    def answer_black(self, path: Path, level: int, ranges: Mapping[str, Any]) -> Answer:
        """Clear a region."""
        self._check_stored_here(path)
        self.write(path, level, self._region(path, level, ranges), None)
        return Answer(200)

    def answer_ids(self, path: Path, level: int, ranges: Mapping[str, Any]) -> Answer:
        """List the ids of a region."""
        region = self._region(path, level, ranges)
        self._check_annotation(path)
        ids = np.unique(self.read(path, level, region))
        return said({"ids": [str(i) for i in ids if i]})

    def answer_box(self, call: Call, path: Path, level: int, wanted: str) -> Answer:
        """Say which box holds an id: its cuboids if ``loose``, its voxels if ``tight``."""
        self._check_annotation(path)
        self._check_level(path, level)
        origin, stored = self.level(path, level)
        places = np.argwhere(stored == int(wanted))
        if not len(places):
            raise BossError(NO_OBJECT, f"Id {wanted} not found")
        ends = np.stack([places.min(0), places.max(0) + 1]) + origin
        if parse_qs(call.query).get("type", ["loose"])[0] == "loose":
            cuboid = np.array(CUBOID)
            ends = np.stack([ends[0] // cuboid * cuboid, -(-ends[1] // cuboid) * cuboid])
        box = {f"{a}_range": [int(v) for v in ends[:, i]] for i, a in enumerate("zyx")}
        return said({**box, "t_range": [0, 1]})

    def answer_reserve(self, path: Path, count: str) -> Answer:
        """Reserve ids that nobody else gets."""
        self._check_annotation(path)
        with self._lock:
            first = self.project.reserved.get(path, 1)
            self.project.reserved[path] = first + int(count)
        return said({"start_id": str(first), "count": int(count)})

    def answer_levels(self, call: Call, path: Path) -> Answer:
        """Say what levels a channel has; POST makes them."""
        channel, experiment = self.project.find(path), self.project.find(path[:2])
        levels, hierarchy = experiment["num_hierarchy_levels"], experiment["hierarchy_method"]
        frame = self.project.frame_of(path)
        if call.method == "POST":
            origin, finest = self.level(path, 0)
            made = pyramid(finest, origin, levels, hierarchy)
            self.project.voxels[path] = dict(enumerate(made))
            channel["downsample_status"] = "DOWNSAMPLED"
            return Answer(201)
        size, extent = {}, {}
        switch = levels if "iso=true" not in call.query.lower() else _isotropic_level(frame)
        for level in range(levels):
            f = factors(level, hierarchy)
            if hierarchy != "isotropic":
                f = (2 ** max(0, level - switch), *f[1:])
            axes = list(zip("xyz", f[::-1], strict=True))
            size[str(level)] = [frame[f"{a}_voxel_size"] * n for a, n in axes]
            # From the stop alone, as the service does: a frame that begins elsewhere is longer.
            extent[str(level)] = [-(-frame[f"{a}_stop"] // n) for a, n in axes]
        return said(
            {
                "status": channel["downsample_status"],
                "num_hierarchy_levels": levels,
                "voxel_size": size,
                "extent": extent,
                "cuboid_size": {level: list(CUBOID[::-1]) for level in size},
            }
        )

    def _region(self, path: Path, level: int, ranges: Mapping[str, Any]) -> Region:
        self.project.find(path)
        self._check_level(path, level)
        region = parse_region(ranges["x"], ranges["y"], ranges["z"])
        check_bounds(region, self.project.frame_of(path), level)
        if ranges.get("t") not in (None, "0:1"):
            raise BossError(CUTOUT_ARGUMENTS, f"Invalid time {ranges['t']}: there is one sample")
        return region

    def _check_level(self, path: Path, level: int) -> None:
        first = self.project.find(path)["base_resolution"]
        if not first <= level < first + self.project.find(path[:2])["num_hierarchy_levels"]:
            raise BossError(TYPE, f"Invalid resolution {level}.")

    def _check_annotation(self, path: Path) -> None:
        if self.project.find(path)["type"] != "annotation":
            raise BossError(INVALID, f"Channel {path[-1]} is no annotation channel")

    def _check_stored_here(self, path: Path) -> None:
        if self.project.find(path)["storage_type"] != "spdb":
            raise BossError(SYSTEM, f"Channel {path[-1]} is stored as cloudvol: read-only")


def _isotropic_level(frame: Mapping[str, Any]) -> int:
    """Find the level of an anisotropic hierarchy whose voxels are nearest to cubes."""
    return min(
        range(10), key=lambda r: abs(np.log2(frame["x_voxel_size"] * 2**r / frame["z_voxel_size"]))
    )


def _pack(voxels: Array, accept: str) -> Answer:
    if "application/npygz" in accept:
        file = io.BytesIO()
        np.save(file, voxels, allow_pickle=False)
        return Answer(200, zlib.compress(file.getvalue()), (("Content-Type", "application/npygz"),))
    # Bits where bytes are meant, as the service and intern both have it.
    packed = blosc.compress(voxels, typesize=voxels.dtype.itemsize * 8, clevel=1)
    return Answer(200, packed, (("Content-Type", "application/blosc"),))


def _unpack(body: bytes, dtype: np.dtype[Any], region: Region) -> Array:
    try:
        voxels: Array = np.frombuffer(blosc.decompress(body), dtype)
    except (blosc.error, ValueError, TypeError):
        voxels = np.zeros(0, dtype)
    if voxels.size != prod(region.shape):
        raise BossError(
            DIMENSIONS,
            "Failed to unpack data. Verify the datatype of your POSTed data and xyz dimensions "
            "used in the POST URL.",
        )
    return voxels.reshape(region.shape)
