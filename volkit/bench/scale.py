"""What 10 to 4,000 workers make of a petavoxel run: a simulation, see ``scale_model``.

Without a run, its stages are a MeshNet and a seeded watershed, in blocks of 256³ voxels, with times
that were measured for workers of two cores; images and probabilities are stored with 1 byte for a
voxel, labels with 0.5 after compression.  A run gives its own stages, the times in its ledgers, and
bytes before compression; its blocks become as many as a petavoxel has of them.
"""

from dataclasses import dataclass, field

import numpy as np

from volkit.bench.harness import Report
from volkit.bench.machine import Machine
from volkit.bench.scale_model import Point, Site, Work, simulate, stops_scaling
from volkit.engine.stages import find_stages
from volkit.errors import ConfigError
from volkit.io.place import Place
from volkit.pipelines.stage_status import stage_status

VOXELS = 10**15
WORKERS = (10, 100, 1_000, 4_000)

_SAMPLE = 4096  # block times that are enough to draw the last blocks from
_SPREAD = 0.25  # of the logarithm of block times, where only their mean is known
_READ_BYTES = 1  # of a voxel of an image; what a run reads is not in its ledger
# name, seconds of a block of 256³, bytes written for a voxel, halo
_DEFAULTS: tuple[tuple[str, float, float, int], ...] = (
    ("network", 9.4, 1, 16),
    ("watershed", 0.92, 0.5, 16),
)


@dataclass(frozen=True, slots=True)
class ScaleReport(Report):
    """What was simulated.

    Parameters
    ----------
    stages : tuple of str
        What was run: name, blocks, mean seconds and megabytes of each, as text.
    site : Site
        On which machines.
    points : tuple of Point
        What becomes of it, by the number of workers.
    stops : dict
        For each stage and resource, with how many workers the resource is used up.
    """

    stages: tuple[str, ...] = ()
    site: Site = field(default_factory=Site)
    points: tuple[Point, ...] = ()
    stops: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def header(self) -> tuple[str, ...]:
        """Name the columns of :meth:`as_table`."""
        return "workers", "time", "efficiency", "blocks/s", "GB/s", "waits for"

    def as_table(self) -> list[tuple[str, ...]]:
        """List the points, and where each stage stops scaling, as strings."""
        found = [_printed(point) for point in self.points]
        for stage, stops in self.stops.items():
            if not stops:
                continue
            limit = min(stops, key=lambda name: stops[name])
            found.append((f"{stage}: no faster above {stops[limit]:,}", "", "", "", "", limit))
        return found


def report(
    machine: Machine, *, quick: bool = False, run: str | None = None, site: Site | None = None
) -> ScaleReport:
    """Simulate ``volkit bench scale``.

    Parameters
    ----------
    machine : Machine
        Where this is computed.
    quick : bool
        Noted in the report; a simulation takes less than a second anyway.
    run : str, optional
        Folder of a run that tells how long blocks take.
    site : Site, optional
        The machines.

    Returns
    -------
    ScaleReport

    Raises
    ------
    ConfigError
        If nothing is finished in the run.
    """
    site = site or Site()
    work = default_work() if run is None else work_of(run)
    return ScaleReport(
        bench="scale",
        quick=quick,
        rows=(),
        machine=machine,
        stages=tuple(_described(stage) for stage in work),
        site=site,
        points=tuple(simulate(work, site, workers) for workers in WORKERS),
        stops={stage.name: stops_scaling(stage, site) for stage in work},
    )


def default_work(voxels: int = VOXELS) -> tuple[Work, ...]:
    """Make the stages that are simulated without a run.

    Parameters
    ----------
    voxels : int
        Of the volume.

    Returns
    -------
    tuple of Work
    """
    found, side = [], 256
    rng = np.random.default_rng(0)
    for name, mean, written, halo in _DEFAULTS:
        times = rng.lognormal(0.0, _SPREAD, _SAMPLE)
        size = (side + 2 * halo) ** 3 * _READ_BYTES + side**3 * written
        found.append(Work(name, -(-voxels // side**3), times / times.mean() * mean, float(size)))
    return tuple(found)


def work_of(run: str | Place, voxels: int = VOXELS) -> tuple[Work, ...]:
    """Make a petavoxel's stages from those of a run.

    Parameters
    ----------
    run : str or Place
        Its folder.
    voxels : int
        Of the volume that is simulated; blocks keep their shape.

    Returns
    -------
    tuple of Work
        The stages of which blocks are finished; levels of tables are left out.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found = []
    for stage in find_stages(Place.at(run)):
        status = stage_status(stage)
        if not status.voxels or not status.done:
            continue
        seconds = stage.ledger.records()["seconds"].astype(np.float64)
        picked = np.linspace(0, len(seconds) - 1, min(len(seconds), _SAMPLE)).astype(int)
        written = status.bytes_done / max(1, status.done)
        read = status.read_per_written * status.voxels / status.total * _READ_BYTES
        blocks = max(1, round(voxels / status.voxels * status.total))
        times = np.maximum(np.sort(seconds)[picked], 1e-6)
        found.append(Work(status.stage, blocks, times, written + read))
    if not found:
        raise ConfigError(
            f"{run}: no finished blocks of a stage over voxels; give the folder of a run that has "
            "some, or none"
        )
    return tuple(found)


def _described(stage: Work) -> str:
    return (
        f"{stage.name}: {stage.blocks:,} blocks of {stage.seconds.mean():.3g} s and "
        f"{stage.bytes_each / 1e6:.3g} MB"
    )


def _printed(point: Point) -> tuple[str, ...]:
    days = point.seconds / 86400
    return (
        f"{point.workers:,}",
        f"{days:,.1f} days" if days >= 1 else f"{days * 24:.1f} h",
        f"{point.efficiency:.0%}",
        f"{point.blocks_per_second:,.3g}",
        f"{point.bytes_per_second / 1e9:.3g}",
        point.limit,
    )
