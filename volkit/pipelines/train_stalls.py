"""Train networks that tell stalled vessels from others: clips and labels in, checkpoints out."""

from math import prod
from pathlib import Path
from typing import Any

from volkit.engine.base import OnProgress, Progress
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.training.stall_config import StallTrainConfig


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Train as a workflow file says, or go on where an interrupted run ended.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is a StallTrainConfig.
    on_progress : callable or None
        Told after every epoch.
    on_message : callable
        Told the scores of every epoch.
    replace_stale : bool
        Not used: a state of another configuration is always refused.

    Returns
    -------
    Outcome
    """
    from volkit.training.stall_run import train_stalls

    config: StallTrainConfig = workflow.config
    voxels = config.optimisation.batches * config.optimisation.batch * prod(config.window)
    watch = Stopwatch(on_progress)
    first: list[int] = []

    def listen(epoch: Any) -> None:
        first[:] = first or [epoch.done - 1]
        done, total = epoch.done, epoch.total
        watch(Progress("train", done, total, done * voxels, first[0], epoch.seconds))
        scores = epoch.scores
        where = f"fold {epoch.fold}, stage {epoch.stage}, epoch {scores.epoch}"
        on_message(f"{where}: loss {scores.loss:.4f}; {scores.told()}")

    results = train_stalls(config, on_progress=listen)
    files: list[tuple[str, Path]] = []
    for result in results:
        files += [("checkpoint", Path(result.checkpoint.uri)), ("judged clips", result.judged)]
    return Outcome(
        files=tuple(files),
        following=("volkit plan workflows/stalls/clips.yaml --set checkpoint=", files[0][1]),
        scores=tuple(_row(result) for result in results),
        times=watch.times(),
    )


def _row(result: Any) -> tuple[str, str, str]:
    best = result.best
    return (f"fold {result.fold}", f"AUC {best.auc:.4f}, MCC {best.mcc:.4f}", best.told())


PIPELINE = Pipeline(
    name="train_stalls",
    config=StallTrainConfig,
    run=carry_out,
    plan=None,
    paths=frozenset({"checkpoint", "metadata", "labels", "clips", "cache", "weights"}),
)
