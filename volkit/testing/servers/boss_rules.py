"""The rules of the Boss service, without its HTTP: resources, bounds, limits, merging.

Written after the service's published behaviour: writes merge non-zero voxels, bounds are those of
the native level at every level, extents of coarser levels are rounded up.
"""

from dataclasses import dataclass, field
from math import prod
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord

Json = dict[str, Any]
Key = tuple[str, str, str]  # collection, experiment, channel
Range = tuple[int, int]
Ranges = tuple[Range, Range, Range]  # of x, y, z

CUTOUT_BYTES = 520 * 2**20  # uncompressed, as the service has it
DTYPES = ("uint8", "uint16", "uint32", "uint64")
CUBOID = (512, 512, 16)  # x, y, z


class BossError(Exception):
    """An answer that is no success.

    Parameters
    ----------
    status, code : int
        Of HTTP, and of the service.
    message : str
        For people.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(slots=True)
class Boss:
    """What a Boss service holds.

    Parameters
    ----------
    cutout_bytes : int
        Largest cutout, bytes; those of uint64 count a quarter, as at the service.
    """

    cutout_bytes: int = CUTOUT_BYTES
    frames: dict[str, Json] = field(default_factory=dict)
    collections: dict[str, Json] = field(default_factory=dict)
    experiments: dict[tuple[str, str], Json] = field(default_factory=dict)
    channels: dict[Key, Json] = field(default_factory=dict)
    voxels: dict[Key, list[NDArray[Any]]] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    reserved: dict[Key, int] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)

    def add_frame(self, name: str, told: Json) -> Json:
        """Make a coordinate frame."""
        self.absent(self.frames, name)
        axes = [f"{a}_{k}" for a in "xyz" for k in ("start", "stop", "voxel_size")]
        _need(told, [*axes, "voxel_unit"])
        self.frames[name] = {"description": "", **told, "name": name}
        return self.frames[name]

    def add_collection(self, name: str, told: Json) -> Json:
        """Make a collection."""
        self.absent(self.collections, name)
        base = {"description": "", "public": False, "creator": "volkit"}
        self.collections[name] = {**base, **told, "name": name}
        return self.collections[name]

    def add_experiment(self, key: tuple[str, str], told: Json) -> Json:
        """Make an experiment."""
        self.present(self.collections, key[0], "collection")
        self.absent(self.experiments, key)
        if told.get("coord_frame") not in self.frames:
            raise BossError(400, 1003, "This request requires a valid coordinate frame")
        base = {
            "description": "",
            "num_hierarchy_levels": 1,
            "hierarchy_method": "anisotropic",
            "num_time_samples": 1,
            "time_step": 0,
            "time_step_unit": "seconds",
            "public": False,
            "creator": "volkit",
        }
        self.experiments[key] = {**base, **told, "name": key[1], "collection": key[0]}
        return self.experiments[key]

    def add_channel(self, key: Key, told: Json, voxels: NDArray[Any] | None = None) -> Json:
        """Make a channel, empty unless voxels are given; (z, y, x)."""
        experiment = self.present(self.experiments, key[:2], "experiment")
        self.absent(self.channels, key)
        if told.get("datatype") not in DTYPES:
            raise BossError(400, 1003, f"Invalid datatype {told.get('datatype')}")
        base = {
            "description": "",
            "type": "image",
            "base_resolution": 0,
            "default_time_sample": 0,
            "sources": [],
            "related": [],
            "public": True,
            "creator": "volkit",
            "downsample_status": "NOT_DOWNSAMPLED",
            "storage_type": "spdb",
            "bucket": None,
            "cv_path": None,
        }
        self.channels[key] = {**base, **told, "name": key[2], "experiment": key[1]}
        if self.channels[key]["storage_type"] == "spdb":
            shape = self.shape(key)
            given = np.zeros(shape, told["datatype"]) if voxels is None else voxels
            self.voxels[key] = _pyramid(given, experiment, self._origin(key, 0))
        return self.channels[key]

    def shape(self, key: Key) -> Coord:
        """Give the extent of the native level, (z, y, x)."""
        frame = self.frame(key)
        z, y, x = (int(frame[f"{a}_stop"]) - int(frame[f"{a}_start"]) for a in "zyx")
        return z, y, x

    def frame(self, key: Key) -> Json:
        """Find the coordinate frame of a channel."""
        return self.frames[self.experiments[key[:2]]["coord_frame"]]

    def read(self, key: Key, level: int, ranges: Ranges) -> NDArray[Any]:
        """Cut out voxels; zeros beyond the level's own edge, which the service does not check."""
        self._check(key, level, ranges)
        stored, origin = self.voxels[key][level], self._origin(key, level)
        out = np.zeros(tuple(b - a for a, b in reversed(ranges)), stored.dtype)
        source, target = [], []
        for (start, stop), zero, n in zip(reversed(ranges), origin, stored.shape, strict=True):
            low, high = max(start - zero, 0), min(stop - zero, n)
            high = max(high, low)
            source.append(slice(low, high))
            target.append(slice(low - start + zero, high - start + zero))
        with self.lock:
            out[tuple(target)] = stored[tuple(source)]
        return out

    def write(self, key: Key, level: int, ranges: Ranges, values: NDArray[Any] | None) -> None:
        """Merge the non-zero voxels of a box; None clears it ("to black")."""
        self._check(key, level, ranges)
        stored, origin = self.voxels[key][level], self._origin(key, level)
        place = tuple(
            slice(a - zero, b - zero) for (a, b), zero in zip(reversed(ranges), origin, strict=True)
        )
        with self.lock:
            if values is None:
                stored[place] = 0
            else:
                part = values[tuple(slice(0, n) for n in stored[place].shape)]
                np.copyto(stored[place], part, where=part != 0)

    def levels(self, key: Key, *, isotropic: bool = False) -> Json:
        """Say what the levels are; extents from the frame's stop, as the service does."""
        experiment, frame = self.experiments[key[:2]], self.frame(key)
        halves_z = isotropic or experiment["hierarchy_method"] == "isotropic"
        extent = [int(frame[f"{a}_stop"]) for a in "xyz"]
        size = [float(frame[f"{a}_voxel_size"]) for a in "xyz"]
        found: Json = {"extent": {}, "voxel_size": {}, "cuboid_size": {}}
        for level in range(experiment["num_hierarchy_levels"]):
            found["extent"][str(level)], found["voxel_size"][str(level)] = extent, size
            found["cuboid_size"][str(level)] = list(CUBOID)
            factors = (2, 2, 2 if halves_z else 1)
            extent = [-(-n // f) for n, f in zip(extent, factors, strict=True)]
            size = [s * f for s, f in zip(size, factors, strict=True)]
        return {
            "status": self.channels[key]["downsample_status"],
            "num_hierarchy_levels": experiment["num_hierarchy_levels"],
            **found,
        }

    def present(self, held: dict[Any, Any], key: Any, what: str) -> Any:
        """Find a resource, or say that there is none."""
        if key not in held:
            raise BossError(404, 4000, f"{what} {key} not found")
        return held[key]

    def absent(self, held: dict[Any, Any], key: Any) -> None:
        """Refuse a resource that is there."""
        if key in held:
            raise BossError(404, 6002, f"{key} already exists")

    def check_size(self, dtype: np.dtype[Any], ranges: Ranges) -> None:
        """Refuse a cutout that is too large; 64-bit voxels count a quarter."""
        count = prod(b - a for a, b in ranges) * dtype.itemsize
        if count / (4 if dtype.itemsize == 8 else 1) > self.cutout_bytes:
            raise BossError(
                413,
                2000,
                "Cutout request is over 500MB when uncompressed. Reduce cutout dimensions.",
            )

    def _check(self, key: Key, level: int, ranges: Ranges) -> None:
        channel = self.present(self.channels, key, "collection, experiment or channel")
        if not 0 <= level < self.experiments[key[:2]]["num_hierarchy_levels"]:
            raise BossError(400, 1002, f"Invalid resolution {level}.")
        frame = self.frame(key)
        for axis, (start, stop) in zip("xyz", ranges, strict=True):
            if not frame[f"{axis}_start"] <= start < stop <= frame[f"{axis}_stop"]:
                shown = "/".join(f"{a}:{b}" for a, b in ranges)
                raise BossError(400, 1001, f"Incorrect cutout arguments {level}/{shown}")
        self.check_size(np.dtype(channel["datatype"]), ranges)

    def _origin(self, key: Key, level: int) -> Coord:
        """Give where the voxels of a level begin, (z, y, x)."""
        frame, method = self.frame(key), self.experiments[key[:2]]["hierarchy_method"]
        factor = 2**level
        z, y, x = (int(frame[f"{a}_start"]) for a in "zyx")
        return z // factor if method == "isotropic" else z, y // factor, x // factor


def _need(told: Json, names: list[str]) -> None:
    lacking = [name for name in names if name not in told]
    if lacking:
        raise BossError(400, 1003, f"Missing {', '.join(lacking)}")


def _pyramid(voxels: NDArray[Any], experiment: Json, origin: Coord) -> list[NDArray[Any]]:
    """Take one voxel of each group for every coarser level; groups count from absolute zero."""
    steps = (2 if experiment["hierarchy_method"] == "isotropic" else 1, 2, 2)
    levels, first = [np.array(voxels)], list(origin)
    for _ in range(1, experiment["num_hierarchy_levels"]):
        finer = levels[-1]
        picked = [
            np.maximum(np.arange(start // step, -(-(start + n) // step)) * step - start, 0)
            for start, n, step in zip(first, finer.shape, steps, strict=True)
        ]
        levels.append(np.ascontiguousarray(finer[np.ix_(*picked)]))
        first = [start // step for start, step in zip(first, steps, strict=True)]
    return levels
