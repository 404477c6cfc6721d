"""Train a boundary network: labelled volumes in, a checkpoint with its card out."""

from math import prod
from pathlib import Path
from typing import Any

from volkit.engine.base import OnProgress, Progress
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.training.config import TrainConfig


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
        Whose ``config`` is a TrainConfig.
    on_progress : callable or None
        Told after every step.
    on_message : callable
        Told the scores of every validation.
    replace_stale : bool
        Not used: a state of another configuration is always refused.

    Returns
    -------
    Outcome
    """
    from volkit.training.loop import train

    config: TrainConfig = workflow.config
    voxels = config.patches.batch * prod(config.patches.shape)
    watch = Stopwatch(on_progress)
    first: list[int] = []

    def listen(step: Any) -> None:
        first[:] = first or [step.step - 1]
        watch(Progress("train", step.step, step.steps, step.step * voxels, first[0], step.seconds))
        if step.scores is not None:
            on_message(_verdict(step))

    result = train(config, on_progress=listen)
    card = Path(result.checkpoint.uri)
    return Outcome(
        files=(("checkpoint", card),),
        following=("volkit plan workflows/segment_neurons.yaml --set checkpoint=", card),
        times=watch.times(),
    )


def _verdict(step: Any) -> str:
    found = step.scores
    return (
        f"step {step.step}: loss {step.loss:.4f}; adapted Rand error "
        f"{found.adapted_rand_error:.4f} at threshold {found.threshold:g} (split "
        f"{found.split:.4f}, merge {found.merge:.4f})"
    )


PIPELINE = Pipeline(
    name="train_boundaries",
    config=TrainConfig,
    run=carry_out,
    plan=None,
    paths=frozenset({"image", "labels", "checkpoint"}),
)
