"""Plan: what a pipeline will read, compute and write, by arithmetic and before it begins.

Domains are products of three axes, and so are all counts: a petavoxel costs as little as a cube.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from volkit.geometry import Coord, Grid

GIB = 1024**3
_ADDED = (
    "blocks",
    "voxels",
    "voxels_read",
    "bytes_read",
    "bytes_written",
    "passes",
    "least_passes",
    "requests",
    "bytes_spilled",
    "skipped",
)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage will do.

    Parameters
    ----------
    name : str
        Of the stage, as its ledger is called.
    blocks : int
        Pieces of work; 0 where they are known only when the stages before are finished.
    voxels : int
        Voxels that it decides.
    voxels_read : int
        Voxels that its blocks read from one input, halos included.
    bytes_read, bytes_written : int
        Of all inputs and the output, before compression.
    memory_bytes : int
        That a worker will need at most, projected.
    passes, least_passes : int
        Times that a network is applied to a window, and how many windows there are.
    requests : int
        Boxes that the store is asked for; 0 where nobody counts.
    bytes_spilled : int
        That blocks hand to each other through scratch, at the least.
    skipped : int
        Windows that masks and boxes leave out; empty cells are known when they are mapped.
    needs_gpu : bool
        Whether it runs on GPU workers, where there are some.
    """

    name: str
    blocks: int
    voxels: int
    voxels_read: int
    bytes_read: int
    bytes_written: int
    memory_bytes: int
    passes: int = 0
    least_passes: int = 0
    requests: int = 0
    bytes_spilled: int = 0
    skipped: int = 0
    needs_gpu: bool = False

    @property
    def read_per_written(self) -> float:
        """Voxels read per voxel decided: 1 without halos, or where neither is known."""
        return self.voxels_read / self.voxels if self.voxels else 1.0

    @property
    def passes_over_least(self) -> float | None:
        """Network passes over the fewest possible; None for stages without a network."""
        return self.passes / self.least_passes if self.least_passes else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pipeline will do.

    Parameters
    ----------
    grid : Grid
        Domain and blocks.
    stages : tuple of StagePlan
        In their order.
    workers : int
        Processes; 0 where a scheduler that is running already decides.
    memory_bytes : int or None
        What each of them may use; None where nobody knows.
    conflicts : tuple of str
        Volumes of an earlier run that stand in the way, unless they are replaced.
    advice : tuple of str
        What is to be known: windows that are padded, and what would cost less.
    lighter : str
        The key to make smaller where memory is short; empty where there is none.
    """

    grid: Grid
    stages: tuple[StagePlan, ...]
    workers: int
    memory_bytes: int | None
    conflicts: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    lighter: str = "block_shape"

    @property
    def worst(self) -> StagePlan:
        """The stage that needs most memory."""
        return max(self.stages, key=lambda stage: stage.memory_bytes)

    def problems(self, *, replace: bool = False) -> list[str]:
        """Say why the plan cannot be carried out; empty where it can.

        Parameters
        ----------
        replace : bool
            Whether what is stale will be replaced.
        """
        found = [] if replace else list(self.conflicts)
        if self.memory_bytes is not None and self.worst.memory_bytes > self.memory_bytes:
            blocks = f" for blocks of {self.grid.block_shape}"
            smaller = f"a smaller {self.lighter}, or " if self.lighter else ""
            found.append(
                f"stage {self.worst.name} needs {self.worst.memory_bytes / GIB:.2f} GiB per worker"
                f"{blocks if self.lighter == 'block_shape' else ''}, there are "
                f"{self.memory_bytes / GIB:.2f} GiB; choose {smaller}fewer cluster.workers"
            )
        return found


def added_up(name: str, parts: Sequence[StagePlan]) -> StagePlan:
    """Add stages of several volumes up; a worker holds one block at a time.

    Parameters
    ----------
    name : str
        Of the sum.
    parts : sequence of StagePlan
        At least one.

    Returns
    -------
    StagePlan
    """
    sums = {key: sum(getattr(part, key) for part in parts) for key in _ADDED}
    most = max(part.memory_bytes for part in parts)
    return replace(parts[0], name=name, memory_bytes=most, **sums)


def block_read_shape(grid: Grid) -> Coord:
    """Find the extent of what a block in the middle of the domain reads."""
    z, y, x = (
        min(n, min(b, n) + 2 * h)
        for n, b, h in zip(grid.domain.shape, grid.block_shape, grid.halo, strict=True)
    )
    return z, y, x
