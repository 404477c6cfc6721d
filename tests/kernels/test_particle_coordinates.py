"""Coordinates of particles: the published pair, and no bias whatever the voxels."""

import numpy as np
import pytest

from volkit.errors import GeometryError
from volkit.geometry import VoxelScale
from volkit.kernels.particle_coordinates import PUBLISHED_OFFSET, ParticleCoordinates

CZII = 1.0012444

CASES = [
    ParticleCoordinates((CZII,) * 3, target_offset=PUBLISHED_OFFSET),
    ParticleCoordinates((CZII,) * 3),
    ParticleCoordinates((2.0, 0.5, 0.7), origin_nm=(-30.0, 11.1, 1e4)),
    ParticleCoordinates((4.0, 1.0, 1.0), origin_nm=(5.0, 0.0, -2.0), target_offset=0.25),
]


@pytest.mark.parametrize("how", CASES)
def test_is_unbiased_and_never_off_by_more_than_half_a_voxel(how) -> None:
    size = np.array(how.voxel_size_nm)
    # As many points as it takes for a standard error of a fifth of what is asked, on average.
    centres = np.random.default_rng(7).random((1_000_000, 3)) * 600 * size - 100 * size
    # In pairs mirrored in a voxel, so that the average of a sound pair is 0 and not its noise.
    voxel = how.decode(how.encode(centres))
    mirrored = 2 * voxel - centres
    both = np.concatenate([centres, mirrored])
    error = how.decode(how.encode(both)) - both
    assert (np.abs(error) <= size * (0.5 + 1e-9)).all()
    assert (np.abs(error.mean(axis=0)) < 0.001).all()  # nanometres: 0.01 Å


def test_mean_error_of_plain_random_points_is_below_a_hundredth_of_an_angstrom() -> None:
    how = CASES[0]
    centres = np.random.default_rng(11).random((3_000_000, 3)) * 600
    error = how.decode(how.encode(centres)) - centres
    assert (np.abs(error.mean(axis=0)) < 0.001).all()


def test_published_numbers() -> None:
    how = CASES[0]
    for angstrom in (0.0, 715.679, 4038.0, 6072.464):
        index = np.floor(angstrom / 10.012444 + 1.0)
        found = how.encode(np.array([angstrom / 10] * 3))
        assert found.tolist() == [index] * 3
        np.testing.assert_allclose(how.decode(found) * 10, (index + 0.5 - 1.0) * 10.012444)


def test_voxels_come_back_for_every_offset() -> None:
    voxels = np.random.default_rng(2).integers(-50, 1000, (500, 3))
    for how in CASES:
        assert how.encode(how.decode(voxels)).tolist() == voxels.tolist()


def test_half_an_offset_is_the_scale_of_volumes() -> None:
    scale = VoxelScale((2.0, 0.5, 0.7), (1.0, 2.0, 3.0))
    how = ParticleCoordinates.of(scale)
    point = (10.0, -4.0, 8.1)
    assert tuple(how.encode(np.array(point)).tolist()) == scale.to_voxel(point)
    assert tuple(how.decode(np.array([3, 4, 5])).tolist()) == pytest.approx(scale.to_nm((3, 4, 5)))


def test_fractions_of_voxels_decode() -> None:
    how = ParticleCoordinates((2.0, 1.0, 1.0))
    assert how.decode(np.array([1.25, 0, -0.5])).tolist() == [2.5, 0, -0.5]


def test_refuses() -> None:
    with pytest.raises(GeometryError, match="must be positive and finite"):
        ParticleCoordinates((0.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="target offset nan must be finite"):
        ParticleCoordinates((1.0, 1.0, 1.0), target_offset=float("nan"))
