"""Merge trees: scored from one table, the same as the tree cut and scored anew."""

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.kernels.contingency import contingency
from volkit.kernels.relabel import renamed
from volkit.kernels.scores import rand_scores
from volkit.ops.evaluation_tree import evaluate_tree

merge_tree = pytest.importorskip("volkit.kernels.merge_tree")


def test_a_tree_of_affinities_is_scored_at_every_threshold_and_read_once(tmp_path) -> None:
    rng = np.random.default_rng(5)
    fragments = rng.integers(0, 9, (4, 5, 6)).astype(np.uint64)
    truth = rng.integers(0, 4, (4, 5, 6)).astype(np.uint64)
    u, v = np.triu_indices(8, 1)
    graph = {
        "u": u.astype(np.uint64) + np.uint64(1),
        "v": v.astype(np.uint64) + np.uint64(1),
        "affinity": rng.random(len(u)).astype(np.float32),
        "id": np.arange(1, 9, dtype=np.uint64),
        "voxels": np.bincount(fragments.ravel().astype(int), minlength=9)[1:],
    }
    tree = merge_tree.merge_tree(graph)
    thresholds = np.float32([0.5, 0.7, 0.8, 0.9])
    found = evaluate_tree(fragments, truth, tree, thresholds=thresholds, descending=True).compute(
        scheduler="sync"
    )
    for k, threshold in enumerate(thresholds):
        old, new = merge_tree.cut_tree(tree, threshold=float(threshold))
        pred = renamed(fragments, old, new)
        assert found.scores[k] == rand_scores(contingency(truth, pred))
    volumes = []
    for name, values in (("fragments", fragments), ("truth", truth)):
        volume = create_volume(tmp_path / f"{name}.zarr", shape=values.shape, dtype=values.dtype)
        volume.write(volume.domain, values)
        volumes.append(volume)
    told = []
    engine = JobEngine(tmp_path / "job", on_progress=told.append)
    grid = Grid(Box.from_shape((4, 5, 6)), (2, 5, 6))
    options = {"descending": True, "grid": grid, "engine": engine}
    assert evaluate_tree(*volumes, tree, thresholds=thresholds, **options) == found
    again = len(told)
    finer = np.linspace(0.1, 0.9, 30)
    assert len(evaluate_tree(*volumes, tree, thresholds=finer, **options).scores) == 30
    assert sum(state.done > state.resumed for state in told[again:]) == 0
