"""Components of runs, beside cc3d, and named over any blocks by their rims alone."""

from itertools import product

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.label_rims import rim_table, rise_rims
from volkit.kernels.label_runs import component_parts
from volkit.kernels.octree_components import sink_links

SHAPES = st.tuples(*[st.integers(1, 6)] * 3)
LABELS = arrays(np.uint16, SHAPES, elements=st.sampled_from([0, 0, 7, 9]))
MASKS = arrays(bool, SHAPES)
CONNECTIVITY = st.sampled_from([6, 18, 26])


def by_first_voxel(parts: np.ndarray) -> np.ndarray:
    """Name the components that cc3d finds after their first voxels."""
    ids, first, where = np.unique(parts, return_index=True, return_inverse=True)
    return np.where(ids == 0, 0, first + 1)[where].reshape(parts.shape)


@given(values=st.one_of(LABELS, MASKS), connectivity=CONNECTIVITY)
@settings(max_examples=60)
def test_parts_are_those_of_cc3d(values, connectivity) -> None:
    expected = by_first_voxel(cc3d.connected_components(values, connectivity=connectivity))
    parts = component_parts(values, connectivity=connectivity)
    np.testing.assert_array_equal(parts.painted(), expected)
    assert len(parts.first) == parts.rows[-1]


def named_by_rims(values: np.ndarray, block_shape: tuple, connectivity: int, halves) -> np.ndarray:
    """Unite the rims of blocks in boxes of two or more along each axis, as a cascade does."""
    domain = Box((5, 0, 2), tuple(a + n for a, n in zip((5, 0, 2), values.shape, strict=True)))
    grid = Grid(domain, block_shape)
    how = {"connectivity": connectivity, "domain": domain}
    parts, risen = {}, {}
    for block in grid:
        inside = block.write.relative_to(domain)
        found = component_parts(
            values[inside.slices],
            connectivity=connectivity,
            start=inside.start,
            domain_shape=domain.shape,
        )
        parts[block.index] = found
        risen[block.index] = [
            rise_rims([closed(rim_table(found, block.write), block.write, domain)], **how)
        ]
    boxes: dict[tuple, list] = {}
    for index in parts:
        boxes.setdefault(tuple(i // h for i, h in zip(index, halves, strict=True)), []).append(
            index
        )
    tables = {}
    for box, members in boxes.items():
        ups = [closed(risen[m][0][0], span(grid, members), domain) for m in members]
        tables[box] = rise_rims(ups, **how)
    _, root = rise_rims([closed(up, domain, domain) for up, _ in tables.values()], **how)
    top, out = sink_links(root, None), np.zeros(values.shape, np.uint64)
    for block in grid:
        box = tuple(i // h for i, h in zip(block.index, halves, strict=True))
        middle = sink_links(tables[box][1], top)
        lookup = sink_links(risen[block.index][0][1], middle)
        place = block.write.relative_to(domain).slices
        parts[block.index].painted(lookup["old"], lookup["new"], into=out[place])
    return out


def span(grid: Grid, members: list) -> Box:
    """The voxels of some blocks."""
    boxes = [grid.block(m).write for m in members]
    return Box(
        tuple(np.min([b.start for b in boxes], axis=0).tolist()),
        tuple(np.max([b.stop for b in boxes], axis=0).tolist()),
    )


def closed(table: dict, whole: Box, domain: Box) -> dict:
    """Take out the ids on faces that the whole closes, as engines do before tables rise."""
    start, stop = table["span"][0, :3], table["span"][0, 3:]
    is_open = [
        edge
        for axis in range(3)
        for edge in (
            start[axis] == whole.start[axis] != domain.start[axis],
            stop[axis] == whole.stop[axis] != domain.stop[axis],
        )
    ]
    rows = np.array(is_open)[table["face"]]
    return {**table, "id": table["id"][rows], "face": table["face"][rows]}


@given(
    values=st.one_of(LABELS, MASKS),
    block_shape=st.tuples(*[st.integers(1, 5)] * 3),
    halves=st.tuples(*[st.integers(1, 3)] * 3),
    connectivity=CONNECTIVITY,
)
@settings(max_examples=25, deadline=None)
def test_blocks_are_named_as_the_whole_by_their_rims(
    values, block_shape, halves, connectivity
) -> None:
    whole = component_parts(values, connectivity=connectivity).painted()
    found = named_by_rims(values, block_shape, connectivity, halves)
    np.testing.assert_array_equal(found, whole)


def test_only_rims_beyond_which_the_domain_goes_on_rise() -> None:
    domain = Box((0, 0, 0), (4, 4, 8))
    parts = component_parts(np.ones((4, 4, 4), bool), connectivity=6, domain_shape=domain.shape)
    table = rim_table(parts, Box((0, 0, 0), (4, 4, 4)))
    assert table["rim_length"].sum() == 4**3 - 2**3
    up, _ = rise_rims([table], connectivity=6, domain=domain)
    assert set(product(range(4), range(4))) == set(
        zip(up["rim_z"].tolist(), up["rim_y"].tolist(), strict=True)
    )
    assert ((up["rim_x"] + up["rim_length"]) == 4).all()  # those of x = 3 alone


def test_names_of_parts_can_pass_32_bits() -> None:
    parts = component_parts(
        np.ones((1, 1, 2), bool),
        connectivity=6,
        start=(4000, 0, 0),
        domain_shape=(5000, 2000, 2000),
    )
    assert parts.painted().tolist() == [[[16_000_000_001, 16_000_000_001]]]


def test_an_unknown_connectivity_is_refused() -> None:
    with pytest.raises(ContractError, match="connectivity is 8; choose 6"):
        component_parts(np.ones((1, 1, 1), bool), connectivity=8)
