"""Linkage by size held by boxes: labels and tree of the whole graph, and tables that stay small."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.test_affinity_watershed import LINKED, OPTIONS, SHAPE, smooth
from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.ops.affinity_segmentation import (
    AffinitySegmentationOptions,
    affinity_segment,
    relabel_at,
)

TREE = ("a", "b", "saliency", "linked")
LINKAGES = [(), ((5, 0.2),), ((8, 0.4), (30, 0.6)), ((200, 0.0),), ((3, 0.1), (20, 0.4), (60, 0.6))]


def edges_of(tree: dict) -> list[tuple]:
    return sorted(zip(*(tree[name].tolist() for name in TREE), strict=True))


@given(
    seed=st.integers(0, 9999),
    block_shape=st.tuples(st.integers(2, 8), st.integers(2, 9), st.integers(2, 10)),
    levels=st.sampled_from([4, 12, None]),
    linkage=st.sampled_from(LINKAGES),
    threshold=st.sampled_from([None, 0.5, 0.8]),
    smallest=st.sampled_from([0, 0, 6]),
)
@settings(max_examples=4)
def test_labels_are_those_of_the_whole_graph(
    seed, block_shape, levels, linkage, threshold, smallest
) -> None:
    volume = open_volume(smooth(seed, (8, 9, 10), levels))
    options = AffinitySegmentationOptions(OPTIONS, linkage, threshold, smallest)
    grid = Grid(volume.domain, block_shape)
    labels = [
        affinity_segment(volume, options=options, held=held, grid=grid).labels.compute(
            scheduler="sync"
        )
        for held in ("whole", "boxes")
    ]
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize("block_shape", [(4, 13, 17), (3, 5, 4), SHAPE])
def test_a_job_stores_the_tree_of_the_whole_and_cuts_it_anywhere(block_shape, tmp_path) -> None:
    volume = open_volume(smooth(6, SHAPE, 40))
    grid, found = Grid(volume.domain, block_shape), {}
    for held in ("whole", "boxes"):
        where = {"grid": grid, "engine": JobEngine(tmp_path / held)}
        result = affinity_segment(volume, options=LINKED, held=held, **where)
        labels = [result.labels.read()]
        for threshold, smallest in ((None, 0), (0.9, 5), (0.5, 0)):
            how = {"threshold": threshold, "smallest": smallest, "name": f"at_{threshold}"}
            labels.append(relabel_at(result.fragments, result.tree, **how, **where).read())
        found[held] = (result.tree, labels)
    np.testing.assert_array_equal(found["boxes"][1], found["whole"][1])
    parts = list(found["boxes"][0].merges())
    both = {name: np.concatenate([part[name] for part in parts]) for name in TREE}
    tree = found["whole"][0]
    assert edges_of(both) == edges_of(tree)
    assert 20 < tree["linked"].sum() < len(tree["a"]) - 20
    assert len({len(np.unique(labels)) for labels in found["whole"][1]}) == 3  # cuts differ


def test_a_killed_rise_takes_up_where_it_was(tmp_path: Path) -> None:
    volume = open_volume(smooth(6, SHAPE, 40))
    how = {"options": LINKED, "held": "boxes", "grid": Grid(volume.domain, (4, 5, 9))}
    expected = affinity_segment(volume, **how, engine=JobEngine(tmp_path)).labels.read()
    told: list = []
    next(iter((tmp_path / "basin_graph.parts" / "0").rglob("*5.npz"))).unlink()
    engine = JobEngine(tmp_path, on_progress=told.append)
    again = affinity_segment(volume, **how, engine=engine)
    fresh = {state.stage: state.done - state.resumed for state in told}
    assert fresh["basin_graph"] == 1
    assert sum(fresh.values()) == 1
    np.testing.assert_array_equal(again.labels.read(), expected)


def test_one_machine_and_boxes_keep_their_ledgers_apart(tmp_path: Path) -> None:
    volume = open_volume(smooth(6, SHAPE, 40))
    how = {"options": LINKED, "grid": Grid(volume.domain, (4, 5, 9))}
    affinity_segment(volume, **how, engine=JobEngine(tmp_path))
    engine = JobEngine(tmp_path, replace_stale=True)
    boxes = affinity_segment(volume, **how, held="boxes", engine=engine)
    whole = affinity_segment(volume, **how, engine=JobEngine(tmp_path / "again"))
    np.testing.assert_array_equal(boxes.labels.read(), whole.labels.read())


def test_what_cannot_be_is_refused() -> None:
    volume = open_volume(smooth(6, SHAPE, 40))
    with pytest.raises(ConfigError, match="held is 'octree'; choose one of auto, whole, boxes"):
        affinity_segment(volume, options=LINKED, held="octree")
    tree = affinity_segment(volume, options=LINKED, held="boxes", engine=LazyEngine()).tree
    with pytest.raises(ContractError, match="merges of a lazy tree are not stored"):
        next(tree.merges())
    small = replace(LINKED, linkage=((8, 0.4),))
    kinds = [
        type(affinity_segment(volume, options=small, held=held).tree).__name__
        for held in ("auto", "whole", "boxes")
    ]
    assert kinds == ["Delayed", "Delayed", "BasinTree"]
