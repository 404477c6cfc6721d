"""Reading rates, with a clock that the test turns."""

import numpy as np
import pytest
import zarr

from volkit.io import open_volume
from volkit.io.volume import Volume
from volkit.pipelines import reading_rate as module
from volkit.pipelines.reading_rate import reading_rate


class Clock:
    """Each read takes a second, the first one three."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.boxes: list = []
        read = Volume.read

        def slow(volume: Volume, box=None):
            self.now += 1 if self.boxes else 3
            self.boxes.append(box)
            return read(volume, box)

        monkeypatch.setattr(Volume, "read", slow)
        monkeypatch.setattr(module.time, "perf_counter", lambda: self.now)


def test_rate_is_that_of_the_pieces_after_the_first(tmp_path, monkeypatch) -> None:
    array = zarr.create_array(
        tmp_path / "em.zarr", shape=(640, 640, 640), chunks=(64, 64, 64), dtype="u1"
    )
    assert array.nbytes == 640**3
    clock = Clock(monkeypatch)
    monkeypatch.setattr(module, "_SECONDS", 20)
    found = reading_rate(open_volume(tmp_path / "em.zarr"))
    assert found is not None
    assert (found.bytes_per_second, found.pieces) == (64**3, 15)
    assert found.seconds_for(open_volume(tmp_path / "em.zarr")) == 1000
    assert len({box.start for box in clock.boxes}) == 16
    assert {tuple(n % 64 for n in box.start) for box in clock.boxes} == {(0, 0, 0)}


def test_it_ends_in_time(tmp_path, monkeypatch) -> None:
    zarr.create_array(tmp_path / "em.zarr", shape=(640, 640, 640), chunks=(64, 64, 64), dtype="u1")
    clock = Clock(monkeypatch)
    monkeypatch.setattr(module, "_SECONDS", 4.5)
    found = reading_rate(open_volume(tmp_path / "em.zarr"))
    assert found is not None
    assert (clock.now, found.pieces) == (5, 2)


def test_one_piece_is_better_than_none(monkeypatch) -> None:
    Clock(monkeypatch)
    volume = open_volume(np.zeros((3, 4, 5), np.uint16))
    found = reading_rate(volume)
    assert found is not None
    assert (found.bytes_per_second, found.pieces) == (40, 1)
    assert found.seconds_for(volume) == 3


def test_huge_chunks_are_not_read(tmp_path, monkeypatch) -> None:
    zarr.create_array(
        tmp_path / "em.zarr", shape=(999, 999, 999), chunks=(999, 999, 999), dtype="u1"
    )
    clock = Clock(monkeypatch)
    assert reading_rate(open_volume(tmp_path / "em.zarr")) is None
    assert clock.boxes == []
