import numpy as np

from volkit.testing.networks import identity, ramp


def test_identity_copies() -> None:
    batch = np.arange(8, dtype=np.uint8).reshape(1, 1, 2, 2, 2)
    answer = identity(batch)
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, batch)


def test_ramp_depends_on_the_position_in_the_window() -> None:
    answer = ramp(np.full((2, 1, 3, 3, 3), 10))
    assert answer.shape == (2, 2, 3, 3, 3)
    assert answer[1, 0, 2, 1, 1] == 10 + 2 + 2 + 3
    assert (answer[:, 1] == 1).all()
