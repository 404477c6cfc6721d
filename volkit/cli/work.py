"""Work: a workflow carried out in a terminal, from its plan to what it came to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from volkit.cli import tables
from volkit.cli.commands import say_json, wants_json
from volkit.cli.following import next_command
from volkit.cli.progress import shown, size

if TYPE_CHECKING:
    from volkit.pipelines.outcome import Outcome
    from volkit.pipelines.plan import Plan
    from volkit.pipelines.registry import Workflow

_PLAIN_WIDTH = 120
FAILED, REFUSED, BROKEN, INTERRUPTED = 1, 2, 70, 130


def carry_out(workflow: "Workflow", *, replace: bool) -> "Outcome":
    """Carry out a workflow, and show how far it is and what it came to.

    Parameters
    ----------
    workflow : Workflow
        What to do.
    replace : bool
        Do again what another computation left there.

    Returns
    -------
    Outcome
        Not yet shown where JSON is wanted: `say_outcome` does.
    """
    from volkit.pipelines.changed_keys import keys_named

    console = terminal()
    if workflow.pipeline.plan is not None:
        check_plan(workflow, show=False, replace=replace)
    with interruptible(), shown(console) as on_progress, _page(workflow), keys_named(workflow):
        outcome = workflow.pipeline.run(
            workflow,
            on_progress=on_progress,
            on_message=lambda text: console.print(text, soft_wrap=True, highlight=False),
            replace_stale=replace,
        )
    if not wants_json():
        _show(console, outcome)
    return outcome


def say_outcome(outcome: "Outcome", **more: Any) -> None:
    """Print what a workflow came to, where JSON is wanted.

    Parameters
    ----------
    outcome : Outcome
        From `carry_out`.
    **more
        Further keys of the document.
    """
    if not wants_json():
        return
    scores = [{"name": n, "value": _number(v), "meaning": m} for n, v, m in outcome.scores]
    say_json(
        {
            "files": dict(outcome.files),
            "scores": scores,
            "stages": outcome.times,
            "next": next_command(*outcome.following),
            **more,
        }
    )


@contextmanager
def _page(workflow: "Workflow") -> Iterator[None]:
    """Leave the page of a run, also of one that failed, which tells why."""
    from volkit.pipelines.run_page import leave_page

    try:
        yield
    finally:
        config = workflow.config
        folder = getattr(config, "folder", None) or getattr(config, "output", None)
        if workflow.pipeline.plan is not None and folder is not None:
            leave_page(folder)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end work that can be taken up again in one message."""
    # An interrupt that meets a call to the cluster half way makes its event loop log a traceback.
    # A filter, since distributed sets the level of this logger when it is imported.
    logging.getLogger("tornado.application").addFilter(lambda record: False)
    try:
        yield
    except KeyboardInterrupt:
        say_error("interrupted; what is finished is kept: the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None


def check_plan(workflow: "Workflow", *, show: bool, replace: bool = False) -> None:
    """Refuse what cannot fit, before anything is begun.

    Parameters
    ----------
    workflow : Workflow
        Whose plan it is.
    show : bool
        Print it.
    replace : bool
        Whether what is stale will be replaced.
    """
    if workflow.pipeline.plan is None:
        return
    found = workflow.pipeline.plan(workflow.config)
    problems = found.problems(replace=replace)
    if show and wants_json():
        say_json(_plan_tree(found, problems, workflow))
    elif show:
        blocks = " x ".join(map(str, found.grid.block_shape))
        typer.echo(f"domain {found.grid.domain}, {len(found.grid):,} blocks of {blocks}")
        terminal().print(tables.plan_table(found))
        if found.memory_bytes is not None:
            typer.echo(f"memory for each worker: {size(found.memory_bytes)}")
        for line in filter(None, (_places(found, workflow), *found.advice)):
            typer.echo(line)
    if problems:
        say_error("\n".join(problems))
        raise typer.Exit(REFUSED)


def terminal() -> Console:
    """Give a console that is as wide as a terminal, and wide where there is none.

    Where JSON is wanted it writes to standard error.
    """
    # Brackets in names and messages are not colours, and 1:100:1 is no emoji.
    console = Console(stderr=wants_json(), markup=False, emoji=False)
    # A file or a pipe has no width; what is written there need not be cut to 80 columns.
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console


def say_error(message: str) -> None:
    """Print an error, in red, where errors go."""
    Console(stderr=True).print(
        f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def _places(found: "Plan", workflow: "Workflow") -> str:
    """Say which stages go to GPU workers."""
    from volkit.pipelines.cluster import where_stages_run

    cluster = getattr(workflow.config, "cluster", None)
    return "" if cluster is None else where_stages_run(found.stages, cluster)


def _plan_tree(found: "Plan", problems: list[str], workflow: "Workflow") -> dict[str, Any]:
    return {
        "domain": found.grid.domain,
        "block_shape": found.grid.block_shape,
        "blocks": len(found.grid),
        "stages": found.stages,
        "bytes_read": sum(stage.bytes_read for stage in found.stages),
        "bytes_written": sum(stage.bytes_written for stage in found.stages),
        "memory_bytes": found.worst.memory_bytes,
        "workers": found.workers,
        "worker_memory_bytes": found.memory_bytes,
        "places": _places(found, workflow),
        "advice": found.advice,
        "problems": problems,
    }


def _number(text: str) -> float | str:
    """Read the value of a score; some are words."""
    try:
        return float(text)
    except ValueError:
        return text


def _show(console: Console, outcome: "Outcome") -> None:
    for table in (
        tables.score_table(outcome.scores) if outcome.scores else None,
        tables.time_table(outcome.times) if outcome.times else None,
    ):
        if table is not None:
            console.print()
            console.print(table)
    console.print()
    for name, place in outcome.files:
        console.print(f"{name}: {tables.brief(place)}", soft_wrap=True, highlight=False)
    console.print(f"next: {next_command(*outcome.following)}", soft_wrap=True, highlight=False)
