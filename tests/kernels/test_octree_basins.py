"""Linkage by size in boxes: the tree of the whole graph, whatever the boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.cascade import Boxes, ids_on_faces
from volkit.geometry import Box, Grid
from volkit.kernels.affinity_graph import basin_graph
from volkit.kernels.label import label_equal
from volkit.kernels.merge_tree import cut_tree, merge_tree
from volkit.kernels.octree_basins import basin_table, rise_basins, sink_basins
from volkit.kernels.relabel import renamed

SHAPE = (7, 8, 9)
PAIRS = st.tuples(st.integers(1, 60), st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.8, 1.0]))
TREE = ("a", "b", "saliency", "linked")


def blocks_of(labels, affinities, grid: Grid) -> list[dict]:
    """The table of every block, as an op makes it."""
    tables = []
    for block in grid:
        core = block.write.relative_to(block.read)
        seen = np.ascontiguousarray(labels[block.read.slices])
        values = np.ascontiguousarray(affinities[(slice(None), *block.read.slices)])
        table = basin_table(basin_graph(seen, values, core, toward=-1))
        tables.append({**table, **ids_on_faces(seen, core)})
    return tables


def risen(tables: list[dict], boxes: Boxes, linkage) -> list[list[tuple[dict, dict]]]:
    """What every box passes on and keeps, level by level."""
    levels: list = []
    for level, cubes in enumerate(boxes.levels):
        both = []
        for number in range(len(cubes)):
            below = [number] if level == 0 else boxes.below(level, number)
            parts = [tables[n] if level == 0 else levels[-1][n][0] for n in below]
            spans = [boxes.box(max(level - 1, 0), n) for n in below]
            box = boxes.box(level, number)
            opened = [boxes.still_open(t, s, box) for t, s in zip(parts, spans, strict=True)]
            both.append(rise_basins(opened, linkage=linkage))
        levels.append(both)
    return levels


def sunk(levels: list, boxes: Boxes, threshold: float | None) -> list[dict]:
    above: list = []
    for level in reversed(range(len(levels))):
        own = [
            sink_basins(kept, above[boxes.above(level, n)] if above else None, threshold=threshold)
            for n, (_, kept) in enumerate(levels[level])
        ]
        above = own
    return above


def edges_of(tree: dict) -> list[tuple]:
    return sorted(zip(*(tree[name].tolist() for name in TREE), strict=True))


def specimen(seed: int, names: int, levels: int, shape=SHAPE):
    """Connected fragments named by first voxels, some background, and affinities with ties."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, names, [n // 2 + 1 for n in shape])
    labels = coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)[tuple(slice(n) for n in shape)]
    noisy = np.where(rng.random(shape) < 0.2, rng.integers(0, names, shape), labels)
    affinities = (rng.integers(0, levels + 1, (3, *shape)) / levels).astype(np.float32)
    return label_equal(noisy, connectivity=6), affinities


@given(
    seed=st.integers(0, 2**32 - 1),
    names=st.integers(2, 6),
    levels=st.sampled_from([2, 5, 20, 10**6]),
    block_shape=st.tuples(*[st.integers(1, 6)] * 3),
    linkage=st.lists(PAIRS, max_size=4),
)
@settings(max_examples=25)
def test_any_boxes_give_the_tree_and_labels_of_the_whole(
    seed, names, levels, block_shape, linkage
) -> None:
    labels, affinities = specimen(seed, names, levels)
    everything = Box.from_shape(SHAPE)
    tree = merge_tree(basin_graph(labels, affinities, everything, toward=-1), linkage=linkage)
    grid = Grid(everything, block_shape, (1, 1, 1))
    boxes = Boxes(grid)
    found = risen(blocks_of(labels, affinities, grid), boxes, linkage)
    kept = [kept for level in found for _, kept in level]
    both = {name: np.concatenate([table[name] for table in kept]) for name in TREE}
    assert edges_of(both) == edges_of(tree)
    assert not len(found[-1][0][0]["kind"])
    for threshold in (None, 0.0, 0.3, 0.6, 1.0):
        whole = renamed(labels, *cut_tree(tree, threshold=threshold))
        for block, table in zip(grid, sunk(found, boxes, threshold), strict=True):
            own = block.write.slices
            np.testing.assert_array_equal(
                renamed(labels[own], table["old"], table["new"]), whole[own]
            )


@pytest.mark.parametrize(
    ("linkage", "joined"), [([(10, 0.3)], True), ([(5, 0.3)], False), ([(10, 0.8)], False)]
)
def test_a_small_region_at_a_face_waits_for_its_voxels(linkage, joined) -> None:
    """By hand: a row of 12 voxels, then of 8, of which 6 lie in the first block, and 2 in the next.

    Where fewer than 10 join, the first block cannot tell whether these 8 are fewer.
    """
    labels = np.repeat(np.array([1, 13], np.uint64), [12, 8]).reshape(1, 1, 20)
    affinities = np.full((3, 1, 1, 20), 0.5, np.float32)
    grid = Grid(Box.from_shape(labels.shape), (1, 1, 18), (1, 1, 1))
    boxes = Boxes(grid)
    found = risen(blocks_of(labels, affinities, grid), boxes, linkage)
    up, kept = found[0][0]
    decided = linkage != [(10, 0.3)]
    assert len(kept["a"]) == decided  # the spanning edge, where it is certain that sizes join none
    assert 13 in up["id"]
    assert (1 in up["p"]) == (not decided)
    top = found[1][0][1]
    assert (top["a"].tolist(), top["linked"].tolist()) == (([1], [True]) if joined else ([], []))
