"""Train a network that finds particles: tomograms and centres in, a checkpoint out."""

from math import prod
from typing import Any

from volkit.engine.base import OnProgress, Progress
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.training.particle_config import ParticleTrainConfig


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
        Whose ``config`` is a ParticleTrainConfig.
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
    from volkit.training.particle_run import train_particles

    config: ParticleTrainConfig = workflow.config
    voxels = config.crops.batch * prod(config.crops.shape)
    watch = Stopwatch(on_progress)
    first: list[int] = []

    def listen(step: Any) -> None:
        first[:] = first or [step.step - 1]
        watch(Progress("train", step.step, step.steps, step.step * voxels, first[0], step.seconds))
        if step.scores is not None:
            on_message(_verdict(step, config))

    result = train_particles(config, on_progress=listen)
    return Outcome(
        files=(("checkpoint", config.card_path),),
        following=("volkit plan workflows/particles/pick.yaml --set checkpoint=", config.card_path),
        scores=_rows(result.best, config),
        times=watch.times(),
    )


def _verdict(step: Any, config: ParticleTrainConfig) -> str:
    kinds = ", ".join(
        f"{kind.name} {f:.3f} at {t:g}"
        for kind, f, t in zip(config.kinds, step.scores.kinds, step.scores.thresholds, strict=True)
    )
    return f"step {step.step}: loss {step.loss:.5f}; F {step.scores.score:.4f} ({kinds})"


def _rows(best: Any, config: ParticleTrainConfig) -> tuple[tuple[str, str, str], ...]:
    if best is None:
        return ()
    beta = f"F{config.validation.beta:g}"
    rows = [(f"weighted {beta}", f"{best.score:.4f}", "each kind at its best threshold; 1 is best")]
    for kind, f, t, (hit, false, missed) in zip(
        config.kinds, best.kinds, best.thresholds, best.counts, strict=True
    ):
        meaning = f"threshold {t:g}: {hit} found, {false} false, {missed} missed"
        rows.append((f"{beta} {kind.name}", f"{f:.4f}", meaning))
    return tuple(rows)


PIPELINE = Pipeline(
    name="train_particles",
    config=ParticleTrainConfig,
    run=carry_out,
    plan=None,
    paths=frozenset({"image", "points", "checkpoint", "backbone"}),
)
