"""The protocol that both engines keep, and what they tell while they work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from volkit.engine.op import Op, Reduction
from volkit.geometry import Grid


class Engine(Protocol):
    """Where and how kernels run.

    ``LazyEngine`` gives dask arrays and computes nothing; ``JobEngine`` gives stored Volumes and
    resumes.
    """

    def map(self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()) -> Any:
        """Apply an Op to every block: a dask array or a Volume over ``grid.domain``."""

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Add up a table over all blocks: a Delayed or the value."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is.

    Parameters
    ----------
    stage : str
        Its name.
    done, total : int
        Blocks.
    voxels : int
        Voxels in the finished blocks.
    resumed : int
        Blocks that were finished before this run.
    seconds : float
        Since this run began the stage.
    voxel_bytes : int
        Bytes of a voxel, where a stage moves them; 0 where voxels are what counts.
    """

    stage: str
    done: int
    total: int
    voxels: int
    resumed: int
    seconds: float
    voxel_bytes: int = 0

    @property
    def voxels_per_second(self) -> float:
        """Throughput of this run, voxels per second."""
        fresh = self.done - self.resumed
        share = fresh / self.done if self.done else 0.0
        return self.voxels * share / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left at the pace of this run; None before its first block."""
        fresh = self.done - self.resumed
        return (self.total - self.done) * self.seconds / fresh if fresh else None


OnProgress = Callable[[Progress], None]
