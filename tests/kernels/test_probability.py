import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.probability import probabilities


def test_bytes_are_fractions_of_255() -> None:
    values = np.array([0, 128, 255], np.uint8)
    np.testing.assert_array_equal(probabilities(values), np.float32([0, 128 / 255, 1]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_their_values(dtype) -> None:
    result = probabilities(np.array([0, 0.25, 1], dtype))
    assert result.dtype == np.float32
    assert result.tolist() == [0, 0.25, 1]


def test_no_voxels_are_fine() -> None:
    assert probabilities(np.zeros((0, 3, 3), np.float32)).shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.5, np.nan]), r"are NaN; .*nan_to_num"),
        (np.array([0.5, np.inf]), r"are 0.5 to inf"),
        (np.array([-3.0, 4.0]), r"are -3 to 4; .*sigmoid"),
        (np.array([0, 1]), r"are int64; give floats from 0 to 1, or uint8"),
    ],
)
def test_what_is_no_probability_is_refused(values, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        probabilities(values)


def test_what_rounding_put_outside_is_clipped() -> None:
    values = np.array([-1e-7, 1.0000001], np.float32)
    assert probabilities(values).tolist() == [0, 1]
