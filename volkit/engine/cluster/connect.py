"""Connect to a scheduler that somebody started: here, on Kubernetes, in a cloud."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from volkit.engine.cluster.credentials import Credentials
from volkit.errors import ConfigError, SourceError


@contextmanager
def connected_client(
    address: str,
    *,
    timeout: float = 20,
    tls: Path | str | None = None,
    wait_seconds: float = 600,
    on_message: Callable[[str], None] | None = None,
) -> Iterator[Any]:
    """Connect to a scheduler that is already running.

    Parameters
    ----------
    address : str
        Such as ``tls://10.0.0.1:8786``.
    timeout : float
        Seconds to wait for it.
    tls : Path or str, optional
        Folder of its credentials; None takes what dask's own configuration names.
    wait_seconds : float
        How long work waits where there is no worker, or none is left.
    on_message : callable, optional
        Told when workers are waited for.

    Yields
    ------
    distributed.Client

    Raises
    ------
    SourceError
        If nothing answers there, or not to these credentials.
    ConfigError
        If the credentials cannot be read, or a worker has other versions than this process.
    """
    from distributed import Client

    from volkit.engine.cluster.gate import admit
    from volkit.engine.cluster.presence import Presence, attended_to
    from volkit.engine.cluster.watch import Watch, watched

    security = None if tls is None else Credentials.read(Path(tls).expanduser()).security()
    try:
        # Not the default of the process: one that fails would leave dask without a scheduler.
        client = Client(address, timeout=timeout, security=security, set_as_default=False)
    except (TypeError, RuntimeError, ValueError) as error:
        raise ConfigError(_no_way_in(address, tls, error)) from error
    except (OSError, TimeoutError) as error:
        raise SourceError(
            f"no dask scheduler answers at {address} ({error}); start one with `dask scheduler`, "
            "or leave the address out to work on this machine"
            + ("" if tls is None else "; or the credentials are those of another cluster")
        ) from error
    say = on_message or logging.getLogger(__name__).info
    watch = Watch(say=say, wait_seconds=wait_seconds)
    with client, client.as_current(), watched(client, watch):
        admit(client, watch, close_refused=False)
        with attended_to(Presence(client, watch)):
            yield client


def _no_way_in(address: str, tls: Path | str | None, error: Exception) -> str:
    if address.startswith("tls://") and tls is None:
        return (
            f"{address} asks for credentials; name the folder of that cluster's ca.pem, "
            "certificate.pem and key.pem as cluster.tls"
        )
    return f"scheduler {address}: {error}; write it as tls://HOST:PORT or tcp://HOST:PORT"
