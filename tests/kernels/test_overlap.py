"""Overlaps: renaming, what became of objects, and blocks that add up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from volkit.kernels.contingency import contingency
from volkit.kernels.overlap import (
    CHANGES,
    best_matches,
    block_change,
    changed_counts,
    object_changes,
)

labels = hnp.arrays(np.uint32, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 3, 2**32 - 1]))


def changed(old, new):
    table = contingency(old, new)
    return int(changed_counts(table, best_matches(table)).sum())


def became(old, new):
    found = object_changes(contingency(np.asarray(old), np.asarray(new)))
    names = [CHANGES[c] for c in found["change"]]
    rows = list(zip(found["is_new"].tolist(), found["id"].tolist(), names, strict=True))
    return {i: n for new, i, n in rows if not new}, {i: n for new, i, n in rows if new}


@given(labels)
def test_nothing_changes_between_a_segmentation_and_itself(a) -> None:
    assert changed(a, a) == 0
    old, new = became(a, a)
    assert set(old.values()) | set(new.values()) <= {"unchanged"}


@given(labels, st.permutations([11, 7, 2**40, 1]))
def test_names_do_not_matter(a, names) -> None:
    renamed = np.zeros(a.shape, np.uint64)
    for i, name in zip([1, 2, 3, 2**32 - 1], names, strict=True):
        renamed[a == i] = name
    assert changed(a, renamed) == 0
    old, new = became(a, renamed)
    assert set(old.values()) | set(new.values()) <= {"unchanged"}


@given(labels, labels)
def test_the_change_is_that_of_the_match_voxel_by_voxel(a, b) -> None:
    matches = best_matches(contingency(a, b))
    names = dict(zip(matches["old"].tolist(), matches["new"].tolist(), strict=True))
    assert len(set(names.values())) == len(names)
    renamed = np.vectorize(lambda i: names.get(int(i), 2**50 if i else 0), otypes=[np.uint64])(a)
    assert changed(a, b) == np.count_nonzero(renamed != b)


@given(labels, labels)
def test_the_match_is_near_the_best_there_is(a, b) -> None:
    table = contingency(a, b)
    kept = table["count"].sum() - changed(a, b)
    both_zero = np.count_nonzero((a == 0) & (b == 0))
    ids_a, ids_b = np.unique(a[a != 0]), np.unique(b[b != 0])
    shared = np.array([[np.count_nonzero((a == i) & (b == j)) for j in ids_b] for i in ids_a])
    if shared.size:
        best = shared[linear_sum_assignment(-shared)].sum()
        assert best / 2 <= kept - both_zero <= best  # what taking the largest first guarantees


@given(labels, labels)
def test_every_object_has_its_row_and_both_directions_agree(a, b) -> None:
    old, new = became(a, b)
    assert set(old) == set(np.unique(a[a != 0]).tolist())
    assert set(new) == set(np.unique(b[b != 0]).tolist())
    back = {"split": "merged", "merged": "split", "removed": "added", "added": "removed"}
    other_old, other_new = became(b, a)
    assert other_new == {i: back.get(name, name) for i, name in old.items()}
    assert other_old == {i: back.get(name, name) for i, name in new.items()}


def test_cases_that_a_person_can_work_out() -> None:
    assert became([1, 1, 1, 1], [5, 5, 6, 6]) == ({1: "split"}, {5: "split", 6: "split"})
    assert became([5, 5, 6, 6], [1, 1, 1, 1]) == ({5: "merged", 6: "merged"}, {1: "merged"})
    assert became([1, 1, 0, 0], [0, 0, 2, 2]) == ({1: "removed"}, {2: "added"})
    assert became([1, 1, 1, 0], [1, 1, 0, 0]) == ({1: "reshaped"}, {1: "reshaped"})
    # One voxel that went over to a large neighbour joins nothing.
    assert became([1] * 5 + [2] * 5, [1] * 6 + [2] * 4) == (
        {1: "reshaped", 2: "reshaped"},
        {1: "reshaped", 2: "reshaped"},
    )
    assert changed(np.array([1] * 5 + [2] * 5), np.array([1] * 6 + [2] * 4)) == 1


@given(labels, labels, st.integers(1, 2), st.integers(1, 3))
def test_blocks_add_up_to_the_whole(a, b, z, y) -> None:
    matches = best_matches(contingency(a, b))
    rows = [
        block_change(i, part_a, part_b, matches)
        for i, (part_a, part_b) in enumerate(
            (a[s, t], b[s, t])
            for s in (slice(0, z), slice(z, None))
            for t in (slice(0, y), slice(y, None))
        )
    ]
    assert sum(int(row["changed"].sum()) for row in rows) == changed(a, b)
    assert all(len(row["block"]) <= 1 for row in rows)
