"""Scale: voxels to nanometres and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.geometry import Box, VoxelScale
from volkit.testing.strategies import boxes, domains, shapes

# Multiples of 1/8 nm up to 100 nm: products with voxels are exact in binary.
SIZES = st.tuples(*[st.integers(1, 800).map(lambda n: n / 8)] * 3)
ORIGINS = st.tuples(*[st.integers(-8000, 8000).map(lambda n: n / 8)] * 3)
SCALES = st.builds(VoxelScale, SIZES, ORIGINS)


@given(SCALES, shapes(smallest=-1000, largest=1000))
def test_voxels_make_the_round_trip(scale: VoxelScale, voxel) -> None:
    assert scale.to_voxel(scale.to_nm(voxel)) == voxel


@given(SCALES, shapes(smallest=-1000, largest=1000), st.sampled_from([-0.49, 0.49]))
def test_a_voxel_holds_what_is_nearer_than_half_its_extent(scale, voxel, aside) -> None:
    point = tuple(
        c + aside * s for c, s in zip(scale.to_nm(voxel), scale.voxel_size_nm, strict=True)
    )
    assert scale.to_voxel(point) == voxel


@given(scale=SCALES, domain=domains(), data=st.data())
def test_a_physical_range_holds_the_voxels_with_their_centres_in_it(scale, domain, data) -> None:
    box = data.draw(boxes(domain))
    assert scale.box(scale.to_nm(box.start), scale.to_nm(box.stop)) == box


def test_touching_ranges_share_no_voxel() -> None:
    scale = VoxelScale((40.0, 8.0, 8.0), (20.0, 4.0, 4.0))
    left, right = scale.box((0, 0, 0), (80, 30, 30)), scale.box((80, 0, 0), (160, 30, 30))
    assert (left, right) == (Box((0, 0, 0), (2, 4, 4)), Box((2, 0, 0), (4, 4, 4)))


@pytest.mark.parametrize("size", [0.0, -8.0, float("inf"), float("nan")])
def test_voxels_without_extent_are_refused(size) -> None:
    with pytest.raises(GeometryError, match="must be positive and finite on every axis"):
        VoxelScale((8.0, size, 8.0))


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(GeometryError, match="before it starts"):
        VoxelScale((8.0, 8.0, 8.0)).box((80, 0, 0), (0, 8, 8))
