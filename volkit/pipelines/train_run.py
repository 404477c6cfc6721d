"""Carrying out a training workflow: what all kinds of training have in common."""

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

from volkit.engine.base import OnProgress, Progress
from volkit.pipelines.outcome import Outcome, StageTime, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow

_PATHS = frozenset({"image", "labels", "checkpoint", "start_from"})


def training(
    name: str,
    config: type,
    following: Callable[[Any], str],
    further: Callable[[Any], Sequence[str]] = lambda _: (),
) -> Pipeline:
    """Make the pipeline of a kind of training.

    Parameters
    ----------
    name : str
        As workflow files have it.
    config : type
        A configuration that `volkit.training.loop.train` takes.
    following : callable
        Of the configuration: what to do with the card, the beginning of a command that it ends.
    further : callable
        Of the configuration: arguments of that command behind the card.

    Returns
    -------
    Pipeline
        Without a plan: nothing is read before it begins.
    """

    def run(
        workflow: Workflow,
        *,
        on_progress: OnProgress | None,
        on_message: OnMessage,
        replace_stale: bool,
    ) -> Outcome:
        """Train as a workflow file says, or go on where an interrupted run ended."""
        del replace_stale  # a state of another configuration is always refused
        asked = workflow.config
        card, times = _trained(workflow, on_progress=on_progress, on_message=on_message)
        behind: tuple[Path | str, ...] = (card, *further(asked))
        return Outcome((("checkpoint", card),), (following(asked), *behind), times=times)

    return Pipeline(name=name, config=config, run=run, plan=None, paths=_PATHS)


def _trained(
    workflow: Workflow, *, on_progress: OnProgress | None, on_message: OnMessage
) -> tuple[Path, tuple[StageTime, ...]]:
    from volkit.training.loop import train

    config: Any = workflow.config
    voxels = config.patches.batch * prod(config.patches.shape)
    watch = Stopwatch(on_progress)
    first: list[int] = []

    def listen(step: Any) -> None:
        first[:] = first or [step.step - 1]
        watch(Progress("train", step.step, step.steps, step.step * voxels, first[0], step.seconds))
        if step.scores is not None:
            on_message(f"step {step.step}: loss {step.loss:.4f}; {step.scores.told()}")

    result = train(config, on_progress=listen)
    return Path(result.checkpoint.uri), watch.times()
