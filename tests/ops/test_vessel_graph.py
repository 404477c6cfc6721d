"""Vessel graphs: one table for every grid and engine, as counted on the whole by networkx."""

from pathlib import Path

import dask.array as da
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.thinning import thin
from volkit.kernels.vessel_rules import SpurRule
from volkit.ops.vessel_graph import VesselOptions, label_segments, segment_frame, vessel_graph

SHAPE = (15, 18, 20)
SIZE_NM = (2000.0, 1000.0, 500.0)
RAW = VesselOptions(halo=(5, 5, 5), spurs=None)


def threads(seed: int) -> np.ndarray:
    """Smooth random matter: loops, junctions and ends at the border."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(SHAPE), 1.2)
    return noise > np.quantile(noise, 0.8)


def graph(values, *, block_shape, engine=None, domain=None, options=RAW):
    volume = open_volume(values)
    grid = Grid(domain or volume.domain, block_shape)
    made = vessel_graph(volume, options=options, voxel_size_nm=SIZE_NM, grid=grid, engine=engine)
    return made.columns if engine else made.columns.compute(scheduler="sync")


def assert_same(a, b) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@given(
    seed=st.integers(0, 10**6),
    block_shape=st.tuples(*map(st.sampled_from, ([5, 8, 10], [6, 9, 12], [5, 7, 10]))),
    spurs=st.sampled_from([None, SpurRule(radii=1.5), SpurRule(length=4.0)]),
)
@settings(max_examples=20)
def test_any_grid_gives_the_same_bits(seed, block_shape, spurs) -> None:
    options = VesselOptions(halo=(5, 5, 5), spurs=spurs)
    mask = threads(seed)
    whole = graph(mask, block_shape=SHAPE, options=options)
    assert_same(graph(mask, block_shape=block_shape, options=options), whole)


@pytest.mark.parametrize("block_shape", [SHAPE, (5, 6, 7), (8, 9, 12)])
def test_both_engines_agree(block_shape, tmp_path: Path) -> None:
    mask = threads(4)
    job = graph(mask, block_shape=block_shape, engine=JobEngine(tmp_path))
    assert_same(job, graph(mask, block_shape=SHAPE))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_branches_are_those_that_networkx_counts(seed) -> None:
    mask = threads(seed)
    found = graph(mask, block_shape=(8, 9, 10))
    counted = counted_branches(thin(mask))
    rows = zip(
        found["segment_id"].tolist(),
        found["n_points"].tolist(),
        found["length_um"].tolist(),
        found["free_ends"].tolist(),
        strict=True,
    )
    assert {row[0]: row[1:] for row in rows} == {
        name: (points, pytest.approx(length), ends)
        for name, (points, length, ends) in counted.items()
    }


def counted_branches(skeleton: np.ndarray) -> dict[int, tuple[int, float, int]]:
    """Branches as components of the voxels with at most two neighbours."""
    voxels = [tuple(v) for v in np.argwhere(skeleton).tolist()]
    whole = nx.Graph()
    whole.add_nodes_from(voxels)
    for v in voxels:
        for step in np.ndindex(3, 3, 3):
            w = tuple(a + b - 1 for a, b in zip(v, step, strict=True))
            if w > v and whole.has_node(w):
                span = np.subtract(v, w) * SIZE_NM / 1000
                whole.add_edge(v, w, length=float(np.linalg.norm(span)))
    thin_ = [v for v in voxels if whole.degree(v) <= 2]
    branches, centre = {}, {}
    for knot in nx.connected_components(whole.subgraph(set(voxels) - set(thin_))):
        centre |= dict.fromkeys(knot, np.mean(list(knot), 0))
    for part in nx.connected_components(whole.subgraph(thin_)):
        edges = {tuple(sorted((v, w))) for v in part for w in whole[v]}
        length = sum(whole.edges[e]["length"] for e in edges)
        for w in (w for e in edges for w in e if w in centre):  # from there to the centre
            length += np.linalg.norm((centre[w] - w) * SIZE_NM) / 1000
        ends = sum(2 - whole.degree(v) for v in part)
        branches[1 + int(np.ravel_multi_index(min(part), skeleton.shape))] = (
            len(part),
            length,
            ends,
        )
    return branches


def test_radii_are_those_of_the_distance_transform() -> None:
    mask = threads(7)
    found = graph(mask, block_shape=(8, 9, 10))
    distance = ndimage.distance_transform_edt(mask, sampling=np.array(SIZE_NM) / 1000)
    made = vessel_graph(open_volume(mask), options=RAW, voxel_size_nm=SIZE_NM)
    labels = label_segments(made).compute(scheduler="sync")
    assert sorted(set(np.unique(labels)) - {0}) == found["segment_id"].tolist()
    for n, name in enumerate(found["segment_id"]):
        there = distance[labels == name]
        assert len(there) == found["n_points"][n]
        assert found["radius_um_mean"][n] == pytest.approx(there.mean(), rel=1e-5)
        assert found["radius_um_min"][n] == pytest.approx(there.min(), rel=1e-5)
        assert found["radius_um_max"][n] == pytest.approx(there.max(), rel=1e-5)
        centre = np.argwhere(labels == name).mean(0)
        assert [found[f"centroid_{a}"][n] for a in "zyx"] == pytest.approx(centre.tolist())


def tree() -> np.ndarray:
    """A thin Y: a stem of 10 voxels along z, two arms on the diagonals, and a spur of three."""
    volume = np.zeros((24, 30, 12), bool)
    volume[2:12, 15, 6] = True
    for n in range(8):
        volume[12 + n, 16 + n, 6] = True
        volume[12 + n, 14 - n, 6] = True
    volume[6, 15:19, 6] = True
    return volume


def test_a_tree_has_the_lengths_drawn() -> None:
    sizes = {"block_shape": (8, 10, 6)}
    raw = segment_frame(graph(tree(), **sizes))
    # Stem, two arms, the spur; the spur cuts the stem in two.
    assert len(raw) == 5
    assert (raw["free_ends"] == 1).sum() == 4
    spurs = SpurRule(length=3.0)
    kept = graph(tree(), **sizes, options=VesselOptions(halo=(5, 5, 5), spurs=spurs))
    frame = segment_frame(kept)
    assert len(frame) == 3
    arm = np.hypot(2.0, 1.0)
    # Where the spur was, the stem steps aside by one voxel and back.
    lengths = sorted(frame["length_um"].tolist())
    assert lengths[:2] == pytest.approx([8 * arm] * 2)
    assert lengths[2] == pytest.approx(7 * 2.0 + 2 * arm)
    assert sorted(frame["tortuosity"]) == pytest.approx([1, 1, (14 + 2 * arm) / 18])
    assert kept["junction_degree"].tolist() == [3]
    assert not frame["touches_border"].any()
    stem = frame.loc[frame["length_um"].idxmax()]
    assert [stem[f"{a}0"] for a in "zyx"] == [2, 15, 6]
    assert sorted(set(kept["part_segment"].tolist()) - {0}) == frame["segment_id"].tolist()
    assert (kept["part_segment"] == 0).sum() == 1


def test_a_ring_is_one_closed_segment_without_nodes() -> None:
    y, x = np.indices((30, 30)) - 15
    ring = np.zeros((5, 30, 30), bool)
    ring[2] = thin(((np.hypot(y, x) - 9) ** 2 <= 2)[None])[0]
    found = graph(ring, block_shape=(5, 15, 10))
    assert found["node_a"].tolist() == found["node_b"].tolist() == [0]
    assert found["free_ends"].tolist() == [0]
    assert np.isnan(found["tortuosity"]).all()
    assert found["n_points"].tolist() == [int(ring.sum())]


def test_segments_at_the_border_are_flagged_and_boxes_are_of_the_volume() -> None:
    rod = np.zeros((20, 9, 9), bool)
    rod[:, 3:6, 3:6] = True
    domain = Box((4, 0, 0), (20, 9, 9))
    found = graph(rod, block_shape=(8, 9, 9), domain=domain)
    assert found["touches_border"].tolist() == [True]
    box = [[found[f"{a}{n}"][0] for a in "zyx"] for n in (0, 1)]
    assert box == [[4, 3, 3], [20, 6, 6]]
    assert found["centroid_y"].tolist() == [4.0]


def test_an_empty_mask_has_no_segments() -> None:
    found = graph(np.zeros(SHAPE, bool), block_shape=(8, 9, 10))
    assert all(len(column) == 0 for column in found.values())
    assert len(segment_frame(found)) == 0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 voxels"):
        VesselOptions(halo=(1, 8, 8))
    with pytest.raises(ConfigError, match="shorter"):
        SpurRule(radii=-1)
    with pytest.raises(ContractError, match="wider halo"):
        graph(np.ones(SHAPE, bool), block_shape=(8, 9, 10))
    with pytest.raises(ConfigError, match="voxel_size_nm"):
        vessel_graph(da.zeros(SHAPE, chunks=7))
