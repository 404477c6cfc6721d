"""Plan of ``pick_particles``: the stages of all tomograms added up."""

from collections import defaultdict
from pathlib import Path

from volkit.errors import ConfigError, ModelError, VolkitError
from volkit.pipelines.pick_particles_chain import OpenTomogram, PickJob, compute, open_job, open_one
from volkit.pipelines.pick_particles_config import PickParticles
from volkit.pipelines.plan import Plan, StagePlan, added_up
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.segment_plan import NetworkStage, misaligned

# Beside the heat maps: one class at a time, in floats, and what max-pooling keeps of it.
_WORK_BYTES = {"picks": 8.0}


def plan(config: PickParticles) -> Plan:
    """Say what a run will read, compute, write and need.

    Parameters
    ----------
    config : PickParticles
        The workflow.

    Returns
    -------
    Plan
        Stages of all tomograms added up, the domain of the largest; tomograms that cannot be
        opened are named in its advice.

    Raises
    ------
    ConfigError
        If options do not fit each other or the network.
    VolkitError
        What ``open_job`` raises, or the first tomogram, where none can be opened.
    """
    job = open_job(config)
    advice: dict[str, None] = {}
    conflicts: list[str] = []
    stages: dict[str, list[StagePlan]] = defaultdict(list)
    largest: OpenTomogram | None = None
    first: VolkitError | None = None
    for tomogram in job.tomograms:
        try:
            opened = open_one(tomogram, job)
            planned = _stages(opened, job)
        except (ConfigError, ModelError):
            raise
        except VolkitError as error:
            first = first or error
            advice[f"{tomogram.name} will fail, and the others go on: {error}"] = None
            continue
        conflicts += misaligned(opened.grid, Path(config.output), planned)
        advice |= dict.fromkeys(_advice(opened, job))
        for stage in planned:
            stages[stage.name.removeprefix(f"{tomogram.name}-")].append(stage)
        if largest is None or opened.grid.domain.size > largest.grid.domain.size:
            largest = opened
    if largest is None:
        raise first or ConfigError("there are no tomograms; name some")
    return Plan(
        grid=largest.grid,
        stages=tuple(added_up(name, parts) for name, parts in stages.items()),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        conflicts=tuple(conflicts),
        advice=tuple(advice),
    )


def _stages(tomogram: OpenTomogram, job: PickJob) -> list[StagePlan]:
    work = {f"{tomogram.name}-{name}": size for name, size in _WORK_BYTES.items()}
    engine = PlanEngine(work_bytes=work, process_bytes=process_bytes())
    compute(tomogram, job, engine)
    network = _network(job)
    if network is None or tomogram.image is None:
        return engine.stages
    return [
        network.planned(stage, tomogram.image, tomogram.grid)
        if stage.name.endswith("-prob")
        else stage
        for stage in engine.stages
    ]


def _network(job: PickJob) -> NetworkStage | None:
    return None if job.model is None else NetworkStage("prob", job.model, job.config.infer)


def _advice(tomogram: OpenTomogram, job: PickJob) -> list[str]:
    network = _network(job)
    if network is None:
        return []
    return list(network.advice(tomogram.grid, job.config.cluster.memory_bytes))
