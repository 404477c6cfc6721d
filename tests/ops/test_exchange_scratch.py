"""Scratch of an exchange: what it holds, and what becomes of a result where some of it is lost."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from volkit.engine import dispatch
from volkit.engine.job import JobEngine
from volkit.engine.stages import find_stages
from volkit.engine.strips import Strips
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

RAW = np.random.default_rng(7).random((13, 15, 19)).astype(np.float32)
SEEN: list[int] = []


def ramp(batch):
    """A network whose answer depends on the position inside the window, so wrong seams show."""
    SEEN.append(len(batch))
    position = np.indices(batch.shape[2:]).sum(0)
    return np.concatenate([batch[:, :1] + position, np.ones_like(batch[:, :1])], axis=1)


def network(window=(6, 8, 6)) -> Network:
    return Network(ramp, window, (0, 0, 0), 2)


def run(folder, *, block_shape, net=None, raw=RAW, on_progress=None, stride, **options):
    SEEN.clear()
    volume = open_volume(raw)
    result = infer(
        volume,
        net or network(),
        options=InferenceOptions(stride=stride, seams="exchange", blocks_at_once=1, **options),
        grid=Grid(volume.domain, block_shape),
        engine=JobEngine(folder, on_progress=on_progress),
    )
    return result.read(), sum(SEEN)


class KilledError(Exception):
    """Stands for the end of the process."""


def test_scratch_holds_the_strips_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    raw = np.random.default_rng(1).random((32, 32, 32)).astype(np.float32)
    net = network((8, 8, 8))
    options = {"stride": (4, 4, 4)}
    run(tmp_path, block_shape=(16, 16, 16), net=net, raw=raw, **options)
    usage = json.loads((tmp_path / "prob.ledger" / "usage.json").read_text())
    # Windows reach 4 voxels beyond a block; at the domain's far faces there is nobody to give to.
    reached = (16 + 4) ** 3 * 1 + 3 * 20**2 * 16 + 3 * 20 * 16**2 + 16**3 - 8 * 16**3
    spilled = usage["counts"]["bytes_spilled"] - 19 * (128 + 4)  # 19 strips with their heads
    assert spilled == reached * 2 * 8  # two channels of int64, since the answers have no bounds
    assert spilled / 8 <= ((20 / 16) ** 3 - 1) * 2 * 32**3
    assert not (tmp_path / "prob.exchange" / "strips").exists()


def test_scratch_holds_no_more_than_blocks_that_are_to_come_need(
    tmp_path: Path, monkeypatch
) -> None:
    """A strip goes when the block is marked that it was for: most never reach the disk."""
    monkeypatch.setattr(dispatch, "next_size", lambda *_: 1)  # marked one by one
    strips, ledger, held = tmp_path / "prob.exchange" / "strips", [], []

    def look(progress) -> None:
        if progress.done:
            ledger[:] = ledger or [find_stages(Place.at(tmp_path))[-1].ledger]
            left = [int(path.name.split("-")[0]) for path in strips.rglob("*-*")]
            assert not ledger[0].done()[left].any()
            held.append(len(left))

    options = {"stride": (2, 2, 2), "on_progress": look}
    run(tmp_path, block_shape=(4, 4, 4), net=network((4, 4, 4)), raw=RAW[:4, :12, :16], **options)
    # 3 x 4 blocks along the Morton curve: each adds up to three strips and frees those for itself.
    # Altogether there are 2 * 4 + 3 * 3 + 2 * 3 = 23 of them.
    assert held == [3, 5, 7, 7, 9, 9, 9, 7, 7, 5, 3, 0]


def test_a_strip_that_a_store_tears_is_not_trusted(tmp_path: Path, monkeypatch) -> None:
    options = {"block_shape": (5, 7, 9), "stride": (3, 4, 3)}
    before, least = run(tmp_path / "whole", **options)
    put, torn = Strips.put, []

    def tearing(self, target_number, source, sums):
        stored = put(self, target_number, source, sums)
        if not torn:
            (file,) = (tmp_path / "torn").rglob(f"{target_number}-{source}")
            file.write_bytes(file.read_bytes()[:-1])
            torn.append(file)
        return stored

    monkeypatch.setattr(Strips, "put", tearing)
    after, passes = run(tmp_path / "torn", **options)
    np.testing.assert_array_equal(after, before)
    assert least < passes < 2 * least  # the block that it was for is computed alone


def test_scratch_that_a_power_failure_takes_is_made_up_for(tmp_path: Path) -> None:
    """A block is marked as evaluated whose strips were not on the disk yet."""
    options = {"block_shape": (5, 7, 9), "stride": (3, 4, 3), "raw": RAW[:8, :8, :12]}
    before, _ = run(tmp_path / "whole", **options)

    def stop(progress) -> None:
        if progress.done:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "cut", on_progress=stop, **options)
    lost = sorted((tmp_path / "cut" / "prob.exchange" / "strips").rglob("*-*"))
    assert len(lost) == 7
    for path in lost[:3]:
        path.unlink()
    for path in lost[3:]:
        os.truncate(path, 0)
    after, _ = run(tmp_path / "cut", **options)
    np.testing.assert_array_equal(after, before)
