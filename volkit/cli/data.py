"""Commands about volumes: looking at them, copying them, making their levels."""

import typer

from volkit.cli import about, copies, levels
from volkit.cli.commands import command

app = typer.Typer()
command(app)(about.info)
command(app)(levels.pyramid)
command(app)(copies.mirror)
