"""The command view: volumes, tables and runs in a browser."""

import webbrowser
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from volkit.cli.boxes import parse_vector
from volkit.cli.commands import command, say, say_json, wants_json
from volkit.cli.work import terminal

if TYPE_CHECKING:
    from volkit.viewer.view import ViewOptions

app = typer.Typer()


@command(app)
def view(
    uris: Annotated[
        list[str],
        typer.Argument(
            help="Volumes, tables of points or boxes, NAME.swc, folders of runs or evaluations; "
            "KIND=URI says what it is: image, prob, labels, points, boxes, skeletons.",
            show_default=False,
            metavar="[KIND=]URI...",
        ),
    ],
    at: Annotated[
        str | None, typer.Option(help="Voxel to look at: z,y,x.", show_default="the middle")
    ] = None,
    voxel_size: Annotated[
        str | None,
        typer.Option(help="z,y,x in nm, or one number, where a volume does not say it."),
    ] = None,
    port: Annotated[int, typer.Option(help="Of this machine; 0 is any that is free.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="Print an address that shows volumes of public buckets to anybody."
        ),
    ] = False,
    tomogram: Annotated[
        str | None, typer.Option(help="Which, of a run or a table of many.")
    ] = None,
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Show volumes, tables and runs in a browser; what is looked at is read, and nothing else.

    volkit view em.zarr labels.zarr

    volkit view RUN --at 20,512,512

    volkit view image=em.h5::raw prob=net.zarr points=picks.csv --voxel-size 40,4,4
    """
    from volkit.viewer.view import ViewOptions, public_view

    options = ViewOptions(
        at=parse_vector(at, "--at"),
        voxel_size_nm=parse_vector(voxel_size, "--voxel-size", one=True),
        tomogram=tomogram,
        credentials=credentials,
    )
    if public:
        url = public_view(uris, options=options)
        if wants_json():
            say_json({"url": url})
        else:
            typer.echo(url)
        return
    _show(uris, options, port, browser=not no_browser)


def _show(uris: list[str], options: "ViewOptions", port: int, *, browser: bool) -> None:
    """Serve until somebody has seen enough."""
    from volkit.viewer.view import View

    console = terminal()
    with View.of(uris, options=options, port=port) as shown:
        try:
            for message in shown.found.messages:
                console.print(f"note: {message}", soft_wrap=True, highlight=False)
            if wants_json():
                say_json({"url": shown.url, "notes": shown.found.messages})
            else:
                typer.echo(shown.url)
            say("Ctrl-C ends it; until then, whoever knows the address can look on")
            if browser and not webbrowser.open(shown.url):
                say("no browser could be opened: open this address in one on this machine")
            Event().wait()
        except KeyboardInterrupt:
            return
