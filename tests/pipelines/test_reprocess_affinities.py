"""Reprocessing of pipelines that go on by affinities: the bytes of a whole run, less work."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from volkit.engine.reuse_record import read_reuse
from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.models.architectures import build
from volkit.models.checkpoint import save_checkpoint
from volkit.pipelines.current_version import promote
from volkit.pipelines.registry import Workflow, read_workflow
from volkit.pipelines.reprocess import Changes, prepare
from volkit.pipelines.version_gc import collect
from volkit.pipelines.version_selection import Limits
from volkit.pipelines.version_stages import check_whole, stage_volume, version_stages
from volkit.pipelines.versions import version_folder
from volkit.testing.workflows import identity_checkpoint, voronoi_cells
from volkit.viewer.run_layers import run_layers

SHAPE, BLOCK = (16, 32, 32), (16, 16, 16)
BLOCKS = 4
OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
FIRST_BLOCK = Box((0, 0, 0), BLOCK)
AFTER = ("ways", "divided", "basin_parts", "fragments", "labels", "filled")
CASCADES = ("plateaus", "basin_links")


def affinity_network(card: Path, seed: int) -> None:
    arguments = {"widths": [4], "blocks": [1], "out_channels": 3}
    torch.manual_seed(seed)
    about = {
        "architecture": "residual_unet3d",
        "arguments": arguments,
        "channels": [1, 3],
        "window": [8, 16, 16],
        "activation": "sigmoid",
        "offsets": OFFSETS,
    }
    save_checkpoint(build("residual_unet3d", **arguments).state_dict(), card, about)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    truth, boundary = voronoi_cells(SHAPE)
    for name, values in (("truth", truth), ("map", boundary)):
        volume = create_volume(
            folder / f"{name}.zarr", shape=SHAPE, dtype=values.dtype, voxel_size_nm=(10, 10, 10)
        )
        volume.write(volume.domain, values)
    identity_checkpoint(folder / "boundaries-1.yaml")
    identity_checkpoint(folder / "boundaries-2.yaml", gain=0.8)
    affinity_network(folder / "affinities-1.yaml", 0)
    affinity_network(folder / "affinities-2.yaml", 1)
    return folder


def workflow(data: Path, kind: str, output: Path, **changes: Any) -> Workflow:
    cut = {"low": 0.0001, "high": 0.9999} if kind == "boundaries" else {"low": 0.4, "high": 0.7}
    keys = {
        "pipeline": f"segment_{kind}",
        "input": {"image": str(data / "map.zarr"), "truth": str(data / "truth.zarr")},
        "checkpoint": str(data / f"{kind}-1.yaml"),
        "output": str(output),
        "block_shape": list(BLOCK),
        "infer": {"batch": 2, "device": "cpu", "stride": [4, 8, 8]},
        "segment": {
            **cut,
            "linkage": [[20, 0.1], [60, 0.3]],
            "threshold": 0.62,
            "fill": {"tile": list(BLOCK), "halo": [4, 4, 4]},
        },
        "layers": {"labels": False, "image": False},
        "cluster": {"workers": 0},
    }
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({**keys, **changes}))
    return read_workflow(path)


def carried_out(found: Workflow) -> Any:
    return found.pipeline.run(
        found, on_progress=None, on_message=lambda text: None, replace_stale=False
    )


@pytest.fixture(params=["boundaries", "affinities"])
def run(data: Path, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    carried_out(workflow(data, request.param, tmp_path / "run"))
    return request.param, tmp_path / "run"


def reprocess(run: Path, **changes: Any) -> Any:
    return carried_out(prepare(run, Changes(**changes)).workflow)


def stages_of(run: Path, number: int) -> dict[str, tuple[int | None, int, int]]:
    found = version_stages(run, number)
    return {stage.name: (stage.lies_in, stage.computed, stage.copied) for stage in found}


def check_equal(run: Path, number: int, fresh: Path, names: tuple[str, ...]) -> None:
    for name in names:
        ours = stage_volume(run, number, name).read()
        np.testing.assert_array_equal(ours, open_volume(fresh / f"{name}.zarr").read(), name)
    assert len(np.unique(stage_volume(run, number, "labels").read())) > 2


def test_another_network_gives_the_bytes_of_a_whole_run(data, run, tmp_path: Path) -> None:
    kind, folder = run
    other = str(data / f"{kind}-2.yaml")
    reprocess(folder, checkpoint=other)
    carried_out(workflow(data, kind, tmp_path / "fresh", checkpoint=other))
    check_equal(folder, 2, tmp_path / "fresh", ("prob", *AFTER))
    old = stage_volume(folder, 1, "labels").read()
    assert (stage_volume(folder, 2, "labels").read() != old).any()


@pytest.mark.parametrize("limits", ["box", "unsure"])
def test_a_part_gives_what_follows_from_what_both_answered(data, run, limits, tmp_path) -> None:
    """Affinities of the one here and of the other there; all that follows as from those."""
    kind, folder = run
    before = stage_volume(folder, 1, "prob").read()
    found = Limits(boxes=(Box((2, 3, 4), (9, 9, 9)),))
    chosen = np.array([True, False, False, False])
    if limits == "unsure":
        rows = [np.split(row, 2, axis=3) for row in np.split(before, 2, axis=2)]
        parts = [part for row in rows for part in row]
        one = np.setdiff1d(parts[0], parts[3])[0]
        found = Limits(unsure=(float(one), float(one)))
        chosen = np.array([(part == one).any() for part in parts])
    reprocess(folder, checkpoint=str(data / f"{kind}-2.yaml"), limits=found)
    count = int(chosen.sum())
    assert 0 < count < BLOCKS
    assert stages_of(folder, 2)["prob"] == (2, count, BLOCKS - count)
    mixed = stage_volume(folder, 2, "prob")
    own = {kind: mixed.uri, "image": str(data / "map.zarr"), "truth": str(data / "truth.zarr")}
    more = {"offsets": OFFSETS} if kind == "affinities" else {}
    fresh = workflow(data, kind, tmp_path / "fresh", input=own, checkpoint=None, **more)
    carried_out(fresh)
    check_equal(folder, 2, tmp_path / "fresh", AFTER)
    assert (mixed.read() != before).any()
    carried_out(workflow(data, kind, tmp_path / "all", checkpoint=str(data / f"{kind}-2.yaml")))
    theirs = open_volume(tmp_path / "all" / "prob.zarr").read()
    blocks = np.kron(chosen.reshape(2, 2), np.ones((16, 16))).astype(bool)
    np.testing.assert_array_equal(mixed.read(), np.where(blocks, theirs, before))


def test_a_last_parameter_shares_basins_and_what_boxes_say_of_them(data, run, tmp_path) -> None:
    kind, folder = run
    smallest = median_size(folder)
    reprocess(folder, settings=[f"segment.smallest={smallest}"])
    found = stages_of(folder, 2)
    for name in ("prob", "ways", "divided", "basin_parts", "fragments", *CASCADES, "basin_graph"):
        assert found[name][0] == 1, name
    assert found["labels"] == (2, BLOCKS, 0)
    assert not (version_folder(folder, 2) / "plateaus.parts").exists()
    segment = {**keys_of(folder), "smallest": smallest}
    carried_out(workflow(data, kind, tmp_path / "fresh", segment=segment))
    check_equal(folder, 2, tmp_path / "fresh", AFTER)
    check_whole(folder, 2)
    shown = run_layers(f"{folder}@v2")
    labels = shown.cut.change(0.62)(shown.cut.fragments.read())
    np.testing.assert_array_equal(labels, stage_volume(folder, 2, "labels").read())
    assert "are those before their background is filled" in shown.messages[0]


def median_size(folder: Path) -> int:
    """Of the segments: half of them are smaller."""
    labels = open_volume(folder / "labels.zarr").read()
    return int(np.median(np.unique(labels[labels > 0], return_counts=True)[1]))


def keys_of(folder: Path) -> dict[str, Any]:
    keys: dict[str, Any] = yaml.safe_load(folder.with_suffix(".yaml").read_text())["segment"]
    return keys


def test_garbage_is_what_no_version_uses(data, run) -> None:
    """What boxes say of basins stays, where a later version shares it."""
    _, folder = run
    reprocess(folder, settings=[f"segment.smallest={median_size(folder)}"])
    promote(folder, 2)
    collect(folder, keep=[2])
    check_whole(folder, 2)
    assert (folder / "plateaus.parts").exists()
    assert not (folder / "labels.zarr").exists()


@pytest.mark.parametrize(
    ("held", "tree"), [("boxes", "agglomeration.parts"), ("whole", "agglomeration.final.npz")]
)
def test_what_is_merged_is_shared_up_to_its_limit(data, held, tree, tmp_path: Path) -> None:
    how = {"threshold": 0.4, "limit": 0.6, "held": held}
    segment = {"low": 0.4, "high": 0.7, "agglomeration": how, "fill": None}
    carried_out(workflow(data, "affinities", tmp_path / "run", segment=segment))
    outcome = reprocess(tmp_path / "run", settings=["segment.agglomeration.threshold=0.55"])
    assert dict(outcome.files)["merge tree"] == tmp_path / "run" / tree
    found = stages_of(tmp_path / "run", 2)
    assert found["agglomeration"][0] == found["fragments"][0] == 1
    assert found["labels"] == (2, BLOCKS, 0)
    holder = {"boxes": "whole", "whole": "boxes"}[held]
    other = {**segment, "agglomeration": {**how, "threshold": 0.55, "held": holder}}
    carried_out(workflow(data, "affinities", tmp_path / "fresh", segment=other))
    check_equal(tmp_path / "run", 2, tmp_path / "fresh", ("fragments", "labels"))
    for gone in ("report", "labels.ledger"):  # as of a version that is going on
        shutil.rmtree(version_folder(tmp_path / "run", 2) / gone)
    cut = run_layers(f"{tmp_path / 'run'}@v2").cut
    assert (cut.threshold, cut.most) == (0.55, 0.6)
    for threshold, folder in ((0.4, "run"), (0.55, "fresh")):
        written = open_volume(tmp_path / folder / "labels.zarr").read()
        np.testing.assert_array_equal(cut.change(threshold)(cut.fragments.read()), written)
    place = Place.at(version_folder(tmp_path / "run", 2))
    only = {"fragments": read_reuse(place)["fragments"]}
    place.objects.put("reuse.json", json.dumps(only).encode())
    shown = run_layers(f"{tmp_path / 'run'}@v2")
    assert shown.cut is None  # that of v1 may not be its own
    assert shown.messages == (
        "labels at other thresholds are not shown: how the fragments join is not computed yet",
    )


def test_what_no_network_answered_has_no_versions(data, tmp_path: Path) -> None:
    given = {"input": {"boundaries": str(data / "map.zarr")}, "checkpoint": None}
    carried_out(workflow(data, "boundaries", tmp_path / "run", **given))
    for changes in (
        {"settings": ["segment.threshold=0.55"]},
        {"checkpoint": str(data / "boundaries-2.yaml")},
        {"settings": ["segment.threshold=0.55"], "limits": Limits(boxes=(FIRST_BLOCK,))},
    ):
        with pytest.raises(ConfigError, match="only runs with a network have versions"):
            prepare(tmp_path / "run", Changes(**changes))
    assert not (tmp_path / "run" / "versions").exists()
