"""Thresholds that some sections choose, and others are judged at."""

import numpy as np

from volkit.bench.fib25 import chosen, judged


def test_sections_that_are_judged_choose_nothing() -> None:
    """Two cells, parted by a wall of 0.5 in the first sections, by one of 0.9 in the others.

    Where they are merged, half of the pairs of voxels in one segment are of two cells; a threshold
    above the mean of all walls merges them everywhere.
    """
    prob = np.zeros((12, 20, 21), np.float32)
    prob[..., 10] = 0.5
    prob[6:, :, 10] = 0.9
    truth = np.ones(prob.shape, np.uint64)
    truth[..., 10], truth[..., 11:] = 0, 2
    rows = judged(prob, truth, [0.4, 0.95], judged_from=6)
    assert [row[0] for row in rows] == [0.4, 0.95]
    assert rows[0][1:] == (0.0, 0.0)
    np.testing.assert_allclose(rows[1][1:], 1 - 2 / (1 / 1 + 1 / 0.5), atol=1e-12)
    assert chosen(rows) == rows[0]
    assert chosen([(0.5, 0.2, 0.1), (0.6, 0.1, 0.3), (0.7, 0.1, 0.2)]) == (0.6, 0.1, 0.3)
