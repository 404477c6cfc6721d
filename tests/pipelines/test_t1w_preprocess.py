"""Preprocessing of heads: the shipped workflow on generated scans, taken up after a kill."""

import csv
import json
import os
import shutil
import signal
import stat
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ConfigError, ContractError, SourceError, StaleLedgerError
from volkit.io.scan_manifest import read_manifest
from volkit.io.tables import read_table
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import Workflow, read_workflow
from volkit.testing.heads import Scanner, write_heads
from volkit.testing.heads_network import threshold_meshnet

pytest.importorskip("nibabel")

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflows" / "t1w" / "preprocess.yaml"
SCANNER = Scanner(shape=(30, 32, 28), voxel_size_mm=6.3)
QUICK = (
    "cluster.workers=0",
    "chain.bias={method: none}",
    "chain.voxel_mm=6.3",
    "chain.shape=[20, 20, 20]",
    "sheet=0",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Twelve subjects with masks, axes in several ways."""
    folder = tmp_path_factory.mktemp("study")
    orientations = ("RAS", "LPS", "PIR")
    return write_heads(
        folder, subjects=12, scans_per_subject=1, seed=3, scanner=SCANNER, orientations=orientations
    )


def told(scans: Path, output: Path, *settings: str, quick: bool = True) -> Workflow:
    more = QUICK if quick else ("cluster.workers=0",)
    paths = (f"input.scans={scans}", f"output={output}")
    return read_workflow(WORKFLOW, [*paths, *more, *settings])


def run(
    workflow: Workflow, *, replace_stale: bool = False, said: list[str] | None = None
) -> Outcome:
    def hear(text: str) -> None:
        if said is not None:
            said.append(text)

    return workflow.pipeline.run(
        workflow, on_progress=None, on_message=hear, replace_stale=replace_stale
    )


def changed(study: Path, folder: Path, change) -> Path:
    """Copy a study, with its table changed."""
    shutil.copytree(study.parent, folder)
    table = folder / "scans.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows, folder) or rows
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return table


def inodes(folder: Path) -> dict[str, int]:
    """Which files are which: one that is written anew is another file."""
    return {path.name: path.stat().st_ino for path in (folder / "scans").glob("*.nii")}


def test_the_workflow_that_ships_prepares_and_splits_the_specimen(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    scans = write_heads(tmp_path / "heads", subjects=6, scans_per_subject=1, seed=1)
    workflow = told(scans, tmp_path / "run", quick=False)
    plan = workflow.pipeline.plan(workflow.config)
    count = len(pd.read_csv(scans))
    (stage,) = plan.stages
    assert (stage.name, stage.blocks, stage.voxels) == ("scans", count, count * 48**3)
    assert plan.problems() == []
    outcome = run(workflow)
    assert outcome.scores[0] == ("scans prepared", str(count), f"of {count}")
    assert dict(outcome.files)["contact sheet"].stat().st_size > 20_000

    frame, _, made = read_table(tmp_path / "run" / "tables" / "scans.parquet")
    assert (frame["state"] == "ok").all()
    margins = frame[[name for name in frame if name.startswith("margin_")]]
    assert (margins == 3).all(axis=None)
    assert frame["brain_ml"].between(800, 1700).all()
    assert (frame["field_high"] > frame["field_low"]).all()
    steps = json.loads(frame["steps"][0])
    names = ["reorient", "bias", "resample", "strip", "crop", "resize", "normalise"]
    assert [step["step"] for step in steps] == names
    assert steps[1]["iterations"] == [50, 50, 30, 20]
    assert made["parameters"]["chain"]["margin"] == 3

    manifest = read_manifest(tmp_path / "run" / "manifest.csv")
    assert len(manifest.rows) == count
    assert {row.part for row in manifest.rows} == {"train", "val", "test"}
    values, _ = manifest.read_scan(manifest.rows[0])
    assert values.shape == (48, 48, 48)
    sha = steps[-1]["voxels_sha256"]
    assert {json.loads(text)[-1]["voxels_sha256"] for text in frame["steps"]} >= {sha}
    for mask in ("brain", "hippocampus"):
        assert (tmp_path / "run" / "masks" / f"{manifest.rows[0].scan}-{mask}.nii").is_file()


@pytest.mark.slow
def test_workers_make_the_same_files_and_tables(study: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    run(told(study, alone))
    run(told(study, together, "cluster.workers=2"))
    for name in ("manifest.csv", "tables/scans.parquet"):
        assert (alone / name).read_bytes() == (together / name).read_bytes()
    for path in (alone / "scans").iterdir():
        assert path.read_bytes() == (together / "scans" / path.name).read_bytes()


def test_a_second_run_makes_nothing_anew_and_a_longer_table_only_what_is_new(
    study: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    some = changed(study, tmp_path / "some", lambda rows, _: rows[:8])
    run(told(some, output))
    first = inodes(output)
    outcome = run(told(some, output))
    assert inodes(output) == first
    assert outcome.times == ()  # no block was left to do

    shutil.copy(study, some)
    assert run(told(some, output)).times[0].blocks == 12
    longer = inodes(output)
    assert len(longer) == 12
    assert {name: longer[name] for name in first} == first

    names = sorted(first)
    (output / "scans" / names[0]).write_bytes(b"damaged")
    shutil.rmtree(output / "scans.ledger")
    (output / "scans.npz").unlink(missing_ok=True)
    run(told(some, output))
    mended = inodes(output)
    assert {n for n in longer if mended[n] != longer[n]} == {names[0]}
    assert len(read_manifest(output / "manifest.csv").rows) == 12


def test_another_chain_is_refused_unless_it_is_to_replace(study: Path, tmp_path: Path) -> None:
    run(told(study, tmp_path))
    with pytest.raises(StaleLedgerError, match="holds scans of another chain"):
        run(told(study, tmp_path, "chain.margin=2"))
    run(told(study, tmp_path, "chain.margin=2"), replace_stale=True)
    frame, _, _ = read_table(tmp_path / "tables" / "scans.parquet")
    assert (frame["margin_left"] == 2).all()


def damaged(rows: list[dict[str, str]], folder: Path) -> None:
    """Make three scans bad: one cut short, one without mask, one a copy under another name."""
    path = folder / rows[0]["path"]
    path.write_bytes(path.read_bytes()[:500])
    rows[1]["brain"] = ""
    copy = folder / rows[2]["path"]
    rows[3]["path"] = f"{rows[3]['subject']}/copy.nii.gz"
    shutil.copy(copy, folder / rows[3]["path"])
    shutil.copy(folder / rows[2]["brain"], folder / rows[3]["brain"])
    (folder / rows[4]["path"]).unlink()


def test_scans_that_fail_are_set_aside_with_the_reason(study: Path, tmp_path: Path) -> None:
    scans = changed(study, tmp_path / "study", damaged)
    workflow, said = told(scans, tmp_path / "run", "split.shares={train: 1, test: 1}"), []
    plan = workflow.pipeline.plan(workflow.config)
    assert any("1 scans are not there and will be set aside, as sub-005" in a for a in plan.advice)
    outcome = run(workflow, said=said)
    assert outcome.scores[0] == ("scans prepared", "8", "of 12")
    frame, _, _ = read_table(tmp_path / "run" / "tables" / "scans.parquet")
    aside = frame[frame["state"] == "set aside"].set_index("scan")["reason"]
    assert list(aside.index) == [f"sub-00{n}_ses-1" for n in (1, 2, 4, 5)]
    for name, reason in zip(
        aside.index,
        (
            "cannot be read as NIfTI",
            "the table names no mask in column brain",
            "it has the same voxels as sub-003_ses-1: a copy under another name",
            "does not exist; check the path",
        ),
        strict=True,
    ):
        assert reason in aside[name]
        assert any(text.startswith(f"{name} is set aside: ") for text in said)
    assert len(read_manifest(tmp_path / "run" / "manifest.csv").rows) == 8


def test_subjects_in_two_classes_and_too_few_subjects_are_refused_at_once(
    study: Path, tmp_path: Path
) -> None:
    def converts(rows, _):
        rows[5] = {**rows[5], "subject": rows[0]["subject"]}

    with pytest.raises(SourceError, match="subject sub-001 has scans of the classes AD and CN"):
        run(told(changed(study, tmp_path / "a", converts), tmp_path / "run"))
    with pytest.raises(ContractError, match="class AD has 6 subjects for 7 parts"):
        run(told(study, tmp_path / "run", "split={folds: 7, shares: {train: 1}}"))
    assert not (tmp_path / "run" / "scans").exists()


def test_a_copy_with_other_noise_is_refused_as_a_leak(study: Path, tmp_path: Path) -> None:
    import nibabel

    def copied(rows, folder):
        for source, target in ((0, 2), (1, 3)):  # each within its class, under another subject
            image = nibabel.load(folder / rows[source]["path"])
            noise = np.random.default_rng(source).normal(0, 2, image.shape)
            values = np.rint(np.asarray(image.dataobj) + noise).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(values, image.affine), folder / rows[target]["path"])
            shutil.copy(folder / rows[source]["brain"], folder / rows[target]["brain"])
            hippocampus = "hippocampus"
            shutil.copy(folder / rows[source][hippocampus], folder / rows[target][hippocampus])

    scans = changed(study, tmp_path / "study", copied)
    leaks = "split.shares={train: 1, val: 1, test: 1}"
    with pytest.raises(ContractError, match="nearly the same in several parts"):
        run(told(scans, tmp_path / "run", leaks))
    run(told(scans, tmp_path / "run", leaks, "split.check=false"))


def test_folds_leave_the_share_of_the_test_out(study: Path, tmp_path: Path) -> None:
    run(told(study, tmp_path, "split={folds: 2, shares: {train: 2, test: 1}}"))
    manifest = read_manifest(tmp_path / "manifest.csv")
    assert manifest.folds == 2
    assert len(manifest.part("test")) == 4
    assert Counter(row.fold for row in manifest.rows) == {None: 4, 0: 4, 1: 4}


def test_sites_are_counted_and_told_of_where_they_give_classes_away(
    study: Path, tmp_path: Path
) -> None:
    def placed(rows, _):
        return [{**row, "site": {"AD": "north", "CN": "south"}[row["label"]]} for row in rows]

    said: list[str] = []
    outcome = run(told(changed(study, tmp_path / "study", placed), tmp_path / "run"), said=said)
    (warning,) = [text for text in said if text.startswith("warning: ")]
    assert "knows the sites alone is right about 100 of 100 scans" in warning
    counts = read_table(dict(outcome.files)["sites"])[0]
    assert counts.groupby("site")["subjects"].sum().to_dict() == {"north": 6, "south": 6}
    command, manifest = outcome.following
    assert command == "volkit run workflows/t1w/train.yaml --set input.manifest="
    assert {row.site for row in read_manifest(manifest).rows} == {"north", "south"}


@pytest.mark.parametrize(
    ("renamed", "setting"),
    [
        ({"AD": "AD", "CN": "healthy"}, ()),
        ({"AD": "patient", "CN": "control"}, ("--set", "input.positive=control")),
        ({"AD": "1", "CN": "2"}, ("--set", 'input.positive="1"')),
    ],
)
def test_what_follows_looks_for_a_class_that_is_there(
    study: Path, tmp_path: Path, renamed: dict[str, str], setting: tuple[str, ...]
) -> None:
    def of_others(rows, _):
        return [{**row, "label": renamed[row["label"]]} for row in rows]

    outcome = run(told(changed(study, tmp_path / "study", of_others), tmp_path / "run"))
    assert outcome.following[2:] == setting
    settings = [f"input.manifest={outcome.following[1]}", *setting[1:]]
    flow = read_workflow(WORKFLOW.with_name("train.yaml"), settings)
    assert flow.pipeline.plan(flow.config).stages


def test_scans_of_one_class_alone_are_prepared_with_a_warning(study: Path, tmp_path: Path) -> None:
    alone = changed(study, tmp_path / "study", lambda rows, _: [{**r, "label": "AD"} for r in rows])
    said: list[str] = []
    run(told(alone, tmp_path / "run"), said=said)
    assert said == [
        "warning: all scans are of one class, AD: they can be classified, not trained on"
    ]


def test_tissues_have_a_table(study: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    card = threshold_meshnet(tmp_path / "net.yaml")
    tissue = f"chain.tissue={{checkpoint: {card}, extent: 36}}"
    outcome = run(told(study, tmp_path / "run", tissue))
    frame, schema, _ = read_table(dict(outcome.files)["tissue volumes"])
    assert list(frame.columns[4:]) == ["white_matter_ml", "grey_matter_ml", "total_ml"]
    assert {c.unit for c in schema.columns[4:]} == {"ml"}
    np.testing.assert_allclose(
        frame["white_matter_ml"] + frame["grey_matter_ml"], frame["total_ml"]
    )
    assert frame["total_ml"].between(500, 1700).all()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("split.folds=1", "split: folds is 1"),
        ("split={folds: 2, shares: {test: 1}}", "shares .* leave nothing for 2 folds"),
        ("split.shares={training: 1}", "shares .* for train, val, test"),
        ("chain.strip.method=bet", "chain.strip: strip.method is 'bet'"),
        ("output=s3://bucket/run", "is a URL; give a folder"),
        ("chain.shap=[1, 1, 1]", "did you mean shape"),
        ("sheet=-1", "sheet is -1"),
        ("input.also=[brain]\nchain.strip={method: nonzero}", "a mask brain comes along"),
    ],
)
def test_keys_that_make_no_sense_are_refused(setting: str, said: str, study: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        told(study, Path("run"), *setting.splitlines())


KILLED = """
import sys
from volkit.pipelines.registry import read_workflow
workflow = read_workflow(__import__("pathlib").Path(sys.argv[1]), sys.argv[2:])
workflow.pipeline.run(
    workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
)
"""


def test_after_sigkill_no_scan_is_made_twice(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_python
) -> None:
    """The program that strips logs every head that it is given: each scan once."""
    log, output, program = tmp_path / "log", tmp_path / "run", tmp_path / "strip"
    script = ROOT / "tests" / "ops" / "synthstrip.py"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    log.touch()
    monkeypatch.setenv("STRIP_LOG", str(log))
    strip = f"chain.strip={{method: synthstrip, command: {program}}}"
    some = changed(study, tmp_path / "some", lambda rows, _: rows[:8])
    settings = [f"input.scans={some}", f"output={output}", *QUICK, strip, "input.also=[]"]
    command = ("-c", KILLED, WORKFLOW, *settings)

    def seen() -> list[str]:
        return [line.split()[0] for line in log.read_text().splitlines() if " " in line]

    with warm_python.begin(*command) as process:
        process.wait_for(lambda: len(seen()) >= 4)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait().returncode == -signal.SIGKILL
    records = {path.stem for path in (output / "records").glob("*.json")}
    kept = {name: ino for name, ino in inodes(output).items() if name[:-4] in records}
    assert 0 < len(kept) < 8
    assert warm_python(*command).returncode == 0
    after = inodes(output)
    assert {name: after[name] for name in kept} == kept
    counts = Counter(seen())
    assert len(counts) == 8
    # What was in flight when the process was killed is made again, and nothing else.
    assert sum(counts.values()) <= 8 + 1

    whole = told(some, tmp_path / "whole", strip, "input.also=[]")
    run(whole)
    for name in ("manifest.csv", "tables/scans.parquet"):
        assert (output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
