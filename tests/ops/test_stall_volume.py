"""From a volume to predictions: the same bits for every grid and group, resumed after a kill."""

from pathlib import Path

import numpy as np
import pytest
import torch

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, ContractError, StaleLedgerError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.kernels.segment_merging import without_small
from volkit.kernels.vessel_outline import ORANGE
from volkit.models.views import IDENTITY
from volkit.ops.stall_cuboids import CuboidReader, Look
from volkit.ops.stall_ensemble import StallEnsemble, read_folds
from volkit.ops.stall_prediction import PredictionOptions, predict
from volkit.ops.stall_segments import SegmentRule, cuboid, stall_segments
from volkit.ops.stall_sources import VolumeClips
from volkit.ops.vessel_graph import label_segments, vessel_graph
from volkit.testing.stall_folds import write_folds
from volkit.testing.stalls import stall_specimen

torch.set_num_threads(1)
SHAPE = (64, 96, 96)
SIZE = (1500.0, 500.0, 500.0)


@pytest.fixture(scope="module")
def specimen():
    return stall_specimen(SHAPE, seed=4, segments=9)


@pytest.fixture(scope="module")
def volumes(specimen, tmp_path_factory):
    folder, box = tmp_path_factory.mktemp("volumes"), Box.from_shape(SHAPE)
    made = {}
    for name, values in (
        ("image", specimen.image(box)),
        ("mask", specimen.mask(box).astype(np.uint8)),
    ):
        made[name] = create_volume(
            folder / f"{name}.zarr", shape=SHAPE, dtype=np.uint8, voxel_size_nm=SIZE,
            chunk_shape=(16, 32, 32))  # fmt: skip
        made[name].write(box, values)
    return made


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    folds = read_folds(write_folds(tmp_path_factory.mktemp("folds"), count=2))
    return StallEnsemble(folds, views=(IDENTITY,), passes=3)


def chain(volumes, block_shape, engine, **rule):
    grid = Grid(volumes["mask"].domain, block_shape)
    graph = vessel_graph(volumes["mask"], grid=grid, engine=engine)
    lines = label_segments(graph, grid=grid, engine=engine)
    segments = stall_segments(
        graph.columns, SegmentRule(**rule), grid=grid, scale=volumes["mask"].scale, volume_id="v"
    )
    return segments, lines


def table_of(segments):
    frame = segments.frame
    names = ["segment_id", *(f"{a}{n}" for a in "zyx" for n in (0, 1))]
    line_id, line_of = segments.became
    return {
        **{name: frame[name].to_numpy() for name in names},
        "line_id": line_id,
        "line_of": line_of,
    }


@pytest.fixture(scope="module")
def found(volumes, ensemble, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    engine = JobEngine(folder)
    segments, lines = chain(volumes, (24, 32, 32), engine)
    source = VolumeClips(CuboidReader(volumes["image"], volumes["mask"], lines))
    return segments, source, predict(table_of(segments), source, ensemble, engine=engine)


def test_segments_are_those_of_the_specimen(found, specimen) -> None:
    frame, truth = found[0].frame, specimen.truth()
    assert len(frame) == len(truth["segment"])
    # The tree is drawn in voxels; lengths are measured to the centres of junctions.
    spacing = np.array(SIZE) / 1000
    ends = specimen.tree.nodes[specimen.tree.segments] * spacing
    true = np.sort(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))
    np.testing.assert_allclose(np.sort(frame["length_um"]), true, rtol=0.25, atol=3)
    assert frame["tortuosity"].between(1, 1.3).all()
    for _, row in frame.iterrows():
        box = cuboid(row)
        assert Box.from_shape(SHAPE).contains(box)
        assert row["roi_shape"] == " x ".join(map(str, box.shape))
        assert row["n_frames"] == box.shape[0]
        centre = np.rint([row[f"centroid_{a}"] for a in "zyx"])
        owner = [row[f"owner_chunk_{a}"] for a in "zyx"]
        assert (centre // (24, 32, 32)).tolist() == owner
        assert row["centroid_um_y"] == pytest.approx(row["centroid_y"] * 0.5)


@pytest.mark.parametrize("block_shape", [(64, 96, 96), (16, 96, 32), (23, 37, 40)])
def test_the_table_is_the_same_for_every_grid(
    found, volumes, ensemble, tmp_path: Path, block_shape
) -> None:
    segments, source, predictions = found
    engine = JobEngine(tmp_path)
    other, lines = chain(volumes, block_shape, engine)
    owners = [f"owner_chunk_{a}" for a in "zyx"]
    assert other.frame.drop(columns=owners).equals(segments.frame.drop(columns=owners))
    whole = Box.from_shape(SHAPE)
    np.testing.assert_array_equal(lines.read(whole), source.reader.lines.read(whole))
    again = predict(
        table_of(other),
        VolumeClips(CuboidReader(volumes["image"], volumes["mask"], lines)),
        ensemble,
        engine=engine,
        options=PredictionOptions(group=3),
    )
    assert {*again} == {*predictions}
    for name, column in predictions.items():
        np.testing.assert_array_equal(again[name], column, err_msg=name)


def test_rows_in_another_order_and_a_lazy_engine_give_the_same(found, ensemble) -> None:
    segments, source, predictions = found
    table = table_of(segments)
    count = len(segments.frame)
    turned = {n: c[::-1] if len(c) == count and "line" not in n else c for n, c in table.items()}
    lazy = predict(turned, source, ensemble, engine=LazyEngine()).compute(scheduler="sync")
    for name, column in predictions.items():
        np.testing.assert_array_equal(lazy[name], column, err_msg=name)


def test_a_job_takes_up_where_it_was(found, ensemble, tmp_path: Path) -> None:
    segments, source, predictions = found
    table, one = table_of(segments), PredictionOptions(group=1)

    def interrupt(state) -> None:
        if state.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(table, source, ensemble, engine=JobEngine(tmp_path, None, interrupt), options=one)
    states: list = []
    again = predict(
        table, source, ensemble, engine=JobEngine(tmp_path, None, states.append), options=one
    )
    assert 3 <= states[0].resumed < len(segments.frame)
    for name, column in predictions.items():
        np.testing.assert_array_equal(again[name], column, err_msg=name)
    other = StallEnsemble(ensemble.checkpoints, views=(IDENTITY,), passes=4)
    with pytest.raises(StaleLedgerError, match="passes: 3 became 4"):
        predict(table, source, other, engine=JobEngine(tmp_path), options=one)


def test_cuboids_show_the_vessel_in_orange_and_flow_moves(found, specimen) -> None:
    segments, source, predictions = found
    table, frame = table_of(segments), segments.frame
    labels = specimen.tree.labels(Box.from_shape(SHAPE))
    stalled, motion = [], []
    for row, clip, signal in source.clips(table, range(len(frame))):
        box = cuboid(frame.iloc[row])
        assert clip.region == box
        orange = (clip.voxels == np.array(ORANGE, np.uint8)[:, None, None, None]).all(0)
        assert orange.any()
        assert (orange == orange[:1]).all()
        grey = source.reader.image.read(box)
        assert (clip.voxels[:, ~orange] == grey[~orange]).all()
        assert signal["n_voxels"] == predictions["n_voxels"][row]
        place = np.rint([frame.iloc[row][f"centroid_{a}"] for a in "zyx"]).astype(int)
        stalled.append(bool(specimen.stalled[int(labels[tuple(place)]) - 1]))
        motion.append(signal["motion_score"])
    motion, stalled = np.array(motion), np.array(stalled)
    assert stalled.any()
    assert motion[~stalled].min() > motion[stalled].max()
    whole = sum(int(predictions["n_voxels"][n]) for n in range(len(frame)))
    assert 0.85 < whole / specimen.mask(Box.from_shape(SHAPE)).sum() <= 1


def test_the_outline_is_a_channel_or_none_and_greys_are_scaled(found, volumes, tmp_path) -> None:
    segments, source, _ = found
    table = table_of(segments)
    lines = source.reader.lines
    values = volumes["image"].read().astype(np.uint16) * 16
    wide = create_volume(tmp_path / "wide.zarr", shape=SHAPE, dtype=np.uint16, voxel_size_nm=SIZE)
    wide.write(wide.domain, values)
    with pytest.raises(ConfigError, match="is uint16; say which values become black and white"):
        CuboidReader(wide, volumes["mask"], lines)
    for outline, channels in (("none", 1), ("channel", 2), ("painted", 3)):
        look = Look(outline=outline, grey=(0, 255 * 16))
        reader = CuboidReader(wide, volumes["mask"], lines, look)
        clip = next(VolumeClips(reader).clips(table, [0]))[1]
        assert len(clip.voxels) == channels
        if channels < 3:
            assert (clip.voxels[0] == volumes["image"].read(clip.region)).all()


def test_what_is_not_there_is_refused(found, volumes, ensemble, tmp_path) -> None:
    segments, source, _ = found
    empty = create_volume(tmp_path / "empty.zarr", shape=SHAPE, dtype=np.uint8, voxel_size_nm=SIZE)
    empty.write(empty.domain, np.zeros(SHAPE, np.uint8))
    with pytest.raises(ContractError, match="the vessel mask of v has no segment"):
        chain({"mask": empty}, SHAPE, JobEngine(tmp_path / "run"))
    with pytest.raises(ContractError, match="none is left"):
        chain(volumes, SHAPE, JobEngine(tmp_path / "run2"), small_um=1e6)
    twice = {n: c if "line" in n else np.concatenate([c, c]) for n, c in table_of(segments).items()}
    with pytest.raises(ConfigError, match="each with an id of its own"):
        predict(twice, source, ensemble, engine=LazyEngine())


def test_segments_at_the_border_are_flagged_or_left_out(volumes, tmp_path) -> None:
    cut = open_volume(volumes["mask"].read()[:, :, 20:60], voxel_size_nm=SIZE)
    stored = create_volume(
        tmp_path / "cut.zarr", shape=cut.shape, dtype=np.uint8, voxel_size_nm=SIZE
    )
    stored.write(stored.domain, cut.read())
    kept, _ = chain({"mask": stored}, stored.shape, JobEngine(tmp_path / "a"))
    assert kept.frame["touches_border"].any()
    left, _ = chain({"mask": stored}, stored.shape, JobEngine(tmp_path / "a"), at_border="skip")
    assert len(left.frame) == (~kept.frame["touches_border"]).sum()
    assert not left.frame["touches_border"].any()


def star() -> dict[str, np.ndarray]:
    """Three branches at node 50; the second one is short, and ends in 60, where a fourth begins."""
    count = 4
    columns = {
        "segment_id": np.array([1, 5, 9, 13], np.uint64),
        "node_a": np.array([1, 50, 9, 60], np.uint64),
        "node_b": np.array([50, 60, 50, 99], np.uint64),
        "free_ends": np.array([1, 0, 1, 1]),
        "n_points": np.array([10, 2, 30, 8]),
        "length_um": np.array([10.0, 2.0, 30.0, 8.0]),
        "radius_um_mean": np.array([1.0, 4.0, 2.0, 1.0]),
        "radius_um_min": np.array([1.0, 0.5, 2.0, 1.0]),
        "radius_um_max": np.array([1.0, 5.0, 2.0, 1.0]),
        "tortuosity": np.ones(count),
        "depth_um": np.array([0.0, 4.0, 8.0, 0.0]),
        "touches_border": np.array([False, True, False, False]),
        "junction_id": np.array([50, 60], np.uint64),
    }
    columns |= {f"centroid_{a}": np.array([0.0, 4.0, 8.0, 0.0]) for a in "zyx"}
    columns |= {f"{a}0": np.array([0, 5, 7, 3]) for a in "zyx"}
    return columns | {f"{a}1": np.array([6, 8, 30, 9]) for a in "zyx"}


def test_small_segments_are_kept_skipped_or_merged_into_the_longest_neighbour() -> None:
    kept, became = without_small(star(), length_um=5, small="keep")
    assert kept["segment_id"].tolist() == became.tolist() == [1, 5, 9, 13]
    left, became = without_small(star(), length_um=5, small="skip")
    assert left["segment_id"].tolist() == [1, 9, 13]
    assert became.tolist() == [1, 0, 9, 13]
    joined, became = without_small(star(), length_um=5, small="merge")
    assert became.tolist() == [1, 9, 9, 13]
    row = joined["segment_id"].tolist().index(9)
    assert joined["length_um"][row] == 32
    assert (joined["node_a"][row], joined["node_b"][row]) == (9, 60)
    assert joined["radius_um_mean"][row] == pytest.approx((2 * 4 + 30 * 2) / 32)
    assert joined["radius_um_min"][row] == 0.5
    assert (joined["z0"][row], joined["x1"][row]) == (5, 30)
    assert joined["touches_border"][row]
    # All are small: they end in one that is long enough, or it is left out.
    one, became = without_small(star(), length_um=45, small="merge")
    assert one["length_um"].tolist() == [50.0]
    assert (became == one["segment_id"][0]).all()
    none, became = without_small(star(), length_um=60, small="merge")
    assert not len(none["segment_id"])
    assert not became.any()
    with pytest.raises(ConfigError, match="keep, skip or merge"):
        without_small(star(), length_um=5, small="drop")
