"""A job by exchange whose process is killed, again and again: which windows are evaluated anew."""

import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from volkit.engine.exchange import WINDOWS
from volkit.engine.ledger import Ledger, read_header
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

sys.path.insert(0, str(Path(__file__).parent))
import exchange_process as job

KILLS = 3
AT_ONCE = 2  # blocks that are in flight in one process


def answered(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def marked(folder: Path) -> set[int]:
    """Blocks marked as evaluated: by their windows, or, killed before that, by their voxels."""
    place = Place.at(folder)
    done = set[int]()
    for root in (place.inside("prob.exchange").inside(WINDOWS), place.inside("prob.ledger")):
        header = read_header(root)
        if header is not None:
            ledger = Ledger(root, header["total"], header["fingerprint"])
            done |= set(ledger.done().nonzero()[0].tolist())
    return done


def owners() -> dict[int, int]:
    """Of every window, by the number of its first voxel, the block that it begins in."""
    windows, shape = job.windows(), job.SHAPE
    return {
        int(np.ravel_multi_index(windows.window(index).start, shape)): block.number
        for block in job.grid()
        for index in windows.starting_in(block.write)
    }


def run_and_kill(warm_python, folder: Path, log: Path, more: int) -> None:
    """Start the job, and kill its process once it has answered so many windows."""
    wanted = len(answered(log)) + more
    with warm_python.begin(job.__file__, folder, log) as process:
        process.wait_for(lambda: len(answered(log)) >= wanted)
        os.kill(process.pid, signal.SIGKILL)
    assert process.wait().returncode == -signal.SIGKILL


def test_only_windows_in_flight_are_evaluated_anew_after_sigkill(
    tmp_path: Path, warm_python
) -> None:
    folder, log, dice, owner = tmp_path / "run", tmp_path / "answered", random.Random(3), owners()
    assert len(owner) == len(job.windows())
    kept, begun, done = Counter[int](), 0, set[int]()
    for _ in range(KILLS):
        run_and_kill(warm_python, folder, log, dice.randrange(18, 25))
        attempt, before, done = answered(log)[begun:], done, marked(folder)
        assert not before & {owner[window] for window in attempt}
        assert len({owner[window] for window in attempt} - done) <= AT_ONCE
        kept.update(window for window in attempt if owner[window] in done)
        begun += len(attempt)
    assert 0 < len(done) < len(job.grid())
    assert warm_python(job.__file__, folder, log).returncode == 0

    kept.update(answered(log)[begun:])
    assert kept == Counter(dict.fromkeys(owner, 1))
    whole = infer(
        job.image(),
        Network.of(job.ramp, window=job.WINDOW, channels=1, device="cpu"),
        options=InferenceOptions(stride=job.STRIDE),
    )
    result = open_volume(folder / "prob.zarr")
    np.testing.assert_array_equal(result.read(), np.asarray(whole))
