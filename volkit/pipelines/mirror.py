"""Mirror: a part of a stored volume, wherever it lies, copied to a place of one's own."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from volkit.engine.base import OnProgress
from volkit.engine.origin import public_uri
from volkit.errors import ConfigError, StaleLedgerError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.cache.lattice import MOST_REQUEST_BYTES
from volkit.io.faults import Patience
from volkit.io.fetching import REQUESTS_AT_ONCE
from volkit.io.open import open_volume
from volkit.io.sources import CacheOptions, OpenOptions
from volkit.io.stated_size import says_size
from volkit.io.volume import Volume
from volkit.ops.mirror import STAGE, Verify, mirror, mirror_facts
from volkit.ops.mirror_plan import MirrorPlan, plan_mirror
from volkit.ops.mirror_target import check_stale, described, target_place
from volkit.pipelines.cluster import ClusterOptions, workers
from volkit.pipelines.failure import recorded
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.version import __version__

_PROCESS_BYTES = 250 * 2**20  # a worker with the clients of the stores loaded
_BLOCKS_HELD = 4  # at most: fetched, compressed, sent, and read back


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorInput:
    """What to copy; at most one of the ways of saying which part.

    Parameters
    ----------
    image : str
        Path or URI: ``bossdb://collection/experiment/channel``, ``precomputed://…``, and so on.
    level : int, optional
        0 is the finest, and taken where none is stated.
    box : Box, optional
        ``start`` and ``stop``, voxels of the level, volume coordinates (z, y, x).
    level_0 : Box, optional
        The same in voxels of level 0.
    center_um, size_um : tuple of float, optional
        Centre and extent, (z, y, x), micrometres.
    start_nm, stop_nm : tuple of float, optional
        Corners, (z, y, x), nanometres.
    axes, voxel_size_nm, missing, credentials, patience, cache
        See ``OpenOptions``.
    """

    image: str
    level: int | None = None
    box: Box | None = None
    level_0: Box | None = None
    center_um: Vector | None = None
    size_um: Vector | None = None
    start_nm: Vector | None = None
    stop_nm: Vector | None = None
    axes: str | None = None
    voxel_size_nm: Vector | None = None
    missing: Literal["error", "zero"] = "error"
    credentials: str | None = None
    patience: Patience = field(default_factory=Patience)
    cache: CacheOptions | None = None

    def volume(self) -> Volume:
        """Open what is to be copied.

        Raises
        ------
        SourceError
            If it cannot be opened.
        GeometryError
            If it has no such part.
        ConfigError
            If the part is said in several ways.
        """
        volume = open_volume(
            self.image,
            level=self.level,
            axes=self.axes,
            voxel_size_nm=self.voxel_size_nm,
            missing=self.missing,
            credentials=self.credentials,
            patience=self.patience,
            cache=self.cache,
        )
        names = ("box", "level_0", "center_um", "size_um", "start_nm", "stop_nm")
        part = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return volume.cutout(**part) if part else volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """The keys of a workflow file.

    Parameters
    ----------
    input : MirrorInput
        What to copy.
    output : str
        Path or URI of the copy: a zarr, or ``precomputed://`` before a path or a URL.
    output_credentials : str, optional
        Of the place of the copy.
    block_shape : tuple of int, optional
        Unit of work and of writing, (z, y, x), voxels; None takes about 64 MiB.
    verify : bool or "twice"
        Compare what was written with what was fetched; ``twice`` fetches everything twice, too.
    cluster : ClusterOptions
        Where blocks run; this process by default, which makes eight requests at once.
    """

    input: MirrorInput
    output: str
    output_credentials: str | None = None
    block_shape: Coord | None = None
    verify: Verify = True
    cluster: ClusterOptions = field(default_factory=lambda: ClusterOptions(workers=0))

    def __post_init__(self) -> None:
        if self.block_shape is not None and min(self.block_shape) < 1:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")

    @property
    def output_options(self) -> OpenOptions:
        """How to reach the place of the copy."""
        return OpenOptions(credentials=self.output_credentials, patience=self.input.patience)


def plan(config: Mirror) -> Plan:
    """Say what a mirror will fetch and write.

    Parameters
    ----------
    config : Mirror
        The workflow.

    Returns
    -------
    Plan
    """
    source = config.input.volume()
    found = plan_mirror(source, config.output, block_shape=config.block_shape)
    size = found.grid.domain.size
    return Plan(
        grid=found.grid,
        stages=(
            StagePlan(
                name=STAGE,
                blocks=len(found.grid),
                voxels=size,
                voxels_read=round(size * found.chunks_per_chunk()),
                bytes_read=found.bytes,
                bytes_written=found.bytes,
                memory_bytes=_memory(found, config),
                requests=found.request_count(),
            ),
        ),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        conflicts=tuple(_conflicts(source, found, config)),
    )


def _memory(found: MirrorPlan, config: Mirror) -> int:
    """Project the peak of a worker."""
    cache = config.input.cache or CacheOptions()
    cached = cache.memory_bytes if config.input.cache or found.chunks_per_chunk() > 1 else 0
    flying = min(REQUESTS_AT_ONCE * MOST_REQUEST_BYTES, 2 * found.block_bytes)
    return _PROCESS_BYTES + _BLOCKS_HELD * found.block_bytes + flying + cached


def _conflicts(source: Volume, found: MirrorPlan, config: Mirror) -> list[str]:
    """Say what at the target stands in the way."""
    target = Volume(config.output, 0, config.output_options)
    try:
        check_stale(target, mirror_facts(source, found), replace=False)
    except StaleLedgerError as error:
        return [str(error)]
    return []


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file; taken up where it was when it is run again.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is a Mirror.
    on_progress : callable or None
        Told after every batch of blocks.
    on_message : callable
        Told what a person may want to know.
    replace_stale : bool
        Replace the copy of something else at the target.

    Returns
    -------
    Outcome
    """
    config: Mirror = workflow.config
    source = config.input.volume()
    if not says_size(source):
        on_message(
            f"note: {public_uri(source.uri)} does not say how large its voxels are, and so neither "
            "does the copy; say it: --voxel-size z,y,x (input.voxel_size_nm), nanometres"
        )
    place = target_place(config.output, config.output_options).beside(".mirror")
    watch = Stopwatch(on_progress)
    with workers(config.cluster, on_message) as client, recorded(place, watch.stage):
        copy = mirror(
            source,
            config.output,
            block_shape=config.block_shape,
            verify=config.verify,
            options=config.output_options,
            client=client,
            on_progress=watch,
            replace_stale=replace_stale,
        )
    record = {"volkit": __version__, "parameters": asdict(config), "source": described(source)}
    place.objects.put("run.json", (json.dumps(record, indent=1, default=str) + "\n").encode())
    shown = Path(copy.uri) if "://" not in copy.uri else copy.uri
    return Outcome(
        files=(("volume", shown),), following=("volkit info", shown), times=watch.times()
    )


PIPELINE = Pipeline(
    name="mirror",
    config=Mirror,
    run=carry_out,
    plan=plan,
    paths=frozenset({"image", "output", "folder"}),
)
