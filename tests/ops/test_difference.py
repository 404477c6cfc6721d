"""Differences over blocks: the same for every grid and both engines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.contingency import contingency
from volkit.kernels.scores import voi_scores
from volkit.ops.difference import label_difference, value_difference

labels = hnp.arrays(np.uint32, (4, 5, 6), elements=st.sampled_from([0, 1, 2, 2**32 - 1]))
values = hnp.arrays(np.float32, (2, 4, 5, 6), elements=st.floats(0, 1, width=32))
block_shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))
WHOLE = Grid(Box.from_shape((4, 5, 6)), (4, 5, 6))


def both(function, old, new, folder, grid, **options):
    """Run with both engines, which agree; the difference."""
    volumes = open_volume(old), open_volume(new)
    lazy = function(*volumes, grid=grid, engine=LazyEngine(), **options)
    lazily = lazy.compute(scheduler="sync")
    stored = function(*volumes, grid=grid, engine=JobEngine(folder), **options)
    assert repr(lazily) == repr(stored)  # floats to the last digit; nan is not equal to itself
    for name, column in lazily.blocks.items():
        np.testing.assert_array_equal(column, stored.blocks[name])
    return stored


@settings(max_examples=10)
@given(labels, labels, block_shapes)
def test_no_grid_and_no_engine_shows_in_labels(tmp_path_factory, a, b, block_shape) -> None:
    grid = Grid(WHOLE.domain, block_shape)
    folder = tmp_path_factory.mktemp("diff")
    cut = both(label_difference, a, b, folder, grid)
    whole = label_difference(a, b, grid=WHOLE).compute(scheduler="sync")
    assert cut == whole
    assert cut.changed == cut.blocks["changed"].sum()
    assert cut.differing == np.count_nonzero(a != b)
    assert cut.voi == voi_scores(contingency(a, b), true_zero="segment", pred_zero="segment")
    again = label_difference(open_volume(a), open_volume(b), grid=grid, engine=JobEngine(folder))
    assert again == cut


@settings(max_examples=10)
@given(values, values, block_shapes)
def test_no_grid_and_no_engine_shows_in_values(tmp_path_factory, a, b, block_shape) -> None:
    grid = Grid(WHOLE.domain, block_shape)
    cut = both(value_difference, a, b, tmp_path_factory.mktemp("diff"), grid, threshold=0.1)
    whole = value_difference(a, b, threshold=0.1, grid=WHOLE).compute(scheduler="sync").scores
    assert (cut.scores.unlike, cut.scores.over) == (whole.unlike, whole.over)
    assert cut.scores.largest == whole.largest
    assert cut.scores.mean == pytest.approx(whole.mean, rel=1e-12)
    assert cut.blocks["unlike"].sum() == np.count_nonzero(a != b)


def test_objects_that_changed_are_listed() -> None:
    old = np.array([[[1, 1, 2, 2, 3, 0]]])
    new = np.array([[[5, 6, 7, 7, 0, 8]]])
    found = label_difference(old, new).compute(scheduler="sync")
    assert found.old_counts == {
        "unchanged": 1, "reshaped": 0, "split": 1, "merged": 0, "removed": 1, "added": 0,
    }  # fmt: skip
    assert found.new_counts["added"] == 1
    assert found.objects["id"].tolist() == [1, 3, 5, 6, 8]


def test_refuses_what_cannot_be_aligned() -> None:
    with pytest.raises(GeometryError, match="not of the same domain"):
        label_difference(np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int))
    with pytest.raises(GeometryError, match="do not cover the same voxels and channels"):
        value_difference(np.zeros((2, 2, 2)), np.zeros((1, 2, 2, 2)), threshold=0.1)
