"""Skipping: the same answers where somebody wants them, and fewer windows elsewhere."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import ConfigError
from volkit.geometry import Box, Grid, Windows
from volkit.io.open import create_volume, open_volume
from volkit.ops.arguments import arguments
from volkit.ops.skip_count import count_windows
from volkit.ops.skip_options import EmptyOptions, SkipOptions
from volkit.ops.skipping import skipper
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
