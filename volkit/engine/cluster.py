"""Clusters: where a job's blocks run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from volkit.errors import SourceError


@contextmanager
def local_client(workers: int, *, memory_limit: int | str = "auto") -> Iterator[Any]:
    """Start worker processes on this machine, one thread each, and stop them at the end.

    Processes, not threads: several kernels hold Python's lock.  Everything listens on loopback.

    Parameters
    ----------
    workers : int
        Number of processes.
    memory_limit : int or str
        Bytes for each; a worker beyond it is restarted.

    Yields
    ------
    distributed.Client
        Its ``dashboard_link`` shows the cluster at work.
    """
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=memory_limit,
            silence_logs=logging.ERROR,  # at its end it warns of workers that are still stopping
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def connected_client(address: str, *, timeout: float = 20) -> Iterator[Any]:
    """Connect to a scheduler that is already running.

    Parameters
    ----------
    address : str
        Such as ``tcp://10.0.0.1:8786``.
    timeout : float
        Seconds to wait for it.

    Yields
    ------
    distributed.Client

    Raises
    ------
    SourceError
        If nothing answers there.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=timeout)
    except (OSError, TimeoutError, ValueError) as error:
        raise SourceError(
            f"no dask scheduler answers at {address} ({error}); start one with `dask scheduler`, "
            "or leave the address out to work on this machine"
        ) from error
    with client:
        yield client
