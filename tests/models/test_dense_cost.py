import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.dense_cost import choose_dense, dense_cost
from volkit.models.em_networks import N4, VD2D3D
from volkit.models.streams import SummedStreams

POOLED = nn.Sequential(nn.Conv3d(1, 2, (1, 3, 3)), nn.MaxPool3d((1, 2, 2)), nn.Conv3d(2, 1, 1))


def test_work_and_memory_by_hand() -> None:
    """4 x 4 voxels: 2 x 2 maps of 2, pooled to 1 answer; by fragments 5 x 5 make 4 answers."""
    plain = dense_cost(POOLED, (1, 4, 4))
    assert plain.work == 9 * 2 * 4 + 2 * 1 + 30 * (2 * 4 + 2 + 1)
    assert plain.memory_bytes == 4 * (16 + 2 * 4)  # more than 2 * 4 + 2 * 2 * 1
    parts = dense_cost(POOLED, (1, 4, 4), method="fragments")
    assert parts.work == 9 * 2 * 9 + 2 * 4 + 30 * (2 * 9 + 2 * 4 + 2 * 4 + 4)
    assert dense_cost(POOLED, (1, 4, 4), batch=3).work == 3 * plain.work


def test_the_estimate_chooses_the_same_always() -> None:
    for window in ((1, 95, 95), (1, 110, 128), (1, 350, 350)):
        costs = {m: dense_cost(N4(), window, method=m).work for m in ("dilation", "fragments")}
        assert choose_dense(N4(), window) == min(costs, key=lambda method: costs[method])


def test_measuring_is_done_once(monkeypatch) -> None:
    network = VD2D3D().eval()
    chosen = choose_dense(network, (5, 88, 88), measure=True)
    assert chosen in ("dilation", "fragments")
    monkeypatch.setattr("volkit.models.dense_cost._seconds", lambda *_: pytest.fail("again"))
    assert choose_dense(network, (5, 88, 88), measure=True) == chosen


def test_streams_are_counted_together() -> None:
    both, one = (dense_cost(VD2D3D(recursive=r), (5, 85, 85)) for r in (True, False))
    assert both.work > 1.15 * one.work
    layer = SummedStreams([nn.Sequential(nn.Conv3d(1, 4, 1)) for _ in range(3)], [1, 1, 1])
    single = dense_cost(nn.Sequential(nn.Conv3d(1, 4, 1)), (1, 1, 10))
    three = dense_cost(layer, (1, 1, 10))
    assert three.work == 3 * single.work
    assert single.memory_bytes == 4 * (10 + 40)
    assert three.memory_bytes == 4 * (40 + 40 + 40)  # two that are added, and their sum


def test_a_window_below_the_field_of_view_is_refused() -> None:
    with pytest.raises(ModelError, match=r"\(1, 3, 4\) voxels is smaller than the field of view"):
        choose_dense(POOLED, (1, 3, 4))


def test_a_network_without_convolutions_can_be_measured() -> None:
    with torch.random.fork_rng():
        assert choose_dense(nn.Sequential(nn.MaxPool3d(2)), (2, 3, 4), measure=True)
