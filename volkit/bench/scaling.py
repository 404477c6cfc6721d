"""Cases of the engine bench about two workers instead of one, beside processes without an engine.

Two busy processors are rarely twice one: they share caches, clocks and whatever else runs.  What
two bare processes get out of them with the same blocks, in the same rounds, is what can be had.
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from volkit.bench.harness import Case, told, wall_seconds
from volkit.bench.rounds import Figures, Rounds
from volkit.engine.cluster import local_client
from volkit.engine.dispatch import dispatch
from volkit.engine.ledger import Ledger
from volkit.engine.roster import note_backlog
from volkit.engine.task_batch import Outcome

_TURNS = 200_000  # of a loop that takes some ten milliseconds


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    blocks, rounds = 60 if quick else 400, Rounds()
    what = f"{blocks} blocks that compute"
    yield Case(
        f"{what}, 2 workers / 2 bare processes",
        ours=rounds.measured("honest", lambda site: site.figures(blocks)),
        setup=_site,
        measure=told,
        unit="of their speed",
        target=0.9,
    )
    yield Case(
        f"{what}, 2 workers / 1 worker, for each",
        ours=rounds.read("workers"),
        measure=told,
        unit="of 1",
        target=0.9,
    )
    yield Case(
        f"{what}, 2 bare processes / 1, for each",
        ours=rounds.read("bare"),
        measure=told,
        unit="of 1",
    )


def compute(number: int) -> int:
    """Keep a processor busy for a block."""
    value = number
    for turn in range(_TURNS):
        value = (value * 31 + turn) & 0xFFFF
    return value


@dataclass(frozen=True, slots=True)
class Workers:
    """A cluster on which blocks compute.

    Parameters
    ----------
    client : distributed.Client
        Of workers on this machine.
    folder : Path
        For ledgers.
    names : iterator of int
        Fresh names.
    """

    client: Any
    folder: Path
    names: Iterator[int] = field(default_factory=count)

    def run(self, blocks: int) -> int:
        """Compute blocks into a new ledger.

        Returns
        -------
        int
            Blocks that it counts.
        """
        self.client.wait_for_workers(len(self.client.cluster.worker_spec))
        ledger, left = Ledger.open(self.folder / f"{next(self.names)}.ledger", {}, blocks), blocks

        def receive(outcome: Outcome) -> None:
            nonlocal left
            ledger.mark(outcome.numbers, outcome.seconds, outcome.checks)
            left -= len(outcome.numbers)
            note_backlog(self.client, compute, left)

        note_backlog(self.client, compute, left)
        dispatch(compute, iter(range(blocks)), client=self.client, receive=receive)
        return ledger.count()


@dataclass(frozen=True, slots=True)
class Bare:
    """Processes that take the next block from a counter, and do nothing else.

    Parameters
    ----------
    pipes : list of Connection
        To each of them.
    following : multiprocessing.Value
        Number of the next block.
    """

    pipes: list[Connection]
    following: Any

    def run(self, blocks: int, *, processes: int) -> int:
        """Compute blocks on some of the processes.

        Returns
        -------
        int
            Blocks that they did.
        """
        self.following.value = 0
        chosen = self.pipes[:processes]
        for pipe in chosen:
            pipe.send(blocks)
        return sum(pipe.recv() for pipe in chosen)


@dataclass(frozen=True, slots=True)
class Site:
    """One worker, two workers, and two bare processes."""

    one: Workers
    two: Workers
    bare: Bare

    def figures(self, blocks: int) -> Figures:
        """Measure each of them in turn.

        Returns
        -------
        dict of str to float
            ``honest``: speed of two workers over that of two bare processes; ``workers`` and
            ``bare``: speed of two over twice the speed of one.
        """
        one = wall_seconds(lambda: self.one.run(blocks))
        bare_one = wall_seconds(lambda: self.bare.run(blocks, processes=1))
        two = wall_seconds(lambda: self.two.run(blocks))
        bare_two = wall_seconds(lambda: self.bare.run(blocks, processes=2))
        return {
            "honest": bare_two / two,
            "workers": one / two / 2,
            "bare": bare_one / bare_two / 2,
        }


def _take_blocks(pipe: Connection, following: Any) -> None:
    """Compute blocks as often as told how many there are; end when told 0."""
    while blocks := pipe.recv():
        done = 0
        while (number := _next(following)) < blocks:
            compute(number)
            done += 1
        pipe.send(done)


def _next(following: Any) -> int:
    with following.get_lock():
        following.value += 1
        return int(following.value) - 1


@contextmanager
def _site() -> Iterator[Site]:
    with _workers(1) as one, _workers(2) as two, _bare(2) as bare:
        bare.run(8, processes=2)  # they have started
        yield Site(one, two, bare)


@contextmanager
def _workers(workers: int) -> Iterator[Workers]:
    with (
        TemporaryDirectory(prefix="volkit-bench-") as name,
        local_client(workers) as client,
    ):
        yield Workers(client, Path(name))


@contextmanager
def _bare(processes: int) -> Iterator[Bare]:
    context = multiprocessing.get_context("spawn")
    following, ends = context.Value("q", 0), [context.Pipe() for _ in range(processes)]
    started = [
        context.Process(target=_take_blocks, args=(theirs, following), daemon=True)
        for _, theirs in ends
    ]
    for process in started:
        process.start()
    try:
        yield Bare([ours for ours, _ in ends], following)
    finally:
        for ours, _ in ends:
            ours.send(0)
        for process in started:
            process.join()
