"""JobEngine: kernels from store to store, block by block, resumable at any moment."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.attendance import Attendance
from volkit.engine.base import OnProgress
from volkit.engine.exchange import run_exchange
from volkit.engine.fingerprint import Facts, facts
from volkit.engine.ledger import Ledger
from volkit.engine.map_task import MapTask
from volkit.engine.op import Op, Reduction
from volkit.engine.queue import Retries
from volkit.engine.reuse import keep, shared_volume
from volkit.engine.run import Run
from volkit.engine.selection import Selection
from volkit.engine.stored_inputs import stored_volumes
from volkit.engine.tree import reduce_tree
from volkit.errors import GeometryError, SourceError, StaleLedgerError
from volkit.geometry import AXES, Coord, Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.io.stated_size import size_attributes
from volkit.io.volume import Volume
from volkit.io.zarr.store import is_vacant, remove_drafts

_CHUNK = 64  # voxels: what viewers and readers of small boxes like best inside a shard
_PLAIN = 64**3  # blocks up to this size are one chunk each; shards would only add an index


@dataclass(frozen=True, slots=True)
class JobEngine:
    """Compute into a folder of stored Volumes and tables.

    A block is written before it is marked in the ledger of its stage; a run that was killed takes
    up where the ledgers end.  A stage that records another computation is refused.

    Parameters
    ----------
    root : Path, str or Place
        Folder of the run, local or in an object store.
    client : distributed.Client, optional
        Where blocks run; None runs them in this process.
    on_progress : callable, optional
        Told after every batch of blocks.
    replace_stale : bool
        Compute anew the stages that record another computation, instead of refusing.
    retries : Retries
        What becomes of blocks that fail.
    attendance : Attendance, optional
        The lock of the folder, from :func:`volkit.engine.attendance.attended`; without it, nobody
        is kept from working there too.
    bases : tuple of Place
        Folders of earlier versions, whose finished stages are used where they are the same.
    selection : Selection, optional
        Compute only this anew where an op differs, and copy the rest from the first base.

    Raises
    ------
    StaleLedgerError
        By ``map`` and ``reduce``: if a stage records another computation.
    """

    root: Place | Path | str
    client: Any = None
    on_progress: OnProgress | None = None
    replace_stale: bool = False
    retries: Retries = field(default_factory=Retries)
    attendance: Attendance | None = None
    bases: tuple[Place, ...] = ()
    selection: Selection | None = None

    def __post_init__(self) -> None:
        path = self.place.local
        try:
            if path is not None:
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(
                f"cannot make the folder of the run {path} ({error}); choose another output"
            ) from error

    @property
    def place(self) -> Place:
        """The folder of the run."""
        return Place.at(self.root)

    @property
    def run(self) -> Run:
        """The folder with what its stages need."""
        return Run(
            self.place,
            self.client,
            self.on_progress,
            self.replace_stale,
            self.retries,
            self.attendance,
            self.bases,
            self.selection,
        )

    def map(
        self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()
    ) -> Volume:
        """Apply an Op to every block, into ``root/name.zarr``.

        Parameters
        ----------
        op : Op
            What to apply.
        *inputs : Volume
            Arrays of shape ([C,] Z, Y, X) that cover the grid's domain.
        grid : Grid
            In which blocks; its halo is replaced by the Op's.
        name : str
            Name of the stage.
        shared : tuple
            Values that every block gets; Columns travel as a stored handle.

        Returns
        -------
        Volume
            Finished, of ``op.dtype``, over ``grid.domain``.

        Raises
        ------
        GeometryError
            If the domain is not inside an input.
        """
        run, grid = self.run, grid.with_halo(op.halo)
        shared = tuple(run.stored(x) for x in shared)
        volumes = stored_volumes(inputs, grid)
        what = facts(op, volumes, grid, shared)
        kept = keep(run, name, what, volumes, grid)
        if (found := shared_volume(run, name, kept.facts, len(grid))) is not None:
            return found
        ledger = run.ledger(name, kept.facts, len(grid))
        target = self._target(op, volumes, grid, name, kept.facts, ledger)
        kept.copy(run, name, ledger, target, grid)
        task = MapTask(op, grid, volumes, shared, target)
        if op.spread is None or not run_exchange(run, task, ledger, name):
            missing = _missing(grid, ledger.done())
            run.work(task, missing, ledger=ledger, stage=name, voxels=grid.domain.size)
        return target

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Add up a table over all blocks, into ``root/name.npz``.

        Partial tables are stored, so that a killed reduction takes up where it was.

        Returns
        -------
        object
            What ``reduction.finalize`` returns.
        """
        run, grid = self.run, grid.with_halo(reduction.halo)
        shared = tuple(run.stored(x) for x in shared)
        volumes = stored_volumes(inputs, grid)
        return reduce_tree(run, reduction, volumes, grid=grid, name=name, shared=shared)

    def _target(
        self,
        op: Op,
        inputs: tuple[Volume, ...],
        grid: Grid,
        name: str,
        what: Facts,
        ledger: Ledger,
    ) -> Volume:
        """Create the stage's Volume, or reopen the one that an earlier run of it created."""
        place = self.place.inside(f"{name}.zarr")
        if not is_vacant(place.uri, place.options):
            found = Volume(place.uri, 0, place.options)
            made_by = found.attributes.get("volkit", {}).get("fingerprint")
            if made_by == ledger.fingerprint:
                check_aligned(grid, found)
                if not ledger.done().all():
                    remove_drafts(place.uri)  # what killed writers left: never read, but in the way
                return found
            _check_replaceable(found, ledger, replace=self.replace_stale)
            place.objects.delete_all()
        # Marks without voxels are worth nothing: somebody removed the array.
        ledger.reset()
        chunk, shard = storage_shapes(grid)
        like = inputs[0] if inputs else None
        volume = create_volume(
            place.uri,
            options=place.options,
            shape=grid.domain.shape,
            dtype=op.dtype,
            channels=op.channels,
            voxel_size_nm=like.voxel_size_nm if like else None,
            origin_nm=like.origin_nm if like else (0.0, 0.0, 0.0),
            start=grid.domain.start,
            chunk_shape=chunk,
            shard_shape=shard,
            attributes={
                "stage": name,
                "fingerprint": ledger.fingerprint,
                "provenance": what,
                **(size_attributes(like) if like else {}),
            },
        )
        check_aligned(grid, volume)
        return volume


def _check_replaceable(found: Volume, ledger: Ledger, *, replace: bool) -> None:
    """Refuse to write over what another computation made, unless told to, or no job at all."""
    made_by = found.attributes.get("volkit", {}).get("fingerprint")
    if made_by is None:
        raise StaleLedgerError(
            f"{found.uri} holds {_brief(found)} that no job made, so it is never replaced; move "
            "it away, or choose another output"
        )
    if not replace:
        raise StaleLedgerError(
            f"{found.uri} holds {_brief(found)} made by computation {str(made_by)[:8]}, this one "
            f"is {ledger.fingerprint[:8]}; write to a new target, or replace what is stale "
            "(replace_stale=True; volkit run --replace)"
        )


def storage_shapes(grid: Grid) -> tuple[Coord, Coord | None]:
    """Choose chunk and shard shapes so that every block is one stored object.

    Parameters
    ----------
    grid : Grid
        The blocks that will be written.

    Returns
    -------
    chunk_shape : tuple of int
        Unit of compression.
    shard_shape : tuple of int or None
        Unit of writing; None where the chunk is.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> storage_shapes(Grid(Box.from_shape((512, 512, 512)), (256, 256, 256)))
    ((64, 64, 64), (256, 256, 256))
    >>> storage_shapes(Grid(Box.from_shape((13, 50, 50)), (5, 32, 32)))
    ((5, 32, 32), None)
    """
    whole: Coord = tuple(  # type: ignore[assignment]
        min(b, n) for b, n in zip(grid.block_shape, grid.domain.shape, strict=True)
    )
    if int(np.prod(whole, dtype=np.int64)) <= _PLAIN:
        return whole, None
    chunk: Coord = tuple(_divisor(n) for n in whole)  # type: ignore[assignment]
    return (chunk, whole) if chunk != whole else (whole, None)


def _divisor(n: int) -> int:
    """Find the largest divisor up to a fourth, so that halos are cheap; below 16 stay whole."""
    best = max(d for d in range(1, min(n, _CHUNK, max(n // 4, _CHUNK // 2)) + 1) if n % d == 0)
    return best if best >= _CHUNK // 4 else n


def check_aligned(grid: Grid, volume: Volume) -> None:
    """Refuse blocks that would share a stored object: two writers lose voxels silently.

    Raises
    ------
    GeometryError
        If a block is no whole number of chunks or shards.
    """
    for axis, length, block, unit in zip(
        AXES, grid.domain.shape, grid.block_shape, volume.write_shape, strict=True
    ):
        if block % unit and block < length:
            better = max(unit, round(block / unit) * unit)
            raise GeometryError(
                f"blocks of {block} voxels on axis {axis} do not divide into the stored objects "
                f"of {volume.uri}, which have {unit}; choose a block_shape of {better} there, or "
                f"an output with {block}"
            )


def _missing(grid: Grid, done: NDArray[np.bool_]) -> Iterator[int]:
    return grid.morton_missing(done)


def _brief(volume: Volume) -> str:
    channels = () if volume.channels is None else (volume.channels,)
    return f"{volume.dtype} {(*channels, *volume.shape)}"
