"""The client of a trial: a process that takes the lock, starts workers and does the job."""

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from volkit.engine.attendance import attended
from volkit.engine.cluster import connected_client, local_client
from volkit.engine.job import JobEngine
from volkit.engine.lock import LockOptions
from volkit.engine.owner import Owner
from volkit.errors import VolkitError
from volkit.io.faults import Patience
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.testing.chaos.job import compute

PATIENCE = Patience(first_wait_seconds=0.02, most_wait_seconds=0.5, attempts=12)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job as a client does; 1 where it ends with an error that is explained."""
    told = _parser().parse_args(arguments)
    if told.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (told.file_bytes, told.file_bytes))
    owner = Owner.here()
    if told.machine:
        owner = replace(owner, host=told.machine, machine=told.machine)
    lock = LockOptions(
        beat_seconds=0.2,
        stale_seconds=told.stale_seconds,
        owner=owner,
        clock=lambda: time.time() + told.skew,
    )
    place = Place(told.root, OpenOptions(patience=PATIENCE))
    try:
        with attended(place, lock, on_message=_say) as attendance, _client(told) as client:
            compute(JobEngine(place, client, attendance=attendance), Path(told.input))
    except (VolkitError, OSError, RuntimeError) as error:
        _say(f"{type(error).__name__}: {error}")
        return 1
    return 0


@contextmanager
def _client(told: argparse.Namespace) -> Iterator[Any]:
    if told.scheduler:
        with connected_client(told.scheduler, on_message=_say) as client:
            yield client
    elif told.workers:
        with local_client(told.workers, memory_limit=told.memory) as client:
            yield client
    else:
        yield None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m volkit.testing.chaos.client")
    parser.add_argument("root", help="folder of the run")
    parser.add_argument("input", help="folder of the input")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--scheduler", default="")
    parser.add_argument("--machine", default="", help="name of the machine that it pretends to be")
    parser.add_argument("--skew", type=float, default=0.0, help="seconds its clock is ahead")
    parser.add_argument("--stale-seconds", type=float, default=1.5)
    parser.add_argument("--file-bytes", type=int, default=0, help="most bytes of a file")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
