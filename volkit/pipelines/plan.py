"""Plan: what a pipeline will read, compute and write, by arithmetic and before it begins.

Domains are products of three axes, and so are all counts: a petavoxel costs as little as a cube.
"""

from collections.abc import Callable
from dataclasses import dataclass

from volkit.geometry import Block, Coord, Grid, Windows

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage will do.

    Parameters
    ----------
    name : str
        Of the stage, as its ledger is called.
    blocks : int
        Pieces of work.
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

    @property
    def read_per_written(self) -> float:
        """Voxels read per voxel decided: 1 without halos."""
        return self.voxels_read / self.voxels

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
    """

    grid: Grid
    stages: tuple[StagePlan, ...]
    workers: int
    memory_bytes: int | None
    conflicts: tuple[str, ...] = ()

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
            found.append(
                f"stage {self.worst.name} needs {self.worst.memory_bytes / GIB:.2f} GiB per worker "
                f"for blocks of {self.grid.block_shape}, there are {self.memory_bytes / GIB:.2f} "
                "GiB; choose a smaller block_shape, or fewer cluster.workers"
            )
        return found


def voxels_read(grid: Grid) -> int:
    """Count the voxels that all blocks read, halos included.

    Parameters
    ----------
    grid : Grid
        With its halo.

    Returns
    -------
    int
        Exactly, from one row of blocks along each axis.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> voxels_read(Grid(Box.from_shape((4, 4, 8)), (4, 4, 4), halo=(1, 1, 1)))
    160
    """
    return _over_blocks(grid, lambda block: block.read.size)


def network_passes(windows: Windows, grid: Grid) -> int:
    """Count the windows that all blocks evaluate, those on seams once for every block they meet.

    Parameters
    ----------
    windows : Windows
        The lattice of the domain.
    grid : Grid
        The blocks.

    Returns
    -------
    int
        At least ``len(windows)``.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> windows = Windows(Box.from_shape((4, 4, 8)), (4, 4, 4), (4, 4, 2))
    >>> len(windows), network_passes(windows, Grid(windows.domain, (4, 4, 4)))
    (3, 4)
    """
    return _over_blocks(grid, lambda block: windows.count_touching(block.write))


def block_read_shape(grid: Grid) -> Coord:
    """Find the extent of what a block in the middle of the domain reads."""
    z, y, x = (
        min(n, min(b, n) + 2 * h)
        for n, b, h in zip(grid.domain.shape, grid.block_shape, grid.halo, strict=True)
    )
    return z, y, x


def _over_blocks(grid: Grid, count: Callable[[Block], int]) -> int:
    """Add up a count that is a product of one factor per axis, over all blocks."""
    first = count(grid.block((0, 0, 0)))
    total = 1
    for axis, length in enumerate(grid.shape):
        total *= sum(count(grid.block(_on_axis(axis, i))) for i in range(length))
    # Every row carried the other two axes' factors of the first block along.
    return total // first**2


def _on_axis(axis: int, i: int) -> Coord:
    z, y, x = (i if a == axis else 0 for a in range(3))
    return z, y, x
