"""Training on scans by the workflow that ships, on generated scans; and classifying with it."""

import gzip
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from volkit.errors import (
    BlockFailedError,
    ConfigError,
    ContractError,
    ModelError,
    SourceError,
    StaleLedgerError,
    VolkitError,
)
from volkit.io.files.scan_bytes import scan_bytes, scan_of
from volkit.io.scan_manifest import write_manifest
from volkit.io.tables import read_table
from volkit.kernels.affine_sampling import sampled
from volkit.kernels.calibration import METHODS
from volkit.ops.stall_calibration import read_calibrator
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.run_page import write_run_page
from volkit.pipelines.scans_record import read_record
from volkit.testing.scan_sets import write_scan_set
from volkit.training.scan_split import fold_scans

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "t1w"
SMALL = {
    "training.window": "[16, 16, 16]",
    "training.network": "{arguments: {widths: [2, 2, 4, 4]}}",
    "training.augmentation": "{noise: 0.05, gamma: 0.1}",
    "training.optimisation": "{epochs: 2, batch: 4, learning_rate: 3e-3}",
    "scores.draws": 50,
}
LEARNING = {
    "training.network": "{arguments: {widths: [4, 4, 8, 8]}}",
    "training.optimisation": "{epochs: 6, batch: 4, learning_rate: 5e-3}",
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def workflow(name: str, **settings):
    return read_workflow(WORKFLOWS / f"{name}.yaml", [f"{k}={v}" for k, v in settings.items()])


def carried_out(flow, told=None, steps=None, *, replace_stale=False):
    return flow.pipeline.run(
        flow,
        on_progress=(steps if steps is not None else []).append,
        on_message=(told if told is not None else []).append,
        replace_stale=replace_stale,
    )


def training(folder: Path, manifest: str, **more):
    settings = {"output": folder, "input.manifest": manifest, **SMALL, **more}
    return workflow("train", **settings)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return write_scan_set(folder, subjects=12, scans=2, folds=3, signal=2.0)


@pytest.fixture(scope="module")
def trained(scans, tmp_path_factory):
    """A run with everything that a run can have."""
    folder = tmp_path_factory.mktemp("run")
    spots = Path(scans.uri).parent / "spots.csv"
    told, steps = [], []
    flow = training(
        folder,
        scans.uri,
        measure_leakage="true",
        **LEARNING,
        **{
            "attention.scans": 2,
            "attention.region": f"{{table: {spots}, column: spot}}",
            "input.digest": scans.digest[:12],
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        # Folds that take no time would go two to a task, and be told together.
        patch.setattr("volkit.engine.task_size.MOST_PER_TASK", 1)
        outcome = carried_out(flow, told, steps)
    return folder, flow, outcome, told, steps


def test_every_scan_is_judged_once_and_scored(trained, scans) -> None:
    folder, _, outcome, told, steps = trained
    frame, _, made = read_table(folder / "report" / "judged.csv")
    assert sorted(frame["scan"]) == sorted(row.scan for row in scans.rows)
    fold = {row.scan: row.fold for row in scans.rows}
    assert (frame["fold"] == frame["scan"].map(fold)).all()
    assert ((frame["label"] == "AD") == frame["positive"]).all()
    assert frame["probability"].between(0, 1).all()
    assert frame["calibrated"].between(0, 1).all()
    assert made["manifest"] == scans.digest
    scores = read_table(folder / "report" / "scores.csv")[0].set_index(["part", "level", "score"])
    right = ((frame["probability"] >= 0.5) == frame["positive"]).mean()
    assert scores.loc[("all", "scan", "accuracy"), "value"] == pytest.approx(right)
    assert scores.loc[("all", "subject", "accuracy"), "examples"] == 12
    folds = [scores.loc[(f"fold {n}", "scan", "auc"), "value"] for n in range(3)]
    mean = scores.loc[("mean of folds", "scan", "auc")]
    assert mean["value"] == pytest.approx(np.mean(folds))
    assert mean["deviation"] == pytest.approx(np.std(folds, ddof=1))
    assert outcome.following[-2:] == ("--set", f"input.manifest={trained[1].config.input.manifest}")
    assert [row[0] for row in outcome.scores][:2] == ["accuracy of scans",
                                                      "balanced_accuracy of scans"]  # fmt: skip
    assert [(s.stage, s.done, s.total) for s in steps if s.stage == "folds"] == [
        ("folds", n, 3) for n in range(4)
    ]
    assert told[0].startswith("fold 0, epoch 1 of 6: loss ")
    assert sum(line.startswith("fold") for line in told) == 2 * 3 * 6


def test_the_report_says_what_leaks(trained) -> None:
    folder, _, _, told, _ = trained
    table = read_table(folder / "report" / "leakage.csv")[0].set_index("score")
    row = table.loc["accuracy"]
    assert row["leaked"] == pytest.approx(row["by_scan"] - row["by_subject"])
    assert 0 < row["known_subjects"] <= 1
    (line,) = [line for line in told if line.startswith("leakage: accuracy ")]
    assert f"{row['by_scan']:.3f} with scans divided at random" in line
    scores = json.loads((folder / "report" / "scores.json").read_text())
    assert scores["leakage, accuracy"]["with scans divided at random"] == round(row["by_scan"], 4)


def test_the_calibrator_is_of_these_networks(trained) -> None:
    folder, *_ = trained
    record = read_record(folder / "networks" / "net")
    made = read_calibrator(folder / "networks" / "calibrator.npz", model=record.model)
    assert (made.examples, made.positives) == (24, 12)
    methods = read_table(folder / "report" / "calibration.csv")[0]
    assert methods["method"].tolist() == ["none", *METHODS]


def test_attention_lies_where_the_scan_lies(trained, scans) -> None:
    folder, *_ = trained
    frame = read_table(folder / "report" / "attention.csv")[0]
    assert frame["label"].tolist().count("AD") == 2
    assert len(frame) == 4
    spot = scan_of("", (Path(scans.uri).parent / f"{frame['scan'][0]}_spot.nii").read_bytes())[0]
    for row in frame.itertuples():
        path = folder / "report" / "attention" / f"{row.scan}.nii.gz"
        values, affine = scan_of(str(path), gzip.decompress(path.read_bytes()))
        (own,) = [r for r in scans.rows if r.scan == row.scan]
        scan, lies = scans.read_scan(own)
        assert values.shape == scan.shape
        np.testing.assert_array_equal(affine, lies)
        brain = scan > 0
        assert row.expected == pytest.approx((spot > 0)[brain].mean())
        if values.any():
            inside = values[(spot > 0) & brain].sum() / values[brain].sum()
            assert row.inside == pytest.approx(inside)
            assert row.enrichment == pytest.approx(inside / row.expected)
        else:  # nothing in it speaks for the class
            assert np.isnan(row.inside)
    assert frame["inside"].notna().any()
    for name in ("figure.png", "attention.png"):
        assert (folder / "report" / name).stat().st_size > 5000


def test_the_page_of_the_run_shows_it(trained) -> None:
    folder, *_ = trained
    text = write_run_page(folder).read_text()
    for part in ("train_scans", "24 scans of 12 subjects", "mixed_folds", "leakage.csv",
                 "with scans divided at random", "predictive_values.csv"):  # fmt: skip
        assert part in text, part


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from volkit.pipelines.registry import read_workflow
from volkit.training.scan_fold import FoldRun

torch.set_num_threads(1)
step = FoldRun._step

def killed(run, images, rows, number):
    if (run.fold.number, number) == (1, run.per_epoch + 2):  # two steps into the second epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return step(run, images, rows, number)

FoldRun._step = killed
flow = read_workflow(Path(sys.argv[1]), sys.argv[2:])
flow.pipeline.run(flow, on_progress=None, on_message=print, replace_stale=False)
"""


def written(folder: Path) -> dict[str, bytes]:
    """All that a training is for: weights, what was said of scans, and of epochs."""
    files = [*folder.glob("networks/*.safetensors"), *folder.glob("networks/tracking/*.csv")]
    return {path.name: path.read_bytes() for path in (*files, folder / "report" / "judged.csv")}


def test_after_sigkill_within_an_epoch_no_epoch_is_repeated(scans, tmp_path, warm_python) -> None:
    three = "{epochs: 3, batch: 4, learning_rate: 3e-3}"
    more = {"training.optimisation": three, "attention.scans": 0}
    settings = {**SMALL, **more, "output": tmp_path / "run", "input.manifest": scans.uri}
    told = [f"{name}={value}" for name, value in settings.items()]
    ended = warm_python("-c", KILLED, WORKFLOWS / "train.yaml", *told)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    state = torch.load(tmp_path / "run" / "networks" / "net-fold1.state.pt", weights_only=True)
    assert [scores["epoch"] for scores in state["scores"]] == [1]

    flow, told = training(tmp_path / "run", scans.uri, **more), []
    carried_out(flow, told)
    epochs = [line.split(":")[0] for line in told if line.startswith("fold")]
    left = [(1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert epochs == [f"fold {fold}, epoch {epoch} of 3" for fold, epoch in left]
    carried_out(training(tmp_path / "whole", scans.uri, **more))
    found = written(tmp_path / "run")
    assert len(found) == 3 + 3 + 1
    assert found == written(tmp_path / "whole")
    told.clear()
    carried_out(flow, told)
    assert not [line for line in told if line.startswith("fold")]


def test_another_manifest_or_option_is_refused(trained, scans, tmp_path) -> None:
    folder, *_ = trained
    with pytest.raises(ConfigError, match="has the digest .* meant is 0123456789ab"):
        carried_out(training(tmp_path, scans.uri, **{"input.digest": "0123456789ab"}))
    moved = tuple(
        replace(row, fold=(row.fold + 1) % 3) if row.subject in ("s00", "s01") else row
        for row in scans.rows
    )
    other = Path(scans.uri).with_name("other.csv")
    write_manifest(other, moved)
    with pytest.raises(StaleLedgerError, match="manifest: .* became"):
        carried_out(training(folder, str(other), **LEARNING))
    with pytest.raises(StaleLedgerError, match=r"training\.seed: 0 became 1"):
        carried_out(training(folder, scans.uri, **LEARNING, **{"training.seed": 1}))


def test_what_is_stale_is_trained_anew_where_that_is_asked_for(scans, tmp_path) -> None:
    short = {"training.optimisation": "{epochs: 1, batch: 4, warmup: 0}", "attention.scans": 0}
    carried_out(training(tmp_path, scans.uri, **short))
    before = read_table(tmp_path / "report" / "judged.csv")[0]
    other, told = training(tmp_path, scans.uri, **short, **{"training.seed": 1}), []
    carried_out(other, told, replace_stale=True)
    assert [line.split(",")[0] for line in told] == ["fold 0", "fold 1", "fold 2"]
    after = read_table(tmp_path / "report" / "judged.csv")[0]
    assert (before["probability"] != after["probability"]).all()
    told.clear()
    carried_out(other, told, replace_stale=True)
    assert not told  # it is not stale any more

    fewer = write_manifest(Path(scans.uri).with_name("fewer.csv"), fold_scans(scans.rows, 2))
    carried_out(training(tmp_path, fewer.uri, **short), replace_stale=True)
    history = read_table(tmp_path / "report" / "history.csv")[0]
    assert set(history["fold"]) == {0, 1}  # a third network is left there, of the run before
    flow = classifying(tmp_path / "calls", fewer.uri, tmp_path / "networks" / "net")
    with pytest.raises(ModelError, match="is of 2 networks; 3 are given, 2 of them among those"):
        flow.pipeline.plan(flow.config)


def test_leaks_and_folds_of_one_class_are_refused(scans, tmp_path) -> None:
    rows = list(scans.rows)
    rows[0] = replace(rows[0], fold=(rows[0].fold + 1) % 3)
    leaking = Path(scans.uri).with_name("leaking.csv")
    write_manifest(leaking, rows)
    with pytest.raises(ContractError, match="subjects in several parts: s00"):
        carried_out(training(tmp_path, str(leaking)))
    lonely = Path(scans.uri).with_name("lonely.csv")
    write_manifest(lonely, [replace(r, fold=0 if r.label == "AD" else 1) for r in scans.rows])
    with pytest.raises(ContractError, match="scans of one class only in fold 0, fold 1"):
        carried_out(training(tmp_path, str(lonely)))
    assert not (tmp_path / "networks").exists()


def test_parts_are_trained_chosen_and_judged(tmp_path) -> None:
    manifest = write_scan_set(tmp_path / "scans", subjects=24, scans=1, folds=0)
    sites = {"AD": "north", "CN": "south"}
    write_manifest(manifest.uri, [replace(row, site=sites[row.label]) for row in manifest.rows])
    more = {"training.optimisation": "{epochs: 3, batch: 4, choose: auc}", "attention.scans": 0}
    flow, told = training(tmp_path / "run", manifest.uri, **more), []
    outcome = carried_out(flow, told)
    assert told[0].startswith("warning: the class goes with the site")
    counts = read_table(dict(outcome.files)["sites"])[0]
    assert dict(zip(counts["label"], counts["site"], strict=True)) == sites
    assert (counts["scans"].sum(), set(counts["place"])) == (24, {"train", "val", "test"})
    frame = read_table(tmp_path / "run" / "report" / "judged.csv")[0]
    assert sorted(frame["scan"]) == sorted(row.scan for row in manifest.part("test"))
    assert frame["calibrated"].between(0, 1).all()  # by Platt, on the part val
    assert "calibrator" in dict(outcome.files)
    history = read_table(tmp_path / "run" / "report" / "history.csv")[0]
    assert history["aside_auc"].notna().all()


def test_attention_that_cannot_be_drawn_is_refused_before_anything_is_trained(
    scans, tmp_path
) -> None:
    with pytest.raises(ConfigError, match="attention.scans is 8, but a scan_transformer has no ma"):
        training(tmp_path, scans.uri, **{"training.network": "{architecture: scan_transformer}"})
    region = f"{{table: {Path(scans.uri).parent / 'spots.csv'}, column: hippocampus}}"
    with pytest.raises(SourceError, match="has no column hippocampus"):
        carried_out(training(tmp_path, scans.uri, **{"attention.region": region}))
    assert not (tmp_path / "networks").exists()


def test_leakage_is_not_measured_where_hardly_a_scan_is_judged_both_ways(tmp_path) -> None:
    manifest = write_scan_set(tmp_path / "scans", subjects=12, scans=1, folds=0)
    flow = training(tmp_path / "run", manifest.uri, measure_leakage="true")
    with pytest.raises(ConfigError, match="which has parts, few scans would be judged both ways"):
        flow.pipeline.plan(flow.config)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"training.optimisation": "{epochs: 2, batch: 4, choose: auc}"}, "no scans are set aside"),
        ({"input.positive": "MCI"}, "MCI is looked for"),
    ],
)
def test_the_plan_refuses_what_a_training_refuses_before_it_begins(
    scans, tmp_path, more, message
) -> None:
    flow = training(tmp_path / "run", scans.uri, **more)
    with pytest.raises(VolkitError, match=message):
        flow.pipeline.plan(flow.config)
    with pytest.raises(VolkitError, match=message):
        carried_out(flow)
    assert not list((tmp_path / "run").glob("folds*"))


def test_the_plan_counts_folds(trained) -> None:
    _, flow, *_ = trained
    found = flow.pipeline.plan(flow.config)
    assert [(stage.name, stage.blocks) for stage in found.stages] == [
        ("folds", 3),
        ("mixed_folds", 3),
    ]
    assert found.stages[0].passes == 24 * 6 * 3
    assert not found.problems()
    (problem,) = replace(found, memory_bytes=2**20).problems()
    assert "GiB per worker, there are 0.00 GiB; choose a smaller training.optimisation" in problem


def test_the_published_training_is_what_the_workflow_is_about() -> None:
    config = workflow("train").config
    assert config.training.window == (128, 128, 128)
    assert config.training.network.arguments == {"kind": "r3d_18"}
    assert (config.training.augmentation.noise, config.training.augmentation.gamma) == (0.25, 0.3)


# Classification


def classifying(folder: Path, manifest: str, networks: Path | str, **more):
    settings = {
        "output": folder,
        "input.manifest": manifest,
        "networks.checkpoint": networks,
        "scores.draws": 50,
        **more,
    }
    return workflow("classify", **settings)


def test_scans_of_the_training_are_judged_by_who_has_not_met_them(trained, scans, tmp_path) -> None:
    folder, *_ = trained
    networks = folder / "networks"
    flow = classifying(tmp_path, scans.uri, networks / "net")
    assert flow.pipeline.plan(flow.config).stages[0].passes == 24
    outcome = carried_out(flow)
    frame = read_table(tmp_path / "report" / "scans.csv")[0].sort_values("scan", ignore_index=True)
    known = read_table(folder / "report" / "judged.csv")[0].sort_values("scan", ignore_index=True)
    np.testing.assert_allclose(frame["probability"], known["probability"], atol=1e-5)
    assert frame["fold"].tolist() == known["fold"].tolist()
    assert (frame["networks"] == 1).all()
    names = [name for name, _, _ in outcome.scores]
    assert {"scans called AD", "accuracy of scans", "auc of subjects"} <= set(names)
    assert "predictions" in write_run_page(tmp_path).read_text()


def test_who_has_met_whom_does_not_depend_on_the_order_of_networks(
    trained, scans, tmp_path
) -> None:
    folder, *_ = trained
    cards = [folder / "networks" / f"net-fold{number}.yaml" for number in (2, 0, 1)]
    carried_out(classifying(tmp_path, scans.uri, f"[{', '.join(map(str, cards))}]"))
    frame = read_table(tmp_path / "report" / "scans.csv")[0].sort_values("scan", ignore_index=True)
    known = read_table(folder / "report" / "judged.csv")[0].sort_values("scan", ignore_index=True)
    np.testing.assert_allclose(frame["probability"], known["probability"], atol=1e-5)


def test_new_subjects_are_judged_by_all_networks(trained, tmp_path) -> None:
    folder, *_ = trained
    networks = folder / "networks"
    fresh = write_scan_set(tmp_path / "new", subjects=4, scans=2, signal=2.0, seed=77)
    rows = [replace(r, subject=f"n{r.subject}", label="unknown") for r in fresh.rows]
    manifest = write_manifest(tmp_path / "new" / "manifest.csv", rows)
    flow = classifying(
        tmp_path / "run",
        manifest.uri,
        networks / "net",
        group=3,
        **{
            "networks.calibrator": networks / "calibrator.npz",
            "networks.prior": 0.2,
            "attention.scans": 1,
        },
    )
    outcome = carried_out(flow)
    frame = read_table(tmp_path / "run" / "report" / "scans.csv")[0]
    assert (frame["networks"] == 3).all()
    assert (frame["fold"] == -1).all()
    assert frame["spread"].gt(0).all()
    assert set(frame["call"]) <= {"AD", "CN"}
    assert ((frame["calibrated"] >= 0.5) == (frame["call"] == "AD")).all()
    assert not any("accuracy" in name for name, _, _ in outcome.scores)  # nobody knows the truth
    subjects = read_table(tmp_path / "run" / "report" / "subjects.csv")[0]
    by = frame.groupby("subject")["calibrated"].mean()
    np.testing.assert_allclose(subjects.set_index("subject")["probability"], by)
    assert len(list((tmp_path / "run" / "report" / "attention").glob("*.nii.gz"))) == 1
    again = classifying(tmp_path / "again", manifest.uri, networks / "net", group=1)
    carried_out(again)
    other = read_table(tmp_path / "again" / "report" / "scans.csv")[0]
    assert other["probability"].equals(frame["probability"])  # whatever the groups


def test_manifests_that_know_the_training_are_refused(trained, scans, tmp_path) -> None:
    folder, *_ = trained
    networks = folder / "networks" / "net"
    data = Path(scans.uri).parent
    some = write_manifest(data / "some.csv", scans.rows[:6])
    with pytest.raises(ConfigError, match="is not the manifest of the training .* 6 of its scans"):
        carried_out(classifying(tmp_path, some.uri, networks))
    renamed = [replace(r, subject=f"n{r.subject}") for r in scans.rows[:2]]
    uri = write_manifest(data / "renamed.csv", renamed).uri
    with pytest.raises(ConfigError, match="2 of its scans are of subjects that were learnt from"):
        carried_out(classifying(tmp_path, uri, networks))
    chain = [replace(r, preprocessing="0" * 64) for r in scans.rows]
    uri = write_manifest(data / "chain.csv", chain).uri
    with pytest.raises(ConfigError, match="preprocessing 000000000000, the networks learnt from"):
        carried_out(classifying(tmp_path, uri, networks))


def test_networks_without_their_record_are_refused(trained, scans, tmp_path) -> None:
    folder, *_ = trained
    copy = tmp_path / "networks"
    shutil.copytree(folder / "networks", copy)
    (copy / "net-fold2.yaml").unlink()
    with pytest.raises(ModelError, match="3 networks; 2 are given, 2 of them among those"):
        carried_out(classifying(tmp_path / "run", scans.uri, copy / "net"))
    (copy / "training.json").unlink()
    with pytest.raises(SourceError, match="which says whom the networks have met"):
        carried_out(classifying(tmp_path / "run", scans.uri, copy / "net"))


def test_a_changed_scan_is_not_classified(trained, tmp_path) -> None:
    folder, *_ = trained
    fresh = write_scan_set(tmp_path / "new", subjects=4, scans=1, seed=5)
    rows = [replace(r, subject=f"n{r.subject}") for r in fresh.rows]
    manifest = write_manifest(tmp_path / "new" / "manifest.csv", rows)
    path = tmp_path / "new" / rows[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    flow = classifying(tmp_path / "run", manifest.uri, folder / "networks" / "net")
    with pytest.raises(BlockFailedError, match="it changed after the split"):
        carried_out(flow)
    assert not (tmp_path / "run" / "report").exists()


def test_maps_are_written_on_the_voxels_of_the_scan_that_was_acquired(
    trained, scans, tmp_path
) -> None:
    folder, *_ = trained
    data = Path(scans.uri).parent
    lies = np.array([[0, -1.5, 0, 25], [1.0, 0, 0, 2], [0, 0, 2.5, -3], [0, 0, 0, 1]])
    (data / "acquired.nii").write_bytes(scan_bytes(np.ones((12, 20, 22), np.float32), lies))
    like, stored = scan_of("", (data / "acquired.nii").read_bytes())
    table = data / "acquired.csv"
    # Its path may say it all, or be meant from the folder of the table.
    rows = [f"{row.scan},{row.scan}_spot.nii,{data / 'acquired.nii'}" for row in scans.rows]
    table.write_text("\n".join(["scan,spot,acquired", *rows]) + "\n")
    region = f"{{table: {table}, column: spot, onto: acquired}}"
    flow = classifying(
        tmp_path,
        scans.uri,
        folder / "networks" / "net",
        **{"attention.scans": 2, "attention.region": region},
    )
    carried_out(flow)
    known = read_table(folder / "report" / "attention.csv")[0].set_index("scan")
    found = read_table(tmp_path / "report" / "attention.csv")[0].set_index("scan")
    assert set(found.index) == set(known.index)
    np.testing.assert_allclose(found["inside"], known.loc[found.index, "inside"], rtol=1e-3)
    for name in found.index:
        values, affine = _map(tmp_path, name)
        own, own_affine = _map(folder, name)
        np.testing.assert_allclose(affine, stored)
        assert values.shape == like.shape
        expected = sampled(own, own_affine, shape=like.shape, onto=stored)
        np.testing.assert_allclose(values, expected, atol=1e-3)
    assert any(_map(tmp_path, name)[0].any() for name in found.index)


def _map(folder: Path, scan: str):
    path = folder / "report" / "attention" / f"{scan}.nii.gz"
    return scan_of(str(path), gzip.decompress(path.read_bytes()))


def test_tables_of_regions_that_lack_something_are_refused(trained, scans, tmp_path) -> None:
    folder, *_ = trained
    table = tmp_path / "regions.csv"
    table.write_text("scan,spot\ns00v0,s00v0_spot.nii\n")
    for column, said in (("mask", "has no column mask"), ("spot", "has no scan s0")):
        flow = classifying(
            tmp_path / "run",
            scans.uri,
            folder / "networks" / "net",
            attention=f"{{scans: 9, region: {{table: {table}, column: {column}}}}}",
        )
        with pytest.raises(SourceError, match=said):
            carried_out(flow)
