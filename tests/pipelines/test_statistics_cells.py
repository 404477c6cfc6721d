"""Cells of several partitions: whatever their form, each is given once, whole, and in time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from volkit.geometry import Box, Grid
from volkit.kernels.contingency import contingency
from volkit.kernels.object_table import object_sums
from volkit.pipelines.statistics_cut_cells import finished

EXTENTS = st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12))


def overlap(cells, regions):
    table = contingency(cells, regions)
    kept = table["true"] != 0
    return {
        "id": table["true"][kept],
        "region": table["pred"][kept],
        "voxels": table["count"][kept],
    }


@settings(max_examples=25)
@given(
    st.integers(0, 2**16),
    st.floats(0.05, 0.6),
    EXTENTS,
    EXTENTS,
    st.sampled_from([1, 2, 3]),
    st.booleans(),
)
def test_winding_cells_are_whole(seed, share, shape, partition, connectivity, regional) -> None:
    rng = np.random.default_rng(seed)
    labels = label(rng.random(shape) < share, connectivity=connectivity).astype(np.uint64)
    regions = rng.integers(0, 3, shape).astype(np.uint8)
    domain = Box.from_shape(shape, (5, 0, 7))
    parts = []
    for block in Grid(Box.from_shape(shape), partition):
        own = labels[block.write.slices]
        box = block.write.shift(domain.start)
        table = {f"objects.{n}": c for n, c in object_sums(own, start=box.start).items()}
        if regional:
            here = overlap(own, regions[block.write.slices])
            table |= {f"overlap.{n}": c for n, c in here.items()}
        parts.append((box, table))
    known, shared = object_sums(labels, start=domain.start), overlap(labels, regions)
    ids = []
    for _, objects, regions_of in finished(parts, domain):
        ids += objects["id"].tolist()
        rows = np.searchsorted(known["id"], objects["id"])
        for name, column in objects.items():
            np.testing.assert_array_equal(column, known[name][rows], err_msg=name)
        if regions_of is None:
            assert not regional
            continue
        mine = np.isin(shared["id"], objects["id"])
        for name, column in regions_of.items():
            np.testing.assert_array_equal(column, shared[name][mine], err_msg=name)
    assert sorted(ids) == known["id"].tolist()
