"""Cases of the engine bench about more workers, changed parameters and killed workers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, wall_seconds
from volkit.engine.base import Progress
from volkit.engine.cluster import local_client
from volkit.engine.dispatch import Outcome, dispatch
from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.op import Op
from volkit.geometry import Block, Box, Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume

_TURNS = 200_000  # of a loop that takes some ten milliseconds
_BLOCK = (8, 8, 8)
_STAGES = ("first", "second", "last")


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    blocks, side = (60, 5) if quick else (400, 10)
    yield Case(
        f"{blocks} blocks that compute, 2 workers / 1 worker, for each",
        ours=lambda clusters: clusters.two.run(blocks),
        peer=lambda clusters: clusters.one.run(blocks),
        setup=_clusters,
        measure=wall_seconds,
        value=lambda two, one: one / two / 2,
        unit="of 1",
        target=0.9,
        agree=lambda two, one: bool(two == one == blocks),
    )
    yield Case(
        f"last of 3 stages anew, {side**3} blocks / all of them",
        ours=Chain.change_last,
        peer=Chain.run_new,
        setup=partial(_chain, side),
        measure=wall_seconds,
        value=lambda changed, full: changed / full,
        unit="of a run",
        target=0.5,
        better="lower",
        agree=lambda changed, full: (
            changed == {"last": side**3} and full == dict.fromkeys(_STAGES, side**3)
        ),
    )
    yield Case(
        f"{blocks} blocks that compute, one of 2 workers killed / none",
        ours=lambda workers: workers.run(blocks, kill_after=blocks // 3),
        peer=lambda workers: workers.run(blocks),
        setup=partial(_workers, 2),
        measure=wall_seconds,
        value=lambda killed, none: killed - none,
        unit="s more",
        target=10,
        better="lower",
        agree=lambda killed, none: bool(killed == none == blocks),
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

    def run(self, blocks: int, *, kill_after: int | None = None) -> int:
        """Compute blocks into a new ledger.

        Parameters
        ----------
        blocks : int
            How many.
        kill_after : int, optional
            When so many are finished, a worker is killed.

        Returns
        -------
        int
            Blocks that the ledger counts.
        """
        client, done, alive = self.client, 0, kill_after is not None
        client.wait_for_workers(len(client.cluster.worker_spec))
        ledger = Ledger.open(self.folder / f"{next(self.names)}.ledger", {}, blocks)
        pids = sorted(client.run(os.getpid).values())

        def receive(outcome: Outcome) -> None:
            nonlocal done, alive
            ledger.mark(outcome.numbers, outcome.seconds, outcome.checks)
            done += len(outcome.numbers)
            if alive and kill_after is not None and done >= kill_after:
                alive = False
                os.kill(pids[0], signal.SIGKILL)

        dispatch(compute, iter(range(blocks)), client=client, receive=receive)
        return ledger.count()


@dataclass(frozen=True, slots=True)
class Clusters:
    """One worker, and two beside."""

    one: Workers
    two: Workers


def _add(block: Block, values: NDArray[Any], *, amount: int) -> NDArray[Any]:
    return values + np.uint8(amount)


@dataclass(frozen=True, slots=True)
class Chain:
    """Three stages, one after another, in this process.

    Parameters
    ----------
    folder : Path
        For runs.
    source : Volume
        What they begin with.
    grid : Grid
        In which blocks.
    numbers : iterator of int
        Fresh names and parameters.
    """

    folder: Path
    source: Volume
    grid: Grid
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run_new(self) -> dict[str, int]:
        """Run all stages into a new folder.

        Returns
        -------
        dict of str to int
            Blocks that were computed in each stage.
        """
        return self.run(self.folder / f"run-{next(self.numbers)}", last=0)

    def change_last(self) -> dict[str, int]:
        """Give the last stage of a finished run another parameter.

        Returns
        -------
        dict of str to int
            Blocks that were computed, in the stages where there were some.
        """
        return self.run(self.folder / "finished", last=next(self.numbers) % 250 + 1)

    def run(self, folder: Path, *, last: int) -> dict[str, int]:
        """Run the stages, and count what is computed."""
        computed: dict[str, int] = {}

        def note(progress: Progress) -> None:
            if progress.done > progress.resumed:
                computed[progress.stage] = progress.done - progress.resumed

        engine = JobEngine(folder, on_progress=note, replace_stale=True)
        values: Any = self.source
        for name, amount in zip(_STAGES, (1, 2, last), strict=True):
            op = Op(_add, np.uint8, params={"amount": amount})
            values = engine.map(op, values, grid=self.grid, name=name)
        return computed


@contextmanager
def _workers(workers: int) -> Iterator[Workers]:
    with (
        TemporaryDirectory(prefix="volkit-bench-") as name,
        local_client(workers) as client,
    ):
        yield Workers(client, Path(name))


@contextmanager
def _clusters() -> Iterator[Clusters]:
    with _workers(1) as one, _workers(2) as two:
        yield Clusters(one, two)


@contextmanager
def _chain(side: int) -> Iterator[Chain]:
    grid = Grid(Box.from_shape([side * n for n in _BLOCK]), _BLOCK)
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        source = create_volume(
            str(Path(name) / "source.zarr"),
            shape=grid.domain.shape,
            dtype=np.uint8,
            chunk_shape=_BLOCK,
        )
        source.write(grid.domain, np.zeros(grid.domain.shape, np.uint8))
        chain = Chain(Path(name), source, grid)
        chain.run(Path(name) / "finished", last=0)
        yield chain
