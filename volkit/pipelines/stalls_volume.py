"""Stalls of a volume: image and vessel mask in, a table of segments with probabilities out.

::

    mask ─► skeleton ─► graph ─► segments ─┐
    mask ─► centre lines ──────────────────┼─► cuboids ─► folds x views ─► stall table
    image ─────────────────────────────────┘
"""

import hashlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from volkit.engine.job import JobEngine
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.stated_size import says_size
from volkit.io.volume import Volume
from volkit.ops.stall_cuboids import CuboidReader, Look
from volkit.ops.stall_segments import Segments, stall_segments
from volkit.ops.stall_sources import VolumeClips
from volkit.ops.vessel_graph import label_segments, vessel_graph
from volkit.pipelines.plan import Plan
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.segment_plan import misaligned
from volkit.pipelines.stalls_config import StallsVolume
from volkit.pipelines.stalls_plan import predictions, stalls_plan
from volkit.pipelines.stalls_run import Rows, judge, stalls_pipeline
from volkit.pipelines.stalls_table import Made, open_calibrator

_NM_PER_MM = 1e6
# What kernels need beside inputs and results, bytes for every voxel that they read: some times
# what was measured where vessels are a two-hundredth of the volume, since it grows with them.
_WORK_BYTES = {
    "skeleton_moments": 8.0,
    "skeleton_leftovers": 8.0,
    "vessel_graph": 16.0,
    "vessel_runs": 4.0,
    "vessel_parts_links": 12.0,
    "vessel_parts": 8.0,
    "vessel_labels": 8.0,
}
_CUBOID = 24  # bytes of a voxel: ids of centre lines, twice, and the mask


def find(config: StallsVolume, engine: JobEngine) -> Rows:
    """Find the segments of a volume.

    Parameters
    ----------
    config : StallsVolume
        The workflow.
    engine : JobEngine
        Folder and workers.

    Returns
    -------
    Rows

    Raises
    ------
    GeometryError
        If image and mask are not of the same voxels, or nothing says how large these are.
    ContractError
        If the mask has no vessel.
    """
    ensemble = config.networks.ensemble()
    calibrator = open_calibrator(config, ensemble)
    image, mask = _opened(config)
    grid = Grid(image.domain, config.block_shape)
    graph = vessel_graph(
        mask, options=config.vessels, voxel_size_nm=image.voxel_size_nm, grid=grid, engine=engine
    )
    name = config.input.volume_id or Path(image.uri.rstrip("/")).stem
    segments = stall_segments(
        graph.columns, config.segments, grid=grid, scale=image.scale, volume_id=name
    )
    lines = label_segments(graph, grid=grid, engine=engine)
    look = Look(
        config.outline,
        config.grey,
        config.vessels.threshold,
        config.vessels.channel,
        config.read_voxels,
    )
    reader = CuboidReader(image, mask, lines, look)
    version = hashlib.sha256(f"{image.identity} {mask.identity}".encode()).hexdigest()
    facts = {key: value for key, value in reader.facts.items() if key != "volumes"}
    made = Made(config, ensemble, calibrator, facts, image.uri, version)
    return Rows(
        segments.frame,
        _columns(segments),
        VolumeClips(reader),
        made,
        tissue_mm3=image.domain.size * prod(image.voxel_size_nm) / _NM_PER_MM**3,
        scale=image.scale,
    )


def _opened(config: StallsVolume) -> tuple[Volume, Volume]:
    told = config.input
    image, mask = (
        open_volume(uri, level=told.level, voxel_size_nm=told.voxel_size_nm)
        for uri in (told.image, told.mask)
    )
    if image.domain != mask.domain:
        raise GeometryError(
            f"the image covers {image.domain}, the mask {mask.domain}; give volumes of the same "
            "voxels (input.level chooses that of both)"
        )
    if not says_size(image):
        raise GeometryError(
            f"{image.uri} does not say its voxel size, without which there are no lengths; give "
            "input.voxel_size_nm: [z, y, x]"
        )
    return image, mask


def _columns(segments: Segments) -> dict[str, Any]:
    """Order segments so that near ones are read together: by owner, then along the volume."""
    owners = [f"owner_chunk_{a}" for a in "zyx"]
    frame = segments.frame.sort_values(
        [*owners, "centroid_z", "centroid_y", "centroid_x", "segment_id"], kind="stable"
    )
    names = ["segment_id", *(f"{a}{n}" for a in "zyx" for n in (0, 1))]
    line_id, line_of = segments.became
    columns = {name: np.asarray(frame[name]) for name in names}
    return {**columns, "line_id": line_id, "line_of": line_of}


def judge_volume(config: StallsVolume, **how: Any) -> Any:
    """Judge the segments of a volume; see `volkit.pipelines.stalls_run.judge`."""
    return judge(config, find, **how)


def plan(config: StallsVolume) -> Plan:
    """Say what a run will read, compute, write and need, as far as it can be known before.

    Parameters
    ----------
    config : StallsVolume
        The workflow.

    Returns
    -------
    Plan

    Raises
    ------
    VolkitError
        What `find` raises of image, mask, networks and calibrator.
    """
    image, mask = _opened(config)
    grid = Grid(image.domain, config.block_shape)
    engine = PlanEngine(work_bytes=_WORK_BYTES, process_bytes=process_bytes())
    graph = vessel_graph(
        mask, options=config.vessels, voxel_size_nm=image.voxel_size_nm, grid=grid, engine=engine
    )
    label_segments(graph, grid=grid, engine=engine)
    most = min(config.read_voxels, image.domain.size)
    held = most * (image.dtype.itemsize + mask.dtype.itemsize * (mask.channels or 1) + _CUBOID)
    stages = (*engine.stages, predictions(config, None, bytes_read=0, held=held))
    return stalls_plan(
        config, grid, stages, conflicts=tuple(misaligned(grid, config.folder, engine.stages))
    )


PIPELINE = stalls_pipeline("stalls_volume", StallsVolume, find, plan, frozenset({"image", "mask"}))
