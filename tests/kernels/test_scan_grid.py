"""Scan grids: cubic voxels, exact margins, one shape, and positions that are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from volkit.errors import ContractError, GeometryError
from volkit.kernels.scan_grid import (
    Step,
    brought_to,
    cube_box,
    cut_out,
    isotropic,
    margin_box,
)

AFFINE = np.array([[2.0, 0, 0, -9], [0, 3, 0, 4], [0, 0, 0.5, 7], [0, 0, 0, 1]])


def ramp(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """A field that is linear in space: interpolation keeps it, wherever positions are right."""
    index = np.indices(shape)[::-1]  # x, y, z
    x, y, z = np.einsum("ij,jzyx->izyx", affine[:3, :3], index) + affine[:3, 3][:, None, None, None]
    return (0.3 * x - 0.7 * y + 0.2 * z).astype(np.float32)


def inner(values: np.ndarray, cut: int) -> np.ndarray:
    return values[cut:-cut, cut:-cut, cut:-cut]


def test_voxels_become_cubic_around_the_same_middle() -> None:
    values = ramp((40, 12, 14), AFFINE)
    found, step = isotropic(values, (0.5, 3.0, 2.0), 1.0)
    affine = step.joined(AFFINE)
    assert found.shape == (20, 36, 28)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), 1)
    middle = (np.array(values.shape[::-1]) - 1) / 2, (np.array(found.shape[::-1]) - 1) / 2
    before = AFFINE[:3, :3] @ middle[0] + AFFINE[:3, 3]
    np.testing.assert_allclose(affine[:3, :3] @ middle[1] + affine[:3, 3], before)
    np.testing.assert_allclose(inner(found, 3), inner(ramp(found.shape, affine), 3), atol=1e-4)


def test_scipy_interpolates_to_the_same_voxels() -> None:
    values = np.random.default_rng(0).random((9, 10, 11)).astype(np.float32)
    found, step = isotropic(values, (1.4, 0.9, 1.0), 1.0)
    sides = zip(found.shape, step.scale, step.offset, strict=True)
    places = [np.arange(n) * scale + offset for n, scale, offset in sides]
    grid = np.meshgrid(*places, indexing="ij")
    wanted = ndimage.map_coordinates(values.astype(np.float64), grid, order=1, mode="nearest")
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_cubic_voxels_of_the_right_size_are_left_alone() -> None:
    values = np.zeros((3, 4, 5), np.float32)
    found, step = isotropic(values, (1.0, 1.0, 1.0 + 1e-7), 1.0)
    assert found is values
    assert step == Step()


def test_masks_take_the_nearest_voxel() -> None:
    mask = np.zeros((1, 1, 4), np.uint8)
    mask[..., 1] = 1
    found, _ = isotropic(mask, (1.0, 1.0, 2.0), 1.0, nearest=True)
    assert found[0, 0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert found.dtype == np.uint8


@given(
    start=st.tuples(*[st.integers(0, 6)] * 3),
    extent=st.tuples(*[st.integers(1, 5)] * 3),
    margin=st.integers(0, 4),
)
def test_the_margin_is_exact_on_all_faces_also_at_the_border(start, extent, margin) -> None:
    mask = np.zeros((7, 8, 9), bool)
    mask[tuple(slice(a, a + n) for a, n in zip(start, extent, strict=True))] = True
    box = margin_box(mask, margin)
    found, step = cut_out(mask, *box)
    there = np.argwhere(found)
    assert there.min(0).tolist() == [margin] * 3
    assert (np.array(found.shape) - 1 - there.max(0)).tolist() == [margin] * 3
    assert found.sum() == mask.sum()
    assert tuple(step.offset) == box[0]


def test_an_empty_mask_and_sizes_of_nothing_are_refused() -> None:
    with pytest.raises(ContractError, match="the brain mask is empty"):
        margin_box(np.zeros((3, 3, 3), bool), 3)
    with pytest.raises(GeometryError, match="sizes above 0"):
        isotropic(np.zeros((3, 3, 3), np.float32), (1.0, 0.0, 1.0), 1.0)


def test_boxes_outside_hold_zeros() -> None:
    found, _ = cut_out(np.ones((2, 2, 2)), (-1, 0, 5), (1, 3, 7))
    assert found.sum() == 0
    found, _ = cut_out(np.ones((2, 2, 2)), (-1, 0, 1), (1, 3, 3))
    assert found.sum() == 2
    assert found[1, :2, 0].tolist() == [1, 1]


def test_a_cube_holds_the_array_in_its_middle() -> None:
    start, stop = cube_box((3, 8, 5))
    assert [b - a for a, b in zip(start, stop, strict=True)] == [8, 8, 8]
    found, _ = cut_out(np.ones((3, 8, 5)), start, stop)
    assert found.sum() == 3 * 8 * 5


def test_a_constant_stays_constant_and_the_box_in_space_is_kept() -> None:
    found, step = brought_to(np.full((5, 9, 7), 3.25, np.float32), (8, 8, 8))
    assert found.shape == (8, 8, 8)
    assert np.ptp(found) == 0
    affine = step.joined(AFFINE)
    for corner in (np.array([-0.5, -0.5, -0.5]), np.array([6.5, 8.5, 4.5])):
        scaled = (corner + 0.5) * 8 / np.array([7, 9, 5]) - 0.5
        np.testing.assert_allclose(
            affine[:3, :3] @ scaled, AFFINE[:3, :3] @ corner + (AFFINE - affine)[:3, 3]
        )


def test_positions_are_kept_by_every_step() -> None:
    values = ramp((12, 14, 16), AFFINE)
    found, step = brought_to(values, (20, 11, 9))
    np.testing.assert_allclose(
        inner(found, 2), inner(ramp(found.shape, step.joined(AFFINE)), 2), atol=1e-4
    )


@pytest.mark.parametrize(("given", "wanted"), [(3, 7), (7, 3), (4, 4), (5, 1)])
def test_nearest_takes_the_voxel_that_holds_the_centre(given: int, wanted: int) -> None:
    found, _ = brought_to(np.arange(given).reshape(1, 1, -1), (1, 1, wanted), nearest=True)
    exact = [int(np.floor((n + 0.5) * given / wanted)) for n in range(wanted)]
    assert found[0, 0].tolist() == exact
