"""Commands about volumes: looking at them, copying them, making their levels."""

import typer

from volkit.cli import about, copies, levels

app = typer.Typer()
app.command()(about.info)
app.command()(levels.pyramid)
app.command()(copies.mirror)
