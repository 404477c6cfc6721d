"""Strategies: what they draw is what they promise."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import MissingExtraError
from volkit.geometry import Box, Grid, Windows
from volkit.testing.strategies import (
    boxes,
    domains,
    grids,
    halos,
    label_volumes,
    probability_maps,
    shapes,
    windows,
)


@given(domain=domains(largest=5), data=st.data())
def test_boxes_lie_inside_and_hold_voxels(domain: Box, data) -> None:
    box = data.draw(boxes(domain))
    assert domain.contains(box)
    assert box.size > 0
    assert max(domain.shape) <= 5


@given(shapes(smallest=2, largest=3), halos(largest=1))
def test_extents_keep_to_their_bounds(shape, halo) -> None:
    assert {*shape} <= {2, 3}
    assert {*halo} <= {0, 1}


@given(grids(Box.from_shape((3, 4, 5)), largest_halo=2))
def test_grids_are_of_the_domain_asked_for(grid: Grid) -> None:
    assert grid.domain == Box.from_shape((3, 4, 5))
    assert max(grid.halo) <= 2


@given(windows())
def test_windows_leave_no_gap(lattice: Windows) -> None:
    assert all(s <= t for s, t in zip(lattice.stride, lattice.trusted, strict=True))


@given(label_volumes((4, 5, 6), cells=3, dtype=np.uint8))
def test_labels_are_few_and_of_their_type(labels) -> None:
    assert (labels.shape, labels.dtype) == ((4, 5, 6), np.uint8)
    assert len(np.unique(labels[labels > 0])) <= 3


@given(probability_maps((2, 3, 4), levels=3))
def test_probabilities_are_probabilities(prob) -> None:
    assert (prob.shape, prob.dtype) == ((2, 3, 4), np.float32)
    assert {*np.unique(prob).tolist()} <= {0.0, 0.5, 1.0}


def test_without_hypothesis_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "volkit.testing.strategies")
    with pytest.raises(MissingExtraError, match=r"hypothesis.*volkit\[dev\]"):
        __import__("volkit.testing.strategies")
