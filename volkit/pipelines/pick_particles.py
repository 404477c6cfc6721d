"""Pick particles: tomograms and a network in, tables of points, scores and figures out.

::

    tomogram ─► heat maps ─► picks ─► picks.parquet, STAR, copick, CSV ─► scores ─► figures

All tomograms share the folder of the run, its lock and its status.  One that fails is named, and
the others go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from volkit.engine.allocator import give_back_memory
from volkit.engine.base import Engine, OnProgress
from volkit.engine.job import JobEngine
from volkit.engine.selection import Selection
from volkit.errors import BlockFailedError, RunLockedError, VolkitError
from volkit.io.place import Place
from volkit.pipelines.cluster import workers
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.pick_particles_chain import PickJob, compute, open_job, open_one
from volkit.pipelines.pick_particles_config import PickParticles
from volkit.pipelines.pick_particles_inputs import Tomogram
from volkit.pipelines.pick_particles_plan import plan
from volkit.pipelines.pick_particles_record import Attempt, check_written_apart, forget
from volkit.pipelines.pick_particles_results import write_results, write_tomogram
from volkit.pipelines.pick_particles_truth import named
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.version_stages import refuse_replacing
from volkit.wording import counted


def pick_particles(
    config: PickParticles,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    *,
    selection: Mapping[str, Selection] | None = None,
) -> Outcome:
    """Pick, score and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : PickParticles
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.
    selection : mapping of str to Selection, optional
        What is to be computed anew, by tomogram.

    Returns
    -------
    Outcome

    Raises
    ------
    BlockFailedError
        After all others, where a tomogram failed.
    VolkitError
        What :func:`~volkit.pipelines.pick_particles_chain.open_job` raises; RunLockedError where
        another client works in the folder.
    """
    job = open_job(config)
    watch, engine = Stopwatch(on_progress), engine or JobEngine(Path(config.output))
    folder = engine.place.local or Path(config.output)

    def say(text: str) -> None:
        if on_message is not None:
            on_message(text)

    with at_work(engine, watch, on_message) as engine:
        attempts = list(_attempts(job, engine, folder, say, selection or {}))
        files, scores = write_results(folder, attempts, job)
        failed = [each for each in attempts if each.picks is None]
        if failed:
            for row in scores:
                say("  ".join(row))
            raise BlockFailedError(_verdict(failed, attempts, folder))
    return Outcome(
        files=files,
        following=("open", folder / "report" / "figures"),
        scores=scores,
        times=watch.times(),
    )


def _attempts(
    job: PickJob,
    engine: JobEngine,
    folder: Path,
    say: OnMessage,
    selection: Mapping[str, Selection],
) -> Iterator[Attempt]:
    for number, tomogram in enumerate(job.tomograms, 1):
        said = f"tomogram {number}/{len(job.tomograms)}: {tomogram.name}"
        limited = replace(engine, selection=selection.get(tomogram.name))
        attempt = _attempt(tomogram, job, limited, folder)
        count = "failed" if attempt.picks is None else counted(len(attempt.picks), "pick")
        say(f"{said}: {count}" + (f": {attempt.error}" if attempt.error else ""))
        give_back_memory()
        yield attempt


def _attempt(tomogram: Tomogram, job: PickJob, engine: JobEngine, folder: Path) -> Attempt:
    """Pick one tomogram; whatever is wrong with it is noted, since the others are to go on."""
    opened = None
    try:
        opened = open_one(tomogram, job)
        picks = named(compute(opened, job, engine), tomogram.name)
        write_tomogram(folder, opened, picks, job)
    except RunLockedError:
        raise  # somebody else took the folder: nothing more may be written there
    except Exception as error:
        if engine.client is not None and engine.client.status != "running":
            raise  # with the cluster lost, all others would fail alike
        forget(folder, tomogram.name, job)
        return Attempt(tomogram.name, opened, error=_told(error))
    return Attempt(tomogram.name, opened, picks)


def _told(error: Exception) -> str:
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("volkit: ")]
    kind = "" if isinstance(error, VolkitError) else f"{type(error).__name__}: "
    return "\n".join([kind + (str(error) or type(error).__name__), *notes])


def _verdict(failed: list[Attempt], attempts: list[Attempt], folder: Path) -> str:
    lines = [f"  {each.name}: {each.error}" for each in failed]
    kept = f"; {folder / 'picks.parquet'} holds the picks of the others"
    return "\n".join(
        [
            f"{len(failed)} of {len(attempts)} tomograms failed"
            f"{kept if len(failed) < len(attempts) else ''}:",
            *lines,
            "mend or leave out what failed, and run the same again: it goes on from there",
        ]
    )


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
    bases: tuple[Place, ...] = (),
    selection: Mapping[str, Selection] | None = None,
) -> Outcome:
    """Carry out a workflow file on the cluster that it names.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is a PickParticles.
    on_progress : callable or None
        Told after every batch of blocks.
    on_message : callable
        Told what a person may want to know.
    replace_stale : bool
        Compute anew what another computation left in the folder.
    bases : tuple of Place
        Folders of earlier versions of the run.
    selection : mapping of str to Selection, optional
        What is to be computed anew, by tomogram.

    Returns
    -------
    Outcome

    Raises
    ------
    SourceError
        If something is to be replaced that other versions share.
    ConfigError
        If a version would write its picks over those of another one in a copick project.
    """
    config: PickParticles = workflow.config
    if replace_stale:
        refuse_replacing(Path(config.output))
    check_written_apart(config, bases)
    with workers(config.cluster, on_message) as client:
        engine = JobEngine(
            Path(config.output),
            client,
            replace_stale=replace_stale,
            bases=bases,
        )
        return pick_particles(config, engine, on_progress, on_message, selection=selection)


def compose(config: PickParticles, engine: Engine) -> tuple[Any, ...]:
    """Hand the chains of all tomograms to an engine.

    Parameters
    ----------
    config : PickParticles
        The workflow.
    engine : Engine
        Any.

    Returns
    -------
    tuple
        What the engine makes of the picks of each tomogram.
    """
    job = open_job(config)
    return tuple(compute(open_one(each, job), job, engine) for each in job.tomograms)


PIPELINE = Pipeline(
    name="pick_particles",
    config=PickParticles,
    run=carry_out,
    plan=plan,
    paths=frozenset(
        {
            "tomograms",
            "image",
            "heat",
            "truth",
            "points",
            "copick",
            "folder",
            "checkpoint",
            "members",
            "output",
        }
    ),
    reprocess=carry_out,
    compose=compose,
    parts=lambda config: tuple(each.name for each in open_job(config).tomograms),
)
