"""What ``volkit run --check-reproducible`` shows."""

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from volkit.cli.commands import wants_json
from volkit.cli.work import FAILED, interruptible, say_error, terminal

if TYPE_CHECKING:
    from volkit.engine.replay import Difference, Replayed
    from volkit.pipelines.registry import Workflow

OPTION = "--check-reproducible"

_BLOCKS = 8  # corners of the grid, or some of them and its middle
_MOST_SHOWN = 5  # differing blocks of a stage


def with_blocks(arguments: Sequence[str]) -> list[str]:
    """Say how many blocks, where the option stands without a number.

    Parameters
    ----------
    arguments : sequence of str
        Of the command line.

    Returns
    -------
    list of str

    Examples
    --------
    >>> with_blocks(["run", "--check-reproducible", "em.yaml"])
    ['run', '--check-reproducible', '8', 'em.yaml']
    >>> with_blocks(["run", "em.yaml", "--check-reproducible", "20"])
    ['run', 'em.yaml', '--check-reproducible', '20']
    """
    given = list(arguments)
    if OPTION in given:
        after = given.index(OPTION) + 1
        if not given[after : after + 1] or not given[after].lstrip("-").isdigit():
            given.insert(after, str(_BLOCKS))
    return given


def show_reproducible(workflow: "Workflow", *, blocks: int) -> "tuple[Replayed, ...]":
    """Compute sample blocks again, and print what came out unless JSON is wanted.

    Parameters
    ----------
    workflow : Workflow
        That was carried out.
    blocks : int
        Samples of each stage.

    Returns
    -------
    tuple of Replayed
        One for each stage.
    """
    from volkit.pipelines.reproducible import check_reproducible

    console = terminal()
    with interruptible(), console.status("computing sample blocks again"):
        rows = check_reproducible(workflow, blocks=blocks)
    if wants_json():
        return rows
    console.print()
    console.print(_table(rows))
    for row in rows:
        for difference in row.differences[:_MOST_SHOWN]:
            console.print(f"{row.stage}: {_said(difference)}", highlight=False, soft_wrap=True)
    return rows


def refuse_differences(workflow: "Workflow", rows: "Sequence[Replayed]") -> None:
    """End with 1 if something did not come out as it is stored.

    Parameters
    ----------
    workflow : Workflow
        That was carried out.
    rows : sequence of Replayed
        From `show_reproducible`.
    """
    if any(row.differences for row in rows):
        output = quote(str(workflow.config.output))
        say_error(
            "the same inputs and versions gave other bytes; compare machines, devices and versions "
            f"of packages with volkit provenance {output}, or look for damage with "
            f"volkit verify {output}"
        )
        raise typer.Exit(FAILED)


def _table(rows: "Sequence[Replayed]") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("reproduced")
    for name in ("checked", "of", "differ", ""):
        table.add_column(name, justify="right")
    for row in rows:
        wrong = len(row.differences)
        said = "differs" if wrong else "same bytes"
        unit = "table" if row.kind == "table" else f"{row.total:,}"
        table.add_row(row.stage, f"{row.checked:,}", unit, str(wrong), said)
    return table


def _said(difference: "Difference") -> str:
    if difference.number is None:
        return "the table that follows from its sums is another one"
    where = f"block {difference.number} {difference.box}"
    if not difference.voxels:
        return f"{where} is as it is stored, but the ledger has another check sum"
    return f"{where}: {difference.voxels:,} voxels differ, by {difference.most:g} at most"
