"""What a stage has cost: counted by workers, added up over attempts, kept beside the ledger."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.base import Progress
from volkit.engine.cluster import local_client
from volkit.engine.dispatch import dispatch
from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.op import Op
from volkit.engine.queue import Retries
from volkit.engine.task_batch import Outcome
from volkit.engine.usage import Usage, count, metered
from volkit.engine.usage_note import UsageNote, read_usage
from volkit.errors import BlockFailedError
from volkit.geometry import Block, Box, Grid
from volkit.io import create_volume
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.testing.blocks import COUNTS, NEIGHBOUR_SUM, fail_at

GRID = Grid(Box.from_shape((4, 4, 12)), (4, 4, 4))
SUM_BYTES = {  # chunks of 4 x 4 x 4 bytes; a halo of one voxel reaches into the next chunk
    "bytes_read": 4 * 4 * (5 + 6 + 5),
    "bytes_fetched": 64 * (2 + 3 + 2),
    "bytes_least": 4 * 4 * 12,
    "bytes_written": 4 * 4 * 12 * 8,
}


@pytest.fixture
def raw(tmp_path: Path) -> Volume:
    volume = create_volume(
        tmp_path / "raw.zarr", shape=GRID.domain.shape, dtype=np.uint8, chunk_shape=(4, 4, 4)
    )
    volume.write(volume.domain, np.ones(GRID.domain.shape, np.uint8))
    return volume


def two_windows(block: Block, values: np.ndarray) -> np.ndarray:
    """Count as a network would."""
    with metered("network"):
        count("windows", 2)
    return values


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
def test_the_disk_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []

    def fsync(file: int) -> None:
        waited.append(Path(f"/proc/self/fd/{file}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    with UsageNote(Place.at(tmp_path)) as note:
        for _ in range(3):
            note._due = 0.0
            note.add(Usage(seconds={"read": 1.0}))
    assert read_usage(Place.at(tmp_path)).seconds == {"read": 3.0}
    assert len([name for name in waited if "usage.json" in name]) == 1


def test_bytes_of_a_stage_are_counted_by_hand(tmp_path: Path, raw: Volume) -> None:
    engine = JobEngine(tmp_path / "run")
    sums = engine.map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
    engine.reduce(COUNTS, sums, grid=GRID, name="counts")
    usage = read_usage(Place.at(tmp_path / "run/sums.ledger"))
    assert usage.counts == SUM_BYTES
    assert set(usage.seconds) == {"read"}
    assert 0 < sum(usage.seconds.values()) <= usage.worker_seconds
    assert set(usage.beside) == {"write", "wait"}  # so small a result is written beside the next
    seconds = Ledger(Place.at(tmp_path / "run/sums.ledger"), 3, "").records()["seconds"].sum()
    assert usage.worker_seconds >= float(seconds) * 0.99
    assert read_usage(Place.at(tmp_path / "run/counts.ledger")).counts["bytes_read"] == 192 * 8


def test_attempts_add_up(tmp_path: Path, raw: Volume) -> None:
    """One is stopped after its first block, the next one finishes."""
    op = Op(two_windows, dtype=np.uint8)

    def stop(progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        JobEngine(tmp_path / "run", on_progress=stop).map(op, raw, grid=GRID, name="a")
    place = Place.at(tmp_path / "run/a.ledger")
    assert read_usage(place).counts["windows"] == 2
    count("windows", 100)  # of something else in this process
    JobEngine(tmp_path / "run").map(op, raw, grid=GRID, name="a")
    usage = read_usage(place)
    assert (usage.counts["windows"], usage.counts["bytes_least"]) == (6, 192)
    JobEngine(tmp_path / "run").map(op, raw, grid=GRID, name="a")
    assert read_usage(place) == usage
    other = Op(two_windows, dtype=np.uint8, version=2)
    JobEngine(tmp_path / "run", replace_stale=True).map(other, raw, grid=GRID, name="a")
    assert read_usage(place).counts["windows"] == 6  # another computation begins at nothing


def test_what_failed_cost_too(tmp_path: Path, raw: Volume) -> None:
    op = Op(fail_at, dtype=np.uint8, params={"number": 1})
    engine = JobEngine(tmp_path / "run", retries=Retries(2))
    with pytest.raises(BlockFailedError, match="poisoned"):
        engine.map(op, raw, grid=GRID, name="copy")
    counts = read_usage(Place.at(tmp_path / "run/copy.ledger")).counts
    assert (counts["bytes_read"], counts["bytes_written"]) == (4 * 64, 2 * 64)


def test_workers_send_what_they_spent(tmp_path: Path, raw: Volume) -> None:
    with local_client(2) as client:
        JobEngine(tmp_path / "run", client=client).map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
    assert read_usage(Place.at(tmp_path / "run/sums.ledger")).counts == SUM_BYTES


def test_outcomes_carry_usage() -> None:
    found: list[Outcome] = []

    def task(number: int) -> None:
        count("windows", number)

    dispatch(task, iter(range(10)), client=None, receive=found.append)
    assert sum((outcome.usage for outcome in found), Usage()).counts == {"windows": 45}
    assert all(outcome.usage.worker_seconds >= sum(outcome.seconds) for outcome in found)


def test_it_is_written_now_and_then_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path / "a.ledger", {}, 10)
    with UsageNote.of(ledger) as note:
        monkeypatch.setattr("volkit.engine.usage_note._PAUSES", 1e9)  # of a write: years
        monkeypatch.setattr("volkit.engine.usage_note._MOST_SECONDS", 1e9)
        note.add(Usage(counts={"windows": 1}))
        assert read_usage(ledger.root).counts == {"windows": 1}
        note.add(Usage(counts={"windows": 2}))
        assert read_usage(ledger.root).counts == {"windows": 1}
    assert read_usage(ledger.root).counts == {"windows": 3}
    with UsageNote.of(ledger) as note:
        monkeypatch.setattr("volkit.engine.usage_note._PAUSES", 0)
        for _ in range(2):
            note.add(Usage(counts={"windows": 4}))
        assert read_usage(ledger.root).counts == {"windows": 11}


def test_rubbish_counts_as_nothing(tmp_path: Path) -> None:
    for rubbish in ("{", "[]", '{"format": 99}', '{"format": 1}', '{"format": 1, "seconds": 3}'):
        (tmp_path / "usage.json").write_text(rubbish)
        assert read_usage(Place.at(tmp_path)) == Usage()
