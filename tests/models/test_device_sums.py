from itertools import product

import numpy as np
import pytest
import torch

from volkit.errors import ContractError, ModelError
from volkit.kernels.sums import add_answer, empty_sums
from volkit.models.device_sums import BOUNDED_BITS, PLAIN_BITS, DeviceSums

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
        ],
    ),
]
SHAPE, WINDOW = (7, 9, 11), (4, 6, 5)


def windows(seed: int, *, bounded: bool):
    """Parts of windows that reach over every face of the sums, with weights of their own."""
    random = np.random.default_rng(seed)
    for origin in product((-2, 0, 3, 5), (-3, 2, 7), (-1, 4, 8)):
        part, corner = [], []
        for first, extent, n in zip(origin, WINDOW, SHAPE, strict=True):
            part.append(slice(max(0, -first), min(extent, n - first)))
            corner.append(max(0, first))
        k, j, i = (p.stop - p.start for p in part)
        answer = random.random((2, *WINDOW), np.float32)
        if not bounded:
            answer = (answer - np.float32(0.5)) * np.float32(3e4)
        wz, wyx = random.random(k, np.float32) / 2, random.random((j, i), np.float32) / 8
        yield answer, tuple(corner), wz, wyx, tuple(part)


def expected(added, *, bounded: bool):
    """The same in numpy, voxel by voxel as the documentation says it."""
    total = np.zeros((2, *SHAPE), np.int32 if bounded else np.int64)
    for answer, corner, wz, wyx, part in added:
        for c, k, j, i in np.ndindex(2, *(p.stop - p.start for p in part)):
            a = answer[c, part[0].start + k, part[1].start + j, part[2].start + i]
            w = np.float32(wz[k] * wyx[j, i])
            exact = (
                np.float32(np.float32(w * a) * np.float32(2**30))
                if bounded
                else np.float64(w) * np.float64(a) * np.float64(2**36)
            )
            total[c, corner[0] + k, corner[1] + j, corner[2] + i] += int(np.rint(exact))
    return total


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bounded", [True, False])
def test_sums_are_those_of_numpy_to_the_bit_in_any_order(device, bounded) -> None:
    added = list(windows(4, bounded=bounded))
    first, second = (DeviceSums(2, SHAPE, device, bounded=bounded) for _ in range(2))
    for sums, order in ((first, added), (second, added[::-1])):
        for answer, *rest in order:
            sums.add(torch.from_numpy(answer).to(device), *rest)
    assert first.to_numpy().dtype == (np.int32 if bounded else np.int64)
    np.testing.assert_array_equal(first.to_numpy(), expected(added, bounded=bounded))
    np.testing.assert_array_equal(second.to_numpy(), first.to_numpy())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bounded", [True, False])
def test_sums_are_those_of_the_kernel_on_the_host(device, bounded) -> None:
    here, there = (
        empty_sums(2, SHAPE, bounded=bounded),
        DeviceSums(2, SHAPE, device, bounded=bounded),
    )
    for answer, corner, wz, wyx, part in windows(9, bounded=bounded):
        add_answer(here, answer[(slice(None), *part)], wz, wyx, corner=corner)
        there.add(torch.from_numpy(answer).to(device), corner, wz, wyx, part)
    np.testing.assert_array_equal(there.to_numpy(), here)
    assert there.to_numpy().dtype == here.dtype


@pytest.mark.parametrize(("bounded", "bits"), [(True, BOUNDED_BITS), (False, PLAIN_BITS)])
def test_weights_that_sum_to_one_give_the_answer_back(bounded, bits) -> None:
    sums = DeviceSums(1, (2, 2, 2), "cpu", bounded=bounded)
    for share in (0.25, 0.5, 0.25):
        wz, wyx = np.full(2, share, np.float32), np.ones((2, 2), np.float32)
        sums.add(torch.full((1, 2, 2, 2), 1.0), (0, 0, 0), wz, wyx, np.s_[:, :, :])
    np.testing.assert_array_equal(sums.to_numpy(), 2**bits)


def test_an_answer_of_another_memory_order_adds_the_same() -> None:
    answer = torch.rand((2, 4, 6, 5), generator=torch.Generator().manual_seed(1))
    other = answer[None].contiguous(memory_format=torch.channels_last_3d)[0]
    results = []
    for given in (answer, other):
        sums = DeviceSums(2, SHAPE, "cpu", bounded=True)
        sums.add(given, (1, 2, 3), np.ones(4, "f4"), np.ones((6, 5), "f4"), np.s_[:, :, :])
        results.append(sums.to_numpy())
    np.testing.assert_array_equal(*results)


def test_an_empty_part_adds_nothing() -> None:
    for bounded in (True, False):
        sums = DeviceSums(1, (2, 2, 2), "cpu", bounded=bounded)
        none, plane = np.ones(0, np.float32), np.ones((2, 2), np.float32)
        sums.add(torch.ones(1, 2, 2, 2), (1, 0, 0), none, plane, np.s_[1:1, :, :])
        assert not sums.to_numpy().any()


def test_parts_beyond_the_sums_are_refused() -> None:
    sums = DeviceSums(1, (4, 4, 4), "cpu", bounded=True)
    ones, plane = np.ones(2, np.float32), np.ones((2, 2), np.float32)
    with pytest.raises(ContractError, match=r"a part of \(1, 2, 2, 2\).*sums at \(3, 0, 0\)"):
        sums.add(torch.ones(1, 2, 2, 2), (3, 0, 0), ones, plane, np.s_[:, :, :])
    with pytest.raises(ContractError, match=r"weights of \(2,\) and \(2, 2\).*do not fit"):
        sums.add(torch.ones(1, 2, 2, 2), (0, 0, 0), ones, plane, np.s_[:1, :, :])


@pytest.mark.parametrize("value", [2.0**26, float("inf"), float("nan")])
def test_answers_beyond_the_integers_are_refused(value) -> None:
    sums = DeviceSums(1, (1, 1, 1), "cpu", bounded=False)
    one = np.ones(1, np.float32)
    sums.add(torch.full((1, 1, 1, 1), value), (0, 0, 0), one, one[None], np.s_[:, :, :])
    with pytest.raises(ModelError, match="sums hold values of less than"):
        sums.to_numpy()
