"""Work: a workflow carried out in a terminal, from its plan to what it came to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from volkit.cli import tables
from volkit.cli.progress import shown, size

if TYPE_CHECKING:
    from volkit.pipelines.registry import Workflow

_PLAIN_WIDTH = 120
FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def carry_out(workflow: "Workflow", *, replace: bool) -> None:
    """Carry out a workflow, and show how far it is and what it came to.

    Parameters
    ----------
    workflow : Workflow
        What to do.
    replace : bool
        Do again what another computation left there.
    """
    console = terminal()
    if workflow.pipeline.plan is not None:
        check_plan(workflow, show=False, replace=replace)
    with interruptible(), shown(console) as on_progress, _page(workflow):
        outcome = workflow.pipeline.run(
            workflow,
            on_progress=on_progress,
            on_message=lambda text: console.print(text, soft_wrap=True, highlight=False),
            replace_stale=replace,
        )
    _show(console, outcome)


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
    if show:
        blocks = " x ".join(map(str, found.grid.block_shape))
        typer.echo(f"domain {found.grid.domain}, {len(found.grid):,} blocks of {blocks}")
        terminal().print(tables.plan_table(found))
        if found.memory_bytes is not None:
            typer.echo(f"memory for each worker: {size(found.memory_bytes)}")
        for advice in found.advice:
            typer.echo(advice)
    problems = found.problems(replace=replace)
    if problems:
        say_error("\n".join(problems))
        raise typer.Exit(REFUSED)


def terminal() -> Console:
    """Give a console that is as wide as a terminal, and wide where there is none."""
    console = Console()
    # A file or a pipe has no width; what is written there need not be cut to 80 columns.
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def say_error(message: str) -> None:
    """Print an error, in red, where errors go."""
    Console(stderr=True).print(
        f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def _show(console: Console, outcome: Any) -> None:
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
    command, argument = outcome.following
    gap = "" if command.endswith("=") else " "
    console.print(f"next: {command}{gap}{tables.brief(argument)}", soft_wrap=True, highlight=False)
