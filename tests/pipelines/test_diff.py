"""Diff: verdicts, tables and pages of volumes, tables and runs that differ in known ways."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, StaleLedgerError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.io.tables import read_table
from volkit.pipelines import segment_neurons
from volkit.pipelines.config import validate
from volkit.pipelines.diff import carried_out, compare
from volkit.pipelines.diff_config import Diff
from volkit.pipelines.diff_figure import projections
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.reprocess import Changes, prepare

SHAPE = (6, 20, 24)


def stored(path: Path, values, *, start=(0, 0, 0)) -> str:
    channels = values.shape[0] if values.ndim == 4 else None
    volume = create_volume(
        path, shape=values.shape[-3:], dtype=values.dtype, channels=channels, start=start
    )
    volume.write(volume.domain, values)
    return str(path)


@pytest.fixture
def cells():
    values = np.ones(SHAPE, np.uint64)
    values[:, :10, 12:], values[:, 10:, :12], values[:, 10:, 12:] = 2, 3, 4
    return values


FEW = {"block_shape": (24, 24, 20)}  # blocks of a run, which is compared stage by stage


def options(old, new, folder, **more) -> Diff:
    more = {"block_shape": (6, 10, 12)} | more
    return Diff(old=old, new=new, output=str(folder / "diff"), **more)


def test_a_volume_is_identical_to_its_copy(cells, tmp_path) -> None:
    old, new = (stored(tmp_path / name, cells) for name in ("a.zarr", "b.zarr"))
    for sides in ((old, new), (old, old)):
        found = compare(options(*sides, tmp_path), replace_stale=True)
        assert found.verdict == "identical"
        assert found.verdicts[0].numbers["voxels_of_other_ids"] == 0
    blocks, _, _ = read_table(tmp_path / "diff" / "volume.blocks.parquet")
    assert len(blocks) == 0
    assert "identical" in (tmp_path / "diff" / "report.html").read_text()


def test_names_do_not_matter_and_changes_are_found_where_they_are(cells, tmp_path) -> None:
    old = stored(tmp_path / "a.zarr", cells)
    renamed = stored(tmp_path / "b.zarr", 10 * cells.astype(np.uint32))
    assert compare(options(old, renamed, tmp_path)).verdict == "equal up to renaming"
    merged = 10 * cells
    merged[:, 10:, 12:] = 10  # object 4 joins object 1
    new = stored(tmp_path / "c.zarr", merged)
    with pytest.raises(StaleLedgerError, match="records computation"):
        compare(options(old, new, tmp_path))
    found = compare(options(old, new, tmp_path), replace_stale=True)
    assert found.verdict == "large change"
    numbers = found.verdicts[0].numbers
    assert numbers["voxels_changed"] == 6 * 10 * 12
    assert numbers["old_objects"]["merged"] == 2
    assert numbers["rand"]["merge"] < 1 == numbers["rand"]["split"]
    blocks, schema, provenance = read_table(tmp_path / "diff" / "volume.blocks.parquet")
    assert blocks.to_dict("records") == [
        {"block": 3, "z_start": 0, "y_start": 10, "x_start": 12, "z_stop": 6, "y_stop": 20,
         "x_stop": 24, "changed": 720, "old_objects": 1, "new_objects": 1, "most_old": 4,
         "most_new": 10, "most_changed": 720}
    ]  # fmt: skip
    assert schema.columns[1].unit == "voxels"
    assert provenance["new"]["uri"] == new
    objects, _, _ = read_table(tmp_path / "diff" / "volume.objects.parquet")
    assert set(objects["change"]) == {"merged"}
    whole = json.loads((tmp_path / "diff" / "diff.json").read_text())
    assert whole["compared"][0]["numbers"]["voxels_changed"] == 720
    page = (tmp_path / "diff" / "report.html").read_text()
    assert "large change" in page
    assert "data:image/png;base64," in page
    assert compare(options(old, new, tmp_path, small=0.5), replace_stale=True).verdict == (
        "small change"
    )


def test_values_are_compared_with_a_threshold(tmp_path) -> None:
    values = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    old = stored(tmp_path / "a.zarr", values)
    nearly = values.copy()
    nearly[0, 0, 0, 0] += 0.5
    nearly[1, 1] += 0.01
    new = stored(tmp_path / "b.zarr", nearly)
    found = compare(options(old, new, tmp_path))
    numbers = found.verdicts[0].numbers
    assert found.verdict == "small change"
    assert (numbers["values_over"], numbers["values_unlike"]) == (1, 1 + 20 * 24)
    apart = np.abs(values.astype(np.float64) - nearly)
    assert numbers["mean_difference"] == pytest.approx(apart.mean())
    assert numbers["largest_difference"] == apart.max()
    assert numbers["correlation"] == pytest.approx(
        np.corrcoef(values.ravel().astype(float), nearly.ravel().astype(float))[0, 1]
    )
    again = options(old, old, tmp_path)
    assert compare(again, replace_stale=True).verdict == "identical"


def test_volumes_of_other_domains_are_refused_or_compared_in_a_box(cells, tmp_path) -> None:
    old = stored(tmp_path / "a.zarr", cells)
    new = stored(tmp_path / "b.zarr", cells[:, 5:], start=(0, 5, 0))
    with pytest.raises(ConfigError, match=r"a.zarr covers .* and .*b.zarr covers .*--box 0:6,5:20"):
        compare(options(old, new, tmp_path))
    with pytest.raises(ConfigError, match=r"box .* is not inside .*b.zarr"):
        compare(options(old, new, tmp_path, box=Box((0, 0, 0), (6, 20, 24))))
    found = compare(options(old, new, tmp_path, box=Box((0, 5, 0), (6, 20, 24))))
    assert found.verdict == "identical"
    assert found.verdicts[0].numbers["voxels"] == 6 * 15 * 24


def test_sides_that_do_not_fit_are_named(cells, tmp_path) -> None:
    old = stored(tmp_path / "a.zarr", cells)
    two = stored(tmp_path / "b.zarr", np.zeros((2, *SHAPE), np.float32))
    with pytest.raises(ConfigError, match=r"a.zarr has no channels and .*b.zarr has 2"):
        compare(options(old, two, tmp_path))
    with pytest.raises(ConfigError, match=r"b.zarr holds float32 with 2 channels; labels"):
        compare(options(two, two, tmp_path, kind="labels"))
    with pytest.raises(ConfigError, match=r"is a volume and .*t.csv a table"):
        compare(options(old, str(tmp_path / "t.csv"), tmp_path))
    with pytest.raises(ConfigError, match="share from 0 to 1"):
        options(old, old, tmp_path, small=2)


def test_tables_are_compared_by_their_key(tmp_path) -> None:
    old, new = tmp_path / "a.csv", tmp_path / "b.parquet"
    pd.DataFrame({"cell": [1, 2, 3], "nm": [1.0, 2.0, 3.0]}).to_csv(old, index=False)
    pd.DataFrame({"cell": [2, 3, 4], "nm": [2.0, 3.5, 4.0]}).to_parquet(new)
    found = compare(options(str(old), str(new), tmp_path, key=("cell",)))
    assert found.verdict == "large change"
    assert found.verdicts[0].says == ("rows by cell: 3 to 3, 1 added, 1 removed, 1 changed")
    rows, _, _ = read_table(tmp_path / "diff" / "table.rows.csv")
    assert sorted(zip(rows["cell"], rows["change"], strict=True)) == [
        ("1", "removed"), ("3", "changed"), ("4", "added"),
    ]  # fmt: skip
    assert compare(options(str(old), str(old), tmp_path)).verdict == "identical"


def test_what_is_compared_is_told_without_secrets(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "open-sesame")
    folder = tmp_path / "open-sesame"  # stands for what a URL holds
    folder.mkdir()
    old, new = folder / "a.csv", folder / "b.csv"
    pd.DataFrame({"cell": [1, 2]}).to_csv(old, index=False)
    pd.DataFrame({"cell": [1, 3]}).to_csv(new, index=False)
    compare(options(str(old), str(new), tmp_path, key=("cell",)))
    written = {path.name: path.read_bytes() for path in (tmp_path / "diff").iterdir()
               if path.is_file()}  # fmt: skip
    assert {"report.html", "table.rows.csv.json"} <= set(written)
    assert [name for name, data in written.items() if b"open-sesame" in data] == []


def test_runs_are_compared_stage_by_stage(finished, tmp_path) -> None:
    again = tmp_path / "again"
    shutil.copytree(finished.folder, again)
    same = compare(options(str(finished.folder), str(again), tmp_path, **FEW))
    assert same.verdict == "identical"
    assert any("not read" in item.says for item in same.verdicts)
    read = compare(options(str(finished.folder), str(again), tmp_path, read_all=True, **FEW))
    assert read.verdict == "identical"
    assert {item.name for item in read.verdicts} >= {"prob", "labels", "report-scores-csv"}

    other = tmp_path / "other"
    workflow = read_workflow(finished.file, [f'output="{other}"', "segment.threshold=0.95"])
    segment_neurons.run(workflow.config, JobEngine(other))
    sides = options(str(finished.folder), str(other), tmp_path, only=("prob", "labels"), **FEW)
    changed = {item.name: item for item in compare(sides, replace_stale=True).verdicts}
    assert changed["prob"].says == "the same computation, not read"
    assert changed["labels"].verdict == "large change"
    with pytest.raises(ConfigError, match="only nothing: neither run has it; they have prob"):
        compare(replace(sides, only=("nothing",)))


def test_versions_of_a_run_are_compared_where_they_differ(finished, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    found = prepare(run, Changes(settings=("segment.threshold=0.95",))).workflow
    found.pipeline.run(found, on_progress=None, on_message=str, replace_stale=False)
    sides = options(f"{run}@v1", f"{run}@v2", tmp_path, **FEW)
    changed = {item.name: item for item in compare(sides).verdicts}
    assert changed["prob"].says == changed["fragments"].says == "the same computation, not read"
    assert changed["labels"].numbers["voxels_changed"] > 0
    current = replace(sides, old=str(run))  # v1, since nothing was promoted
    assert {item.name: item for item in compare(current).verdicts} == changed
    with pytest.raises(ConfigError, match="there is no v3 in .*; there are v1, v2"):
        compare(replace(sides, new=f"{run}@v3"))


def test_an_interrupted_comparison_goes_on(cells, tmp_path) -> None:
    old, new = stored(tmp_path / "a.zarr", cells), stored(tmp_path / "b.zarr", cells + 1)

    def stop(state) -> None:
        if state.stage == "volume_change" and state.done:
            raise KeyboardInterrupt

    many = replace(options(old, new, tmp_path), block_shape=(2, 4, 4))
    with pytest.raises(KeyboardInterrupt):
        compare(many, on_progress=stop)
    seen = []
    found = compare(many, on_progress=seen.append)
    assert found.verdict == "equal up to renaming"
    assert next(state for state in seen if state.stage == "volume_change").resumed > 0
    assert not any(state.stage == "volume_overlap" for state in seen)


def test_workers_give_the_same(cells, tmp_path) -> None:
    old, new = stored(tmp_path / "a.zarr", cells), stored(tmp_path / "b.zarr", cells // 2)
    here = compare(options(old, new, tmp_path))
    tree = {"old": old, "new": new, "output": str(tmp_path / "there"), "cluster": {"workers": 1}}
    there = carried_out(validate({**tree, "block_shape": [6, 10, 12]}, Diff, where="test"))
    assert here.verdicts == there.verdicts
    for name in ("volume.blocks.parquet", "volume.objects.parquet", "volume.png"):
        a, b = (tmp_path / folder / name for folder in ("diff", "there"))
        assert a.read_bytes() == b.read_bytes()


def test_heat_maps_add_up_to_the_change() -> None:
    grid = Grid(Box((1, 2, 3), (8, 12, 14)), (3, 4, 5))
    amounts = np.random.default_rng(0).integers(0, 9, len(grid))
    dense = np.zeros((7, 10, 11))
    for block in grid:
        dense[block.write.relative_to(grid.domain).slices] = (
            amounts[block.number] / block.write.size
        )
    for cut, found in enumerate(projections(grid, np.arange(len(grid)), amounts)):
        extents = [lengths for axis, lengths in enumerate(grid.chunks) if axis != cut]
        area = np.multiply.outer(*map(np.array, extents))
        assert (found * area).sum() * grid.domain.shape[cut] == pytest.approx(amounts.sum())
        mean = dense.mean(axis=cut)
        spread = np.repeat(np.repeat(found, extents[0], 0), extents[1], 1)
        np.testing.assert_allclose(spread, mean)
