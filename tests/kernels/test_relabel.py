import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.kernels.relabel import present_labels, renamed

IDS = st.integers(0, 2**64 - 1) | st.integers(0, 30)


@given(
    labels=arrays(np.uint64, (3, 4, 5), elements=IDS),
    table=st.dictionaries(IDS.filter(bool), IDS, max_size=20),
    known=st.data(),
)
def test_renaming_is_a_dictionary(labels, table, known) -> None:
    some = known.draw(st.sets(st.sampled_from(sorted(set(labels.ravel().tolist())))))
    table |= {label: label ^ 1 for label in some if label}
    old = np.array(sorted(table), np.uint64)
    new = np.array([table[label] for label in sorted(table)], np.uint64)
    expected = [table.get(label, label) for label in labels.ravel().tolist()]
    assert renamed(labels, old, new).ravel().tolist() == expected


def test_more_labels_than_are_remembered() -> None:
    labels = np.tile(np.arange(20_000, dtype=np.uint64), 2)
    old = np.arange(1, 20_000, 2, dtype=np.uint64)
    expected = np.where(labels % 2 == 1, labels + 7, labels)
    np.testing.assert_array_equal(renamed(labels, old, old + np.uint64(7)), expected)


def test_any_integer_layout_is_read() -> None:
    labels = np.arange(24, dtype=np.int32).reshape(2, 3, 4).transpose(2, 0, 1)
    none = np.zeros(0, np.uint64)
    result = renamed(labels, none, none)
    assert result.dtype == np.uint64
    np.testing.assert_array_equal(result, labels)


def test_labels_that_do_not_lie_in_one_piece_are_those_of_a_copy() -> None:
    """Some planes at a time are brought into one piece; here there are four such parts."""
    around = np.random.default_rng(4).integers(0, 50, (8, 332, 332), np.uint64)
    labels, old = around[:7, 1:-1, 1:-1], np.arange(1, 50, 3, dtype=np.uint64)
    expected = np.where(np.isin(labels, old), labels + np.uint64(100), labels)
    np.testing.assert_array_equal(renamed(labels, old, old + np.uint64(100)), expected)


@given(labels=arrays(np.uint64, st.tuples(*[st.integers(0, 4)] * 3), elements=IDS))
def test_present_labels_are_the_unique_ones(labels) -> None:
    assert present_labels(labels).tolist() == sorted(set(labels.ravel().tolist()) - {0})
