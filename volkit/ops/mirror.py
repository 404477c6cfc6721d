"""Mirror: a stored volume, or a part of one, copied block by block, checked and resumable."""

import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.engine.attendance import attended
from volkit.engine.base import OnProgress, Progress
from volkit.engine.fingerprint import Facts
from volkit.engine.run import Run
from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.io.fetching import fetch_at_once
from volkit.io.registry import forget_opened
from volkit.io.sources import CacheOptions, OpenOptions
from volkit.io.volume import Volume
from volkit.ops.mirror_plan import MirrorPlan, plan_mirror
from volkit.ops.mirror_target import prepare_target, target_place
from volkit.version import __version__

Array = NDArray[Any]
Verify = bool | Literal["twice"]

STAGE = "mirror"
_VERSION = 1  # to be raised when copies change
_TRIES = 3  # of a piece whose answers differ
_UNKEPT = CacheOptions(memory_bytes=0)


def mirror(
    source: Volume,
    target: str,
    *,
    block_shape: Coord | None = None,
    verify: Verify = True,
    options: OpenOptions | None = None,
    client: Any = None,
    on_progress: OnProgress | None = None,
    replace_stale: bool = False,
) -> Volume:
    """Copy a volume, a level or a cutout into a new zarr or precomputed layer.

    The copy has the coordinates of the source.  Killed at any moment, the same call goes on from
    there; what is done is noted beside the copy, under its name with ``.mirror``.

    Parameters
    ----------
    source : Volume
        What to copy: ``volume.cutout(…)`` of it, ``volume.at_level(…)``.
    target : str
        ``em.zarr``, ``s3://bucket/em.zarr``, ``precomputed://…``.
    block_shape : tuple of int or None
        Unit of work, (z, y, x), voxels, and unit of writing of a zarr; None takes whole requests
        of the source, about 64 MiB.
    verify : bool or "twice"
        Read each block back and compare it with what was fetched; ``twice`` also fetches it until
        two answers of the source agree.
    options : OpenOptions or None
        How to reach the target.
    client : distributed.Client or None
        Where blocks run; None runs them in this process, eight requests at once.
    on_progress : callable or None
        Told after every batch of blocks.
    replace_stale : bool
        Replace the copy of something else that lies there.

    Returns
    -------
    Volume
        The copy.

    Raises
    ------
    StaleLedgerError
        If something else lies at the target.
    RunLockedError
        If another client copies to it.
    SourceError
        If the source cannot be read, the target not written, or the copy is not the same.
    """
    options = options or OpenOptions()
    plan = plan_mirror(source, target, block_shape=block_shape)
    what = mirror_facts(source, plan)

    def listen(state: Progress) -> None:
        if on_progress is not None:
            on_progress(replace(state, voxel_bytes=plan.voxel_bytes))

    place = target_place(target, options).beside(".mirror")
    with attended(place) as attendance:
        run = Run(place, client, listen, replace_stale, attendance=attendance)
        ledger = run.ledger(STAGE, what, len(plan.grid))
        copy = prepare_target(
            Volume(target, 0, options),
            source,
            plan,
            ledger=ledger,
            what=what,
            replace=replace_stale,
        )
        if client is not None:
            client.run(forget_opened)  # workers may know what lay there before
        run.work(
            MirrorTask(source, copy, plan, verify),
            plan.grid.morton_missing(ledger.done()),
            ledger=ledger,
            stage=STAGE,
            voxels=plan.grid.domain.size,
        )
    return copy


def mirror_facts(source: Volume, plan: MirrorPlan) -> Facts:
    """Collect what decides a copy, as JSON."""
    return {
        "volkit": ".".join(__version__.split(".")[:2]),
        "mirror": _VERSION,
        "inputs": [source.identity],
        "dtype": source.dtype.str,
        "channels": source.channels,
        "voxel_size_nm": list(source.voxel_size_nm),
        "origin_nm": list(source.origin_nm),
        "domain": [list(plan.grid.domain.start), list(plan.grid.domain.stop)],
        "block_shape": list(plan.grid.block_shape),
        "chunk_shape": list(plan.chunk_shape),
        "shard_shape": None if plan.shard_shape is None else list(plan.shard_shape),
    }


@dataclass(frozen=True, slots=True)
class MirrorTask:
    """What a worker does for a block: fetch, write, read back.

    Parameters
    ----------
    source, target : Volume
        From where, and to where.
    plan : MirrorPlan
        Which blocks, in which pieces.
    verify : bool or "twice"
        What is compared.
    """

    source: Volume
    target: Volume
    plan: MirrorPlan
    verify: Verify

    def __call__(self, number: int) -> int:
        """Copy one block; its check sum."""
        block = self.plan.grid[number]
        try:
            check = self._copied(block.write)
            trouble = self._trouble(block.write, check) if self.verify else None
            if trouble is not None:
                raise SourceError(
                    f"{self.target.uri}: voxels {block.write} are not what was written there "
                    f"({trouble}); check the store, and run again"
                )
        except Exception as error:
            error.add_note(f"volkit: in {STAGE} on {block}")
            raise
        return check

    def _copied(self, box: Box) -> int:
        """Fetch a block and write it; give the check sum of what was fetched."""
        lead = () if self.source.channels is None else (self.source.channels,)
        values = np.empty((*lead, *box.shape), self.source.dtype)
        pieces = list(self.plan.pieces(box))
        # What another block needs as well is fetched through the cache, which has threads of its
        # own; all else is needed once, and passes by.
        whole = [piece for piece in pieces if not self.plan.is_cut(piece)]
        passing = _passing(self.source)
        fetch_at_once(partial(self._fetch, passing, piece, values, box) for piece in whole)
        for piece in filter(self.plan.is_cut, pieces):
            self._fetch(_kept(self.source), piece, values, box)
        self.target.write(box, values)
        return _check(values)

    def _fetch(self, source: Volume, piece: Box, values: Array, box: Box) -> None:
        found = source.read(piece)
        if self.verify == "twice":
            found = self._agreed(found, piece)
        values[(..., *piece.relative_to(box).slices)] = found

    def _agreed(self, found: Array, piece: Box) -> Array:
        """Fetch a piece again, until two answers that follow each other agree."""
        again = _passing(replace(self.source, options=replace(self.source.options, cache=None)))
        for _ in range(_TRIES):
            before, found = found, again.read(piece)
            if _check(before) == _check(found):
                return found
        raise SourceError(
            f"{self.source.uri}: voxels {piece} came differently each of {_TRIES + 1} times; "
            "something on the way to the store changes data: check the network and its proxies"
        )

    def _trouble(self, box: Box, check: int) -> str | None:
        """Read a block of the copy; say what is wrong with it."""
        try:
            return None if _check(self.target.read(box)) == check else "voxels differ"
        except SourceError as error:
            return str(error)


def _passing(source: Volume) -> Volume:
    """Give a handle that keeps no chunks, unless its user wants that."""
    if source.options.cache is not None:
        return source
    return replace(source, options=replace(source.options, cache=_UNKEPT))


def _kept(source: Volume) -> Volume:
    """Give a handle that keeps chunks."""
    if source.options.cache is not None:
        return source
    return replace(source, options=replace(source.options, cache=CacheOptions()))


def _check(values: Array) -> int:
    """Compute the CRC-32 of voxels in C order, as a ledger keeps it; never 0."""
    return zlib.crc32(np.ascontiguousarray(values).data) or 1
