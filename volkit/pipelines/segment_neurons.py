"""Segment neurons: a stored image and a boundary network in, labels, scores and a report out.

::

    image ─► prob ─► seeds ─► fragments ─► region graph ─► labels ─► scores ─► report
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import prod
from pathlib import Path

from volkit.engine.attendance import attended
from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine, check_aligned
from volkit.engine.selection import Selection
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.models.views import views_of
from volkit.ops.arguments import arguments
from volkit.ops.empty_cells import STAGE
from volkit.ops.free_windows import window_advice
from volkit.ops.inference import lattice, passes
from volkit.ops.metrics import SegmentationScores
from volkit.ops.network import Network
from volkit.ops.skipping import planned_windows
from volkit.pipelines.cluster import workers
from volkit.pipelines.failure import recorded
from volkit.pipelines.figure import Panel
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.report import Report, write_report
from volkit.pipelines.segment_chain import Inputs, Segmented, compute, open_inputs
from volkit.pipelines.segment_config import SegmentNeurons
from volkit.pipelines.version_stages import refuse_replacing

# Measured on one block of 256^3 voxels (peak of the process, less its inputs and twice its result),
# rounded up: what kernels need beside these, bytes for every voxel that they read.
_WORK_BYTES = {
    "histogram": 8.0,
    "seed_parts": 16.0,
    "seed_links": 12.0,
    "fragments": 8.0,
    "region_graph": 8.0,
    "labels": 8.0,
    "contingency": 10.0,
}
_PROCESS_BYTES = 450 * 2**20  # a worker with torch and numba loaded takes 330 to 430 MiB
_MOST_WINDOWS = 8  # of a batch that is found by trying, on the CPU
_FLOATS_PER_WINDOW_VOXEL = 128  # the compact U-Net of first width 16 takes 111 in float32


def run(
    config: SegmentNeurons,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Segment, score and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : SegmentNeurons
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.

    Returns
    -------
    Outcome

    Raises
    ------
    VolkitError
        What :func:`open_inputs` raises, StaleLedgerError where the folder holds another
        computation, and RunLockedError where another client works there.
    """
    inputs = open_inputs(config)
    watch = Stopwatch(on_progress)
    engine = replace(engine or JobEngine(Path(config.output)), on_progress=watch)
    folder = engine.place.local or Path(config.output)
    with (
        _attended(engine, on_message) as engine,
        recorded(engine.place, watch.stage),
    ):
        found = compute(inputs, config, engine)
        files = write_report(folder / "report", _report(inputs, found, config))
    return Outcome(
        files=(("labels", Path(found.labels.uri)), *files),
        following=("volkit info", Path(found.labels.uri)),
        scores=() if found.scores is None else tuple(found.scores.as_table()),
        times=watch.times(),
    )


@contextmanager
def _attended(engine: JobEngine, on_message: OnMessage | None) -> Iterator[JobEngine]:
    """Give an engine that holds the lock of its folder."""
    if engine.attendance is not None:
        yield engine
        return
    with attended(engine.place, on_message=on_message) as attendance:
        yield replace(engine, attendance=attendance)


def plan(config: SegmentNeurons) -> Plan:
    """Say what a run will read, compute, write and need.

    Parameters
    ----------
    config : SegmentNeurons
        The workflow.

    Returns
    -------
    Plan
    """
    inputs = open_inputs(config)
    engine = PlanEngine(work_bytes=_WORK_BYTES, process_bytes=_PROCESS_BYTES)
    compute(inputs, config, engine)
    stages = [_with_network(s, inputs, config) if s.name == "prob" else s for s in engine.stages]
    return Plan(
        grid=inputs.grid,
        stages=tuple(stages),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        conflicts=tuple(_misaligned(inputs.grid, Path(config.output), stages)),
        advice=tuple(_advice(inputs, config)),
    )


def _advice(inputs: Inputs, config: SegmentNeurons) -> Iterator[str]:
    """Say what would cost less."""
    network = Network.of(inputs.checkpoint, window=config.infer.window)
    windows = lattice(inputs.grid.domain, network, config.infer)
    batch = _MOST_WINDOWS if config.infer.batch == "auto" else config.infer.batch
    yield from window_advice(network, windows, config.cluster.memory_bytes, batch=batch)


def _with_network(stage: StagePlan, inputs: Inputs, config: SegmentNeurons) -> StagePlan:
    """Add what the network costs to the plan of its stage."""
    network = Network.of(
        inputs.checkpoint, window=config.infer.window, views=views_of(config.infer.views)
    )
    windows = lattice(inputs.grid.domain, network, config.infer)
    call = arguments(inputs.image, grid=inputs.grid, engine=None)
    found = planned_windows(config.infer.skip, call, windows)
    batch = _MOST_WINDOWS if config.infer.batch == "auto" else config.infer.batch
    activations = 4 * _FLOATS_PER_WINDOW_VOXEL * batch * prod(network.window)
    turned, laid = network.passes, passes(windows, inputs.grid, config.infer)
    return replace(
        stage,
        # Blocks that evaluate windows on seams again do so where they are needed, alike.
        passes=turned * (laid * found.evaluated // found.windows),
        least_passes=turned * found.evaluated,
        skipped=turned * found.skipped,
        memory_bytes=stage.memory_bytes + activations,
    )


def _misaligned(grid: Grid, folder: Path, stages: list[StagePlan]) -> Iterator[str]:
    """Name the volumes of an earlier run whose stored objects the blocks would cut."""
    for stage in stages:
        path = folder / f"{stage.name}.zarr"
        if path.exists() and stage.name != STAGE:  # whose blocks are not the grid's
            try:
                check_aligned(grid, open_volume(str(path)))
            except GeometryError as error:
                yield f"{error}; or write to another folder, or run with --replace"


def _report(inputs: Inputs, found: Segmented, config: SegmentNeurons) -> Report:
    panels = [
        Panel("image", inputs.image, "image"),
        Panel("boundary probability", found.prob, "prob", config.segment.fragments.channel),
        Panel("labels", found.labels, "labels"),
    ]
    if inputs.truth is not None:
        panels.append(Panel("truth", inputs.truth, "truth"))
    scores = found.scores
    volumes = {"image": inputs.image, "truth": inputs.truth}
    return Report(
        heading=Path(config.output).name,
        footing="" if scores is None else _summary(scores),
        panels=tuple(panels),
        domain=inputs.grid.domain,
        scores=None if scores is None else asdict(scores),
        parameters={"pipeline": "segment_neurons", **asdict(config)},
        inputs={name: volume for name, volume in volumes.items() if volume is not None},
        checkpoint=inputs.checkpoint,
        results={"labels": found.labels},
        stages=() if scores is None else ("contingency",),
    )


def _summary(scores: SegmentationScores) -> str:
    rand, voi = scores.rand, scores.voi
    return (
        f"Rand F {rand.f_score:.4f}   split {rand.split:.4f}   merge {rand.merge:.4f}      "
        f"VOI {voi.split:.3f} + {voi.merge:.3f} bits      {scores.true_objects} true objects, "
        f"{scores.pred_segments} segments"
    )


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
    bases: tuple[Place, ...] = (),
    selection: Selection | None = None,
) -> Outcome:
    """Carry out a workflow file on the cluster that it names.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is a SegmentNeurons.
    on_progress : callable or None
        Told after every batch of blocks.
    on_message : callable
        Told what a person may want to know.
    replace_stale : bool
        Compute anew what another computation left in the folder.
    bases : tuple of Place
        Folders of earlier versions of the run.
    selection : Selection, optional
        What of it is to be computed anew.

    Returns
    -------
    Outcome

    Raises
    ------
    SourceError
        If something is to be replaced that other versions share.
    """
    config: SegmentNeurons = workflow.config
    if replace_stale:
        refuse_replacing(Path(config.output))
    engine = JobEngine(
        Path(config.output), replace_stale=replace_stale, bases=bases, selection=selection
    )
    # Whoever is refused shall not have started workers for it.
    with _attended(engine, on_message) as engine, workers(config.cluster, on_message) as client:
        if client is not None:
            on_message(f"dashboard: {client.dashboard_link}")
        return run(config, replace(engine, client=client), on_progress)


PIPELINE = Pipeline(
    name="segment_neurons",
    config=SegmentNeurons,
    run=carry_out,
    plan=plan,
    paths=frozenset({"image", "truth", "mask", "checkpoint", "members", "output"}),
    reprocess=carry_out,
    compose=lambda config, engine: compute(open_inputs(config), config, engine),
)
