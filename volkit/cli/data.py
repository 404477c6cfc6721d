"""Commands about volumes: looking at them, copying them, making their levels."""

from typing import Annotated

import typer

from volkit.cli import tables
from volkit.cli.work import terminal

app = typer.Typer()


@app.command()
def info(
    uri: Annotated[str, typer.Argument(help="What open_volume takes.", show_default=False)],
    level: Annotated[int, typer.Option(help="0 is the finest.")] = 0,
) -> None:
    """Say what a volume is."""
    from volkit.io.open import open_volume

    terminal().print(tables.info_table(open_volume(uri, level=level)))
