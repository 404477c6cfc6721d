import numpy as np
import pytest
import torch

from volkit.errors import ModelError
from volkit.models.device_input import _copies, scaled_tensor, sent
from volkit.models.scaling import UNSCALED, Scale

SCALES = [UNSCALED, Scale(118.7, 41.3), Scale(3.1, 7.7, 5.0, 200.5), Scale(divide=3.0, high=9.9)]


def voxels(dtype):
    return np.random.default_rng(1).integers(0, 127, (3, 2, 4, 5, 6)).astype(dtype)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "i2", "f2", "f4"])
def test_a_tensor_is_scaled_to_the_bits_of_numpy(dtype, scale) -> None:
    given = voxels(dtype)
    result = scaled_tensor(torch.from_numpy(given.copy()), scale)
    np.testing.assert_array_equal(result.numpy(), scale.apply(given))


def test_what_was_given_is_left_as_it_was() -> None:
    given = torch.ones(3)
    scaled_tensor(given, Scale(1.0))
    assert given.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", ["u1", "u2", ">i2", "u8", "f8"])
def test_any_voxels_are_sent_as_float32(dtype) -> None:
    given = voxels(dtype)[:, 0]
    result = sent(given, Scale(2.0, 3.0), device="cpu")
    assert result.dtype == torch.float32
    np.testing.assert_array_equal(result.numpy(), Scale(2.0, 3.0).apply(given[:, None]))


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match="expected real numbers"):
        sent(np.zeros((1, 2, 2, 2), complex), UNSCALED, device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "i2", "f2", "f4", "u2", ">i2", "f8"])
def test_cuda_scales_to_the_bits_of_numpy(dtype, scale) -> None:
    given = voxels(dtype)
    result = sent(given, scale, device="cuda")
    np.testing.assert_array_equal(result.cpu().numpy(), scale.apply(given))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_copies_do_not_wait_for_passes_that_were_asked_for_before() -> None:
    """A device that computes for a second has each copy long before it is done."""
    batch = np.random.default_rng(2).integers(0, 255, (4, 1, 64, 64, 64), np.uint8)
    done = torch.cuda.Event()
    for _ in range(2):  # the first time memory is asked for, which may wait for the device
        torch.cuda.synchronize()
        torch.cuda._sleep(2_000_000_000)  # cycles
        done.record()
        results = []
        for number in range(8):
            results.append(sent(batch + np.uint8(number), UNSCALED, device="cuda"))
            _copies("cuda").synchronize()
        early = not done.query()
        for number, result in enumerate(results):  # no memory was given away between
            expected = (batch + np.uint8(number)).astype("f4")
            np.testing.assert_array_equal(result.cpu().numpy(), expected)
        del results, result
    assert early
