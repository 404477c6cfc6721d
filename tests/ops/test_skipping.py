"""Skipping: which voxels are wanted, and which windows they need."""

import json
import pickle

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError, GeometryError, SourceError
from volkit.geometry import Box, Grid, Windows
from volkit.io.open import create_volume, open_volume
from volkit.ops.arguments import arguments
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.multiscale import pyramid
from volkit.ops.skip_count import count_windows
from volkit.ops.skip_options import EmptyOptions, SkipOptions
from volkit.ops.skipping import skipper
from volkit.pipelines.config import validate
from volkit.testing import strategies as vst

SHAPE = (10, 14, 18)
WINDOWS = Windows(Box.from_shape(SHAPE), (4, 6, 6), (2, 3, 4))


def resolved(
    options, image=None, *, mask=None, engine=None, windows=WINDOWS, block_shape=(5, 6, 7)
):
    image = open_volume(np.zeros(SHAPE, np.uint8)) if image is None else image
    call = arguments(image, grid=Grid(windows.domain, block_shape), engine=engine)
    found = skipper(options, call, windows, mask=mask)
    return found.compute(scheduler="sync") if hasattr(found, "dask") else found


def stored(path, values, **layout):
    volume = create_volume(path, shape=values.shape[-3:], dtype=values.dtype, **layout)
    volume.write(volume.domain, values)
    return volume


def needed_slowly(wanted, windows, domain):
    """Ask every window for itself."""
    return [
        index
        for index in windows.touching(domain)
        if wanted[windows.trusted_box(index).intersect(domain).relative_to(domain).slices].any()
    ]


def test_nothing_said_is_nothing_skipped() -> None:
    assert resolved(None) is None
    assert resolved(SkipOptions()) is None


def test_boxes_and_what_is_taken_out_of_them() -> None:
    boxes = (Box((0, 0, 0), (4, 6, 6)), Box((2, 2, 2), (99, 8, 8)))
    skip = resolved(SkipOptions(boxes=boxes, without=(Box((1, 1, 1), (3, 3, 3)),)))
    expected = np.zeros(SHAPE, bool)
    expected[:4, :6, :6] = expected[2:, 2:8, 2:8] = True
    expected[1:3, 1:3, 1:3] = False
    np.testing.assert_array_equal(skip.wanted(WINDOWS.domain), expected)


@given(data=st.data())
@settings(max_examples=40)
def test_any_part_is_cut_from_the_whole_and_windows_follow(data) -> None:
    domain = data.draw(vst.boxes(Box.from_shape((9, 10, 11))))
    windows = data.draw(vst.windows(domain))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    cell = data.draw(vst.shapes(largest=5))
    options = SkipOptions(
        boxes=tuple(data.draw(st.lists(vst.boxes(domain), max_size=2))),
        without=tuple(data.draw(st.lists(vst.boxes(domain), max_size=2))),
        empty=EmptyOptions(statistic="value", cell_shape=cell),
        invert=data.draw(st.booleans()),
    )
    image, full = image_with_empty_cells(domain, cell, rng)
    mask = rng.integers(0, 2, domain.stop, np.uint8)
    expected = full & ((mask[domain.slices] == 0) == options.invert)
    expected &= in_boxes(options.boxes, domain) | (not options.boxes)
    expected &= ~in_boxes(options.without, domain)
    given_all = {"windows": windows, "block_shape": data.draw(vst.shapes(largest=12))}
    if not expected.any():
        with pytest.raises(ConfigError, match="no voxel of the domain"):
            resolved(options, open_volume(image), mask=open_volume(mask), **given_all)
        return
    skip = resolved(options, open_volume(image), mask=open_volume(mask), **given_all)
    part = data.draw(vst.boxes(domain))
    cut = expected[part.relative_to(domain).slices]
    np.testing.assert_array_equal(skip.wanted(part), cut)
    assert skip.nothing(part) == (not cut.any())
    needed = needed_slowly(expected, windows, domain)
    assert skip.chosen(windows, windows.touching(domain)) == needed
    local = list(windows.touching(part))
    assert skip.chosen(windows, local) == [index for index in local if index in needed]
    near = expected & in_boxes([part], domain)
    assert skip.chosen(windows, local, within=part) == needed_slowly(near, windows, domain)
    count = count_windows(skip, windows)
    assert (count.windows, count.evaluated) == (len(windows), len(needed))


def image_with_empty_cells(domain, cell, rng):
    """Make an image of zeros with one bright voxel in most cells, and say which are full."""
    cells = rng.random([-(-n // c) for n, c in zip(domain.shape, cell, strict=True)]) < 0.7
    image = np.zeros(domain.stop, np.uint8)
    inner = image[domain.slices]
    inner[tuple(i * c for i, c in zip(cells.nonzero(), cell, strict=True))] = 9
    full = cells.repeat(cell[0], 0).repeat(cell[1], 1).repeat(cell[2], 2)
    return image, full[tuple(slice(n) for n in domain.shape)]


def in_boxes(boxes, domain):
    marks = np.zeros(domain.shape, bool)
    for box in boxes:
        marks[box.relative_to(domain).slices] = True
    return marks


def scaled(values, size, origin=(0.0, 0.0, 0.0), name="image"):
    """Store an array with a place in space."""
    path = f"memory://skipping-{name}.zarr"
    volume = create_volume(
        path,
        shape=values.shape,
        dtype=values.dtype,
        voxel_size_nm=size,
        origin_nm=origin,
        overwrite=True,
    )
    volume.write(volume.domain, values)
    return volume


def test_a_mask_of_another_voxel_size_is_asked_where_voxels_have_their_centres() -> None:
    image = scaled(np.zeros(SHAPE, np.uint8), (40.0, 4.0, 4.0))
    marks = np.zeros((10, 5, 6), np.int64)
    marks[:, 1, 2] = -7  # voxels 3 to 5 on y and 6 to 8 on x: three of the image's to one
    mask = scaled(marks, (40.0, 12.0, 12.0), (0.0, 4.0, 4.0), name="mask")
    expected = np.zeros(SHAPE, bool)
    expected[:, 3:6, 6:9] = True
    skip = resolved(SkipOptions(mask=mask.uri), image)
    np.testing.assert_array_equal(skip.wanted(WINDOWS.domain), expected)
    turned = resolved(SkipOptions(mask=mask.uri, invert=True), image)
    np.testing.assert_array_equal(turned.wanted(WINDOWS.domain), ~expected)


def test_a_level_of_a_pyramid_is_a_mask(tmp_path) -> None:
    marks = np.zeros(SHAPE, np.uint8)
    marks[4:8, 8:12, 4:12] = 1
    mask = stored(tmp_path / "mask.zarr", marks, voxel_size_nm=(8.0, 8.0, 8.0))
    pyramid(mask, method="mode", levels=2, factors=(2, 2, 2))
    image = scaled(np.zeros(SHAPE, np.uint8), (8.0, 8.0, 8.0))
    skip = resolved(SkipOptions(mask=mask.uri, mask_level=1), image)
    np.testing.assert_array_equal(skip.wanted(WINDOWS.domain), marks != 0)


def test_a_coarse_mask_may_drop_a_remainder_but_no_more() -> None:
    image = open_volume(np.zeros((9, 9, 9), np.uint8))
    windows = Windows(image.domain, (3, 3, 3), (3, 3, 3))
    floor = scaled(np.ones((4, 4, 4), np.uint8), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5), name="floor")
    skip = resolved(SkipOptions(mask=floor.uri), image, windows=windows)
    assert skip.wanted(image.domain).all()
    small = scaled(np.ones((4, 4, 3), np.uint8), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5), name="small")
    with pytest.raises(GeometryError, match=r"\[0:4, 0:4, 0:3\].*\[0:9, 0:9, 0:9\].*axis x"):
        resolved(SkipOptions(mask=small.uri), image, windows=windows)


def test_a_mask_without_a_voxel_size_can_be_told_it() -> None:
    image = scaled(np.zeros(SHAPE, np.uint8), (40.0, 4.0, 4.0))
    marks = np.zeros(SHAPE, bool)
    marks[3] = True
    mask = scaled(marks, (1.0, 1.0, 1.0), name="mask")
    with pytest.raises(GeometryError, match="mask_voxel_size_nm"):
        resolved(SkipOptions(mask=mask.uri), image)
    told = SkipOptions(mask=mask.uri, mask_voxel_size_nm=(40.0, 4.0, 4.0))
    np.testing.assert_array_equal(resolved(told, image).wanted(WINDOWS.domain), marks)


def test_a_data_array_has_its_place_and_a_dask_array_that_of_its_mask() -> None:
    marks = np.zeros((10, 7, 18), np.uint8)
    marks[:, 2] = 1
    mask = scaled(marks, (40.0, 8.0, 4.0), (80.0, 42.0, 40.0), name="mask")
    array = da.zeros(SHAPE, chunks=(5, 7, 9), dtype=np.uint8)
    places = (
        (z, first + np.arange(n) * size)
        for z, first, n, size in zip(
            "zyx", (80.0, 40.0, 40.0), SHAPE, (40.0, 4.0, 4.0), strict=True
        )
    )
    named = xr.DataArray(array, dims=tuple("zyx"), coords=dict(places))
    expected = np.zeros(SHAPE, bool)
    expected[:, 4:6] = True
    skip = resolved(SkipOptions(mask=mask.uri), named)
    np.testing.assert_array_equal(skip.wanted(WINDOWS.domain), expected)
    same = open_volume(expected)
    np.testing.assert_array_equal(resolved(None, array, mask=same).wanted(WINDOWS.domain), expected)


@pytest.mark.parametrize("statistic", ["range", "std"])
def test_emptiness_seen_at_a_coarse_level(tmp_path, statistic) -> None:
    rng = np.random.default_rng(1)
    raw = rng.integers(90, 110, SHAPE).astype(np.uint8)
    raw[:, 8:, :12] = 100
    image = stored(tmp_path / "image.zarr", raw)
    pyramid(image, method="mean", levels=2, factors=(2, 2, 2))
    options = EmptyOptions(statistic=statistic, cell_shape=(4, 4, 4), level=1)
    skip = resolved(SkipOptions(empty=options), image, engine=JobEngine(tmp_path / "run"))
    expected = np.ones(SHAPE, bool)
    expected[:, 8:, :12] = False
    np.testing.assert_array_equal(skip.wanted(WINDOWS.domain), expected)
    lazy = resolved(SkipOptions(empty=options), image)
    np.testing.assert_array_equal(lazy.wanted(WINDOWS.domain), expected)


def test_a_cell_that_is_cut_looks_back() -> None:
    raw = np.full(SHAPE, 7, np.uint8)
    raw[..., 15] = 8  # cells begin at 4, 8, 12 and 16: the last one has voxels 16 and 17
    skip = SkipOptions(empty=EmptyOptions(cell_shape=(5, 7, 4)))
    expected = np.zeros(SHAPE, bool)
    expected[..., 12:] = True
    for image in (open_volume(raw), da.from_array(raw, chunks=(5, 6, 4))):
        block = (5, 6, 4)
        got = resolved(skip, image, block_shape=block).wanted(WINDOWS.domain)
        np.testing.assert_array_equal(got, expected)
    by_value = SkipOptions(empty=EmptyOptions(statistic="value", value=7, cell_shape=(5, 7, 4)))
    got = resolved(by_value, open_volume(raw)).wanted(WINDOWS.domain)
    assert got[..., 12:16].all()
    assert got.sum() == got[..., 12:16].size


def test_cells_do_not_depend_on_blocks(tmp_path) -> None:
    raw = np.random.default_rng(4).integers(0, 2, SHAPE).astype(np.uint8)
    skip = SkipOptions(empty=EmptyOptions(cell_shape=(2, 2, 1)))
    image = open_volume(raw)
    found = [
        resolved(skip, image, block_shape=block, engine=JobEngine(tmp_path / str(n)))
        for n, block in enumerate([(10, 14, 18), (3, 5, 7), (1, 1, 1)])
    ]
    wanted = [each.wanted(WINDOWS.domain) for each in found]
    assert wanted[0].any()
    assert not wanted[0].all()
    for each in wanted[1:]:
        np.testing.assert_array_equal(each, wanted[0])
    assert found[0].facts == found[1].facts


def test_facts_are_json_and_follow_the_mask_and_a_skipper_travels() -> None:
    one, other = np.ones(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    other[0, 0, 0] = 0
    first, second = (resolved(None, mask=open_volume(each)) for each in (one, other))
    assert json.loads(json.dumps(first.facts)) == first.facts
    assert first.facts != second.facts
    again = pickle.loads(pickle.dumps(second))
    np.testing.assert_array_equal(again.wanted(WINDOWS.domain), other != 0)


def test_a_workflow_says_what_is_skipped() -> None:
    tree = {
        "skip": {
            "mask": "tissue.zarr",
            "mask_level": 3,
            "boxes": [{"start": [0, 0, 0], "stop": [4, 4, 4]}],
            "empty": {"statistic": "std", "threshold": 2.5, "level": 2},
            "fill": 1.0,
        }
    }
    found = validate(tree, InferenceOptions, where="here").skip
    assert found == SkipOptions(
        mask="tissue.zarr",
        mask_level=3,
        boxes=(Box((0, 0, 0), (4, 4, 4)),),
        empty=EmptyOptions(statistic="std", threshold=2.5, level=2),
        fill=1.0,
    )
    with pytest.raises(ConfigError, match="empty.statistic.*median"):
        validate({"empty": {"statistic": "median"}}, SkipOptions, where="here")
    with pytest.raises(ConfigError, match="statistic 'median' is unknown"):
        EmptyOptions(statistic="median")


def test_a_mask_of_floats_is_refused() -> None:
    with pytest.raises(ContractError, match="float32; give bool, integers or labels"):
        resolved(None, mask=open_volume(np.ones(SHAPE, np.float32)))


def test_nothing_wanted_is_refused() -> None:
    with pytest.raises(ConfigError, match="no voxel of the domain"):
        resolved(None, mask=open_volume(np.zeros(SHAPE, bool)))
    with pytest.raises(ConfigError, match="no voxel of the domain"):
        resolved(SkipOptions(boxes=(Box((90, 90, 90), (91, 91, 91)),)))
    with pytest.raises(ConfigError, match="no voxel of the domain"):
        resolved(SkipOptions(empty=EmptyOptions()))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mask_level": 1}, "none is named"),
        ({"mask_voxel_size_nm": (1, 1, 1)}, "none is named"),
        ({"fill": float("nan")}, "not finite"),
        ({"boxes": (Box((0, 0, 0), (0, 1, 1)),)}, "holds no voxel"),
    ],
)
def test_wrong_options_are_refused(wrong, says) -> None:
    with pytest.raises(ConfigError, match=says):
        SkipOptions(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"threshold": -1}, "not below 0"),
        ({"cell_shape": (0, 1, 1)}, "at least 1"),
        ({"level": -1}, "0 is the finest"),
    ],
)
def test_wrong_options_of_emptiness_are_refused(wrong, says) -> None:
    with pytest.raises(ConfigError, match=says):
        EmptyOptions(**wrong)


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is none"):
        resolved(SkipOptions(invert=True))
    with pytest.raises(ConfigError, match="has 1 levels"):
        resolved(SkipOptions(empty=EmptyOptions(level=2)))
    with pytest.raises(ConfigError, match="a single voxel"):
        resolved(SkipOptions(empty=EmptyOptions(cell_shape=(1, 1, 1))))
    with pytest.raises(ConfigError, match="a dask array has none"):
        resolved(
            SkipOptions(empty=EmptyOptions(level=2)), da.zeros(SHAPE, chunks=(5, 7, 9), dtype="u1")
        )
    with pytest.raises(SourceError, match="nowhere"):
        resolved(SkipOptions(mask="nowhere.zarr"))
