"""A job by exchange whose process is killed, again and again: which windows are evaluated anew."""

import random
import signal
import subprocess
import sys
import time
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


def run_and_kill(folder: Path, log: Path, more: int) -> None:
    """Start the job, and kill its process once it has answered so many windows."""
    before = len(answered(log))
    command = [sys.executable, job.__file__, str(folder), str(log)]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while len(answered(log)) < before + more and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_only_windows_in_flight_are_evaluated_anew_after_sigkill(tmp_path: Path) -> None:
    folder, log, dice, owner = tmp_path / "run", tmp_path / "answered", random.Random(3), owners()
    assert len(owner) == len(job.windows())
    kept, begun, done = Counter[int](), 0, set[int]()
    for _ in range(KILLS):
        run_and_kill(folder, log, dice.randrange(18, 25))
        attempt, before, done = answered(log)[begun:], done, marked(folder)
        assert not before & {owner[window] for window in attempt}
        assert len({owner[window] for window in attempt} - done) <= AT_ONCE
        kept.update(window for window in attempt if owner[window] in done)
        begun += len(attempt)
    assert 0 < len(done) < len(job.grid())
    subprocess.run([sys.executable, job.__file__, str(folder), str(log)], check=True)

    kept.update(answered(log)[begun:])
    assert kept == Counter(dict.fromkeys(owner, 1))
    whole = infer(
        job.image(),
        Network.of(job.ramp, window=job.WINDOW, channels=1, device="cpu"),
        options=InferenceOptions(stride=job.STRIDE),
    )
    result = open_volume(folder / "prob.zarr")
    np.testing.assert_array_equal(result.read(), np.asarray(whole))
