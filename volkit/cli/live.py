"""The command live: the page of a run that keeps itself up to date while the run goes on."""

import webbrowser
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from volkit.cli.commands import command, say, say_json, wants_json
from volkit.errors import MissingExtraError

if TYPE_CHECKING:
    from volkit.pipelines.live_server import OnView

app = typer.Typer()

_MOST_VIEWS = 4  # viewers that stay open at the same time


@command(app)
def live(
    run: Annotated[
        str,
        typer.Argument(
            help="Folder of a run, also one that is about to begin.",
            show_default=False,
            metavar="RUN",
        ),
    ],
    port: Annotated[int, typer.Option(help="Of this machine; 0 is any that is free.")] = 0,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.5)] = 2.0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Show a run in a browser while it goes on: progress, throughput, failures, and all else.

    volkit live RUN

    volkit live s3://bucket/RUN --no-browser --port 8800
    """
    from volkit.io.place import Place
    from volkit.io.sources import OpenOptions
    from volkit.pipelines.live_server import LiveServer

    place = Place(run, OpenOptions(credentials=credentials))
    with ExitStack() as views:
        on_view = _viewer(run, credentials, views)
        with LiveServer.start(place, port=port, seconds=every, on_view=on_view) as server:
            try:
                if wants_json():
                    say_json({"url": server.url})
                else:
                    typer.echo(server.url)
                say("Ctrl-C ends it; until then, whoever knows the address can look on")
                if not no_browser and not webbrowser.open(server.url):
                    say("no browser could be opened: open this address in one here")
                Event().wait()
            except KeyboardInterrupt:
                return


def _viewer(run: str, credentials: str | None, views: ExitStack) -> "OnView | None":
    """Make what opens the viewer at a voxel; None where there is no viewer."""
    try:
        from volkit.viewer.shown_places import ShownPlaces
    except MissingExtraError:
        return None  # the page says which command shows a place
    return views.enter_context(ShownPlaces(run, credentials, most=_MOST_VIEWS)).show
