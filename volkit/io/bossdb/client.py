"""Client: the connection of a process to a Boss service, as one user.

Built upon intern, which knows the routes and headers of the service.  Its own way of sending has
no deadline, keeps the token in its exceptions, and starts processes for large cutouts; so requests
are sent here.
"""

import json
import os
import threading
import time
from functools import lru_cache
from typing import Any, NoReturn

from volkit.errors import SourceError, missing_extra
from volkit.io.bossdb.access import PUBLIC, Access
from volkit.io.faults import (
    CorruptPayloadError,
    Fault,
    Patience,
    brief,
    classify,
    patiently,
)

try:
    import requests
    from intern.remote.boss import BossRemote
    from requests.adapters import HTTPAdapter
    from urllib3.exceptions import HTTPError as TransportError
except ImportError as error:
    raise missing_extra("intern", "bossdb") from error

_CONNECTIONS = 64  # kept open: threads of readers, each with its own request
_PIECE = 1 << 20  # bytes read before the deadline is looked at again
_MESSAGE = 300  # characters of the service's own words in an error


class RefusedError(Exception):
    """An answer of the service that is no success; holds no request, hence no token.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : int
        The service's own number; 0 where it gives none.
    message : str
        Its own words.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message

    def __str__(self) -> str:
        return f"{self.status} (code {self.code}): {self.message}"


class BossClient:
    """Sends requests to one host as one user; made once in a process, and used by all threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        protocol, _, host = access.host.partition("://")
        # The token is set afterwards: a percent sign in a configuration means something else.
        config = {"protocol": protocol, "host": host, "token": PUBLIC}
        self.remote = BossRemote(config)
        self.remote.token_volume = access.token.value
        self.service = self.remote.volume_service
        self.routes = self.service.service
        self._session = session = self.service.session
        # Without this a .netrc would replace the token, and be asked again after a redirect.
        session.trust_env = False
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS)
        session.mount(f"{protocol}://", adapter)
        proxies = {} if _is_loopback(host) else requests.utils.get_environ_proxies(access.host)
        self._options = {**self.service.session_send_opts, "proxies": proxies, "stream": True}

    def __repr__(self) -> str:
        return f"BossClient({self.access.host})"

    def request(self, method: str, url: str, **body: Any) -> "requests.Request":
        """Make a request about metadata, with the headers of intern."""
        headers = self.routes.get_headers("application/json", self.service.auth)
        return requests.Request(method, f"{self.service.url_prefix}/v1/{url}", headers, **body)

    def send(
        self, request: "requests.Request", *, success: int, patience: Patience, what: str
    ) -> bytes:
        """Send a request until it succeeds, or asking again cannot help.

        Parameters
        ----------
        request : Request
            To this host.
        success : int
            The status that means that it is done.
        patience : Patience
            How long.
        what : str
            What is asked for, for messages.

        Returns
        -------
        bytes
            The body.

        Raises
        ------
        RefusedError
            If the service says no.
        SourceError
            If it kept failing, or cannot be reached.
        """
        return patiently(
            lambda left: self.send_once(request, success=success, patience=patience, left=left),
            patience=patience,
            what=what,
        )

    def send_once(
        self, request: "requests.Request", *, success: int, patience: Patience, left: float
    ) -> bytes:
        """Send a request, and wait no longer than ``left`` seconds for the whole answer."""
        end = time.monotonic() + left
        prepared = self._session.prepare_request(request)
        silence = (min(patience.connect_seconds, left), min(patience.silence_seconds, left))
        try:
            with self._session.send(
                prepared,
                **self._options,
                timeout=silence,
                allow_redirects=request.method == "GET",
            ) as answer:
                body = _receive(answer.raw, end)
        except requests.RequestException as error:
            # They hold the request and its headers, and may travel from a worker to a log.
            error.request = error.response = None
            if classify(error) is Fault.PERMANENT:  # as redirects without end
                raise SourceError(f"{self.access.host} cannot be asked: {brief(error)}") from error
            raise
        if answer.status_code != success:
            raise _refused(answer.status_code, body)
        return body

    def get_json(self, url: str, *, patience: Patience, what: str) -> dict[str, Any]:
        """Get a JSON object.

        Raises
        ------
        RefusedError
            If the service says no.
        SourceError
            If it kept failing, or what comes is no JSON object.
        """

        def fetch(left: float) -> dict[str, Any]:
            body = self.send_once(
                self.request("GET", url), success=200, patience=patience, left=left
            )
            try:
                found = json.loads(body)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise CorruptPayloadError(
                    f"{what}: {self.access.host} answered with {len(body)} bytes that are no JSON "
                    "object; check that a Boss service is there"
                )
            return found

        return patiently(fetch, patience=patience, what=what)

    def explain(self, what: str, error: RefusedError) -> NoReturn:
        """Raise what a refusal means to the one who asked.

        Raises
        ------
        SourceError
            Always.
        """
        said = f"{what}: {self.access.host} answers {error}"
        if error.status in (401, 403):
            raise SourceError(
                f"{said}. Check the token ({self.access.found_in}), and that it may do this"
            ) from error
        raise SourceError(said) from error


def connect(access: Access) -> BossClient:
    """Give the client of this process for a host and a token."""
    with _LOCK:
        return _connect(access, os.getpid())


_LOCK = threading.Lock()


@lru_cache(maxsize=16)
def _connect(access: Access, process: int) -> BossClient:
    """Make a client; ``process`` keeps a forked child from using its parent's connections."""
    del process
    return BossClient(access)


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] or host
    return name == "localhost" or name.startswith("127.") or name == "[::1]"


def _receive(raw: Any, end: float) -> bytes:
    """Read a body as it comes, so that one which trickles ends with the deadline."""
    parts = []
    try:
        while part := raw.read1(_PIECE, decode_content=True):
            parts.append(part)
            if time.monotonic() > end:
                raise TimeoutError(f"{sum(map(len, parts))} bytes came until the deadline")
    except TransportError as error:
        raise ConnectionError(f"the answer broke off: {error}") from error
    return b"".join(parts)


def _refused(status: int, body: bytes) -> RefusedError:
    try:
        said = json.loads(body)
        return RefusedError(status, int(said.get("code", 0)), str(said["message"])[:_MESSAGE])
    except (ValueError, KeyError, TypeError, AttributeError):
        return RefusedError(status, 0, body[:_MESSAGE].decode("utf-8", "replace"))
