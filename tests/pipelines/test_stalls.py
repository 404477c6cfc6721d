"""Stall tables from volumes and clips, and calibrators: the shipped workflows, executed."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from volkit.errors import (
    BlockFailedError,
    ContractError,
    GeometryError,
    ModelError,
    SourceError,
    StaleLedgerError,
)
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.points.files import read_points
from volkit.io.stated_size import says_size
from volkit.io.tables import read_table
from volkit.kernels.calibration import METHODS
from volkit.ops.multiscale import pyramid
from volkit.ops.stall_calibration import fit_held_out, read_calibrator, write_calibrator
from volkit.ops.stall_ensemble import fingerprint_of, read_folds
from volkit.ops.stall_files import read_stalls
from volkit.ops.stall_schema import stall_schema
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.status import read_status
from volkit.testing.stall_clips import clip_frames, write_film
from volkit.testing.stall_folds import write_folds
from volkit.testing.stalls import stall_specimen

torch.set_num_threads(1)
WORKFLOWS = Path(__file__).parents[2] / "workflows" / "stalls"
SHAPE = (64, 96, 96)
SIZE = (1500.0, 500.0, 500.0)


def run(name: str, *settings: str) -> Outcome:
    workflow = read_workflow(WORKFLOWS / f"{name}.yaml", settings)
    return workflow.pipeline.run(
        workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
    )


@pytest.fixture(scope="module")
def folds(tmp_path_factory) -> list[str]:
    return write_folds(tmp_path_factory.mktemp("folds"), count=2)


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stack")
    specimen, box = stall_specimen(SHAPE, seed=4, segments=9), Box.from_shape(SHAPE)
    for name, values in (("image", specimen.image(box)), ("mask", specimen.mask(box))):
        volume = create_volume(
            folder / f"{name}.zarr", shape=SHAPE, dtype=np.uint8, voxel_size_nm=SIZE,
            chunk_shape=(16, 32, 32))  # fmt: skip
        volume.write(box, values.astype(np.uint8))
    return folder


def volume_settings(stack: Path, folds: list[str], output: Path, *more: str) -> list[str]:
    return [
        f"input.image={stack}/image.zarr",
        f"input.mask={stack}/mask.zarr",
        f"networks.checkpoint=[{', '.join(folds)}]",
        "networks.passes=5",
        "block_shape=[32,48,96]",
        "report.sheet=4",
        "cluster.workers=0",
        f"output={output}",
        *more,
    ]


@pytest.fixture(scope="module")
def volume_run(stack, folds, tmp_path_factory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("volume")
    settings = volume_settings(stack, folds, folder, "report.attention=1", "report.parts=true")
    return folder / "report", run("volume", *settings)


def test_a_volume_becomes_a_complete_and_typed_table(volume_run, folds) -> None:
    report, outcome = volume_run
    table, made = read_stalls(report / "stalls.parquet")
    schema = stall_schema(2)
    schema.check(table)
    assert read_table(report / "stalls.parquet")[1] == schema
    assert len(table) == 7
    unknown = {
        *("contour_found", "p_calibrated", "calibrator_id", "prior_assumed", "reviewer"),
        *("review_label", "reviewed_at", "crowd_score", "n_votes", "expert_label", "tier1"),
    }
    assert {name for name in table.columns if table[name].isna().any()} == unknown
    assert table["volume_id"].unique().tolist() == ["image"]
    assert table["p_stalled"].to_numpy() == pytest.approx(
        table[["p_fold_0", "p_fold_1"]].mean(axis=1).to_numpy()
    )
    assert table["mc_n"].unique().tolist() == [5]
    assert made["networks"]["views"][0] == "identity"
    assert len(made["networks"]["views"]) == 8
    assert (read_stalls(report / "stalls.csv")[0] == table).to_numpy()[table.notna()].all()
    pd.testing.assert_frame_equal(read_stalls(report / "stalls")[0], table)
    summary = json.loads((report / "summary.json").read_text())
    assert summary["segments"] == 7
    assert summary["expected"] == pytest.approx(table["p_stalled"].sum())
    tissue = np.prod(SHAPE) * np.prod(np.array(SIZE) / 1e6)
    assert summary["per_mm3"] == summary["stalled"] / tissue
    rows = dict(row[:2] for row in outcome.scores)
    assert rows["segments"] == "7"
    assert "a call is right" in rows


def test_pictures_layer_and_page_are_there(volume_run) -> None:
    report, outcome = volume_run
    table, _ = read_stalls(report / "stalls.parquet")
    assert (report / "sheet.png").read_bytes()[:4] == b"\x89PNG"
    page = (report / "sheet.html").read_text()
    assert page.count("<img ") == 4
    assert 'src="http' not in page
    points = read_points(str(report / "annotations"))
    np.testing.assert_allclose(
        points[["z_nm", "y_nm", "x_nm"]], table[[f"centroid_um_{a}" for a in "zyx"]] * 1000,
        rtol=1e-5)  # fmt: skip
    np.testing.assert_allclose(points["score"], table["p_stalled"], rtol=1e-6)
    layer = report / "boxes"
    info = json.loads((layer / "info").read_text())
    assert info["annotation_type"] == "AXIS_ALIGNED_BOUNDING_BOX"
    assert {"label", "probability", "length_um"} <= {each["id"] for each in info["properties"]}
    first = table.iloc[0]
    corners = np.frombuffer((layer / "by_id" / str(first["segment_id"])).read_bytes(), "<f4", 6)
    edges = [[(first[f"{a}{n}"] - 0.5) * size for a, size in zip("xyz", SIZE[::-1], strict=True)]
             for n in (0, 1)]  # fmt: skip
    np.testing.assert_allclose(corners.reshape(2, 3), edges, rtol=1e-6)
    (maps,) = (report / "attention").glob("*.zarr")
    row = table.set_index("segment_id").loc[int(maps.stem)]
    attention = open_volume(maps)
    assert attention.channels == 4
    assert attention.domain == Box(
        tuple(int(row[f"{a}0"]) for a in "zyx"), tuple(int(row[f"{a}1"]) for a in "zyx")
    )
    assert attention.voxel_size_nm == SIZE
    assert says_size(attention)
    assert {name for name, _ in outcome.files} >= {"table", "form", "contact sheet", "annotations"}


def test_the_same_again_is_the_same_to_the_byte_and_other_blocks_only_own_others(
    volume_run, stack, folds, tmp_path
) -> None:
    report, _ = volume_run
    before = (report / "stalls.parquet").read_bytes()
    run("volume", *volume_settings(stack, folds, report.parent, "report.attention=1"))
    assert (report / "stalls.parquet").read_bytes() == before
    run(
        "volume",
        *volume_settings(stack, folds, tmp_path, "block_shape=[64,96,32]", "predict.group=2"),
    )
    table, other = (read_stalls(f / "stalls.parquet")[0] for f in (report, tmp_path / "report"))
    apart = [*(f"owner_chunk_{a}" for a in "zyx"), "created_at", "config_hash", "run_id"]
    pd.testing.assert_frame_equal(other.drop(columns=apart), table.drop(columns=apart))


def test_a_changed_network_is_stale(volume_run, stack, folds) -> None:
    folder = volume_run[0].parent
    with pytest.raises(StaleLedgerError, match="seed: 0 became 1"):
        run("volume", *volume_settings(stack, folds, folder, "networks.seed=1"))


def test_reviews_are_kept_over_runs(volume_run, stack, folds, tmp_path) -> None:
    settings = volume_settings(stack, folds, tmp_path, "report.sheet=0")
    run("volume", *settings)
    report = tmp_path / "report"
    table, _ = read_stalls(report / "stalls.parquet")
    first, second = table["segment_id"][:2]
    for name, segment, label in (("a", first, "stalled"), ("b", second, "unsure")):
        with (tmp_path / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["volume_id", "segment_id", "reviewer", "review_label", "reviewed_at"])
            writer.writerow(["image", segment, name, label, f"2026-01-0{1 if name == 'a' else 2}"])
    run("volume", *settings, f"reviews={tmp_path}/a.csv")
    run("volume", *settings, f"reviews={tmp_path}/b.csv")
    found, _ = read_stalls(report / "stalls.parquet")
    labels = found.set_index("segment_id")["review_label"]
    assert (labels[first], labels[second]) == ("stalled", "unsure")
    assert labels.isna().sum() == len(found) - 2
    human = ["reviewer", "review_label", "reviewed_at"]
    pd.testing.assert_frame_equal(found.drop(columns=human), table.drop(columns=human))
    assert len(read_table(report / "reviews.parquet")[0]) == 2


def test_a_calibrator_is_for_its_networks(stack, folds, tmp_path) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(400)
    model = fingerprint_of([card.identity for card in read_folds(folds)])
    made = fit_held_out(p, rng.random(400) < p, model=model, method="platt")
    write_calibrator(tmp_path / "c.npz", made)
    settings = volume_settings(stack, folds, tmp_path / "run", "report.sheet=0")
    run("volume", *settings, f"networks.calibrator={tmp_path}/c.npz", "networks.prior=0.003")
    table, _ = read_stalls(tmp_path / "run" / "report" / "stalls.parquet")
    assert table["calibrator_id"].unique().tolist() == [made.identity]
    assert table["prior_assumed"].unique().tolist() == [0.003]
    assert (table["p_calibrated"] < 0.02).all()
    assert (table["call"] == "flowing").all()
    strange = [*settings, f"networks.calibrator={tmp_path}/c.npz"]
    with pytest.raises(ModelError, match="is for the model .* these networks are"):
        run("volume", *strange, f"networks.checkpoint={folds[0]}")
    with pytest.raises(ModelError, match="1 of 5 folds are there"):
        run("volume", *strange, f"networks.checkpoint={folds[0]}", "networks.folds=5")


def test_what_does_not_fit_is_refused(stack, folds, tmp_path) -> None:
    def stored(name: str, values, **keys) -> str:
        volume = create_volume(tmp_path / name, shape=values.shape, dtype=values.dtype, **keys)
        volume.write(volume.domain, values)
        return str(tmp_path / name)

    settings = volume_settings(stack, folds, tmp_path / "run")
    small = stored("small.zarr", np.ones((8, 8, 8), np.uint8), voxel_size_nm=SIZE)
    with pytest.raises(GeometryError, match="give volumes of the same voxels"):
        run("volume", *settings, f"input.mask={small}")
    bare = stored("bare.zarr", np.zeros(SHAPE, np.uint8))
    with pytest.raises(GeometryError, match="does not say its voxel size"):
        run("volume", *settings, f"input.image={bare}", f"input.mask={bare}")
    pyramid(open_volume(bare), levels=2)
    with pytest.raises(GeometryError, match="does not say its voxel size"):
        run("volume", *settings, f"input.image={bare}", f"input.mask={bare}", "input.level=1")
    tiny = stored("tiny.zarr", np.zeros(SHAPE, np.uint8), voxel_size_nm=(1, 1, 1))
    aside = volume_settings(stack, folds, tmp_path / "aside")
    with pytest.raises(ContractError, match="the vessel mask of tiny has no segment"):
        run("volume", *aside, f"input.image={tiny}", f"input.mask={tiny}")
    empty = stored("empty.zarr", np.zeros(SHAPE, np.uint8), voxel_size_nm=SIZE)
    with pytest.raises(ContractError, match="the vessel mask of image has no segment"):
        run("volume", *settings, f"input.mask={empty}")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    specimen = stall_specimen(SHAPE, seed=4, segments=9)
    (folder / "clips").mkdir()
    rows = []
    for segment in (1, 2, 3):
        frames, _ = clip_frames(specimen, segment)
        write_film(folder / "clips" / f"{segment}.mp4", frames)
        rows.append((f"{segment}.mp4", "P1" if segment < 3 else "P2", segment == 2))
    grey = np.random.default_rng(0).integers(0, 255, (9, 31, 33)).astype(np.uint8)
    write_film(folder / "clips" / "grey.mp4", grey)
    frames, _ = clip_frames(specimen, 1)
    write_film(folder / "clips" / "one.mp4", frames[:1])
    rows += [("grey.mp4", "P3", False), ("one.mp4", "P3", True)]
    pd.DataFrame({"filename": [r[0] for r in rows], "project_id": [r[1] for r in rows],
                  "crowd_score": 0.25, "tier1": True, "expert": ["true", "", "", "", ""]}
                 ).to_csv(folder / "train_metadata.csv", index=False)  # fmt: skip
    pd.DataFrame({"filename": [r[0] for r in rows], "stalled": [int(r[2]) for r in rows]}
                 ).to_csv(folder / "train_labels.csv", index=False)  # fmt: skip
    return folder


def clip_settings(clips: Path, folds: list[str], output: Path) -> list[str]:
    return [
        f"input.metadata={clips}/train_metadata.csv",
        f"input.labels={clips}/train_labels.csv",
        f"input.clips={clips}/clips",
        f"networks.checkpoint=[{', '.join(folds)}]",
        "networks.passes=5",
        "cluster.workers=0",
        f"output={output}",
    ]


def test_clips_become_a_table_with_flags_and_scores(clips, folds, tmp_path) -> None:
    outcome = run("clips", *clip_settings(clips, folds, tmp_path), "report.attention=1")
    table, _ = read_stalls(tmp_path / "report" / "stalls.parquet")
    rows = table.set_index("volume_id")
    assert sorted(rows.index) == ["1.mp4", "2.mp4", "3.mp4", "grey.mp4", "one.mp4"]
    assert rows.index[~rows["contour_found"].astype(bool)].tolist() == ["grey.mp4"]
    assert rows.loc["grey.mp4", "call"] == "undecided"
    assert rows.loc["one.mp4", "n_frames"] == 1
    assert rows.loc["grey.mp4", "roi_shape"] == "9 x 31 x 33"
    assert rows["expert_label"].to_dict()["1.mp4"] == "stalled"
    assert rows["expert_label"].isna().sum() == 4
    assert (rows["crowd_score"] == 0.25).all()
    assert rows["tier1"].all()
    assert rows["length_um"].isna().all()
    assert rows.loc["1.mp4", "mean_intensity"] > 0
    assert pd.isna(rows.loc["grey.mp4", "snr"])
    assert (rows["segment_id"] < 2**48).all()
    scores, _, _ = read_table(tmp_path / "report" / "scores.csv")
    assert scores["examples"].unique().tolist() == [5]
    assert any(row[0] == "auc" for row in outcome.scores)
    assert (tmp_path / "report" / "sheet.html").exists()
    assert not (tmp_path / "report" / "annotations").exists()
    (maps,) = (tmp_path / "report" / "attention").glob("*.zarr")
    assert not says_size(open_volume(maps))  # films have no voxel size


def test_clips_that_are_not_there_are_refused(clips, folds, tmp_path) -> None:
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("filename,project_id\nnone.mp4,P1\n")
    settings = [*clip_settings(clips, folds, tmp_path / "run"), f"input.metadata={metadata}"]
    with pytest.raises(SourceError, match="lacks 1 clip of .*: "):
        run("clips", *settings, "input.labels=null")
    (tmp_path / "films").mkdir()
    whole = (clips / "clips" / "1.mp4").read_bytes()
    (tmp_path / "films" / "none.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"none of 1 clip can be read; .*none\.mp4"):
        run("clips", *settings, "input.labels=null", f"input.clips={tmp_path}/films")


def test_damaged_clips_are_set_aside_and_tried_again_alone(clips, folds, tmp_path) -> None:
    films, out = tmp_path / "films", tmp_path / "run"
    shutil.copytree(clips / "clips", films)
    whole = {name: (films / name).read_bytes() for name in ("2.mp4", "3.mp4")}
    (films / "2.mp4").write_bytes(whole["2.mp4"][: len(whole["2.mp4"]) // 2])
    coded = whole["3.mp4"].replace(b"avc1", b"xyz1")
    assert coded != whole["3.mp4"]
    (films / "3.mp4").write_bytes(coded)
    quick = ("networks.views=none", "report.sheet=2", "predict.group=2", f"input.clips={films}")
    settings = [*clip_settings(clips, folds, out), *quick]
    with pytest.raises(BlockFailedError, match="2 clips could not be read and went aside"):
        run("clips", *settings)
    table, _ = read_stalls(out / "report" / "stalls.parquet")
    assert sorted(table["volume_id"]) == ["1.mp4", "grey.mp4", "one.mp4"]
    aside = read_table(out / "report" / "set_aside.csv")[0].set_index("filename")["reason"]
    assert sorted(aside.index) == ["2.mp4", "3.mp4"]
    assert read_table(out / "report" / "scores.csv")[0]["examples"].unique().tolist() == [3]
    assert "2 clips could not be read" in read_status(out).failure
    assert (out / "report" / "sheet.html").exists()

    (films / "2.mp4").write_bytes(whole["2.mp4"])
    with pytest.raises(BlockFailedError, match=r"1 clip could not be read .*\n  3\.mp4: "):
        run("clips", *settings)
    blocks = {stage.stage: (stage.done, stage.total) for stage in read_status(out).stages}
    assert blocks.pop("predictions") == (3, 3)  # of groups of two: done once, and kept
    assert [*blocks.values()] == [(1, 1)]

    (films / "3.mp4").write_bytes(whole["3.mp4"])
    run("clips", *settings)
    mended, _ = read_stalls(out / "report" / "stalls.parquet")
    run("clips", *clip_settings(clips, folds, tmp_path / "sound"), *quick[:3])
    sound, _ = read_stalls(tmp_path / "sound" / "report" / "stalls.parquet")
    apart = ["created_at", "input_uri", "input_version", "config_hash", "run_id"]
    pd.testing.assert_frame_equal(mended.drop(columns=apart), sound.drop(columns=apart))
    assert not (out / "report" / "set_aside.csv").exists()
    assert read_status(out).failure == ""


def judged(folder: Path, *, folds: int) -> Path:
    """Predictions of an over-confident network: logits are three times those of the truth."""
    rng = np.random.default_rng(1)
    true = rng.normal(-1, 1.5, 3000)
    frame = pd.DataFrame(
        {
            "filename": [f"{n}.mp4" for n in range(3000)],
            "project_id": [f"P{n % 30}" for n in range(3000)],
            "fold": [n % 30 % folds for n in range(3000)],
            "stalled": (rng.random(3000) < 1 / (1 + np.exp(-true))).astype(int),
            "probability": 1 / (1 + np.exp(-3 * true)),
        }
    )
    frame.to_csv(folder / "judged.csv", index=False)
    return folder / "judged.csv"


@pytest.mark.parametrize("count", [1, 5])
def test_calibration_improves_what_was_held_out(folds, tmp_path, count) -> None:
    path = judged(tmp_path, folds=count)
    run(
        "calibrate",
        f"input.tables={path}",
        f"checkpoint=[{', '.join(folds)}]",
        f"output={tmp_path}/out",
        "draws=20",
    )
    methods = read_table(tmp_path / "out" / "methods.csv")[0].set_index("method")
    assert methods["ece"]["none"] > 0.1
    for name in METHODS:
        assert methods["ece"][name] < 0.03
        assert methods["brier"][name] < methods["brier"]["none"]
    model = fingerprint_of([card.identity for card in read_folds(folds)])
    made = read_calibrator(tmp_path / "out" / "calibrator.npz", model=model)
    assert made.examples == 3000
    # Temperature 3 is the truth; whichever method was the best must say so nearly.
    assert made.fit(np.array([1 / (1 + np.exp(-3.0))]))[0] == pytest.approx(0.731, abs=0.05)
    assert (tmp_path / "out" / "reliability.png").read_bytes()[:4] == b"\x89PNG"
    scores = read_table(tmp_path / "out" / "scores.csv")[0]
    assert sorted(scores["part"].unique()) == sorted([*map(str, range(count)), "all"])


def test_tables_that_cannot_be_calibrated_are_refused(folds, tmp_path) -> None:
    path = judged(tmp_path, folds=5)
    common = [f"checkpoint=[{', '.join(folds)}]", f"output={tmp_path}/out"]
    with pytest.raises(ContractError, match="have 0.mp4 more than once"):
        run("calibrate", f"input.tables=[{path}, {path}]", *common)
    with pytest.raises(ContractError, match="have no column p_stalled"):
        run("calibrate", f"input.tables={path}", "input.probability=p_stalled", *common)
    with pytest.raises(ModelError, match="2 of 5 folds are there"):
        run("calibrate", f"input.tables={path}", *common, "folds=5")
    pd.read_csv(path).assign(stalled="maybe").to_csv(path, index=False)
    with pytest.raises(ContractError, match="a label is 'maybe'"):
        run("calibrate", f"input.tables={path}", *common)
