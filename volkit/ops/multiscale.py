"""Multiscale: the coarser levels of a stored volume, block by block and resumable.

Level n is made from level n - 1, as igneous and ome-zarr do: of means, rounded at each level, and
of most frequent ids.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.engine.attendance import attended
from volkit.engine.base import OnProgress
from volkit.engine.fingerprint import Facts
from volkit.engine.lock_record import FOLDER as LOCK
from volkit.engine.run import Run
from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box, Coord, Grid
from volkit.io.labels import holds_labels
from volkit.io.levels import LevelStore, Made, NewLevel, no_levels
from volkit.io.place import Place
from volkit.io.precomputed.levels import PrecomputedLevels
from volkit.io.precomputed.source import open_precomputed
from volkit.io.registry import find_opener, forget_opened
from volkit.io.volume import Volume
from volkit.io.zarr.levels import ZarrLevels
from volkit.io.zarr.source import open_zarr
from volkit.kernels.downsample import downsampled_box, mean, mode
from volkit.ops.level_plan import (
    block_shape,
    finer_box,
    level_factors,
    piece_shape,
)
from volkit.version import __version__

Array = NDArray[Any]
Method = Literal["auto", "mean", "mode"]

_KERNELS = {"mean": mean, "mode": mode}
_VERSION = 1  # to be raised when results change
_REPLACING = "replacing.json"


def pyramid(
    volume: Volume,
    *,
    method: Method = "auto",
    levels: int | None = None,
    factors: Coord | Sequence[Coord] | None = None,
    root: Place | str | None = None,
    client: Any = None,
    on_progress: OnProgress | None = None,
    replace_levels: bool = False,
) -> Volume:
    """Build the coarser levels of a stored volume, into the volume itself.

    A level is listed once it is finished; killed at any moment, the same call goes on from there.
    Levels that are there and were made likewise are kept, also if voxels of level 0 changed since.

    Parameters
    ----------
    volume : Volume
        OME-Zarr 0.5 or precomputed, the whole of it, at level 0.
    method : {"auto", "mean", "mode"}
        How voxels become one; ``auto`` takes the most frequent id (mode) of labels, and the mean
        of all else; see ``holds_labels``.
    levels : int or None
        How many the volume shall have, level 0 included; None goes on until no axis is longer
        than 256 voxels.
    factors : tuple of int, sequence of them, or None
        Voxels of a level that become one of the next, (z, y, x): for every level, or for each;
        None chooses, see ``level_factors``.
    root : Place, str or None
        Folder in which to note what is done, until all is; None is the one the volume lies in.
    client : distributed.Client or None
        Where blocks run; None runs them in this process.
    on_progress : callable or None
        Told after every batch of blocks.
    replace_levels : bool
        Build anew what is there, whoever made it.

    Returns
    -------
    Volume
        The same, with its levels.

    Raises
    ------
    SourceError
        If levels cannot be added to it, or others are there.
    ConfigError
        If method, levels or factors make no sense.
    StaleLedgerError
        If an unfinished level was begun otherwise, unless it is to be replaced.
    """
    if volume.region is not None or volume.level:
        raise GeometryError(
            f"{volume.uri}: levels are made of a whole volume at level 0, this handle is level "
            f"{volume.level} of {volume.domain}; open it without level and cutout"
        )
    how = chosen_method(volume, method)
    store = open_levels(volume)
    steps = level_factors(volume.shape, volume.voxel_size_nm, levels=levels, factors=factors)
    plan: list[Made] = [{"method": how, "factor": list(step)} for step in steps]
    notes = store.place.beside(".pyramid")
    # A folder of its own, for it is deleted at the end.
    place = notes if root is None else Place.at(root).inside(notes.name)
    with attended(place) as attendance:
        if replace_levels:
            _clear(store, place, plan)
        kept = _kept(store, plan)
        run = Run(place, client, on_progress, replace_levels, attendance=attendance)
        source = replace(volume, options=replace(volume.options, cache=None, voxel_size_nm=None))
        total: Coord = (1, 1, 1)
        for level, made in enumerate(plan, 1):
            total = _times(total, steps[level - 1])
            if level > kept:
                _build(run, store, source, total=total, made=made)
            source = replace(source, level=level)
    place.objects.delete_all()
    return volume


def chosen_method(volume: Volume, method: Method) -> str:
    """Say which method is meant, and refuse one that cannot be.

    Returns
    -------
    str
        ``mean`` or ``mode``.

    Raises
    ------
    ConfigError
        If there is no such method, or none for such voxels.
    """
    if method not in ("auto", *_KERNELS):
        raise ConfigError(f"method {method!r}; choose 'mean', 'mode' or 'auto'")
    chosen = ("mode" if holds_labels(volume) else "mean") if method == "auto" else method
    if chosen == "mode" and volume.dtype.kind == "f":
        raise ConfigError(
            f"{volume.uri} holds {volume.dtype}, which have no most frequent one; choose 'mean'"
        )
    return chosen


def open_levels(volume: Volume) -> LevelStore:
    """Find how levels are added to a volume.

    Raises
    ------
    SourceError
        If none can be.
    """
    opener = find_opener(volume.uri)
    if opener is open_zarr:
        return ZarrLevels.of(volume.uri, volume.options)
    if opener is open_precomputed:
        return PrecomputedLevels.of(volume.uri, volume.options)
    raise no_levels(volume.uri, "is neither OME-Zarr 0.5 nor precomputed")


@dataclass(frozen=True, slots=True)
class LevelTask:
    """What a worker does for a block of a level: read, downsample, write.

    Parameters
    ----------
    source : Volume
        The finer level.
    target : Volume
        The level.
    grid : Grid
        Its blocks.
    factor : tuple of int
        Fine voxels that become one.
    method : str
        ``mean`` or ``mode``.
    """

    source: Volume
    target: Volume
    grid: Grid
    factor: Coord
    method: str

    def __call__(self, number: int) -> None:
        """Compute and write one block."""
        block = self.grid[number]
        try:
            self.target.write(block.write, self._made(block.write))
        except Exception as error:
            error.add_note(f"volkit: in level {self.source.level + 1} on {block}")
            raise

    def _made(self, box: Box) -> Array:
        """Make a box piece by piece: what is read at a time is bounded, whatever a shard is."""
        lead = () if self.target.channels is None else (self.target.channels,)
        made = np.empty((*lead, *box.shape), self.target.dtype)
        domain, kernel = self.source.domain, _KERNELS[self.method]
        pieces = Grid(box, piece_shape(box.shape, self.factor, _voxel_bytes(self.source)))
        for piece in pieces:
            needed = finer_box(piece.write, self.factor).intersect(domain)
            values = kernel(self.source.read(needed), self.factor, start=needed.start)
            part = made[(..., *piece.write.relative_to(box).slices)]
            part[...] = values.reshape(part.shape)  # a single channel may have no axis there
        return made


def _build(run: Run, store: LevelStore, source: Volume, *, total: Coord, made: Made) -> None:
    """Make one level, or what is missing of it, and make it known."""
    factor: Any = tuple(made["factor"])
    level = NewLevel(source.level + 1, downsampled_box(source.domain, factor), total, made)
    unit, shape = store.write_shape(level), level.domain.shape
    grid = Grid(level.domain, block_shape(shape, unit, factor, _voxel_bytes(source)))
    ledger = run.ledger(f"level_{level.number}", _facts(source, grid, made), len(grid))
    if not store.begun(level, ledger.fingerprint):
        ledger.reset()  # marks without voxels are worth nothing
    target = store.begin(level, ledger.fingerprint)
    if run.client is not None:
        run.client.run(forget_opened)  # workers may know a level that lay there before
    done = ledger.done()
    run.work(
        LevelTask(source, target, grid, factor, made["method"]),
        grid.morton_missing(done),
        ledger=ledger,
        stage=f"level {level.number}",
        voxels=source.domain.size,
    )
    store.finish(level)


def _facts(source: Volume, grid: Grid, made: Made) -> Facts:
    return {
        "volkit": ".".join(__version__.split(".")[:2]),
        **made,
        "version": _VERSION,
        "inputs": [source.identity],
        "domain": [list(grid.domain.start), list(grid.domain.stop)],
        "block_shape": list(grid.block_shape),
    }


def _kept(store: LevelStore, plan: Sequence[Made]) -> int:
    """Count the levels that are there and stay; refuse others."""
    listed = store.listed()
    for level, (found, wanted) in enumerate(zip(listed, plan, strict=False), 1):
        if found != wanted:
            raise SourceError(
                f"{store.place} lists level {level} already, made {_shown(found)}; asked for "
                f"{_shown(wanted)}: keep what is there, or replace all levels "
                "(replace_levels=True; volkit pyramid --replace)"
            )
    return len(listed)


def _clear(store: LevelStore, place: Place, plan: Sequence[Made]) -> None:
    """Remove all levels, once: a replacement that was killed goes on instead."""
    asked = json.dumps(plan).encode()
    if place.objects.get(_REPLACING) != asked:
        store.remove_all()
        for key in list(place.objects.keys()):
            if not key.startswith(f"{LOCK}/"):
                place.objects.delete(key)
        place.objects.put(_REPLACING, asked)


def _shown(made: Made) -> str:
    if not made:
        return "by another program"
    return f"by {made['method']} of {' x '.join(map(str, made['factor']))}"


def _times(a: Coord, b: Coord) -> Coord:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


def _voxel_bytes(volume: Volume) -> int:
    return prod((volume.channels or 1, volume.dtype.itemsize))
