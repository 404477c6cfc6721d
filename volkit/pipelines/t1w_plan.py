"""Plan of ``t1w_preprocess``: what its scans will take, by the first that can be read."""

from collections.abc import Sequence
from math import prod

from volkit.errors import VolkitError
from volkit.geometry import Box, Grid
from volkit.io.scan_files import AcquiredScan, read_acquired, stamp
from volkit.io.scan_table import ListedScan, read_scan_table
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.t1w_config import T1wPreprocess

_FLOAT = 4
# At once: the scan, without shading, its field and its logarithm, resampled, stripped, and masks.
_COPIES = 10
_ITK_BYTES = 200 * 2**20  # SimpleITK, loaded
_NETWORK_COPIES = 24  # MeshNet's five channels before and after a layer, probabilities, and more
_TRIED = 20  # scans that are looked at for one that can be read
_SHOWN = 5


def plan(config: T1wPreprocess) -> Plan:
    """Say what a run will read, compute, write and need.

    Parameters
    ----------
    config : T1wPreprocess
        The workflow.

    Returns
    -------
    Plan
        Blocks are scans; all are taken to be as large as the first that can be read.

    Raises
    ------
    SourceError
        If the table cannot be read, or none of its first scans can.
    """
    told = config.input
    scans = read_scan_table(told.scans, masks=config.masks, options=told.options)
    first = _first(scans, config)
    mm = prod(n * s for n, s in zip(first.values.shape, first.spacing_mm, strict=True))
    seen = max(first.values.size, int(mm / config.chain.voxel_mm**3))
    masks = 1 + len(config.masks)
    memory = process_bytes() + _COPIES * _FLOAT * seen
    memory += _ITK_BYTES if config.chain.bias.method == "n4" else 0
    network = config.chain.tissue or config.chain.strip.network
    if network is not None:
        memory += _NETWORK_COPIES * _FLOAT * max(network.extent**3, seen)
    written = len(scans) * prod(config.chain.shape)
    stage = StagePlan(
        name="scans",
        blocks=len(scans),
        voxels=written,
        voxels_read=len(scans) * first.values.size,
        bytes_read=len(scans) * first.values.size * _FLOAT,
        bytes_written=written * (_FLOAT + masks),
        memory_bytes=memory,
        passes=len(scans) if network is not None else 0,
        least_passes=len(scans) if network is not None else 0,
    )
    return Plan(
        grid=Grid(Box.from_shape((1, 1, len(scans))), (1, 1, 1)),
        stages=(stage,),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        advice=_advice(scans, config),
        lighter="",
    )


def _first(scans: Sequence[ListedScan], config: T1wPreprocess) -> AcquiredScan:
    failed: VolkitError | None = None
    for scan in scans[:_TRIED]:
        try:
            return read_acquired(scan.uri, config.input.options)
        except VolkitError as error:
            failed = failed or error
    raise failed or VolkitError("the table names no scan")


def _advice(scans: Sequence[ListedScan], config: T1wPreprocess) -> tuple[str, ...]:
    said = []
    absent = [scan.scan for scan in scans if not stamp(scan.uri, config.input.options)]
    if absent:
        said.append(
            f"{len(absent)} scans are not there and will be set aside, as "
            f"{', '.join(absent[:_SHOWN])}"
        )
    if config.chain.strip.method == "meshnet_fallback":
        said.append(
            "brains are found by meshnet_fallback, a tissue network that was not trained to strip; "
            "prefer strip.method mask or synthstrip"
        )
    return tuple(said)
