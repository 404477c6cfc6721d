"""Cases of the engine bench about faults: what each kind costs a run that survives it.

The job is that of the chaos trials: 192 blocks of 20 ms in three stages.  Every run with a fault is
followed by one without, on the same cluster; the fault strikes in the middle of the second stage.
Blocks again are those that were begun more than once.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from volkit.bench.harness import Case, told
from volkit.bench.rounds import Figures, Rounds
from volkit.engine.base import Progress
from volkit.engine.cluster import connected_client, local_client
from volkit.engine.job import JobEngine
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.testing.chaos.checks import read_log, repeated
from volkit.testing.chaos.client import PATIENCE
from volkit.testing.chaos.job import STAGES, VARIABLE, compute, make_input
from volkit.testing.chaos.processes import Processes, start_cluster, start_nanny, wait_until
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.s3 import S3Server

_CLIENT = "volkit.testing.chaos.client"
_MODES = ("500", "503", "reset", "truncate")
_SHARE = 0.2
_PATIENCE_SECONDS = 120.0


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield two cases for each kind of fault: seconds, and blocks that are computed again."""
    kinds: dict[str, tuple[Callable[..., Any], Callable[[Any], Figures], float]] = {
        "one of 2 workers killed": (_workers, Site.kill_worker, 10),
        "one of 2 nannies killed, another started": (_nannies, Site.kill_nanny, 10),
        "client killed, and run again": (_site, Site.kill_client, 15),
        "20% of requests to the store fail": (_storage, Site.fail_storage, 15),
    }
    for name, (setup, measure, target) in kinds.items():
        rounds = Rounds(first_counts=True)
        shown = {"measure": told, "better": "lower"}
        yield Case(
            f"{name}: time lost",
            ours=rounds.measured("seconds", measure),
            setup=setup,
            unit="s more",
            target=target,
            **shown,  # type: ignore[arg-type]
        )
        yield Case(
            f"{name}: blocks again",
            ours=rounds.read("blocks"),
            unit="blocks more",
            **shown,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class Site:
    """Where a kind of fault is tried.

    Parameters
    ----------
    folder : Path
        For the input, the log of blocks, and runs.
    processes : Processes
        That were started for it.
    client : distributed.Client or None
        Of two workers; None where the job starts its own.
    nannies : list of Popen
        Of the workers, where they are processes of their own.
    address : str
        Of their scheduler.
    proxy : FaultProxy or None
        Before the store.
    names : iterator of int
        Fresh names.
    """

    folder: Path
    processes: Processes
    client: Any = None
    nannies: list[Any] = field(default_factory=list)
    address: str = ""
    proxy: Any = None
    names: Iterator[int] = field(default_factory=count)

    def kill_worker(self) -> Figures:
        """Kill a worker; its nanny starts another."""
        return self._cost(self._job, self._kill_a_worker)

    def kill_nanny(self) -> Figures:
        """Kill a nanny, with which its worker ends, and start another at once."""
        return self._cost(self._job, self._replace_a_nanny)

    def fail_storage(self) -> Figures:
        """Let a part of all requests fail."""
        self.proxy.inject(_MODES, share=_SHARE)
        failing = self._timed(partial(self._job, None))
        self.proxy.calm()
        return _less(failing, self._timed(partial(self._job, None)))

    def kill_client(self) -> Figures:
        """Kill the client in the middle, and run the same command again."""
        return self._cost(self._command, self._kill_client)

    def _cost(self, run: Callable[[Any], None], fault: Callable[..., None]) -> Figures:
        return _less(self._timed(partial(run, fault)), self._timed(partial(run, None)))

    def _timed(self, run: Callable[[], None]) -> Figures:
        if self.client is not None:
            self.client.wait_for_workers(2, timeout=_PATIENCE_SECONDS)
        before, begun = len(read_log(self.folder)), time.perf_counter()
        run()
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "blocks": repeated(read_log(self.folder)[before:])}

    def _job(self, fault: Callable[[], None] | None) -> None:
        """Run the job in this process, on the workers."""
        left = [] if fault is None else [fault]

        def strike(progress: Progress) -> None:
            if left and progress.stage == STAGES[1] and 2 * progress.done >= progress.total:
                left.pop()()

        root = f"run-{next(self.names)}"
        place = Place(str(self.folder / root))
        if self.proxy is not None:
            where = f"s3://runs/{root}?endpoint={self.proxy.url}"
            place = Place(where, OpenOptions(patience=PATIENCE))
        compute(JobEngine(place, self.client, on_progress=strike), self.folder)

    def _kill_a_worker(self) -> None:
        pids = sorted(self.client.run(os.getpid).values())
        os.kill(pids[0], 9)

    def _replace_a_nanny(self) -> None:
        self.processes.kill([self.nannies.pop(0)])
        self.nannies.append(start_nanny(self.processes, self.address))

    def _command(self, fault: Callable[[Any, int], None] | None) -> None:
        """Run the job as a command of its own, and again where it was killed."""
        begun, root = len(read_log(self.folder)), str(self.folder / f"run-{next(self.names)}")
        process = self.processes.start(_CLIENT, root, str(self.folder))
        if fault is not None:
            fault(process, begun)
            process = self.processes.start(_CLIENT, root, str(self.folder))
        if process.wait(_PATIENCE_SECONDS):
            said = self.processes.said(process)[-500:]
            raise RuntimeError(f"the client ended with {process.returncode}: {said}")

    def _kill_client(self, process: Any, begun: int) -> None:
        def in_the_middle() -> bool:
            rows = read_log(self.folder)[begun:]
            return sum(row.stage == STAGES[1] for row in rows) >= 32 or process.poll() is not None

        wait_until(in_the_middle, seconds=_PATIENCE_SECONDS)
        self.processes.kill([process])
        process.wait(_PATIENCE_SECONDS)


def _less(disturbed: Figures, calm: Figures) -> Figures:
    return {name: disturbed[name] - calm[name] for name in disturbed}


@contextmanager
def _site() -> Iterator[Site]:
    """Store the input; what is started writes its log beside it."""
    before = dict(os.environ)
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        folder = Path(name)
        make_input(folder)
        os.environ[VARIABLE] = name
        processes = Processes(folder, {})
        try:
            yield Site(folder, processes)
        finally:
            processes.end_all()
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def _workers() -> Iterator[Site]:
    with _site() as site, local_client(2) as client:
        yield Site(site.folder, site.processes, client)


@contextmanager
def _nannies() -> Iterator[Site]:
    with ExitStack() as stack:
        site = stack.enter_context(_site())
        address, nannies = start_cluster(site.processes)
        client = stack.enter_context(connected_client(address))
        yield Site(site.folder, site.processes, client, nannies, address)


@contextmanager
def _storage() -> Iterator[Site]:
    with ExitStack() as stack:
        site = stack.enter_context(_site())
        server = stack.enter_context(S3Server())
        proxy = stack.enter_context(FaultProxy(server.endpoint, seed=0))
        os.environ.update(server.environment())
        server.bucket("runs")
        client = stack.enter_context(local_client(2))
        yield Site(site.folder, site.processes, client, proxy=proxy)
