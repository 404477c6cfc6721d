"""Runs on the cluster that a workflow names: workers are started, an engine works in its folder."""

from collections.abc import Callable
from typing import Any

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.pipelines.cluster import workers
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import OnMessage, Workflow

Work = Callable[[Any, JobEngine, OnProgress | None, OnMessage], Outcome]


def on_cluster(work: Work) -> Callable[..., Outcome]:
    """Make what a Pipeline runs of what works in an engine.

    Parameters
    ----------
    work : callable
        ``work(config, engine, on_progress, on_message)`` gives an Outcome; the config has a
        ``folder``, and a ``cluster`` that says where blocks run.

    Returns
    -------
    callable
        ``run(workflow, *, on_progress, on_message, replace_stale)``.
    """

    def run(
        workflow: Workflow,
        *,
        on_progress: OnProgress | None,
        on_message: OnMessage,
        replace_stale: bool,
    ) -> Outcome:
        """Carry out a workflow file; taken up where it was when it is run again.

        Parameters
        ----------
        workflow : Workflow
            What to do.
        on_progress : callable or None
            Told after every batch of blocks.
        on_message : callable
            Told what a person may want to know.
        replace_stale : bool
            Compute anew what another computation left in the folder.

        Returns
        -------
        Outcome
        """
        config = workflow.config
        with workers(config.cluster, on_message) as client:
            engine = JobEngine(config.folder, client, replace_stale=replace_stale)
            return work(config, engine, on_progress, on_message)

    return run
