"""Verify and repair: damage is named, and what may follow from it is made anew, and no more."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.op import Op
from volkit.engine.repair import repair
from volkit.engine.stages import find_stages
from volkit.engine.verify import verify
from volkit.errors import SourceError
from volkit.geometry import Box, Grid
from volkit.geometry.touching import touching
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.testing.blocks import COUNTS, log_block

RAW = np.random.default_rng(5).integers(0, 9, (12, 12, 12))
GRID = Grid(Box.from_shape(RAW.shape), (4, 4, 4))
CENTRE = 13  # of the 27 blocks


@pytest.fixture
def job(tmp_path: Path) -> Callable[[], list[int]]:
    """Two maps, one of the other, and a table of the second; runs and counts blocks computed."""
    raw = create_volume(tmp_path / "raw.zarr", shape=RAW.shape, dtype=np.int64)
    raw.write(raw.domain, RAW)
    logs = [tmp_path / "first.log", tmp_path / "second.log"]

    def run() -> list[int]:
        for log in logs:
            log.write_text("")
        engine = JobEngine(tmp_path / "run")
        values: Volume = raw
        for log in logs:
            op = Op(log_block, dtype=np.int64, halo=(1, 1, 1), params={"log": str(log)})
            values = engine.map(op, values, grid=GRID, name=log.stem)
        engine.reduce(COUNTS, values, grid=GRID, name="counts")
        return [len(log.read_text().split()) for log in logs]

    assert run() == [27, 27]
    return run


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith(".ledger") for part in path.parts)
    }


def chunk(run: Path, stage: str) -> Path:
    return run / f"{stage}.zarr" / "0" / "c" / "1" / "1" / "1"


def tear(run: Path, stage: str) -> None:
    """Store other voxels, soundly, as a stray writer would."""
    volume = Volume(str(run / f"{stage}.zarr"))
    volume.write(GRID[CENTRE].write, np.full((4, 4, 4), 7, np.int64))


def test_a_sound_run_is_counted(job: Callable[[], list[int]], tmp_path: Path) -> None:
    told = []
    found = verify(Place.at(tmp_path / "run"), on_verified=lambda *args: told.append(args))
    assert [(v.stage, v.total, v.done, v.sound, v.unknown) for v in found] == [
        ("first", 27, 27, 27, 0),
        ("second", 27, 27, 27, 0),
        ("counts", 27, 27, 27, 0),
    ]
    assert not any(v.findings for v in found)
    assert told[-1] == ("second", 27, 27, 12**3)


def test_torn_missing_and_unreadable_blocks_are_named_with_their_voxels(
    job: Callable[[], list[int]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    tear(run, "first")
    path = run / "first.zarr" / "0" / "c" / "0" / "0"
    (path / "1").unlink()
    data = (path / "2").read_bytes()
    (path / "2").write_bytes(data[: len(data) // 2])
    first, *others = verify(Place.at(run))
    said = [(f.number, f.problem, str(f.box)) for f in first.findings]
    assert said == [
        (1, "missing", "[0:4, 0:4, 4:8]"),
        (2, "unreadable", "[0:4, 0:4, 8:12]"),
        (CENTRE, "torn", "[4:8, 4:8, 4:8]"),
    ]
    assert (first.done, first.sound) == (27, 24)
    assert not any(v.findings for v in others)
    assert "first: block 1 [0:4, 0:4, 4:8] is missing: " in str(first.findings[0])


def test_a_torn_block_takes_along_what_read_it(
    job: Callable[[], list[int]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    place, before = Place.at(run), snapshot(run)
    tear(run, "first")
    repaired = repair(place, verify(place))
    assert [(r.stage, r.bad, r.doubtful) for r in repaired] == [
        ("first", 1, 0),
        ("second", 0, 27),
        ("counts", 0, 27),
    ]
    assert job() == [1, 27]
    assert snapshot(run) == before
    assert not any(v.findings for v in verify(place))


def test_a_missing_block_stops_its_readers_so_it_alone_is_made_anew(
    job: Callable[[], list[int]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    place, before = Place.at(run), snapshot(run)
    chunk(run, "first").unlink()
    assert [(r.stage, r.bad, r.doubtful) for r in repair(place, verify(place))] == [("first", 1, 0)]
    assert job() == [1, 0]
    assert snapshot(run) == before


def test_damaged_tables_are_found_and_made_anew(
    job: Callable[[], list[int]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    place, before = Place.at(run), snapshot(run)
    other = {"value": np.arange(3), "count": np.arange(3)}
    for damage, problem in (
        (lambda path: np.savez(path, **other), "torn"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "unreadable"),
        (lambda path: path.unlink(), "missing"),
    ):
        damage(run / "counts.npz")
        found = verify(place)
        assert [(f.stage, f.problem, f.number) for v in found for f in v.findings] == [
            ("counts", problem, None)
        ]
        repair(place, found)
        assert job() == [0, 0]
        assert snapshot(run) == before


def test_an_array_that_is_gone_is_one_finding(job: Callable[[], list[int]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    place = Place.at(run)
    (run / "first.zarr").rename(tmp_path / "away")
    first = verify(place)[0]
    assert [(f.problem, f.number) for f in first.findings] == [("missing", None)]
    assert repair(place, verify(place))[0].advice == "it is made anew"


def test_marks_can_be_dropped_in_a_folder_and_in_a_store(tmp_path: Path) -> None:
    for root in (tmp_path / "a.ledger", "memory://unmark.ledger"):
        ledger = Ledger.open(root, {"kernel": "f"}, 9)
        for number in range(5):
            ledger.mark([number], [0.5], [number + 1])
        ledger.unmark([1, 3, 8])
        assert ledger.done().nonzero()[0].tolist() == [0, 2, 4]
        assert ledger.records()["content"].tolist() == [1, 3, 5]
        ledger.mark([1], [0.5])
        assert Ledger.open(root, {"kernel": "f"}, 9).count() == 4


def test_blocks_that_touch_are_those_whose_read_box_does() -> None:
    grid = Grid(Box((2, 3, 5), (20, 22, 30)), (4, 7, 3), halo=(1, 3, 0))
    for box in (
        Box((5, 9, 7), (6, 11, 9)),
        Box((2, 3, 5), (3, 4, 6)),
        Box((19, 21, 29), (20, 22, 30)),
    ):
        slow = [block.number for block in grid if block.read.intersect(box).size]
        assert touching(grid, box).tolist() == slow


def test_where_no_run_is_that_is_said(tmp_path: Path) -> None:
    assert find_stages(Place.at(tmp_path)) == []
    with pytest.raises(SourceError, match="there is no run in"):
        verify(Place.at(tmp_path))
