"""BossServer: a loopback Boss service that genuine intern reads, writes and creates through."""

from pathlib import Path as Folder
from threading import Lock
from typing import Any, TypedDict, Unpack

import numpy as np

from volkit.errors import ConfigError
from volkit.testing.servers.boss_project import Project, frame
from volkit.testing.servers.boss_routes import PUBLIC, Routes
from volkit.testing.servers.boss_rules import DATATYPES, Array, Path, injected
from volkit.testing.servers.boss_volume import Volume, pyramid
from volkit.testing.servers.loopback import Answer, Call, Loopback


class Placing(TypedDict, total=False):
    """Where and how a channel lies.

    Parameters
    ----------
    voxel_size_nm : tuple of float
        (z, y, x), in nanometres unless ``unit`` says otherwise; default 1.
    unit : str
        Of the voxel size, as the service says it: ``nanometers`` (the default), ``micrometers``.
    levels : int
        Of the hierarchy; default 1.
    hierarchy : str
        ``anisotropic`` keeps z, ``isotropic`` halves it, too.
    origin : tuple of int
        (z, y, x) of the first voxel; default 0.
    kind : str
        ``image`` or ``annotation``; by default uint64 is an annotation.
    downsampled : bool
        Whether the service says that it computed the levels, which are there either way; default
        False.
    public : bool
        Whether the public token may read it from a server that has a token; default False.
    """

    voxel_size_nm: tuple[float, float, float]
    unit: str
    levels: int
    hierarchy: str
    origin: tuple[int, int, int]
    kind: str
    downsampled: bool
    public: bool


class BossServer(Loopback):
    """The Boss v1 REST service on loopback, with the rules of the real one.

    It merges voxels that are not zero, checks bounds against the native extent at every level,
    refuses large cutouts, and answers what it refuses with codes in JSON.

    Parameters
    ----------
    token : str or None
        Who has it may do all; the public token may read what was added as public, and nobody else
        anything.  None lets everybody do all.
    latency : float
        Seconds before every answer.
    cutout_bytes : int or None
        Largest cutout, uncompressed; others are refused with 413, where uint64 counts a quarter.
        None is the limit of the real service.

    Examples
    --------
    >>> with BossServer() as server:
    ...     server.add("lab", "mouse", "em", np.ones((2, 3, 4), np.uint8), voxel_size_nm=(40, 4, 4))
    ...     server.voxels("lab", "mouse", "em").shape
    (2, 3, 4)
    """

    def __init__(
        self, token: str | None = None, latency: float = 0.0, *, cutout_bytes: int | None = None
    ) -> None:
        super().__init__()
        self.token, self.latency = token, latency
        self._project = Project()
        self._volume = Volume(self._project, cutout_bytes)
        self._routes = Routes(self._project, self._volume)
        self._failures: list[tuple[int, str]] = []
        self._lock = Lock()

    def add(
        self,
        collection: str,
        experiment: str,
        channel: str,
        voxels_zyx: Array,
        **placing: Unpack[Placing],
    ) -> None:
        """Add a channel whose voxels the service keeps.

        Parameters
        ----------
        collection, experiment, channel : str
            Names; those above the channel may be there already.
        voxels_zyx : ndarray of uint8, uint16, uint32 or uint64, shape (Z, Y, X)
            Level 0; copied.  A voxel of a coarser level is the first that it covers.
        **placing
            See ``Placing``.

        Raises
        ------
        ConfigError
            If the type is another, the channel is there, or the experiment is, elsewhere.
        """
        path = (collection, experiment, channel)
        voxels = np.array(voxels_zyx)
        self._add(path, voxels.dtype.name, voxels.shape, placing)
        levels, hierarchy = placing.get("levels", 1), placing.get("hierarchy", "anisotropic")
        made = pyramid(voxels, placing.get("origin", (0, 0, 0)), levels, hierarchy)
        self._project.voxels[path] = dict(enumerate(made))
        if placing.get("downsampled", False):
            self._project.find(path)["downsample_status"] = "DOWNSAMPLED"

    def add_cloudvol(
        self,
        collection: str,
        experiment: str,
        channel: str,
        *,
        dtype: str,
        shape: tuple[int, int, int],
        bucket: str,
        cv_path: str,
        **placing: Unpack[Placing],
    ) -> None:
        """Add a channel that is stored as a precomputed layer in a bucket.

        Cutouts of it are zeros here, and it cannot be written; the real service would fetch them.

        Parameters
        ----------
        collection, experiment, channel : str
            Names.
        dtype : str
            Type of the voxels.
        shape : tuple of int
            (z, y, x).
        bucket, cv_path : str
            Where the layer is, as the channel says it.
        **placing
            See ``Placing``.
        """
        path = (collection, experiment, channel)
        self._add(path, np.dtype(dtype).name, shape, placing)
        place = {"storage_type": "cloudvol", "bucket": bucket, "cv_path": cv_path}
        self._project.find(path).update(place)

    def voxels(self, collection: str, experiment: str, channel: str, level: int = 0) -> Array:
        """Give the array that the server holds, axes (z, y, x); what is written shows in it."""
        return self._volume.level((collection, experiment, channel), level)[1]

    def fail(self, status: int, times: int = 1, *, match: str = "/cutout/") -> None:
        """Answer the next requests with a failure, after those that fail already.

        Parameters
        ----------
        status : int
            Of HTTP, such as 429, 500 or 503.
        times : int
            How many requests.
        match : str
            Part of the path of requests that fail; "" for any.
        """
        with self._lock:
            self._failures += [(status, match)] * times

    def environment(self, home: Folder) -> dict[str, str]:
        """Give the variables by which intern finds the server.

        Parameters
        ----------
        home : Path
            A folder without ``.intern/intern.cfg``, which would go first.
        """
        return {
            "HOME": str(home),
            "INTERN_PROTOCOL": "http",
            "INTERN_HOST": self.host,
            "INTERN_TOKEN": self.token or PUBLIC,
        }

    @property
    def config(self) -> dict[str, str]:
        """What ``BossRemote`` takes to find the server."""
        return {"protocol": "http", "host": self.host, "token": self.token or PUBLIC}

    def answer(self, call: Call) -> Answer:
        """Answer as the service does."""
        self.closing.wait(self.latency)
        status = self._next_failure(call.path)
        return injected(status) if status else self._routes.answer(call, self.token)

    def _next_failure(self, path: str) -> int | None:
        with self._lock:
            for position, (status, match) in enumerate(self._failures):
                if match in path:
                    del self._failures[position]
                    return status
        return None

    def _add(self, path: Path, dtype: str, shape: tuple[int, ...], placing: Placing) -> None:
        """Add a channel, and what it lies in where that is not there."""
        if dtype not in DATATYPES:
            raise ConfigError(f"{'/'.join(path)}: {dtype} voxels; a Boss holds {DATATYPES}")
        project, name = self._project, f"CF_{path[0]}_{path[1]}"
        place = _place(name, shape, placing)
        experiment = {
            "coord_frame": name,
            "num_hierarchy_levels": placing.get("levels", 1),
            "hierarchy_method": placing.get("hierarchy", "anisotropic"),
        }
        kind = placing.get("kind", "annotation" if dtype == "uint64" else "image")
        channel = {"datatype": dtype, "type": kind}
        with self._routes.lock:
            found = project.resources.get(path[:2])
            if found and (project.frames.get(name) != place or found | experiment != found):
                raise ConfigError(f"{'/'.join(path[:2])} is there already, and lies elsewhere")
            if path in project.resources:
                raise ConfigError(f"{'/'.join(path)} is there already; choose another name")
            project.frames[name] = place
            public = placing.get("public", self.token is None)
            stated: tuple[dict[str, Any], ...] = ({}, experiment, channel)
            for depth, told in enumerate(stated, 1):
                if path[:depth] not in project.resources:
                    project.add(path[:depth], told, public=public)


def _place(name: str, shape: tuple[int, ...], placing: Placing) -> dict[str, Any]:
    """Describe a coordinate frame as the service does."""
    size, origin = placing.get("voxel_size_nm", (1, 1, 1)), placing.get("origin", (0, 0, 0))
    stated: dict[str, Any] = {"voxel_unit": placing.get("unit", "nanometers")}
    for axis, start, n, extent in zip("zyx", origin, shape, size, strict=True):
        stated |= {f"{axis}_start": start, f"{axis}_stop": start + n}
        stated[f"{axis}_voxel_size"] = extent
    return frame(name, stated)
