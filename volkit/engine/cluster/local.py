"""Workers on this machine: processes for its processors, and one for each GPU."""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from volkit.engine.cluster.credentials import Credentials
from volkit.engine.cluster.keeper import Keeper, Pool, first_lines, kept, kinds_of
from volkit.engine.cluster.settings import WORKER, scheduler_settings
from volkit.engine.cluster.watch import CPU, GPU, THREADS, Watch, watched
from volkit.errors import ConfigError

_HOST = "127.0.0.1"
_RESTART_SECONDS = 15.0  # a nanny starts its worker again by itself; this is for one that fails
# Far more than any start takes: one that hangs must not keep the others from being looked after.
_START_SECONDS = 300.0

# Whoever started processes here cannot start workers there.
_REMEDY = (
    "they are processes of this machine, and none is alive: ask for fewer, or for more memory for "
    "each (cluster.workers, cluster.memory_gib), or work without them (volkit run --local)"
)


@contextmanager
def local_client(
    workers: int,
    *,
    memory_limit: int | str = "auto",
    gpus: int = 0,
    gpu_memory_limit: int | str = "auto",
    scratch: Path | str | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Iterator[Any]:
    """Start worker processes on this machine, one thread each, and stop them at the end.

    Processes, not threads: several kernels hold Python's lock.  Everything listens on loopback
    alone and asks for credentials that live in the memory of these processes.

    Parameters
    ----------
    workers : int
        CPU workers.
    memory_limit, gpu_memory_limit : int or str
        Bytes for each; a worker beyond it is restarted.
    gpus : int
        GPU workers; each sees one GPU.
    scratch : Path or str, optional
        Where the folder is made that workers put things in; None is the system's.
    on_message : callable, optional
        Told of workers that do not start again.

    Yields
    ------
    distributed.Client
        Its ``dashboard_link`` shows the cluster at work.

    Raises
    ------
    ConfigError
        If this machine has fewer GPUs, or a worker does not start.
    """
    from distributed import Client

    devices = chosen_gpus(gpus)
    security = Credentials.fresh().security()
    net = {"host": _HOST, "protocol": "tls://", "security": security}
    with scheduler_settings(), _private_scratch(scratch) as folder:
        pools = _pools(
            workers, devices, net, folder=folder, memory=(memory_limit, gpu_memory_limit)
        )
        specs = {
            name: spec
            for pool in pools
            for name, spec in zip(pool.names(), pool.specs, strict=True)
        }
        kinds = kinds_of(pools) if devices else frozenset()
        say = on_message or logging.getLogger(__name__).info
        watch = Watch(kinds, say=say, remedy=_REMEDY)
        with (
            _started(specs, security) as cluster,
            Client(cluster, security=security) as client,
            watched(client, watch),
            kept(Keeper(cluster, client, watch, pools, lost_seconds=_RESTART_SECONDS)),
        ):
            yield client


def _started(specs: dict[str, Any], security: Any) -> Any:
    """Start a scheduler and all workers."""
    from volkit.engine.cluster.guard import GuardedCluster, guarded_scheduler

    try:
        return GuardedCluster(
            scheduler=guarded_scheduler(security, host=_HOST),
            workers=specs,
            security=security,
            silence_logs=logging.ERROR,  # at its end it warns of workers still stopping
        )
    except (RuntimeError, OSError, AssertionError) as error:
        raise ConfigError(
            f"a worker process did not start: {first_lines(error)}; ask for fewer, or work without "
            "them (cluster.workers 0, volkit run --local)"
        ) from error


def _pools(
    workers: int,
    devices: list[str],
    net: dict[str, Any],
    *,
    folder: str,
    memory: tuple[int | str, int | str],
) -> tuple[Pool, ...]:
    """Describe each worker process."""
    from distributed import Nanny
    from distributed.worker_memory import parse_memory_limit

    common = {
        **net,
        "nthreads": 1,
        "dashboard": False,
        "dashboard_address": f"{_HOST}:0",
        "silence_logs": logging.ERROR,
        "local_directory": folder,
        "config": WORKER,
        "death_timeout": _START_SECONDS,
    }
    log, total = logging.getLogger(__name__), workers + len(devices)
    limits = [parse_memory_limit(limit, 1, total, logger=log) for limit in memory]
    # Where some workers have GPUs, the others must not see them: their memory would fill up.
    other = {"resources": {CPU: 1}, "env": {"CUDA_VISIBLE_DEVICES": ""}} if devices else {}
    cpu = {**common, **other, "memory_limit": limits[0]}
    gpu = {**common, "nthreads": THREADS, "resources": {GPU: 1}, "memory_limit": limits[1]}
    own = [{**gpu, "env": {"CUDA_VISIBLE_DEVICES": device}} for device in devices]
    pools = (
        Pool(CPU, ({"cls": Nanny, "options": cpu},) * workers),
        Pool(GPU, tuple({"cls": Nanny, "options": options} for options in own)),
    )
    return tuple(pool for pool in pools if pool.specs)


@contextmanager
def _private_scratch(base: Path | str | None) -> Iterator[str]:
    """Make a folder that nobody else can enter, and remove it."""
    if base is not None:
        Path(base).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="volkit-workers-", dir=base)  # its mode is 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def chosen_gpus(count: int) -> list[str]:
    """Choose GPUs of this machine.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    list of str
        One value of ``CUDA_VISIBLE_DEVICES`` for each worker.

    Raises
    ------
    ConfigError
        If there are not that many.
    """
    found = machine_gpus() if count else []
    if count > len(found):
        raise ConfigError(
            f"gpus {count}: this machine has {len(found)}"
            + (f" ({', '.join(found)})" if found else "")
            + "; ask for no more than it has"
        )
    return found[:count]


def machine_gpus() -> list[str]:
    """Name the GPUs that this process may use, without starting CUDA."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name.strip() for name in allowed.split(",") if name.strip() not in ("", "-1")]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = [tool, "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return found.stdout.split() if found.returncode == 0 else []
