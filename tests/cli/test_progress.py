"""Progress: lines for files, bars for terminals."""

import io

from rich.console import Console

from volkit.cli.progress import shown
from volkit.engine.base import Progress

STATES = [
    Progress("prob", 0, 4, 0, 0, 0.0),
    Progress("prob", 1, 4, 1_000_000, 0, 1.0),
    Progress("prob", 2, 4, 2_000_000, 0, 2.0),
    Progress("prob", 4, 4, 4_000_000, 0, 4.0),
    Progress("labels", 3, 4, 3_000_000, 3, 0.0),
    Progress("labels", 4, 4, 4_000_000, 3, 1.0),
    Progress("graph.parts/1", 1, 1, 0, 0, 1.0),
]


def printed(*, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    with shown(console) as on_progress:
        for state in STATES:
            on_progress(state)
    return stream.getvalue()


def test_a_file_gets_the_first_and_the_last_block_of_a_stage() -> None:
    lines = [" ".join(line.split()) for line in printed(terminal=False).splitlines()]
    assert lines == [
        "prob 1/4 blocks, 1.0 Mvoxel/s, 0:03 left",
        "prob 4/4 blocks, done in 0:04",
        "labels 4/4 blocks, done in 0:01",
    ]


def test_a_terminal_gets_a_bar_per_stage() -> None:
    last = printed(terminal=True).split("\r")[-1]
    assert "prob" in last
    assert "4/4" in last
    assert "done in 0:01" in last
    assert "graph" not in last
