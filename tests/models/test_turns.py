import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from volkit.models import turns
from volkit.models.predictor import as_predictor


class Watched(nn.Module):
    """Notes how many passes run at once."""

    now = most = 0
    lock = threading.Lock()

    def forward(self, batch):
        with Watched.lock:
            Watched.now += 1
            Watched.most = max(Watched.most, Watched.now)
        time.sleep(0.02)
        with Watched.lock:
            Watched.now -= 1
        return batch


@pytest.mark.parametrize(("processors", "threads", "most"), [(4, 4, 1), (4, 2, 2), (1, 8, 1)])
def test_threads_of_a_worker_do_not_outnumber_the_processors(
    monkeypatch, processors, threads, most
) -> None:
    monkeypatch.setattr(turns, "_PLACES", {})
    monkeypatch.setattr(turns, "processors", lambda: processors)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    Watched.most = 0
    predictor = as_predictor(Watched(), device="cpu")
    batch = np.zeros((1, 1, 2, 2, 2))
    callers = [threading.Thread(target=predictor, args=(batch,)) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert Watched.most == most


def test_a_failure_gives_its_turn_back(monkeypatch) -> None:
    monkeypatch.setattr(turns, "_PLACES", {})
    for _ in range(2 * turns.passes_at_once("cpu", processors=64, threads=1)):
        with pytest.raises(KeyError, match="x"), turns.turn("cpu"):
            raise KeyError("x")
