"""Agglomeration box by box: the labels of merging the whole graph, for every grid."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.label import label_components, label_equal
from volkit.kernels.linkage_rule import Linkage
from volkit.kernels.octree_agglomeration import agglomerate_table, contact_table
from volkit.kernels.relabel import renamed
from volkit.ops.affinity_agglomeration import affinity_agglomerate
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed
from volkit.ops.components import components_of
from volkit.ops.contact_tables import linkage_graph
from volkit.ops.graph_holder import held_by
from volkit.ops.octree_agglomeration import agglomeration_tree
from volkit.ops.segmentation import agglomerate

OPTIONS = AffinityOptions(NEAREST, low=0.3, high=0.9)
LINKAGES = [
    Linkage(),
    Linkage("max"),
    Linkage("min"),
    Linkage("quantile", 50),
    Linkage("quantile", 75),
    Linkage("quantile", 50, "largest"),
    Linkage("quantile", 60, "largest", exact=True),
    Linkage("max_k", k=3),
]


def cells(seed: int, shape=(11, 12, 13), size: float = 0.7) -> np.ndarray:
    """Connected fragments, named by first voxels, of many sizes; some voxels are background."""
    rng = np.random.default_rng(seed)
    coarse = gaussian_filter(rng.random(shape), size)
    levels = np.digitize(coarse, np.quantile(coarse, np.linspace(0, 1, 12)[1:-1]))
    labels = np.zeros(shape, np.uint64)
    for level in range(1, 11):
        labels += label_components(levels == level, connectivity=6)
    return labels


def whole(labels, affinities, linkage, threshold, *, toward=-1) -> np.ndarray:
    everything = Box.from_shape(labels.shape)
    table = contact_table(linkage_graph(labels, affinities, everything, linkage, toward=toward))
    return renamed(labels, *agglomerate_table(table, linkage=linkage, threshold=threshold))


@given(
    seed=st.integers(0, 2**32 - 1),
    block_shape=st.tuples(st.integers(3, 12), st.integers(4, 13), st.integers(5, 14)),
    linkage=st.sampled_from(LINKAGES),
    thresholds=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    levels=st.sampled_from([4, 20, 10**6]),
    held=st.sampled_from(["boxes", "boxes", "whole"]),
)
@settings(max_examples=25)
def test_any_grid_gives_the_labels_of_the_whole(
    seed, block_shape, linkage, thresholds, levels, held
) -> None:
    labels = cells(seed)
    rng = np.random.default_rng(seed)
    affinities = (rng.integers(0, levels + 1, (3, *labels.shape)) / levels).astype(np.float32)
    tree = agglomeration_tree(
        open_volume(labels),
        open_volume(affinities),
        options=AffinityOptions(NEAREST),
        linkage=linkage,
        limit=thresholds[1],
        held=held,
        grid=Grid(Box.from_shape(labels.shape), block_shape),
    )
    for threshold in thresholds:
        expected = whole(labels, affinities, linkage, threshold)
        result = tree.labels(threshold).compute(scheduler="sync")
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("block_shape", [(24, 26, 28), (10, 26, 12)])
def test_means_are_merged_as_from_one_graph(block_shape, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    values = np.stack([gaussian_filter(rng.random((24, 26, 28)), 1.5) for _ in range(3)])
    affinities = open_volume(((values - values.min()) / np.ptp(values)).astype(np.float32))
    grid = Grid(affinities.domain, block_shape)
    engine = JobEngine(tmp_path)
    pieces = affinity_watershed(affinities, options=OPTIONS, grid=grid, engine=engine)
    tree = agglomeration_tree(pieces, affinities, options=OPTIONS, grid=grid, engine=engine)
    counts = set()
    for threshold in (0.3, 0.4, 0.5):
        labels = tree.labels(threshold, name=f"labels_{threshold}").read()
        expected = affinity_agglomerate(
            pieces, affinities, options=OPTIONS, threshold=threshold, grid=grid
        )
        np.testing.assert_array_equal(labels, expected.compute(scheduler="sync"))
        counts.add(len(np.unique(labels)))
    assert len(counts) == 3
    merged = [table["b"] for table in tree.merges()]
    assert len(np.unique(np.concatenate(merged))) == sum(map(len, merged))


def test_boundaries_are_merged_as_from_one_graph() -> None:
    labels = open_volume(cells(3))
    prob = open_volume(np.random.default_rng(5).random(labels.shape, np.float32))
    grid = Grid(labels.domain, (5, 4, 6))
    tree = agglomeration_tree(labels, prob, options=None, grid=grid)
    for threshold in (0.5, 0.7):
        expected = agglomerate(labels, prob, threshold=threshold, grid=grid)
        np.testing.assert_array_equal(
            tree.labels(threshold).compute(scheduler="sync"), expected.compute(scheduler="sync")
        )


@pytest.mark.parametrize("contact", ["all", "largest"])
@pytest.mark.parametrize("percent", [10, 50, 75])
@pytest.mark.parametrize("threshold", [0.15, 0.3, 0.5])
def test_quantiles_are_those_of_waterz(percent: int, threshold: float, contact: str) -> None:
    """Every contact has two bins of its own, so that no two scores are ever the same."""
    waterz = pytest.importorskip("waterz")
    rng = np.random.default_rng(percent)
    places = np.stack(np.indices((8, 9, 10)), axis=-1)[..., None, :]
    # Named by first voxels, as cells are that are looked at box by box.
    distance = ((places - rng.random((16, 3)) * (8, 9, 10)) ** 2).sum(axis=-1)
    labels = label_equal(distance.argmin(axis=-1) + 1, connectivity=6)
    pairs = np.zeros((3, *labels.shape), np.uint64)
    for axis in range(3):
        both = np.stack([labels, np.roll(labels, 1, axis)])
        pairs[axis] = both.min(axis=0) * np.uint64(1000) + both.max(axis=0)
    pair = np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape)
    bins = rng.permutation(2 * (pair.max() + 1))[2 * pair + rng.integers(0, 2, pairs.shape)]
    assert 50 < bins.max() < 256
    affinities = ((bins * 255 // bins.max() + 0.5) / 256).astype(np.float32)
    linkage = Linkage("quantile", percent, contact)
    ours = whole(labels, affinities, linkage, threshold)
    begins = "true" if contact == "largest" else "false"
    rule = f"OneMinus<HistogramQuantileAffinity<RegionGraphType,{percent},ScoreValue,256,{begins}>>"
    (theirs,) = waterz.agglomerate(
        affinities, [threshold], fragments=labels.copy(), scoring_function=rule
    )
    assert same_partition(ours, theirs)
    assert len(np.unique(ours)) < 16
    volumes = open_volume(labels), open_volume(affinities)
    tree = agglomeration_tree(
        *volumes, options=OPTIONS, linkage=linkage, grid=Grid(volumes[0].domain, (3, 9, 4))
    )
    np.testing.assert_array_equal(tree.labels(threshold).compute(scheduler="sync"), ours)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


def test_boxes_hold_their_surface_not_their_volume(tmp_path: Path) -> None:
    """Twice the extent on every axis is 8 times the voxels; a box passes on far less than that."""
    most = []
    for factor in (1, 2):
        shape = (24 * factor,) * 3
        labels = open_volume(cells(7, shape))
        rng = np.random.default_rng(1)
        affinities = open_volume(rng.random((3, *shape), np.float32))
        engine = JobEngine(tmp_path / str(factor))
        tree = agglomeration_tree(
            labels,
            affinities,
            options=AffinityOptions(NEAREST),
            limit=0.6,
            grid=Grid(labels.domain, (12, 12, 12)),
            engine=engine,
        )
        rows = {}
        for level, up, _ in tree.merged.kept():
            rows[level] = max(rows.get(level, 0), len(up["u"]))
        most.append(rows)
        assert rows[max(rows)] == 0
    # Blocks of the small volume have three open faces, those inside the large one six.
    assert most[1][0] < 2 * most[0][0]
    assert most[1][1] < 5.5 * most[1][0]


def rows_of_nodes(merged) -> list[int]:
    """What every box holds at once: the tables of its parts, and what it keeps of them."""
    tables = list(merged.kept())
    boxes = merged.boxes
    first = np.cumsum([0, *map(len, boxes.levels)])
    ups = [max(map(len, up.values())) for _, up, _ in tables]
    found = []
    for n, (level, _, kept) in enumerate(tables):
        number = n - first[level]
        parts = [] if level == 0 else boxes.below(level, number)
        found.append(sum(ups[first[level - 1] + k] for k in parts) + max(map(len, kept.values())))
    return found


def test_no_box_holds_more_in_longer_tissue(tmp_path: Path) -> None:
    """Two and four times the length have as many times the fragments, and boxes as before."""
    rng = np.random.default_rng(2)
    once = np.stack([gaussian_filter(rng.random((8, 16, 16)), 1.2) for _ in range(3)])
    once = (once - once.min()) / np.ptp(once)
    most, fragments = [], []
    for copies in (2, 4, 8):
        parts = [once if n % 2 == 0 else once[..., ::-1] for n in range(2 * copies)]
        affinities = open_volume(np.concatenate(parts, axis=-1).astype(np.float32))
        where = {
            "grid": Grid(affinities.domain, (8, 8, 8)),
            "engine": JobEngine(tmp_path / str(copies)),
        }
        pieces = affinity_watershed(affinities, options=OPTIONS, **where)
        tree = agglomeration_tree(pieces, affinities, options=OPTIONS, limit=0.4, **where)
        most.append(max(rows_of_nodes(tree.merged)))
        fragments.append(len(np.unique(pieces.read())))
        merges = sum(len(table["a"]) for table in tree.merges())
        assert merges > 0.2 * fragments[-1]
    assert most == [1241] * 3
    assert fragments == [1750, 3492, 6976]


@pytest.mark.parametrize("block_shape", [(4, 4, 4), (4, 4, 16)])
def test_a_fragment_in_two_places_is_refused(block_shape) -> None:
    """Box by box, each place would be decided alone; one block that holds both decides them."""
    labels = np.arange(1, 257, dtype=np.uint64).reshape(4, 4, 16)
    labels[1, 1, 10] = labels[0, 0, 1]
    values = open_volume(np.random.default_rng(1).random((3, 4, 4, 16), np.float32))
    grid = Grid(values.domain, block_shape)
    tree = agglomeration_tree(open_volume(labels), values, options=OPTIONS, grid=grid)
    if block_shape == labels.shape:
        expected = whole(labels, values.read(), Linkage(), 0.6)
        np.testing.assert_array_equal(tree.labels(0.6).compute(scheduler="sync"), expected)
        return
    with pytest.raises(ContractError, match=r"fragment 2 ends in this box, .*components_of"):
        tree.labels(0.6).compute(scheduler="sync")


def test_ids_that_name_no_voxel_are_refused_and_can_be_made_to() -> None:
    labels = cells(1)
    ids, numbers = np.unique(labels, return_inverse=True)
    far = (numbers.reshape(labels.shape) * 1000).astype(np.uint64)
    values = open_volume(np.random.default_rng(1).random((3, *labels.shape), np.float32))
    grid = Grid(values.domain, (6, 6, 7))
    tree = agglomeration_tree(open_volume(far), values, options=OPTIONS, grid=grid)
    with pytest.raises(ContractError, match=r"fragment \d+ ends in this box, one of \d\d,"):
        tree.labels(0.5).compute(scheduler="sync")
    named = components_of(open_volume(far), connectivity=6, grid=grid)
    np.testing.assert_array_equal(named.compute(scheduler="sync"), labels)
    assert len(ids) > 50


@given(seed=st.integers(0, 2**32 - 1), block_shape=st.tuples(*[st.integers(1, 4)] * 3))
@settings(max_examples=15)
def test_connected_fragments_are_never_refused(seed, block_shape) -> None:
    """Joined at faces, edges or corners, over any number of one-voxel blocks."""
    rng = np.random.default_rng(seed)
    labels = label_equal(rng.integers(0, 3, (4, 5, 4)), connectivity=26)
    values = rng.random((3, 4, 5, 4), np.float32)
    volumes = open_volume(labels), open_volume(values)
    grid = Grid(volumes[0].domain, block_shape)
    tree = agglomeration_tree(*volumes, options=AffinityOptions(NEAREST), grid=grid)
    expected = whole(labels, values, Linkage(), 0.7)
    np.testing.assert_array_equal(tree.labels(0.7).compute(scheduler="sync"), expected)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_one_machine_and_boxes_give_the_same(linkage, tmp_path: Path) -> None:
    """In a job: labels, and the merges, each of them once, though in another order."""
    labels = open_volume(cells(3))
    affinities = open_volume(np.random.default_rng(2).random((3, 11, 12, 13), np.float32))
    # Three blocks on z: there are boxes in boxes.
    grid, found, merges = Grid(labels.domain, (4, 7, 13)), [], []
    for held in ("boxes", "whole"):
        tree = agglomeration_tree(
            labels,
            affinities,
            options=AffinityOptions(NEAREST),
            linkage=linkage,
            limit=0.7,
            held=held,
            grid=grid,
            engine=JobEngine(tmp_path / held),
        )
        found.append([tree.labels(t, name=f"at_{t}").read() for t in (0.4, 0.7)])
        merges.append(
            sorted(
                row
                for table in tree.merges()
                for row in zip(*map(list, table.values()), strict=True)
            )
        )
    np.testing.assert_array_equal(*found)
    assert merges[0] == merges[1]
    assert len(merges[0]) > 50


def test_who_holds_the_graph_follows_from_the_volume() -> None:
    """4.3 gigavoxels may have 43 million contacts, of 400 bytes each: 16 GiB."""
    most = 2**34 // 400
    assert held_by(100 * most) == "whole"
    assert held_by(100 * (most + 1)) == "boxes"
    assert held_by(100 * (most + 1), memory_bytes=2**34 + 400) == "whole"
    # Ten values of 120 bytes are held, too.
    assert held_by(25 * most, linkage=Linkage("max_k", k=10)) == "whole"
    assert held_by(26 * most, linkage=Linkage("max_k", k=10)) == "boxes"
    labels = open_volume(cells(1))
    affinities = open_volume(np.zeros((3, 11, 12, 13), np.float32))
    trees = [
        agglomeration_tree(labels, affinities, options=OPTIONS, held=held)
        for held in ("auto", "whole", "boxes")
    ]
    assert [type(tree.merged).__name__ for tree in trees] == ["Delayed", "Delayed", "GraphCascade"]


def test_a_killed_rise_takes_up_where_it_was(tmp_path: Path) -> None:
    labels = open_volume(cells(1))
    affinities = open_volume(np.random.default_rng(1).random((3, 11, 12, 13), np.float32))
    how = {"options": AffinityOptions(NEAREST), "grid": Grid(labels.domain, (4, 4, 4))}
    first = agglomeration_tree(labels, affinities, **how, engine=JobEngine(tmp_path))
    expected = first.labels(0.6).read()
    told = []
    engine = JobEngine(tmp_path, on_progress=told.append)
    gone = next(iter((tmp_path / "agglomeration.parts" / "0").rglob("*5.npz")))
    gone.unlink()
    again = agglomeration_tree(labels, affinities, **how, engine=engine)
    fresh = {state.stage: state.done - state.resumed for state in told}
    assert fresh["agglomeration"] == 1
    assert sum(fresh.values()) == 1
    np.testing.assert_array_equal(again.labels(0.6).read(), expected)


def test_what_a_tree_cannot_give_is_refused() -> None:
    labels = open_volume(cells(1))
    affinities = open_volume(np.zeros((3, 11, 12, 13), np.float32))
    tree = agglomeration_tree(labels, affinities, options=OPTIONS, limit=0.5)
    with pytest.raises(ConfigError, match=r"threshold is 0.6, the tree ends at 0.5; make it with"):
        tree.labels(0.6)
    with pytest.raises(ContractError, match="merges of a lazy tree are not stored"):
        next(tree.merges())
    with pytest.raises(ConfigError, match="linkage is 'max', boundaries have means only"):
        agglomeration_tree(labels, labels, options=None, linkage=Linkage("max"))
    with pytest.raises(ConfigError, match="held is 'octree'; choose one of auto, whole, boxes"):
        agglomeration_tree(labels, affinities, options=OPTIONS, held="octree")
    with pytest.raises(ConfigError, match="threshold is 2"):
        agglomeration_tree(labels, affinities, options=OPTIONS, limit=2)
