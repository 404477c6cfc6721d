import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from volkit.models import lanes
from volkit.models.checkpoint import load, read_checkpoint
from volkit.models.lanes import is_shareable, side_by_side
from volkit.models.predictor import as_predictor


@pytest.fixture
def threads(request):
    """Torch with some threads."""
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


class Keeping(nn.Module):
    """Keeps its input until the end of the pass, as only one thread at a time may."""

    def forward(self, batch):
        self.kept = batch
        time.sleep(0.02)
        return self.kept


@pytest.mark.parametrize("threads", [1, 2, 3, 6], indirect=True)
@pytest.mark.parametrize("windows", [1, 2, 3, 5])
def test_an_answer_depends_neither_on_threads_nor_on_the_batch(threads, windows) -> None:
    predictor = load(read_checkpoint("builtin:boundaries-specimen"), "cpu", "float32")
    # Torch gives so many values to five threads at most, and a fifth of them is no whole vectors.
    batch = torch.rand((windows, 1, 48, 64, 48), generator=torch.Generator().manual_seed(windows))
    torch.set_num_threads(1)
    with torch.inference_mode():
        alone = torch.cat([predictor.answered(window) for window in batch.split(1)])
        torch.set_num_threads(threads)
        assert torch.equal(predictor.answered(batch), alone)


@pytest.mark.parametrize("threads", [2, 4], indirect=True)
def test_lanes_run_at_once_and_share_the_threads(threads) -> None:
    together = threading.Barrier(2, timeout=20)
    seen = []

    def forward(part):
        together.wait()  # breaks, if the other lane does not run meanwhile
        seen.append((len(part), torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return part

    batch = torch.arange(2.0).view(2, 1, 1, 1, 1)
    assert torch.equal(side_by_side(forward, batch), batch)
    assert seen == [(1, threads // 2, True)] * 2  # a window a lane
    later = []
    new = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert [torch.get_num_threads(), *later] == [threads] * 2


@pytest.mark.parametrize("threads", [3], indirect=True)
def test_threads_that_begin_together_know_how_many_there_are(threads, monkeypatch) -> None:
    for _ in range(20):
        monkeypatch.setattr(lanes, "_POOLS", {})
        seen = []
        batch = torch.zeros(3, 1, 1, 1, 1)

        def ask(batch=batch, seen=seen) -> None:
            side_by_side(lambda part: part, batch)
            seen.append(torch.get_num_threads())

        callers = [threading.Thread(target=ask) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert seen == [threads] * 4


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_a_module_that_keeps_something_of_a_pass_is_not_shared(threads) -> None:
    assert not is_shareable(nn.Sequential(nn.ReLU(), Keeping()))
    batch = np.random.default_rng(0).random((4, 1, 2, 2, 2), np.float32)
    assert np.array_equal(as_predictor(Keeping(), device="cpu")(batch), batch)


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_a_lane_that_fails_waits_for_the_others(threads) -> None:
    ended = []

    def forward(part):
        if part.sum() == 0:
            raise MemoryError("no room")
        time.sleep(0.1)
        ended.append(len(part))
        return part

    with pytest.raises(MemoryError, match="no room"):
        side_by_side(forward, torch.arange(2.0).view(2, 1, 1, 1, 1))
    assert ended == [1]


@pytest.mark.skipif(not hasattr(lanes.os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_lanes_of_its_own() -> None:
    code = """
import os, torch
from volkit.models.lanes import side_by_side
torch.set_num_threads(2)
batch = torch.zeros(2, 1, 1, 1, 1)
side_by_side(lambda part: part, batch)
child = os.fork()
if not child:
    side_by_side(lambda part: part, batch)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
