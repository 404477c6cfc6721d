"""Runs on the command line: where they stand, what failed, and whether they are sound."""

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from volkit.cli import run_tables
from volkit.cli.commands import command, say_json, wants_json
from volkit.cli.work import FAILED, interruptible, terminal

if TYPE_CHECKING:
    from volkit.engine.findings import Verified
    from volkit.io.place import Place

app = typer.Typer()

Run = Annotated[
    str,
    typer.Argument(help="Folder of a run: a path, or s3://…", show_default=False, metavar="RUN"),
]
Credentials = Annotated[
    str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
]


@command(app)
def status(
    run: Run,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 2.0,
    credentials: Credentials = None,
) -> None:
    """Say where a run stands, from any machine that sees its folder.

    volkit status RUN --watch

    volkit status s3://bucket/RUN --json
    """
    from volkit.pipelines.status import read_status

    place = _place(run, credentials)
    if wants_json():
        say_json(read_status(place).as_json())
    elif watch:
        _watch(place, every)
    else:
        console = terminal()
        found = read_status(place)
        console.print(run_tables.status_table(found))
        for line in run_tables.status_lines(found):
            console.print(line, soft_wrap=True, highlight=False)


@command(app)
def logs(
    run: Run,
    block: Annotated[int | None, typer.Option(help="Of this one, all that is known.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage.")] = None,
    credentials: Credentials = None,
) -> None:
    """Say which blocks failed, where and why; of one block, all that is known.

    volkit logs RUN

    volkit logs RUN --stage prob --block 17
    """
    from volkit.pipelines.logs import read_logs

    found = read_logs(_place(run, credentials), stage=stage, block=block)
    if wants_json():
        say_json(found)
        return
    if not found:
        what = "blocks were set aside" if block is None else f"word of block {block}"
        typer.echo(f"no {what} in {run}")
    for line in run_tables.log_lines(found):
        typer.echo(line)


@command(app)
def verify(
    run: Run,
    repair: Annotated[
        bool, typer.Option("--repair", help="Forget what is not sound, and what read it.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes to start; 0 is this one.")] = 0,
    credentials: Credentials = None,
) -> None:
    """Read back every finished block and compare it with its check sum; 1 if one is not sound.

    volkit verify RUN --workers 4

    volkit verify RUN --repair
    """
    from volkit.engine.attendance import attended
    from volkit.engine.repair import repair as forget

    place = _place(run, credentials)
    console = terminal()
    # Whoever changes marks must be alone; whoever only reads may look on.
    lock = attended(place, on_message=console.print) if repair else nullcontext()
    with interruptible(), lock:
        found = _verified(place, workers, quiet=wants_json())
        repaired = forget(place, found) if repair else []
    if wants_json():
        say_json({"stages": found, "repaired": repaired})
    else:
        console.print(run_tables.verify_table(found))
        for line in run_tables.finding_lines(found):
            console.print(line, soft_wrap=True, highlight=False)
        for done in repaired:
            typer.echo(
                f"{done.stage}: {done.bad:,} not sound and {done.doubtful:,} that may have been "
                "computed from torn blocks will be computed again"
                + (f"; {done.advice}" if done.advice else "")
            )
        _say_what_next(found, repaired=repair)
    if any(stage.findings for stage in found):
        raise typer.Exit(FAILED)


def _say_what_next(found: "list[Verified]", *, repaired: bool) -> None:
    if not any(stage.findings for stage in found):
        return
    if repaired:
        typer.echo(
            "next: run the workflow again; if a stage is refused as stale then, a table has come "
            "out differently without the damage: add --replace"
        )
    else:
        typer.echo("next: the same with --repair, then run the workflow again")


def _verified(place: "Place", workers: int, *, quiet: bool) -> "list[Verified]":
    from volkit.cli.progress import shown
    from volkit.engine.base import Progress
    from volkit.engine.cluster import local_client
    from volkit.engine.verify import verify as read_back

    begun = time.monotonic()
    told: dict[str, float] = {}
    clients: Any = local_client(workers) if workers else nullcontext()
    with clients as client, shown(terminal()) as show:

        def tell(stage: str, seen: int, total: int, voxels: int) -> None:
            since = told.setdefault(stage, time.monotonic() if told else begun)
            if not quiet:
                show(Progress(stage, seen, total, voxels, 0, time.monotonic() - since))

        return read_back(place, client=client, on_verified=tell)


def _watch(place: "Place", every: float) -> None:
    """Show a status until the run has ended, or somebody has seen enough."""
    from volkit.pipelines.status import read_status

    console = terminal()
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                found = read_status(place)
                text = "\n".join(run_tables.status_lines(found))
                live.update(Group(run_tables.status_table(found), Text(text)), refresh=True)
                if found.client is None or found.client.running is False:
                    return
                time.sleep(every)
        except KeyboardInterrupt:
            return


def _place(run: str, credentials: str | None) -> "Place":
    from volkit.io.place import Place
    from volkit.io.sources import OpenOptions

    return Place(run, OpenOptions(credentials=credentials))
