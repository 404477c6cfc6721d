"""Classes of tissue, block by block: what the whole in memory gives, for every grid."""

import dask.array as da
import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.class_confusion import confusion_matrix, section_matrices
from volkit.kernels.sections import volume_table
from volkit.ops.tissue_classes import class_pairs, decide_classes, merge_classes

SHAPE = (5, 7, 9)
THREE = {"background": (0, 3), "vessel": (1,), "cell": (2,)}
RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 4, SHAPE).astype(np.uint64)
PROB = RNG.random((3, *SHAPE), np.float32)


@pytest.mark.parametrize("block", [(5, 7, 9), (2, 3, 4), (1, 7, 2)])
def test_every_grid_gives_the_same(block) -> None:
    grid = Grid(Box.from_shape(SHAPE), block)
    merged = merge_classes(open_volume(LABELS), THREE, grid=grid).compute()
    np.testing.assert_array_equal(merged, np.where(LABELS == 3, 0, LABELS))
    decided = decide_classes(da.from_array(PROB, chunks=(3, *block))).compute()
    np.testing.assert_array_equal(decided, PROB.argmax(0))
    assert (merged.dtype, decided.dtype) == (np.uint8, np.uint8)
    pairs = class_pairs(open_volume(merged), open_volume(decided), grid=grid).compute()
    matrix = confusion_matrix(volume_table(pairs), 3)
    for true in range(3):
        for pred in range(3):
            assert matrix[true, pred] == ((merged == true) & (decided == pred)).sum()
    np.testing.assert_array_equal(section_matrices(pairs, 3).sum(axis=0), matrix)


def test_at_a_tie_the_first_class_counts() -> None:
    prob = np.zeros((3, 1, 1, 2), np.float32)
    prob[1:, ..., 1] = 0.5
    assert decide_classes(da.from_array(prob)).compute().ravel().tolist() == [0, 1]


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(ContractError, match="are float64, which are no codes"):
        merge_classes(open_volume(np.zeros(SHAPE)), THREE)
    with pytest.raises(ConfigError, match="codes of its own"):
        merge_classes(open_volume(LABELS), {"a": (0,), "b": (0,)})
    with pytest.raises(ConfigError, match="prob has no channels"):
        decide_classes(open_volume(LABELS))
    with pytest.raises(ContractError, match="have codes of no class: 3"):
        merge_classes(open_volume(LABELS), {"a": (0,), "b": (1, 2)}).compute()
