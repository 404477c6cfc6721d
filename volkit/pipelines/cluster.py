"""Cluster: where a pipeline's blocks run, as its workflow says."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import Any

from volkit.engine.cluster import ClusterOptions, connected_client, local_client
from volkit.engine.cluster.options import processors
from volkit.engine.dashboards import link_of
from volkit.engine.lock import OnMessage
from volkit.pipelines.plan import StagePlan

__all__ = [
    "ClusterOptions",
    "LentCluster",
    "gpu_workers",
    "processors",
    "where_stages_run",
    "workers",
]


class LentCluster(ClusterOptions):
    """The options of a cluster that somebody has started and lends.

    They read like those that it was started with, in records, too; :func:`workers` gives its
    client, and leaves it as it is.
    """

    __slots__ = ("client",)
    client: Any

    @classmethod
    def of(cls, options: ClusterOptions, client: Any) -> "LentCluster":
        """Lend a client, or None for this process."""
        lent = cls(**{item.name: getattr(options, item.name) for item in fields(options)})
        object.__setattr__(lent, "client", client)
        return lent


@contextmanager
def workers(options: ClusterOptions, on_message: OnMessage | None = None) -> Iterator[Any]:
    """Connect to, or start, what the options ask for.

    Parameters
    ----------
    options : ClusterOptions
        Where blocks run.
    on_message : callable, optional
        Told what a person may want to know, such as where the dashboard is and why jobs wait.

    Yields
    ------
    distributed.Client or None
        None where blocks run in this process.

    Raises
    ------
    SourceError
        If no scheduler answers at the address.
    ConfigError
        If the system has not what is asked for.
    """
    if isinstance(options, LentCluster):
        yield options.client
    elif options.place == "here":
        yield None
    else:
        with ExitStack() as stack:
            client = _entered(options, stack, on_message)
            link = link_of(client)
            if link and on_message is not None:
                on_message(f"dashboard: {link}")
            yield client


def gpu_workers(options: ClusterOptions) -> int | None:
    """Count the GPU workers that will be started; None where a running scheduler has its own."""
    if options.place == "address":
        return None
    if options.place == "local" and options.gpus is None:
        from volkit.engine.cluster.local import machine_gpus

        return len(machine_gpus())
    return options.gpus or 0


def where_stages_run(stages: Sequence[StagePlan], options: ClusterOptions) -> str:
    """Say which stages go to GPU workers.

    Parameters
    ----------
    stages : sequence of StagePlan
        Of a plan.
    options : ClusterOptions
        Where blocks run.

    Returns
    -------
    str
        A line; empty where no stage asks for a GPU, or blocks run in this process.
    """
    names = ", ".join(stage.name for stage in stages if stage.needs_gpu)
    if not names or options.place == "here":
        return ""
    gpus, cpus = gpu_workers(options), options.processes
    if gpus is None:
        return f"on GPU workers, where the scheduler has some: {names}"
    if not gpus:
        return f"there are no GPU workers; networks run on the CPU workers ({cpus:,}): {names}"
    if not cpus:
        return f"on the GPU workers ({gpus:,}): all stages"
    return f"on the GPU workers ({gpus:,}): {names}; on the CPU workers ({cpus:,}): all others"


def _entered(options: ClusterOptions, stack: ExitStack, on_message: OnMessage | None) -> Any:
    """Connect to a cluster, or start it."""
    if options.place == "local":
        with _interrupts_ignored():
            return stack.enter_context(_started_here(options, on_message))
    if options.scheduler is not None:
        connected = connected_client(
            options.scheduler,
            tls=options.tls,
            wait_seconds=60 * options.wait_minutes,
            on_message=on_message,
        )
        return stack.enter_context(connected)
    from volkit.engine.cluster.jobs import job_client

    return stack.enter_context(job_client(options, on_message=on_message))


def _started_here(options: ClusterOptions, on_message: OnMessage | None) -> Any:
    from volkit.engine.cluster.local import machine_gpus

    gpus = len(machine_gpus()) if options.gpus is None else options.gpus
    return local_client(
        options.processes,
        memory_limit=options.memory_bytes or "auto",
        gpus=gpus,
        gpu_memory_limit=options.gpu_memory_bytes or "auto",
        scratch=options.scratch,
        on_message=on_message,
    )


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the one that started them ends them.

    A terminal sends it to all of them, and each would print a traceback of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
