"""The command report: the page of a run, made anew, or kept up to date while the run goes on."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from volkit.cli import tables
from volkit.cli.commands import command, say, say_json, wants_json

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer()


@command(app)
def report(
    run: Annotated[str, typer.Argument(help="Folder of a run.", show_default=False, metavar="RUN")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Make it anew until the run has ended.")
    ] = False,
    every: Annotated[float, typer.Option(help="Seconds between two pages.", min=0.1)] = 5.0,
) -> None:
    """Write the page of a run, whether it is finished, going on or ended half way.

    volkit report RUN

    volkit report RUN --watch
    """
    from volkit.pipelines.run_page import write_run_page

    page = write_run_page(run, live=watch)
    if wants_json():
        say_json({"page": page})
    else:
        typer.echo(f"page: {tables.brief(page)}")
    if watch:
        _follow(run, page, every)


def _follow(run: str, page: "Path", every: float) -> None:
    """Keep the page up to date; a browser that shows it loads it again by itself."""
    from volkit.pipelines.run_page import write_run_page
    from volkit.pipelines.status import read_status

    try:
        while True:
            client = read_status(run).client
            if client is None or client.running is False:
                break
            time.sleep(every)
            write_run_page(run, live=True)
    except KeyboardInterrupt:
        say(f"the page stays as it is: {page.name}")
        return
    write_run_page(run)
