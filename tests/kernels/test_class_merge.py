"""Codes of sources become numbers of classes, and none is guessed."""

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.kernels.class_merge import check_codes, merged_classes

THREE = {"background": (0, 3), "vessel": (1,), "cell": (2,)}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.uint64, bool])
def test_codes_of_any_integer_type(dtype) -> None:
    labels = np.array([[[0, 1, 2, 3]]]).astype(dtype)
    expected = [0, 1, 2, 0] if dtype is not bool else [0, 1, 1, 1]
    assert merged_classes(labels, THREE).ravel().tolist() == expected


def test_the_order_of_another_source() -> None:
    """Two sources of the same tissue: the same classes under other codes."""
    one, other = np.array([0, 1, 2, 3]), np.array([7, 3, 1, 2])
    names = ("background", "vessel", "cell", "axon")
    first = dict(zip(names, [(0,), (1,), (2,), (3,)], strict=True))
    second = dict(zip(names, [(7,), (3,), (1,), (2,)], strict=True))
    np.testing.assert_array_equal(merged_classes(one, first), merged_classes(other, second))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 5, 5]), r"2 voxels have codes of no class: 5; classes are"),
        (np.array([2**40], np.uint64), "1 voxels have codes of no class: 1099511627776"),
        (np.array([-1]), "codes of no class: -1"),
        (np.array([0.0, 1.0]), "labels are float64, which are no codes"),
    ],
)
def test_strange_labels_are_refused(labels, message) -> None:
    with pytest.raises(ContractError, match=message):
        merged_classes(labels, THREE)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"all": (0,)}, "give two or more"),
        ({"a": (0, 1), "b": (1,)}, "codes of its own"),
        ({"a": (0,), "b": ()}, "codes of its own"),
        ({"a": (0,), "b": (-1,)}, "not from 0 to 4095"),
    ],
)
def test_classes_that_make_no_sense(classes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        check_codes(classes)
