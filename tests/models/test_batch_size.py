import numpy as np
import pytest
import torch
from torch import nn

from volkit.models import batch_size
from volkit.models.batch_size import UNTRIED, best_batch
from volkit.models.checkpoint import load
from volkit.models.half_precision import is_emulated
from volkit.models.meshnet import MeshNet
from volkit.models.predictor import as_predictor

WINDOW = (2, 2, 2)


class Paced(nn.Module):
    """Takes a time for every call and for every window, on a clock of its own."""

    now = 0.0

    def __init__(self, per_call: float, per_window: float) -> None:
        super().__init__()
        self.per_call, self.per_window = per_call, per_window
        self.seen: list[int] = []

    def forward(self, batch):
        self.seen.append(len(batch))
        Paced.now += self.per_call + self.per_window * len(batch)
        return batch


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(batch_size, "perf_counter", lambda: Paced.now)


def test_many_at_once_where_calls_are_dear_and_one_where_windows_are() -> None:
    assert best_batch(as_predictor(Paced(0.04, 0), device="cpu"), WINDOW, 1) == 8
    assert best_batch(as_predictor(Paced(0.01, 0.1), device="cpu"), WINDOW, 1) == 4
    assert best_batch(as_predictor(Paced(0, 0.02), device="cpu"), WINDOW, 1) == 1


def test_trials_end_where_they_would_take_long() -> None:
    predictor = as_predictor(Paced(0, 0.5), device="cpu")
    assert best_batch(predictor, WINDOW, 1) == 1
    assert predictor.module.seen == [1, 2, 4, 1, 2]  # 3.5 seconds, then the rest of 5
    predictor = as_predictor(Paced(60, 0), device="cpu")
    best_batch(predictor, WINDOW, 1)
    assert predictor.module.seen == [1]


def test_it_is_tried_once_per_process_and_window() -> None:
    predictor = as_predictor(Paced(0.002, 0), device="cpu")
    found = best_batch(predictor, WINDOW, 1)
    assert predictor.module.seen == [1, 2, 4, 8, 1, 2, 4, 8]
    assert best_batch(predictor, WINDOW, 1) == found
    assert len(predictor.module.seen) == 8
    best_batch(predictor, WINDOW, 2)
    assert len(predictor.module.seen) == 16


def test_large_windows_are_tried_alone() -> None:
    predictor = as_predictor(Paced(0.002, 0), device="cpu")
    assert best_batch(predictor, (128, 128, 128), 1) == 1
    assert predictor.module.seen == [1, 1]


def test_trials_leave_no_trace_in_the_run() -> None:
    predictor = as_predictor(Paced(0.002, 0), device="cpu")
    best_batch(predictor, WINDOW, 1)
    predictor.limit.fixed = True
    predictor(np.zeros((3, 1, *WINDOW)))
    assert predictor.module.seen[-1] == 3


def test_functions_are_not_called() -> None:
    def function(batch):
        raise AssertionError

    assert best_batch(as_predictor(function), WINDOW, 1) == UNTRIED


SHIPPED = ["builtin:boundaries-fib25", "builtin:boundaries-specimen", "meshnet"]


def shipped(name: str, precision: str):
    if name != "meshnet":
        return load(name, "cpu", precision)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return as_predictor(MeshNet(1, 3), device="cpu", precision=precision)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_answer_is_the_same_to_the_bit_in_batches_of_one_to_eight(name, precision) -> None:
    predictor = shipped(name, precision)
    side = 8 if is_emulated(precision, "cpu") else 16  # half a minute else
    windows = np.random.default_rng(6).normal(size=(8, 1, side, side, side)).astype(np.float32)
    alone = np.concatenate([predictor(windows[i : i + 1]) for i in range(8)])
    for size in range(2, 9):
        np.testing.assert_array_equal(predictor(windows[:size]), alone[:size])
        np.testing.assert_array_equal(predictor(windows[-size:]), alone[-size:])


@pytest.mark.parametrize("name", SHIPPED)
def test_an_answer_is_the_same_to_the_bit_for_any_number_of_threads(name) -> None:
    predictor, threads = shipped(name, "float32"), torch.get_num_threads()
    windows = np.random.default_rng(6).normal(size=(3, 1, 16, 16, 16)).astype(np.float32)
    answers = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            answers.append(predictor(windows))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(answers[1], answers[0])
    np.testing.assert_array_equal(answers[2], answers[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_cuda_a_power_of_two_fits() -> None:
    predictor = load("builtin:boundaries-fib25", "cuda")
    size = best_batch(predictor, (64, 64, 64), 1)
    assert size in (1, 2, 4, 8, 16, 32, 64)
    assert best_batch(predictor, (64, 64, 64), 1) == size
