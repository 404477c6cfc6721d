"""Samples of a task: the boxes that each is made of, own region only or as published."""

from collections.abc import Iterator
from dataclasses import dataclass

from volkit.datasets.task_file import Range, Split, Task
from volkit.errors import GeometryError
from volkit.geometry import Box


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample.

    Parameters
    ----------
    region : str
        In which it begins.
    pieces : tuple of (str, Box)
        What it is made of, stacked along z: one box, but for the straddling ones of the published
        code, which go on in the next region.
    """

    region: str
    pieces: tuple[tuple[str, Box], ...]

    @property
    def sections(self) -> int:
        """Sections it holds."""
        return sum(box.shape[0] for _, box in self.pieces)


def task_samples(task: Task, split: Split, *, compat: bool = False) -> tuple[Sample, ...]:
    """List the samples of a split: by region, then z, y, x.

    Parameters
    ----------
    task : Task
        What is asked.
    split : {'train', 'val', 'test'}
        Which sections.
    compat : bool
        As the published code does it: regions are stacked along z and a sample begins every
        ``depth`` sections of a region, so that its last one goes on in the next region, and the
        very last one ends where the stack does.  Else a region holds as many samples as fit.

    Returns
    -------
    tuple of Sample

    Raises
    ------
    GeometryError
        If there is none.

    Examples
    --------
    >>> task = Task("i", "l", {"a": ((0, 4), (0, 4)), "b": ((4, 8), (0, 4))}, {"val": (0, 5)},
    ...             (4, 4), depth=2)
    >>> [sample.sections for sample in task_samples(task, "val")]
    [2, 2, 2, 2]
    >>> [sample.sections for sample in task_samples(task, "val", compat=True)]
    [2, 2, 2, 2, 2, 1]
    """
    first, stop = task.box(next(iter(task.regions)), split), task.splits[split]
    length = stop[1] - stop[0]
    step = task.depth
    starts = range(0, length, step) if compat else range(0, length - step + 1, step)
    found = []
    names = list(task.regions)
    for number, name in enumerate(names):
        # The published loader takes the tiles of the first region for all.
        whole = first if compat else task.box(name, split)
        for z in starts:
            for y in _tiles(whole.shape[1], task.tile[0]):
                for x in _tiles(whole.shape[2], task.tile[1]):
                    pieces = tuple(_pieces(task, split, names[number:], z, (y, x)))
                    found.append(Sample(name, pieces))
    if not found:
        raise GeometryError(
            f"no region of {split} holds a sample of {task.depth} sections of {task.tile}; its "
            f"sections are {stop}: give a smaller volume_z or tile_size"
        )
    return tuple(found)


def _tiles(extent: int, tile: int) -> range:
    return range(0, extent - tile + 1, tile)


def _pieces(
    task: Task, split: Split, names: list[str], z: int, at: Range
) -> Iterator[tuple[str, Box]]:
    """Cut a sample out of the regions stacked from the first on."""
    wanted = task.depth
    for name in names:
        box = task.box(name, split)
        start = (box.start[0] + z, box.start[1] + at[0], box.start[2] + at[1])
        have = min(wanted, box.stop[0] - start[0])
        yield name, Box.from_shape((have, *task.tile), start)
        wanted, z = wanted - have, 0
        if not wanted:
            return
