"""From a stored image to scored segments: the whole chain on a tiny volume."""

import json
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.workers import workers_of
from volkit.errors import ConfigError, GeometryError, ModelError, SourceError, StaleLedgerError
from volkit.io.open import create_volume, open_volume
from volkit.io.tables import read_table
from volkit.kernels.contingency import contingency
from volkit.kernels.scores import rand_scores
from volkit.pipelines import segment_neurons
from volkit.pipelines.cluster import ClusterOptions, workers
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.segment_chain import compute, open_inputs
from volkit.pipelines.status import read_status


def results(folder: Path) -> dict[str, bytes]:
    """Every byte of a run but the ledgers and the lock, which hold times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.endswith(".ledger") or part == "lock" for part in path.parts)
    }


def test_scores_are_those_of_the_whole_arrays(finished) -> None:
    truth = open_volume(finished.workflow.config.input.truth).read()
    labels = open_volume(finished.folder / "labels.zarr").read()
    expected = rand_scores(contingency(truth, labels))
    found = json.loads((finished.folder / "report" / "scores.json").read_text())
    assert found["rand"]["f_score"] == expected.f_score > 0.9
    assert found["rand"]["voxels"] == truth.size
    assert finished.outcome.scores[0][:2] == ("Rand F", f"{expected.f_score:.4f}")


def test_report_says_where_everything_comes_from(finished) -> None:
    report = finished.folder / "report"
    run = json.loads((report / "run.json").read_text())
    assert run["parameters"]["block_shape"] == [12, 16, 20]
    assert run["versions"]["volkit"]
    image = open_volume(finished.workflow.config.input.image)
    assert run["inputs"]["image"]["identity"] == image.identity
    assert len(run["checkpoint"]["sha256"]) == 64
    frame, schema, provenance = read_table(report / "scores.csv")
    assert frame["score"].tolist()[0] == "rand.f_score"
    assert schema.names == ("score", "value")
    assert provenance["run"]["domain"] == "[0:24, 0:48, 0:40]"
    assert (report / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert isinstance(frame, pd.DataFrame)


def test_lazy_engine_gives_the_same(finished) -> None:
    # Dask arrays exchange halos, which must not reach beyond the next block: one block it is.
    config = replace(finished.workflow.config, block_shape=(24, 48, 40))
    found = compute(open_inputs(config), config, LazyEngine())
    labels, scores = dask.compute(found.labels, found.scores, scheduler="sync")
    stored = open_volume(finished.folder / "labels.zarr").read()
    np.testing.assert_array_equal(labels, stored)
    assert tuple(scores.as_table()) == finished.outcome.scores


def test_workers_in_processes_give_the_same_bytes(finished, tmp_path: Path) -> None:
    folder = tmp_path / finished.folder.name
    config = replace(finished.workflow.config, output=str(folder))
    with workers(ClusterOptions(workers=2, memory_gib=2)) as client:
        assert len(workers_of(client)) == 2
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        segment_neurons.run(config, JobEngine(folder, client))
    ours, theirs = results(folder), results(finished.folder)
    changed = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    assert changed == {"report/run.json", "report/scores.csv.json"}  # they name the folder


def test_a_box_is_segmented_alone(tiny: Path, tmp_path: Path) -> None:
    settings = [f"output={tmp_path / 'run'}", "input.box={start: [4, 8, 8], stop: [20, 40, 32]}"]
    config = read_workflow(tiny, settings).config
    outcome = segment_neurons.run(config)
    labels = open_volume(tmp_path / "run" / "labels.zarr")
    assert str(labels.domain) == "[4:20, 8:40, 8:32]"
    assert dict(row[:2] for row in outcome.scores)["voxels"] == str(16 * 32 * 24)


def test_without_a_truth_nothing_is_scored(tiny: Path, tmp_path: Path) -> None:
    settings = ["input.truth=null", "input.box={start: [0, 0, 0], stop: [8, 16, 16]}"]
    outcome = segment_neurons.run(read_workflow(tiny, [*settings, f"output={tmp_path}/x"]).config)
    assert outcome.scores == ()
    assert sorted(p.name for p in (tmp_path / "x" / "report").iterdir()) == [
        "figure.png",
        "run.json",
    ]


def test_another_computation_is_refused_until_told(tiny: Path, tmp_path: Path) -> None:
    box = "input.box={start: [0, 0, 0], stop: [8, 16, 16]}"
    first, second = (
        read_workflow(tiny, [box, f"output={tmp_path}", f"infer.weights={weights}"]).config
        for weights in ("linear", "constant")
    )
    segment_neurons.run(first)
    with pytest.raises(StaleLedgerError, match=r"params\.weights: linear became constant"):
        segment_neurons.run(second)
    assert "weights" in read_status(tmp_path).failure
    segment_neurons.run(second, JobEngine(tmp_path, replace_stale=True))
    assert read_status(tmp_path).failure == ""


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("input.image=nothing.zarr", SourceError, "nothing.zarr does not exist"),
        ("input.image=ftps9://x/em.zarr", SourceError, "ftps9"),
        ("input.truth=image.zarr", GeometryError, "float32; give integer ids"),
        (
            "input.box={start: [0, 0, 0], stop: [24, 48, 41]}",
            GeometryError,
            r"input.box \[0:24, 0:48, 0:41\] is not inside .*image.zarr, which covers",
        ),
        ("checkpoint=builtin:nothing", ModelError, "there is no card at builtin:nothing"),
        ("output=s3://bucket/run", ConfigError, "output s3://bucket/run is a URL"),
        ("block_shape=[0, 1, 1]", ConfigError, "must be at least 1"),
        ("cluster.workers=-1", ConfigError, "expected 0 or more workers"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tiny.parent)
    with pytest.raises(error, match=message):
        segment_neurons.plan(read_workflow(tiny, [f"output={tmp_path / 'run'}", setting]).config)
    assert not (tmp_path / "run").exists()


def test_a_truth_that_lies_elsewhere_is_refused(tiny: Path, tmp_path: Path) -> None:
    image = open_inputs(read_workflow(tiny).config).image
    made = create_volume(
        tmp_path / "far.zarr",
        shape=image.shape[-3:],
        dtype=np.uint64,
        voxel_size_nm=image.voxel_size_nm,
        origin_nm=tuple(2 * n for n in image.voxel_size_nm),
    )
    config = read_workflow(tiny, [f"input.truth={made.uri}"]).config
    with pytest.raises(GeometryError, match=r"voxel \(-2, -2, -2\) of .*far.zarr by their origins"):
        open_inputs(config)


def test_a_truth_that_covers_less_is_refused(tiny: Path, tmp_path: Path) -> None:
    create_volume(tmp_path / "small.zarr", shape=(8, 8, 8), dtype="uint64")
    config = read_workflow(tiny, [f"input.truth={tmp_path / 'small.zarr'}"]).config
    with pytest.raises(GeometryError, match=r"covers \[0:8, 0:8, 0:8\], the domain is"):
        open_inputs(config)


def test_the_shipped_workflow_on_a_small_box(tmp_path: Path) -> None:
    """The tiny twin of ``make demo``: the same file, and a corner of the same tissue."""
    file = Path(__file__).parents[2] / "workflows" / "segment_neurons.yaml"
    settings = [
        f"output={tmp_path}",
        "input.box={start: [0, 0, 0], stop: [40, 64, 64]}",
        "infer.window=[32, 32, 32]",
        "cluster.workers=0",
    ]
    outcome = segment_neurons.run(read_workflow(file, settings).config)
    scores = {name: value for name, value, _ in outcome.scores}
    assert float(scores["Rand F"]) > 0.8
    assert int(scores["voxels"]) > 40 * 64 * 64 / 2
