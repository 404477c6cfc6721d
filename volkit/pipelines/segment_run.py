"""Segmentations as pipelines: planned, run, resumed and reported alike, whatever their chain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from volkit.engine.attendance import attended
from volkit.engine.base import Engine, OnProgress
from volkit.engine.job import JobEngine
from volkit.engine.selection import Selection
from volkit.io.place import Place
from volkit.ops.metrics import SegmentationScores
from volkit.pipelines.cluster import workers
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.report import Report, write_report
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.segment_plan import WORK_BYTES, NetworkStage, misaligned
from volkit.pipelines.version_stages import refuse_replacing

Files = tuple[tuple[str, Path | str], ...]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A chain of stages that ends in ``labels`` and ``scores``, as a pipeline.

    Parameters
    ----------
    name : str
        As workflow files have it.
    config : type
        Frozen dataclass of its workflow files, with ``output``, ``block_shape`` and ``cluster``.
    open_inputs : callable
        ``open_inputs(config)`` gives inputs, with ``image`` and ``grid``.
    compute : callable
        ``compute(inputs, config, engine)`` composes the chain.
    networks : callable
        ``networks(inputs, config)`` tells the stages in which networks answer.
    report : callable
        ``report(inputs, found, config)`` says what is to be reported.
    paths : frozenset of str
        Keys whose values are paths or URIs.
    publish : callable, optional
        ``publish(inputs, found, config, engine)`` writes what others read; gives files by name.
    advice : callable, optional
        ``advice(inputs, config)`` gives what else a plan has to say, for a person.
    """

    name: str
    config: type
    open_inputs: Callable[[Any], Any]
    compute: Callable[[Any, Any, Engine], Any]
    networks: Callable[[Any, Any], tuple[NetworkStage, ...]]
    report: Callable[[Any, Any, Any], Report]
    paths: frozenset[str]
    publish: Callable[[Any, Any, Any, JobEngine], Files] | None = None
    advice: Callable[[Any, Any], Iterator[str]] | None = None

    @property
    def pipeline(self) -> Pipeline:
        """What the registry lists."""
        return Pipeline(
            name=self.name,
            config=self.config,
            run=self.carry_out,
            plan=self.plan,
            paths=self.paths,
            reprocess=self.carry_out,
            compose=lambda config, engine: self.compute(self.open_inputs(config), config, engine),
        )

    def run(
        self,
        config: Any,
        engine: JobEngine | None = None,
        on_progress: OnProgress | None = None,
        on_message: OnMessage | None = None,
    ) -> Outcome:
        """Segment, score and report; taken up where it was when it is run again.

        Parameters
        ----------
        config : object
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
            What ``open_inputs`` raises, StaleLedgerError where the folder holds another
            computation, and RunLockedError where another client works there.
        """
        inputs = self.open_inputs(config)
        watch, engine = Stopwatch(on_progress), engine or JobEngine(Path(config.output))
        folder = engine.place.local or Path(config.output)
        with at_work(engine, watch, on_message) as engine:
            found = self.compute(inputs, config, engine)
            report = self.report(inputs, found, config)
            if on_message is not None:
                for text in report.warnings:
                    on_message(f"warning: {text}")
            files: Files = write_report(folder / "report", report)
            if self.publish is not None:
                files += self.publish(inputs, found, config, engine)
        return Outcome(
            files=(("labels", Path(found.labels.uri)), *files),
            following=("volkit info", Path(found.labels.uri)),
            scores=() if found.scores is None else tuple(found.scores.as_table()),
            times=watch.times(),
        )

    def plan(self, config: Any) -> Plan:
        """Say what a run will read, compute, write and need.

        Parameters
        ----------
        config : object
            The workflow.

        Returns
        -------
        Plan
        """
        inputs = self.open_inputs(config)
        engine = PlanEngine(work_bytes=WORK_BYTES, process_bytes=process_bytes())
        self.compute(inputs, config, engine)
        networks = {network.name: network for network in self.networks(inputs, config)}
        memory = config.cluster.memory_bytes
        advice = [network.advice(inputs.grid, memory) for network in networks.values()]
        if self.advice is not None:
            advice.append(self.advice(inputs, config))
        stages = [
            networks[stage.name].planned(stage, inputs.image, inputs.grid)
            if stage.name in networks
            else stage
            for stage in engine.stages
        ]
        return Plan(
            grid=inputs.grid,
            stages=tuple(stages),
            workers=config.cluster.processes,
            memory_bytes=memory,
            conflicts=tuple(misaligned(inputs.grid, Path(config.output), stages)),
            advice=tuple(chain(*advice)),
        )

    def carry_out(
        self,
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
            Whose ``config`` is of this pipeline.
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
        config = workflow.config
        if replace_stale:
            refuse_replacing(Path(config.output))
        engine = JobEngine(
            Path(config.output), replace_stale=replace_stale, bases=bases, selection=selection
        )
        # Whoever is refused shall not have started workers for it.
        with (
            attended(engine.place, on_message=on_message) as attendance,
            workers(config.cluster, on_message) as client,
        ):
            engine = replace(engine, client=client, attendance=attendance)
            return self.run(config, engine, on_progress, on_message)


def footing(scores: SegmentationScores | None) -> str:
    """Sum the scores up in a line, for a figure.

    Parameters
    ----------
    scores : SegmentationScores or None
        None without a truth.

    Returns
    -------
    str
        Empty without scores.
    """
    if scores is None:
        return ""
    rand, voi = scores.rand, scores.voi
    return (
        f"Rand F {rand.f_score:.4f}   split {rand.split:.4f}   merge {rand.merge:.4f}      "
        f"VOI {voi.split:.3f} + {voi.merge:.3f} bits      {scores.true_objects} true objects, "
        f"{scores.pred_segments} segments"
    )


def warned(
    doubts: tuple[str, ...] | None, scores: SegmentationScores | None, tree: Any = None
) -> tuple[str, ...]:
    """List what looks wrong in a segmentation.

    Parameters
    ----------
    doubts : tuple of str or None
        Known already; None without a truth.
    scores : SegmentationScores or None
        None without a truth.
    tree : object, optional
        A merge tree; one without nodes is of a volume without segments.

    Returns
    -------
    tuple of str
    """
    nothing = isinstance(tree, dict) and not len(tree["id"])
    if nothing or (scores is not None and not scores.pred_segments):
        empty = "there is no segment, only background: no seed was found; check thresholds"
        return (*(doubts or ()), empty)
    return doubts or ()
