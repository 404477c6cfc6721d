"""Mutex watershed of fragments: single voxels give that of the volume, blocks do not show."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.test_octree_agglomeration import rows_of_nodes
from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.label import label_equal
from volkit.kernels.mutex import mutex_watershed
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed
from volkit.ops.mutex import mutex_agglomerate, signed_cascade
from volkit.ops.sharded_lookup import risen
from volkit.testing.specimen import EmSpecimen

OFFSETS = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, 3, 0), (0, -2, 3)]
SHAPE = (6, 7, 9)
AFFINITIES = (
    (np.random.default_rng(1).permutation(6 * 6 * 7 * 9).reshape(6, *SHAPE) + 1) / 2**12
).astype(np.float32)


@pytest.mark.parametrize("block_shape", [(6, 7, 9), (3, 4, 5)])
def test_voxels_as_fragments_give_the_labels_of_the_volume(block_shape, tmp_path: Path) -> None:
    """Affinities are all different and exact, so that no tie is decided otherwise."""
    voxels = open_volume(np.arange(1, 1 + 6 * 7 * 9, dtype=np.uint64).reshape(SHAPE))
    affinities = open_volume(AFFINITIES)
    how = {"offsets": OFFSETS, "grid": Grid(voxels.domain, block_shape)}
    lazy = mutex_agglomerate(voxels, affinities, **how).compute(scheduler="sync")
    np.testing.assert_array_equal(lazy, mutex_watershed(AFFINITIES, OFFSETS))
    job = mutex_agglomerate(voxels, affinities, **how, engine=JobEngine(tmp_path)).read()
    np.testing.assert_array_equal(job, lazy)
    assert 1 < len(np.unique(lazy)) < 378


@pytest.mark.parametrize("block_shape", [(2, 7, 4), (3, 3, 3), (5, 6, 8)])
def test_any_grid_gives_the_same_labels(block_shape) -> None:
    pieces = np.random.default_rng(2).integers(0, 30, SHAPE).astype(np.uint64)
    volumes = open_volume(pieces), open_volume(AFFINITIES)
    whole = mutex_agglomerate(*volumes, offsets=OFFSETS, grid=Grid(volumes[0].domain, SHAPE))
    parts = mutex_agglomerate(*volumes, offsets=OFFSETS, grid=Grid(volumes[0].domain, block_shape))
    whole = whole.compute(scheduler="sync")
    np.testing.assert_array_equal(parts.compute(scheduler="sync"), whole)
    assert len(np.unique(whole)) > 2


def test_offsets_that_do_not_fit_are_refused() -> None:
    volumes = open_volume(np.ones(SHAPE, np.uint64)), open_volume(AFFINITIES)
    with pytest.raises(ConfigError, match="of which 9 attract; give"):
        mutex_agglomerate(*volumes, offsets=OFFSETS, attractive=9)
    for attractive in (-1, (0, 6), (0, 0, 1)):
        with pytest.raises(ConfigError, match="attract; give"):
            mutex_agglomerate(*volumes, offsets=OFFSETS, attractive=attractive)
    with pytest.raises(ConfigError, match="of which .* attract; give"):
        mutex_agglomerate(*volumes, offsets=[None, *OFFSETS[1:]])
    with pytest.raises(ConfigError, match=r"\(0, 0, 0\) compares a voxel with itself; give null"):
        mutex_agglomerate(*volumes, offsets=[*OFFSETS[:-1], (0, 0, 0)])
    for none, attractive in (([], 3), ([], 0), ([None] * 6, ())):
        with pytest.raises(ConfigError, match="no channel has one, and a graph without edges"):
            mutex_agglomerate(*volumes, offsets=none, attractive=attractive)
    with pytest.raises(ContractError, match="offsets 3; give"):
        mutex_agglomerate(*volumes, offsets=OFFSETS[:3]).compute(scheduler="sync")
    more = mutex_agglomerate(*volumes, offsets=[*OFFSETS, None, (0, 0, 9)])
    with pytest.raises(ContractError, match="6 channels, offsets are stated for channel 7"):
        more.compute(scheduler="sync")


@given(
    seed=st.integers(0, 2**32 - 1),
    block_shape=st.tuples(st.integers(2, 8), st.integers(3, 9), st.integers(4, 10)),
    offsets=st.sampled_from([OFFSETS, OFFSETS[:3], [*OFFSETS[1:3], (0, 0, 4)]]),
    levels=st.sampled_from([2, 10, 10**6]),
)
@settings(max_examples=8)
def test_boxes_give_the_labels_of_the_whole(seed, block_shape, offsets, levels) -> None:
    """Also where blocks are thinner than offsets are long, and where none of these has a z."""
    shape = (8, 9, 10)
    rng = np.random.default_rng(seed)
    pieces = open_volume(label_equal(rng.integers(0, 3, shape), connectivity=26))
    affinities = (rng.integers(0, levels, (len(offsets), *shape)) / (levels - 1)).astype("float32")
    how = {"offsets": offsets, "attractive": len(offsets) - len(offsets) // 2}
    volumes = pieces, open_volume(affinities)
    grid = Grid(pieces.domain, block_shape)
    whole, boxes = (
        mutex_agglomerate(*volumes, **how, held=held, grid=grid).compute(scheduler="sync")
        for held in ("whole", "boxes")
    )
    np.testing.assert_array_equal(boxes, whole)


def test_one_machine_and_boxes_give_the_same_in_a_job(tmp_path: Path) -> None:
    voxels = np.arange(1, 1 + 6 * 7 * 9, dtype=np.uint64).reshape(SHAPE)
    volumes = open_volume(voxels), open_volume(AFFINITIES)
    how = {"offsets": OFFSETS, "grid": Grid(volumes[0].domain, (3, 4, 5))}
    found = [
        mutex_agglomerate(*volumes, **how, held=held, engine=JobEngine(tmp_path / held)).read()
        for held in ("whole", "boxes")
    ]
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(found[0], mutex_watershed(AFFINITIES, OFFSETS))


def test_boxes_refuse_a_fragment_that_stands_in_two_places() -> None:
    pieces = np.random.default_rng(2).integers(0, 30, SHAPE).astype(np.uint64)
    volumes = open_volume(pieces), open_volume(AFFINITIES)
    how = {"offsets": OFFSETS, "grid": Grid(volumes[0].domain, (3, 4, 5))}
    with pytest.raises(ContractError, match=r"fragment \d+ ends in this box, .*components_of"):
        mutex_agglomerate(*volumes, **how, held="boxes").compute(scheduler="sync")
    with pytest.raises(ConfigError, match="held is 'octree'; choose one of auto, whole, boxes"):
        mutex_agglomerate(*volumes, **how, held="octree")


def affinities_of(prob: np.ndarray, offsets) -> np.ndarray:
    """1 - the highest boundary on the way from a voxel to the one before it at each offset."""
    found = np.ones((len(offsets), *prob.shape), np.float32)
    for channel, offset in enumerate(offsets):
        (axis,) = np.flatnonzero(offset)
        far, along = -offset[axis], np.moveaxis(prob, axis, 0)
        for step in range(far + 1):
            kept = np.moveaxis(found[channel], axis, 0)[far:]
            np.minimum(kept, 1 - along[far - step : len(along) - step], out=kept)
    return found


def test_no_box_holds_more_in_longer_tissue(tmp_path: Path) -> None:
    """Twice the length has twice the fragments and edges, and boxes as before."""
    offsets = [*NEAREST, (-3, 0, 0), (0, -3, 0), (0, 0, -3)]
    specimen = EmSpecimen((24, 24, 24), seed=3, voxel_size_nm=(24.0, 24.0, 24.0))
    once = specimen.boundary(Box.from_shape(specimen.shape))
    once = once + 0.1 * np.random.default_rng(1).normal(size=once.shape)
    once = np.clip(once, 0, 1).astype(np.float32)
    most, fragments, groups, level = [], [], [], AffinityOptions(NEAREST, low=0, high=0.999)
    for copies in (4, 8):
        prob = np.concatenate([once, once[..., ::-1]] * (copies // 2), axis=-1)
        affinities = open_volume(affinities_of(prob, offsets))
        near = open_volume(affinities.read()[:3])
        pieces = affinity_watershed(near, options=level, grid=Grid(near.domain, prob.shape))
        pieces = open_volume(pieces.compute(scheduler="sync"))
        grid = Grid(pieces.domain, (12, 24, 12))
        engine, how = JobEngine(tmp_path / str(copies)), {"offsets": offsets, "grid": grid}
        cascade = signed_cascade(offsets, 3, grid)
        tree = risen(engine, cascade, pieces, affinities, grid=grid, name="signed_graph")
        most.append(max(rows_of_nodes(tree)))
        labels = mutex_agglomerate(pieces, affinities, **how, held="boxes", engine=engine).read()
        whole = mutex_agglomerate(pieces, affinities, **how, held="whole")
        np.testing.assert_array_equal(labels, whole.compute(scheduler="sync"))
        fragments.append(len(np.unique(pieces.read())))
        groups.append(len(np.unique(labels)))
    assert most[0] == most[1]
    assert fragments == [873, 1747]
    assert groups == [401, 801]
