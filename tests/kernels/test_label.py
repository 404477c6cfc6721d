import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.label import label_components, touching_pairs, unique_pairs, unite
from volkit.kernels.relabel import renamed

MASKS = arrays(bool, st.tuples(*[st.integers(1, 7)] * 3))
BLOCKS = st.tuples(*[st.integers(1, 7)] * 3)
CONNECTIVITY = st.sampled_from([6, 18, 26])
IDS = st.integers(0, 9) | st.integers(0, 2**64 - 1)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]).astype(np.uint64), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


def from_blocks(mask: np.ndarray, grid: Grid, connectivity: int) -> np.ndarray:
    """Label block by block, then unite: what the engines do, in the smallest form."""
    parts = np.zeros(mask.shape, np.uint64)
    for block in grid:
        parts[block.write.slices] = label_components(
            mask[block.write.slices],
            connectivity=connectivity,
            start=block.write.start,
            domain_shape=mask.shape,
        )
    found = [
        touching_pairs(
            parts[block.read.slices],
            block.write.relative_to(block.read),
            connectivity=connectivity,
        )
        for block in grid.with_halo((1, 1, 1))
    ]
    a, b = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return renamed(parts, *unite(*unique_pairs(a, b)))


@given(mask=MASKS, connectivity=CONNECTIVITY)
def test_components_are_those_of_cc3d(mask, connectivity) -> None:
    ours = label_components(mask, connectivity=connectivity)
    theirs = cc3d.connected_components(mask, connectivity=connectivity)
    assert same_partition(ours, theirs)
    np.testing.assert_array_equal(ours != 0, mask)


@given(mask=MASKS, connectivity=CONNECTIVITY)
def test_a_component_is_named_after_its_first_voxel(mask, connectivity) -> None:
    flat = label_components(mask, connectivity=connectivity).ravel()
    for label in set(flat.tolist()) - {0}:
        assert label == 1 + np.flatnonzero(flat == label)[0]


@given(mask=MASKS, block_shape=BLOCKS, connectivity=CONNECTIVITY)
def test_blocks_give_the_same_labels_as_the_whole(mask, block_shape, connectivity) -> None:
    grid = Grid(Box.from_shape(mask.shape), block_shape)
    np.testing.assert_array_equal(
        from_blocks(mask, grid, connectivity), label_components(mask, connectivity=connectivity)
    )


def test_ids_pass_32_bits() -> None:
    labels = label_components(
        np.ones((1, 1, 2), bool), start=(4000, 0, 0), domain_shape=(5000, 2000, 2000)
    )
    assert labels.tolist() == [[[16_000_000_001, 16_000_000_001]]]


def test_chains_of_parts_unite_under_the_smallest() -> None:
    a, b = np.array([7, 2, 5], np.uint64), np.array([9, 7, 6], np.uint64)
    old, new = unite(a, b)
    assert dict(zip(old.tolist(), new.tolist(), strict=True)) == {6: 5, 7: 2, 9: 2}


@given(st.lists(st.tuples(IDS, IDS), max_size=20))
def test_groups_are_the_components_of_the_pairs(pairs) -> None:
    group = {label: {label} for pair in pairs for label in pair}
    for a, b in pairs:
        joined = group[a] | group[b]
        group.update(dict.fromkeys(joined, joined))
    expected = {label: min(group[label]) for label in sorted(group) if label != min(group[label])}
    old, new = unite(*np.array(pairs, np.uint64).reshape(-1, 2).T)
    assert list(zip(old.tolist(), new.tolist(), strict=True)) == list(expected.items())


def test_nothing_unites_to_nothing() -> None:
    none = np.zeros(0, np.uint64)
    old, new = unite(none, none)
    assert old.size == new.size == 0
    assert old.dtype == new.dtype == np.uint64


def test_an_unknown_connectivity_is_refused() -> None:
    with pytest.raises(ContractError, match="connectivity is 8; choose 6"):
        label_components(np.ones((1, 1, 1), bool), connectivity=8)
