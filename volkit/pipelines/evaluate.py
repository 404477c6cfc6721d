"""Evaluate: a prediction scored against the truth, with tables and a figure of what is wrong.

::

    pred ─┐
          ├─► one pass over both ─► scores ─► tables ─► figure
    truth ┘
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.geometry import AXES, Grid
from volkit.io.open import open_volume
from volkit.io.stated_size import open_sized
from volkit.io.volume import Volume
from volkit.ops.evaluation import EvaluationOptions, evaluate
from volkit.ops.evaluation_alignment import Aligned, align
from volkit.ops.evaluation_results import BoundaryEvaluation, LabelEvaluation
from volkit.ops.particle_results import PointEvaluation
from volkit.pipelines.cluster import workers
from volkit.pipelines.evaluate_config import Evaluate
from volkit.pipelines.evaluate_figure import boundary_figure, label_figure
from volkit.pipelines.evaluate_page import write_evaluation_page
from volkit.pipelines.evaluate_points import is_points, score_points
from volkit.pipelines.evaluate_report import write_boundary, write_labels
from volkit.pipelines.evaluate_views import Views
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.run_parameters import run_parameters
from volkit.version import __version__


@dataclass(frozen=True, slots=True)
class Scored:
    """What an evaluation came to.

    Parameters
    ----------
    found : LabelEvaluation, BoundaryEvaluation or PointEvaluation
        The scores.
    outcome : Outcome
        What was written, and how long it took.
    """

    found: LabelEvaluation | BoundaryEvaluation | PointEvaluation
    outcome: Outcome


def score(
    config: Evaluate,
    *,
    client: Any = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    replace_stale: bool = False,
) -> Scored:
    """Score, and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : Evaluate
        What to score.
    client : distributed.Client, optional
        Where blocks run; None is this process.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.
    replace_stale : bool
        Do anew what the folder has of another evaluation.

    Returns
    -------
    Scored

    Raises
    ------
    GeometryError
        If prediction and truth cannot be aligned, hold no ids, or nothing counts.
    SourceError
        If one cannot be read.
    StaleLedgerError
        If the folder holds another evaluation.
    """
    if is_points(config):
        return _told(Scored(*score_points(config)), on_message)
    pred, truth = _opened(config.pred, config), _opened(config.truth, config)
    views = align(pred, truth, config.box)
    watch, folder = Stopwatch(on_progress), Path(config.output)
    engine = JobEngine(folder, client, replace_stale=replace_stale)
    with at_work(engine, watch, on_message) as engine:
        found = _evaluated(config, pred, truth, views, engine)
        files = _report(config, found, views)
    outcome = Outcome(
        files=files,
        following=_following(config, found, views),
        scores=tuple(found.as_table()),
        times=watch.times(),
    )
    return _told(Scored(found, outcome), on_message)


def _opened(uri: str, config: Evaluate) -> Volume:
    return open_sized(uri, voxel_size_nm=config.voxel_size_nm)


def _told(scored: Scored, on_message: OnMessage | None) -> Scored:
    if on_message is not None:
        for warning in scored.found.warnings:
            on_message(f"warning: {warning}")
    return scored


def _evaluated(
    config: Evaluate, pred: Volume, truth: Volume, views: Aligned, engine: JobEngine
) -> LabelEvaluation | BoundaryEvaluation:
    grid = None if config.block_shape is None else Grid(views.box, config.block_shape)
    result: LabelEvaluation | BoundaryEvaluation = evaluate(
        pred,
        truth,
        convention=config.convention,
        box=config.box,
        options=EvaluationOptions(
            kind="auto" if config.kind == "points" else config.kind,
            thresholds=config.thresholds,
            channel=config.channel,
            truth_boundary=config.truth_boundary,
            voxel_size_nm=config.voxel_size_nm,
        ),
        grid=grid,
        engine=engine,
    )
    return result


def _report(
    config: Evaluate, found: LabelEvaluation | BoundaryEvaluation, views: Aligned
) -> tuple[tuple[str, Path], ...]:
    folder = Path(config.output)
    made = {
        "volkit": __version__,
        "parameters": run_parameters(config),
        "box": str(views.box),
        "pred": views.pred.identity,
        "truth": _opened(config.truth, config).identity,
    }
    image = None if config.image is None else open_volume(config.image)
    panels = Views(views, image, config.voxel_size_nm or views.voxel_size_nm or (1.0, 1.0, 1.0))
    figure = folder / "figure.png"
    if isinstance(found, LabelEvaluation):
        files = write_labels(folder, found, made)
        label_figure(figure, found, panels, worst=config.worst)
    else:
        files = write_boundary(folder, found, made)
        boundary_figure(figure, found, panels, channel=config.channel)
    return (("figure", figure), *files, ("page", write_evaluation_page(folder)))


def _following(
    config: Evaluate, found: LabelEvaluation | BoundaryEvaluation, views: Aligned
) -> tuple[str, *tuple[Path | str, ...]]:
    """Name the command to go on with: closer to the object that is cut most, or to the figure."""
    if isinstance(found, LabelEvaluation) and len(found.objects["id"]):
        worst = int(found.objects["split"].argmax())
        spans = [
            (int(found.objects[f"{axis}_start"][worst]), int(found.objects[f"{axis}_stop"][worst]))
            for axis in AXES
        ]
        size = prod(b - a for a, b in spans)
        if found.objects["split"][worst] > 0 and 2 * size < views.box.size:
            text = ",".join(f"{a}:{b}" for a, b in spans)
            rest = ("--convention", config.convention) if config.convention != "volkit" else ()
            if config.voxel_size_nm is not None:
                size_nm = ",".join(f"{n:g}" for n in config.voxel_size_nm)
                rest = (*rest, "--set", f"voxel_size_nm=[{size_nm}]")
            return "volkit evaluate", config.pred, config.truth, *rest, "--box", text
    return "open", Path(config.output) / "figure.png"


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file on the cluster that it names.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is an Evaluate.
    on_progress : callable or None
        Told after every batch of blocks.
    on_message : callable
        Told what a person may want to know.
    replace_stale : bool
        Do anew what the folder has of another evaluation.

    Returns
    -------
    Outcome
    """
    found = carried_out(
        workflow.config, on_progress=on_progress, on_message=on_message, replace_stale=replace_stale
    )
    return found.outcome


def carried_out(
    config: Evaluate,
    *,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    replace_stale: bool = False,
) -> Scored:
    """Score on the cluster that the options name; as :func:`score` otherwise."""
    with workers(config.cluster, on_message) as client:
        return score(
            config,
            client=client,
            on_progress=on_progress,
            on_message=on_message,
            replace_stale=replace_stale,
        )


PIPELINE = Pipeline(
    name="evaluate",
    config=Evaluate,
    run=carry_out,
    plan=None,
    paths=frozenset({"pred", "truth", "image", "output"}),
)
