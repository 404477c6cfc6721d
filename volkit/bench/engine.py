"""What the engine adds to the work itself, how it takes many blocks, and what troubles cost."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench import engine_costs, fault_costs, many_blocks, scaling
from volkit.bench.harness import Case, peak_megabytes, wall_seconds
from volkit.bench.many_blocks import Batched
from volkit.engine.cluster import local_client
from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.map_task import MapTask
from volkit.engine.op import Op
from volkit.engine.task_batch import run_batch
from volkit.geometry import Block, Box, Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume

_BLOCK = (16, 16, 16)  # so small that reading and writing, which both sides do, hide little
_WORKERS = 2
_MANY = 100  # blocks on an axis: a million


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench engine``."""
    side = 6 if quick else 12
    yield Case(
        f"job of {side**3} copies, {_WORKERS} workers / bare client.map of the same batches",
        ours=Site.run_job,
        peer=Site.run_bare,
        setup=partial(_site, side),
        measure=wall_seconds,
        value=lambda ours, peer: (ours - peer) / side**3 * 1e3,
        unit="ms more per block",
        target=2,
        better="lower",
        agree=lambda ours, bare: np.array_equal(ours.read(), bare.read()),
    )
    yield from _planning()
    yield from many_blocks.cases(quick=quick)
    yield from scaling.cases(quick=quick)
    yield from engine_costs.cases(quick=quick)
    yield from fault_costs.cases(quick=quick)


def _planning() -> Iterator[Case]:
    """Yield the cases in which nothing is computed."""
    yield Case(
        "planning of 10^6 blocks",
        ours=_plan,
        setup=partial(_ledger, _MANY, done=0),
        measure=wall_seconds,
        unit="s",
        target=5,
        better="lower",
    )
    yield Case(
        "planning of 10^6 blocks, memory",
        ours=_plan,
        setup=partial(_ledger, _MANY, done=0),
        measure=peak_megabytes,
        unit="MB",
        target=1000,
        better="lower",
    )
    yield Case(
        "checking 10^5 finished blocks of 10^6",
        ours=lambda plan: plan.open().count(),
        setup=partial(_ledger, _MANY, done=10**5),
        measure=wall_seconds,
        unit="s",
        target=1,
        better="lower",
    )


def _copy(block: Block, values: NDArray[Any]) -> NDArray[Any]:
    return values


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster, a source and a place for results.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster on this machine.
    folder : Path
        For results; every run makes a new one.
    source : Volume
        What is copied.
    grid : Grid
        In which blocks.
    batches : list of int
        Sizes of the batches of the last job, in order.
    names : iterator of int
        Fresh names.
    """

    client: Any
    folder: Path
    source: Volume
    grid: Grid
    batches: list[int]
    names: Iterator[int]

    @property
    def op(self) -> Op:
        """What is applied."""
        return Op(_copy, self.source.dtype)

    def run_job(self) -> Volume:
        """Copy as a job, and note how its blocks were batched."""
        client = Batched(self.client)
        engine = JobEngine(self.folder / f"job-{next(self.names)}", client)
        copied = engine.map(self.op, self.source, grid=self.grid, name="copy")
        self.batches[:] = client.sizes
        return copied

    def run_bare(self) -> Volume:
        """Copy the same batches without engine: no ledger, no window of futures, no checks."""
        like, grid = self.source, self.grid
        target = create_volume(
            str(self.folder / f"bare-{next(self.names)}.zarr"),
            shape=like.shape,
            dtype=like.dtype,
            chunk_shape=grid.block_shape,
        )
        task = MapTask(self.op, grid, (like,), (), target)
        numbers = list(grid.morton())
        ends = list(accumulate(self.batches))
        parts = [numbers[end - n : end] for end, n in zip(ends, self.batches, strict=True)]
        futures = self.client.map(partial(run_batch, task), parts, pure=False)
        outcomes = self.client.gather(futures)
        for outcome in outcomes:
            for failure in outcome.failures:
                raise failure.error
        return target


@contextmanager
def _site(side: int) -> Iterator[Site]:
    grid = Grid(Box.from_shape([side * n for n in _BLOCK]), _BLOCK)
    with TemporaryDirectory(prefix="volkit-bench-") as name, local_client(_WORKERS) as client:
        source = create_volume(
            str(Path(name) / "source.zarr"),
            shape=grid.domain.shape,
            dtype=np.uint8,
            chunk_shape=_BLOCK,
        )
        source.write(
            grid.domain, np.random.default_rng(0).integers(0, 255, grid.domain.shape, "u1")
        )
        yield Site(client, Path(name), source, grid, [], count())


@dataclass(frozen=True, slots=True)
class Plan:
    """The ledger of a job on a grid."""

    folder: Path
    grid: Grid

    def open(self) -> Ledger:
        """Open it as a job that begins or resumes does."""
        return Ledger.open(self.folder, {"bench": "planning"}, len(self.grid))


@contextmanager
def _ledger(side: int, *, done: int) -> Iterator[Plan]:
    grid = Grid(Box.from_shape([side * n for n in _BLOCK]), _BLOCK)
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        plan = Plan(Path(name) / "plan.ledger", grid)
        if done:
            plan.open().mark(range(done), [1.0] * done)
        yield plan


def _plan(plan: Plan) -> None:
    """Do what a job does before and between its tasks: find, in order, what is missing."""
    finished = plan.open().done()
    deque(plan.grid.morton_missing(finished), maxlen=0)
