"""Commands about volumes: looking at them, copying them, making their levels."""

import typer

from volkit.cli import about, copies, levels
from volkit.cli.commands import command
from volkit.cli.voxel_size import sized

app = typer.Typer()
command(app)(sized(about.info))
command(app)(levels.pyramid)
command(app)(sized(copies.mirror))
