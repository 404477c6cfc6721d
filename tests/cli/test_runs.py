"""Runs on the command line: status, logs, verify."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.attendance import attended
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.engine.queue import Retries
from volkit.errors import BlockFailedError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.testing.blocks import COUNTS, NEIGHBOUR_SUM, fail_at

Says = Callable[..., str]
GRID = Grid(Box.from_shape((4, 4, 12)), (4, 4, 4))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose second map set one block aside."""
    raw = create_volume(tmp_path / "raw.zarr", shape=GRID.domain.shape, dtype=np.uint8)
    raw.write(raw.domain, np.ones(GRID.domain.shape, np.uint8))
    folder = tmp_path / "run"
    with attended(folder) as attendance:
        engine = JobEngine(folder, attendance=attendance, retries=Retries(2))
        sums = engine.map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
        engine.reduce(COUNTS, sums, grid=GRID, name="counts")
        poisoned = Op(fail_at, dtype=np.int64, params={"number": 1})
        with pytest.raises(BlockFailedError, match="poisoned"):
            engine.map(poisoned, sums, grid=GRID, name="copy")
    return folder


def test_status_says_where_a_run_stands(run: Path, says: Says, tells: Says) -> None:
    said = tells("status", run)
    assert re.search(r"sums 3 3 0 .* 192 1\.5 KiB finished", said)
    assert re.search(r"copy 2 3 1 .* 128 1\.0 KiB 66\.7 %", said)
    assert "worker hours in finished blocks" in said
    assert "nobody works on it; the last was" in said
    tree = json.loads(says("status", run, "--json"))
    assert (tree["format"], [s["stage"] for s in tree["stages"]]) == (1, ["sums", "counts", "copy"])
    assert tree["client"]["running"] is False


def test_watching_ends_with_the_run(run: Path, tells: Says) -> None:
    assert "66.7 %" in tells("status", run, "--watch", "--every", "0.1")


def test_a_run_at_work_says_who_and_how_much(run: Path, tells: Says) -> None:
    with attended(run) as attendance:
        attendance.note("copy", in_flight=12, workers=4, threads=8)
        said = tells("status", run)
    assert re.search(r"works on it since .* UTC, 12 blocks of copy in flight on 4 workers", said)


def test_logs_name_the_block_where_and_why(run: Path, says: Says, tells: Says) -> None:
    said = tells("logs", run)
    assert "copy block 1 [0:4, 0:4, 4:8]: set aside" in said
    assert "after 2 attempts" in said
    assert "RuntimeError: this block is poisoned" in said
    assert "line" in said
    said = tells("logs", run, "--block", 0, "--stage", "sums")
    assert re.fullmatch(
        r"sums block 0 \[0:4, 0:4, 0:4\]: finished .* in 0\.\d\d s, check sum \w{8}", said
    )
    assert json.loads(says("logs", run, "--json"))[0]["number"] == 1
    assert tells("logs", run, "--block", 9) == f"no word of block 9 in {run}"
    assert "it has sums, counts, copy" in tells("logs", run, "--stage", "x", code=1)


def test_verify_names_damage_and_repair_forgets_it(run: Path, says: Says, tells: Says) -> None:
    said = tells("verify", run)
    assert "sums 3 3 3 0 0 sound" in said
    assert "copy 3 2 2 0 0 sound so far" in said
    (run / "sums.zarr" / "0" / "c" / "0" / "0" / "2").unlink()
    said = tells("verify", run, code=1)
    assert "sums: block 2 [0:4, 0:4, 8:12] is missing" in said
    assert "next: the same with --repair" in said
    with attended(run):
        refused = tells("verify", run, "--repair", code=1)
        assert "is being worked on by" in refused
        tells("verify", run, code=1)
    said = tells("verify", run, "--repair", code=1)
    assert "sums: 1 not sound and 0 that may have been computed from torn blocks" in said
    tree = json.loads(says("verify", run, "--json"))
    assert [(s["done"], s["sound"]) for s in tree["stages"]] == [(2, 2), (3, 3), (2, 2)]
