"""Faces between fragments, against going through them one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box
from volkit.kernels.contact_faces import contact_faces


def by_hand(labels, affinities, core, *, toward, sections):
    found = []
    for z, y, x in np.ndindex(*core.shape):
        here = tuple(a + b for a, b in zip((z, y, x), core.start, strict=True))
        for axis in range(int(sections), 3):
            there = tuple(n - (axis == i) for i, n in enumerate(here))
            if there[axis] < 0:
                continue
            pair = sorted((int(labels[here]), int(labels[there])))
            if pair[0] and pair[0] != pair[1]:
                at = there if toward > 0 else here
                found.append((*pair, float(affinities[(axis, *at)])))
    return sorted(found)


def listed(faces):
    edge = faces.edge.astype(np.int64)
    columns = (faces.u[edge], faces.v[edge], faces.affinity)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("toward", [-1, 1])
@pytest.mark.parametrize("sections", [False, True])
@given(st.integers(0, 2**32), st.tuples(*[st.integers(1, 6)] * 3), st.data())
def test_faces_are_those_found_one_by_one(toward, sections, seed, shape, data) -> None:
    rng = np.random.default_rng(seed)
    ids = np.concatenate([[0], rng.integers(1, 2**64, 4, np.uint64, endpoint=False)])
    labels = ids[rng.integers(0, 5, shape)].astype(np.uint64)
    affinities = rng.random((3, *shape), np.float32)
    start = data.draw(st.tuples(*(st.integers(0, n - 1) for n in shape)))
    core = Box(start, shape)
    how = {"toward": toward, "sections": sections}
    faces = contact_faces(labels, affinities, core, **how)
    assert listed(faces) == by_hand(labels, affinities, core, **how)
    pairs = list(zip(faces.u.tolist(), faces.v.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert set(faces.edge.tolist()) == set(range(len(pairs)))


def test_more_faces_than_there_is_room_for_at_first() -> None:
    labels = np.arange(1, 24**3 + 1, dtype=np.uint64).reshape(24, 24, 24)
    affinities = np.random.default_rng(1).random((3, 24, 24, 24), np.float32)
    core = Box.from_shape(labels.shape)
    faces = contact_faces(labels, affinities, core, toward=-1, sections=False)
    assert len(faces.u) == len(faces.edge) == 3 * 23 * 24 * 24
    assert listed(faces) == by_hand(labels, affinities, core, toward=-1, sections=False)
