"""Clusters: worker processes of this machine, and the queueing systems that it knows."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

from volkit.engine.cluster import local_client
from volkit.engine.cluster.systems import SYSTEMS, System
from volkit.errors import VolkitError
from volkit.pipelines.doctor.check import Check

_ASKED = 21
_PATIENCE_SECONDS = 30


def check_clusters() -> Iterator[Check]:
    """Let a worker process compute something, and look for queueing systems."""
    yield _workers()
    yield from check_queues()


def _workers() -> Check:
    try:
        with local_client(1) as client:
            answer = client.submit(_doubled, _ASKED, pure=False).result(timeout=60)
    except (VolkitError, OSError, TimeoutError) as error:
        said = str(error) or "a worker process started, and does not answer"
        return Check("dask", "fail", said, "volkit run WORKFLOW --local")
    if answer != 2 * _ASKED:
        return Check("dask", "fail", f"a worker doubled {_ASKED} to {answer}", "reinstall dask")
    return Check("dask", "ok", "a worker process started, answered and stopped")


def check_queues() -> Iterator[Check]:
    """Ask the queueing systems whose commands are here."""
    found = {key: system for key, system in SYSTEMS.items() if shutil.which(system.queues[0])}
    if not found:
        yield Check("cluster", "ok", "no queueing system is known here; blocks run on this machine")
    for key, system in found.items():
        yield _queue(key, system)


def _queue(key: str, system: System) -> Check:
    """Ask a system for its queues: commands are often there without it."""
    try:
        done = subprocess.run(
            system.queues, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
        )
        said, names = done.stderr, re.findall(system.queue_name, done.stdout, re.MULTILINE)
    except (OSError, subprocess.TimeoutExpired) as error:
        said, names = str(error), []
    if not names:
        why = (said.strip().splitlines() or ["it lists no queue"])[0]
        return Check(
            "cluster",
            "warn",
            f"{system.title} has commands here, and does not answer: {why}",
            "only if you want to use it: ask whoever runs it",
        )
    if shutil.which(system.submit) is None:
        what = f"{system.title} answers, but {system.submit} is not here"
        return Check("cluster", "warn", what, "run volkit on a login node")
    if find_spec("dask_jobqueue") is None:
        what = f"{system.title} is here, dask-jobqueue is not"
        return Check("cluster", "warn", what, "pip install 'volkit[hpc]'")
    queues = ", ".join(dict.fromkeys(names))
    return Check("cluster", "ok", f"{system.title}, {queues}: say cluster: {{system: {key}, …}}")


def _doubled(number: int) -> int:
    return 2 * number
