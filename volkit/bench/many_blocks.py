"""Cases of the engine bench in which blocks are many: plans, queues and ledgers, not voxels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, told, wall_seconds
from volkit.engine.cluster import local_client
from volkit.engine.dispatch import dispatch
from volkit.engine.ledger import Ledger
from volkit.engine.op import Op
from volkit.engine.task_batch import Outcome, run_batch
from volkit.geometry import Block, Box, Grid
from volkit.pipelines.planning import PlanEngine

_SIDE = 464  # blocks on an axis: 10^8, nearly
_BLOCK, _HALO = 256, 16
_WORKERS = 2
_LIMIT_MB = 1000
_STEP = 20_000  # blocks of a ledger that is filled; as jobs do it, in many additions


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases with many blocks."""
    blocks = 50_000 if quick else 10**6
    yield Case(
        f"planning of {_SIDE**3:.1e} blocks",
        ours=partial(plan, _SIDE),
        setup=_folder,
        measure=wall_seconds,
        unit="s",
        target=5,
        better="lower",
    )
    yield Case(
        f"{blocks:.0e} empty blocks and their ledger / bare client.map of the same batches",
        ours=partial(Empty.run, blocks=blocks),
        peer=Empty.run_bare,
        setup=_empty,
        measure=wall_seconds,
        value=lambda ours, peer: ours / peer,
        target=1.1,
        better="lower",
        agree=lambda ours, peer: bool(ours == peer == blocks),
    )
    yield Case(
        f"{blocks:.0e} empty blocks, memory of client and scheduler",
        ours=lambda megabytes: megabytes,
        setup=partial(_memory, blocks),
        measure=told,
        unit="MB",
        target=_LIMIT_MB,
        better="lower",
    )
    yield Case(
        f"resuming {blocks:.0e} finished blocks",
        ours=partial(resume, blocks=blocks),
        setup=partial(_finished, blocks),
        measure=wall_seconds,
        unit="s",
        target=5,
        better="lower",
    )


def _same(block: Block, values: NDArray[Any]) -> NDArray[Any]:
    return values


def plan(side: int, folder: Path) -> int:
    """Plan a stage, open its ledger, and find its first block, as a job does that begins.

    Returns
    -------
    int
        Blocks that are to be done.
    """
    grid = Grid(Box.from_shape((side * _BLOCK,) * 3), (_BLOCK,) * 3)
    source = da.zeros(grid.domain.shape, chunks=grid.domain.shape, dtype=np.uint8)
    engine = PlanEngine({}, 0)
    engine.map(Op(_same, np.uint8, halo=(_HALO,) * 3), source, grid=grid, name="plan")
    ledger = Ledger.open(folder / "plan.ledger", {"bench": "plan"}, engine.stages[0].blocks)
    done = ledger.done()
    next(grid.morton_missing(done))
    return ledger.total - int(np.count_nonzero(done))


def resume(ledger_folder: Path, *, blocks: int) -> int:
    """Open a ledger whose blocks are finished, and look for what is missing, as a job does.

    Returns
    -------
    int
        How many are missing.
    """
    ledger = Ledger.open(ledger_folder, {"bench": "resume"}, blocks)
    done = ledger.done()
    grid = Grid(Box.from_shape((1, 1000, -(-blocks // 1000))), (1, 1, 1))
    there = np.pad(done, (0, len(grid) - blocks), constant_values=True)  # the last row is longer
    missing = sum(1 for _ in grid.morton_missing(there))
    return max(missing, ledger.total - ledger.count())


def no_work(number: int) -> None:
    """Do nothing for a block."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Batched:
    """A client that notes how blocks are batched.

    Parameters
    ----------
    client : distributed.Client
        That does the work.
    sizes : list of int
        Of the batches, in order.
    """

    client: Any
    sizes: list[int] = field(default_factory=list)

    def map(self, function: Any, numbers: list[list[int]], **options: Any) -> Any:
        """Submit batches."""
        self.sizes.extend(map(len, numbers))
        return self.client.map(function, numbers, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


@dataclass(frozen=True, slots=True)
class Empty:
    """A cluster that does blocks in which there is nothing to do.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster on this machine, whose scheduler is in this process.
    folder : Path
        For ledgers.
    batches : list of int
        Sizes of the batches of the last run.
    names : iterator of int
        Fresh names.
    most : list of float
        Most memory seen, 10^6 bytes.
    """

    client: Any
    folder: Path
    batches: list[int] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=count)
    most: list[float] = field(default_factory=lambda: [0.0])

    def run(self, blocks: int) -> int:
        """Do blocks as the engine does, into a ledger.

        Returns
        -------
        int
            Blocks that it counts as finished.
        """
        import psutil

        process, client = psutil.Process(), Batched(self.client)
        ledger = Ledger.open(self.folder / f"{next(self.names)}.ledger", {}, blocks)

        def receive(outcome: Outcome) -> None:
            ledger.mark(outcome.numbers, outcome.seconds, outcome.checks)
            self.most[0] = max(self.most[0], process.memory_info().rss / 1e6)

        dispatch(no_work, iter(range(blocks)), client=client, receive=receive)
        self.batches[:] = client.sizes
        return ledger.count()

    def run_bare(self) -> int:
        """Do the same batches with nothing around them.

        Returns
        -------
        int
            Blocks that came back.
        """
        ends = list(accumulate(self.batches))
        parts = [list(range(end - n, end)) for end, n in zip(ends, self.batches, strict=True)]
        futures = self.client.map(partial(run_batch, no_work), parts, pure=False)
        return sum(len(outcome.numbers) for outcome in self.client.gather(futures))


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        yield Path(name)


@contextmanager
def _empty() -> Iterator[Empty]:
    with _folder() as folder, local_client(_WORKERS) as client:
        yield Empty(client, folder)


@contextmanager
def _memory(blocks: int) -> Iterator[float]:
    with _empty() as empty:
        empty.run(blocks)
        yield empty.most[0]


@contextmanager
def _finished(blocks: int) -> Iterator[Path]:
    with _folder() as folder:
        path = folder / "resume.ledger"
        ledger = Ledger.open(path, {"bench": "resume"}, blocks)
        for first in range(0, blocks, _STEP):
            numbers = range(first, min(first + _STEP, blocks))
            ledger.mark(numbers, np.ones(len(numbers)), np.ones(len(numbers)))  # type: ignore[arg-type]
        yield path
