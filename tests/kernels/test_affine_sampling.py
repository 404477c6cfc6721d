"""Affine sampling: positions in the patient are kept, whatever the grids."""

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.affine_sampling import sampled
from volkit.kernels.scan_grid import Step


def ramp(shape, affine) -> np.ndarray:
    """A volume whose value is 1 x + 10 y + 100 z, in millimetres."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    at = np.einsum("ij,jzyx->izyx", affine[:3, :3], np.stack([x, y, z]).astype(float))
    at += affine[:3, 3][:, None, None, None]
    return at[0] + 10 * at[1] + 100 * at[2]


def cut(step: Step) -> Step:
    """The same step, from one voxel further out."""
    return Step(step.scale, tuple(o - s for o, s in zip(step.offset, step.scale, strict=True)))


def test_values_stay_where_they_are_in_space() -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = -5, -8, -9
    onto = np.array([[0, -2.0, 0, 4], [1.5, 0, 0, -5], [0, 0, 3.0, -7], [0, 0, 0, 1]])
    found = sampled(ramp((8, 9, 12), affine), affine, shape=(4, 4, 5), onto=onto)
    np.testing.assert_allclose(found, ramp((4, 4, 5), onto), rtol=1e-5, atol=1e-4)


def test_the_nearest_voxel_keeps_a_mask_a_mask() -> None:
    mask = np.zeros((6, 6, 6))
    mask[2:4, 2:4, 2:4] = 1
    step = Step((0.5, 0.5, 0.5), (-0.25, -0.25, -0.25))  # twice as many voxels in the same box
    found = sampled(mask, np.eye(4), shape=(12,) * 3, onto=step.joined(np.eye(4)), nearest=True)
    assert np.unique(found).tolist() == [0, 1]
    assert found.sum() == 8 * mask.sum()
    assert found[4:8, 4:8, 4:8].all()
    # Voxels at the border are as large as others.
    whole = sampled(np.ones((6,) * 3), np.eye(4), shape=(14,) * 3,
                    onto=cut(step).joined(np.eye(4)), nearest=True)  # fmt: skip
    np.testing.assert_array_equal(whole, np.pad(np.ones((12,) * 3), 1))


def test_outside_there_is_nothing() -> None:
    away = np.eye(4)
    away[0, 3] = 100
    assert not sampled(np.ones((3, 3, 3)), np.eye(4), shape=(3, 3, 3), onto=away).any()


def test_an_affine_without_inverse_is_refused() -> None:
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    with pytest.raises(ContractError, match="has no inverse; correct it in the file"):
        sampled(np.ones((2, 2, 2)), flat, shape=(2, 2, 2), onto=np.eye(4))
