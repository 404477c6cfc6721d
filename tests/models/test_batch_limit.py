import logging

import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.batch_limit import BatchLimit, out_of_memory
from volkit.models.predictor import as_predictor


class Small(nn.Module):
    """Takes up to three windows at once."""

    def __init__(self, most: int = 3, error: Exception | None = None) -> None:
        super().__init__()
        self.most, self.error = most, error or torch.OutOfMemoryError("CUDA out of memory.")
        self.seen: list[int] = []

    def forward(self, batch):
        self.seen.append(len(batch))
        if len(batch) > self.most:
            raise self.error
        return 2 * batch


@pytest.fixture
def batch():
    return np.random.default_rng(2).random((9, 1, 2, 3, 4), np.float32)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_the_batch_is_halved_and_what_works_is_remembered(batch, error, caplog) -> None:
    predictor = as_predictor(Small(error=error), device="cpu")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(predictor(batch), 2 * batch)
    assert predictor.module.seen == [9, 4, 2, 2, 2, 2, 1]
    assert "9 windows of (1, 2, 3, 4) do not fit" in caplog.text
    predictor.module.seen.clear()
    np.testing.assert_array_equal(predictor(batch[:5]), 2 * batch[:5])
    assert predictor.module.seen == [2, 2, 1]
    assert predictor.limit.fitting((1, 2, 3, 4)) == 2
    np.testing.assert_array_equal(predictor(batch[:3, :, :1]), 2 * batch[:3, :, :1])
    assert predictor.module.seen[-1] == 3  # smaller windows are another matter


def test_an_allocation_that_the_system_refuses_is_met(batch) -> None:
    class Greedy(nn.Module):
        def forward(self, batch):
            if len(batch) > 4:
                torch.empty(2**60, dtype=torch.uint8)
            return batch

    predictor = as_predictor(Greedy(), device="cpu")
    np.testing.assert_array_equal(predictor(batch), batch)
    assert predictor.limit.fitting((1, 2, 3, 4)) == 4


def test_one_window_that_does_not_fit_is_an_error(batch) -> None:
    with pytest.raises(ModelError, match=r"one window of \(1, 2, 3, 4\) does not fit"):
        as_predictor(Small(0), device="cpu")(batch)


def test_other_errors_pass(batch) -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        as_predictor(Small(0, RuntimeError("mat1 and mat2 differ")), device="cpu")(batch)
    assert not out_of_memory(ValueError("out of memory"))


def test_short_batches_are_filled_up_where_shapes_are_fixed() -> None:
    module, limit = Small(8), BatchLimit(fixed=True)
    windows = torch.rand((4, 1, 2, 2, 2), generator=torch.Generator().manual_seed(3))
    for size in (4, 1, 3):
        answer = limit.run(module, windows[:size])
        torch.testing.assert_close(answer, 2 * windows[:size], rtol=0, atol=0)
    assert module.seen == [4, 4, 4]
    limit.full = 6
    limit.run(module, windows[:1])
    assert module.seen[-1] == 6


def test_filled_batches_shrink_where_memory_runs_out() -> None:
    module, limit = Small(3), BatchLimit(fixed=True, full=8)
    windows = torch.arange(5.0).view(5, 1, 1, 1, 1)
    torch.testing.assert_close(limit.run(module, windows), 2 * windows, rtol=0, atol=0)
    assert module.seen == [8, 4, 2, 2, 2]
