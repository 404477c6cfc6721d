"""BossDB on loopback: the REST service as far as intern uses it, over HTTP/1.1."""

import json
import time
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Literal, Self

from numpy.typing import NDArray

from volkit.errors import missing_extra
from volkit.geometry import Coord
from volkit.geometry.scale import Vector
from volkit.testing.servers.boss_routes import Answer, route
from volkit.testing.servers.boss_rules import CUTOUT_BYTES, Boss, BossError, Json
from volkit.testing.servers.requests import Request

try:
    import blosc
except ImportError as error:
    raise missing_extra("blosc", "bossdb") from error

blosc.set_nthreads(1)  # its pool of threads and those of the server would get in each other's way


class BossServer:
    """A Boss service in this process.

    Parameters
    ----------
    token : str or None
        The token that is let in; None lets in everybody.
    latency : float
        Seconds added to every answer.
    cutout_bytes : int
        Largest cutout; see :class:`volkit.testing.servers.boss_rules.Boss`.

    Attributes
    ----------
    boss : Boss
        What it holds.
    requests : list of Request
        What it was asked.
    """

    def __init__(
        self,
        token: str | None = None,
        latency: float = 0.0,
        *,
        cutout_bytes: int = CUTOUT_BYTES,
    ) -> None:
        self.token, self.latency = token, latency
        self.boss = Boss(cutout_bytes)
        self.requests: list[Request] = []
        self._failures: list[list[int]] = []
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def host(self) -> str:
        """Address and port, without a scheme."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{self.host}"

    def environment(self, home: Path) -> dict[str, str]:
        """Give what lets intern find the server; ``home`` must hold no ``.intern``."""
        return {
            "HOME": str(home),
            "INTERN_PROTOCOL": "http",
            "INTERN_HOST": self.host,
            "INTERN_TOKEN": self.token or "public",
        }

    def add(
        self,
        collection: str,
        experiment: str,
        channel: str,
        voxels: NDArray[Any],
        *,
        voxel_size_nm: Vector = (1.0, 1.0, 1.0),
        unit: str = "nanometers",
        levels: int = 1,
        hierarchy: Literal["anisotropic", "isotropic"] = "anisotropic",
        origin: Coord = (0, 0, 0),
        kind: Literal["image", "annotation"] = "image",
    ) -> None:
        """Add a channel with its collection, experiment and frame where they are not there yet.

        Parameters
        ----------
        collection, experiment, channel : str
            Names.
        voxels : ndarray of uint8, uint16, uint32 or uint64, shape (Z, Y, X)
            Level 0; coarser levels take every second voxel.
        voxel_size_nm : tuple of float
            Stated in ``unit`` as it is, (z, y, x).
        unit : str
            Such as ``nanometers`` or ``micrometers``.
        levels : int
            How many.
        hierarchy : {"anisotropic", "isotropic"}
            Whether z keeps its extent from level to level.
        origin : tuple of int
            First voxel of the coordinate frame, (z, y, x).
        kind : {"image", "annotation"}
            Of the channel.
        """
        place = (collection, experiment)
        self._add_experiment(place, voxels.shape, voxel_size_nm, unit, levels, hierarchy, origin)
        told = {"datatype": voxels.dtype.name, "type": kind}
        self.boss.add_channel((*place, channel), told, voxels)

    def add_cloudvol(
        self,
        collection: str,
        experiment: str,
        channel: str,
        *,
        dtype: str,
        shape: Coord,
        bucket: str,
        cv_path: str,
        voxel_size_nm: Vector = (1.0, 1.0, 1.0),
    ) -> None:
        """Add a channel whose voxels lie as a precomputed layer in an object store."""
        place = (collection, experiment)
        self._add_experiment(place, shape, voxel_size_nm, "nanometers", 1, "anisotropic", (0, 0, 0))
        told = {"datatype": dtype, "bucket": bucket, "cv_path": cv_path, "storage_type": "cloudvol"}
        self.boss.add_channel((*place, channel), told)

    def voxels(
        self, collection: str, experiment: str, channel: str, level: int = 0
    ) -> NDArray[Any]:
        """Give the array that the server holds; (z, y, x)."""
        return self.boss.voxels[collection, experiment, channel][level]

    def fail(self, status: int, times: int) -> None:
        """Answer the next cutout requests with a status."""
        with self._lock:
            self._failures.append([status, times])

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self.requests.clear()

    def drawn_failure(self) -> int | None:
        """Take the status that the next cutout fails with, if there is one."""
        with self._lock:
            if not self._failures:
                return None
            self._failures[0][1] -= 1
            status = self._failures[0][0]
            if self._failures[0][1] <= 0:
                self._failures.pop(0)
            return status

    def _add_experiment(
        self,
        place: tuple[str, str],
        shape: tuple[int, ...],
        size: Vector,
        unit: str,
        levels: int,
        hierarchy: str,
        origin: Coord,
    ) -> None:
        frame = f"CF_{place[0]}_{place[1]}"
        if place[0] not in self.boss.collections:
            self.boss.add_collection(place[0], {"public": True})
        if place in self.boss.experiments:
            return
        axes = zip("zyx", shape, size, origin, strict=True)
        told: Json = {"voxel_unit": unit}
        for axis, n, extent, start in axes:
            told[f"{axis}_start"], told[f"{axis}_stop"] = int(start), int(start + n)
            told[f"{axis}_voxel_size"] = float(extent)
        self.boss.add_frame(frame, told)
        about = {
            "coord_frame": frame,
            "num_hierarchy_levels": levels,
            "hierarchy_method": hierarchy,
            "public": True,
        }
        self.boss.add_experiment(place, about)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients may hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go in two writes

    def __init__(self, owner: BossServer, *arguments: Any) -> None:
        self._owner = owner
        super().__init__(*arguments)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing; requests are kept by the server."""

    def _handle(self) -> None:
        # The body is taken whatever comes of it, or the next request would begin in it.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self._owner.latency:
            time.sleep(self._owner.latency)
        try:
            answer = self._answer(body, headers)
        except BossError as error:
            told = {"status": error.status, "code": error.code, "message": str(error)}
            answer = Answer(error.status, json.dumps(told).encode())
        self._owner.requests.append(
            Request(self.command, self.path, answer.status, len(answer.body), headers)
        )
        self.send_response_only(answer.status)
        if answer.status != 204:
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(answer.body)

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        owner = self._owner
        status = owner.drawn_failure() if "/cutout/" in self.path else None
        if status is not None:
            raise BossError(status, 9001, "injected")
        if owner.token and headers.get("authorization") != f"Token {owner.token}":
            raise BossError(403, 3004, "Access denied, are you logged in?")
        return route(owner.boss, self.command, self.path, body, headers)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815
