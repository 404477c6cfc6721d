"""Gate: workers that have other versions than the client are refused before they do anything."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from distributed import WorkerPlugin

from volkit.engine.cluster.watch import Watch
from volkit.errors import ConfigError
from volkit.version import __version__

_TOPIC = "volkit-refused"


def installed() -> dict[str, str]:
    """Name the versions that decide results, without importing anything heavy."""
    try:
        torch = version("torch").partition("+")[0]  # builds for CPU and for CUDA go together
    except PackageNotFoundError:
        torch = ""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"volkit": __version__, "torch": torch, "python": python}


def differing(own: dict[str, str], other: dict[str, str]) -> list[str]:
    """Say which versions differ; a package that only one of two has is none of them.

    Examples
    --------
    >>> differing({"volkit": "0.2.0", "torch": ""}, {"volkit": "0.1.0", "torch": "2.4.0"})
    ['volkit 0.1.0 instead of 0.2.0']
    """
    return [
        f"{name} {other[name]} instead of {mine}"
        for name, mine in own.items()
        if mine and other.get(name) and other[name] != mine
    ]


class Gate(WorkerPlugin):
    """Compares the versions of a worker when it comes.

    Parameters
    ----------
    versions : dict
        Of the client.
    close_refused : bool
        End a worker that is refused; False where it belongs to somebody else.
    """

    name = "volkit-gate"

    def __init__(self, versions: dict[str, str], *, close_refused: bool) -> None:
        self.versions = versions
        self.close_refused = close_refused

    async def setup(self, worker: Any) -> None:
        """Run before the worker gets its first task."""
        wrong = differing(self.versions, installed())
        if not wrong:
            return
        message = (
            f"the worker {worker.address} on {platform.node()} has {', '.join(wrong)}, which this "
            "process has; use the same environment on both sides (cluster.python, "
            "cluster.prologue, or the image of the workers)"
        )
        worker.log_event(_TOPIC, message)
        if self.close_refused:
            worker.loop.call_later(0.5, worker.close, nanny=True, reason="volkit-refused")
        raise ConfigError(message)


def admit(client: Any, watch: Watch, *, close_refused: bool) -> None:
    """Check the workers that are there, and those that will come.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    watch : Watch
        Told of workers that are refused later.
    close_refused : bool
        End workers that are refused.

    Raises
    ------
    ConfigError
        If a worker that is there has other versions.
    """

    def refused(event: Any) -> None:
        watch.fail(client, str(event[1]))

    client.subscribe_topic(_TOPIC, refused)
    try:
        client.register_plugin(Gate(installed(), close_refused=close_refused))
    except ConfigError as error:
        client.unregister_worker_plugin(Gate.name)
        raise ConfigError(str(error)) from None
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the workers at {client.scheduler.address} cannot load volkit {__version__} "
            f"({error}); install it there"
        ) from error
