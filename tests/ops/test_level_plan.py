"""Plans of levels: factors, blocks and pieces, as integers."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.io import create_volume, open_volume
from volkit.io.labels import holds_labels
from volkit.kernels.downsample import downsampled_box
from volkit.ops import level_plan
from volkit.ops.level_plan import (
    block_shape,
    finer_box,
    level_factors,
    piece_shape,
)
from volkit.testing.strategies import domains, shapes

sizes = st.tuples(*[st.floats(1, 500)] * 3)
factors = shapes(largest=4)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((6000, 6000, 6000), (40, 4, 4), [(1, 2, 2)] * 3 + [(2, 2, 2)] * 5),
        ((600, 600, 600), (30, 4, 4), [(1, 2, 2)] * 3 + [(2, 2, 2)] * 2),
        ((600, 600, 600), (8, 8, 8), [(2, 2, 2)] * 2),
        ((600, 600, 600), (10, 8, 8), [(2, 2, 2)] * 2),  # near enough to cubes
        ((600, 600, 600), (12, 8, 8), [(1, 2, 2), (2, 2, 2), (2, 2, 2)]),
        ((1, 1000, 1000), (40, 4, 4), [(1, 2, 2)] * 2),  # a plane stays one
        ((1, 1000, 1000), (1, 4, 4), [(1, 2, 2)] * 2),
        ((3, 1000, 1000), (4, 4, 4), [(2, 2, 2)] * 2),
        ((256, 256, 256), (4, 4, 4), []),
    ],
)
def test_factors_that_are_chosen(shape, size, expected) -> None:
    assert list(level_factors(shape, size)) == expected


@given(shape=shapes(largest=10_000), size=sizes)
def test_voxels_come_nearer_to_cubes_and_stay_so(shape, size) -> None:
    extent, voxel = np.array(shape), np.array(size)
    for step in level_factors(shape, size):
        assert set(step) <= {1, 2}
        open_axes = extent > 1
        before = voxel[open_axes].max() / voxel[open_axes].min()
        extent, voxel = -(-extent // step), voxel * step
        after = voxel[open_axes].max() / voxel[open_axes].min()
        assert after <= before * (1 + 1e-6)
    assert max(extent) <= 256


def test_factors_that_are_given() -> None:
    shape, size = (600, 600, 600), (8, 8, 8)
    assert level_factors(shape, size, factors=(1, 2, 2), levels=3) == ((1, 2, 2), (1, 2, 2))
    assert level_factors(shape, size, factors=[(1, 3, 3), (4, 1, 1)]) == ((1, 3, 3), (4, 1, 1))
    assert level_factors(shape, size, factors=(4, 4, 4)) == ((4, 4, 4),)
    assert level_factors((5, 5, 5), size, factors=[(1, 2, 2)]) == ((1, 2, 2),)
    assert level_factors((5, 5, 5), size, factors=(1, 2, 2)) == ()
    assert level_factors(shape, size, levels=1) == ()
    assert level_factors((5, 5, 5), size, levels=3) == ((2, 2, 2), (2, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": 0}, "levels=0; give 1 to 64, level 0 included"),
        ({"factors": (1, 5, 1)}, r"factor \(1, 5, 1\); give 1 to 4 on every axis"),
        ({"factors": [(1, 2, 2), (0, 1, 1)]}, r"factor \(0, 1, 1\); give 1 to 4"),
        ({"factors": (1, 1, 1), "levels": 2}, "level 1 would be as large as the one before it"),
        ({"factors": [(1, 2, 2)] * 2, "levels": 5}, "2 factors make 3 levels, asked for 5"),
        ({"levels": 9}, r"level 4 would be as large .* \(1, 1, 1\) voxels.* fewer levels"),
    ],
)
def test_plans_that_make_no_sense(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        level_factors((5, 6, 7), (8, 8, 8), **arguments)


@given(shape=shapes(largest=999), unit=shapes(largest=99), factor=factors, size=shapes(largest=8))
def test_blocks_are_whole_stored_objects(shape, unit, factor, size) -> None:
    block = block_shape(shape, unit, factor, size[0])
    for b, u, n in zip(block, unit, shape, strict=True):
        assert b == n or b % u == 0
    alone = [min(u, n) for u, n in zip(unit, shape, strict=True)]
    assert prod(block) * prod(factor) * size[0] <= max(
        level_plan._INPUT_BYTES, prod(alone) * prod(factor) * size[0]
    )


@given(block=shapes(largest=999), factor=factors, size=shapes(largest=8))
def test_pieces_are_small(block, factor, size) -> None:
    piece = piece_shape(block, factor, size[0])
    assert prod(piece) * prod(factor) * size[0] <= level_plan._INPUT_BYTES
    assert all(1 <= p <= b for p, b in zip(piece, block, strict=True))


@given(domain=domains(), factor=factors)
def test_fine_and_coarse_boxes(domain: Box, factor) -> None:
    coarse = downsampled_box(domain, factor)
    assert downsampled_box(finer_box(coarse, factor), factor) == coarse
    assert finer_box(coarse, factor).contains(domain)


@pytest.mark.parametrize(
    ("dtype", "attributes", "expected"),
    [
        ("uint8", {}, False),
        ("uint16", {}, False),
        ("float32", {}, False),
        ("uint32", {}, True),
        ("uint64", {}, True),
        ("bool", {}, True),
        ("uint8", {"kind": "annotation"}, True),
        ("uint16", {"kind": "labels"}, True),
        ("uint64", {"kind": "image"}, False),
    ],
)
def test_labels_are_told_from_images(tmp_path, dtype, attributes, expected) -> None:
    volume = create_volume(
        tmp_path / "em.zarr", shape=(2, 2, 2), dtype=dtype, attributes=attributes
    )
    assert holds_labels(volume) is expected


def test_an_array_in_memory_has_no_kind() -> None:
    assert holds_labels(open_volume(np.zeros((1, 1, 1), np.uint64)))
