"""The chain from labels to image and checkpoint, from what lies in the stores alone."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.errors import SourceError
from volkit.geometry import Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.tables import Column, Schema, write_table
from volkit.models.checkpoint import read_checkpoint
from volkit.ops.affinity_watershed import NEAREST
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.mirror import mirror
from volkit.ops.mutex import mutex_agglomerate
from volkit.ops.network import Network
from volkit.ops.segmentation import agglomerate
from volkit.ops.skip_options import SkipOptions
from volkit.pipelines import segment_neurons
from volkit.pipelines.provenance import Chain, Node, trace
from volkit.pipelines.registry import read_workflow


def asked(chain: Chain) -> Node:
    (root,) = chain.roots
    return chain.nodes[root]


def made_of(chain: Chain, node: Node) -> list[tuple[str, str]]:
    return [(link.role, chain.nodes[link.node].name) for link in node.links]


def node(chain: Chain, name: str) -> Node:
    (found,) = [node for node in chain.nodes.values() if node.name == name]
    return found


def copy(block: object, image: np.ndarray) -> np.ndarray:
    return image


def test_labels_lead_to_the_image_and_the_checkpoint(finished) -> None:
    chain = trace(str(finished.folder / "labels.zarr"))
    labels = asked(chain)
    assert made_of(chain, labels) == [("reads", "fragments"), ("table", "region_graph.final")]
    graph = node(chain, "region_graph.final")
    assert made_of(chain, graph) == [("table", "region_graph")]
    assert graph.facts["finalize"]["arguments"]["threshold"] == 0.6
    parts = [("reads", "fragments"), ("reads", "prob")]
    assert made_of(chain, node(chain, "region_graph")) == parts
    assert made_of(chain, node(chain, "fragments")) == [
        ("reads", "prob"),
        ("reads", "seeds"),
    ]
    assert made_of(chain, node(chain, "seeds")) == [("reads", "seed_parts")]
    prob = node(chain, "prob")
    assert made_of(chain, prob) == [("reads", "image.zarr"), ("network", "identity.yaml")]
    config = finished.workflow.config
    assert node(chain, "image.zarr").id == open_volume(config.input.image).identity
    assert node(chain, "identity.yaml").id == read_checkpoint(config.checkpoint).sha256
    assert prob.facts["params"]["weights"] == "gaussian"
    assert prob.facts["block_shape"] == [12, 16, 20]
    assert prob.about["blocks"] == prob.sessions[0].blocks == 12
    assert all(found.state == "here" for found in chain.nodes.values())
    assert list(chain.nodes)[-1] == labels.id


def test_scores_lead_to_labels_truth_and_sums(finished) -> None:
    chain = trace(str(finished.folder / "report" / "scores.csv"))
    found = made_of(chain, asked(chain))
    assert {role for role, _ in found} == {"image", "truth", "labels", "checkpoint", "table"}
    assert ("table", "contingency") in found
    assert asked(chain).about["versions"]["volkit"]
    assert asked(chain).sessions[0].user
    assert ("reads", "truth.zarr") in made_of(chain, node(chain, "contingency"))


def test_a_run_is_what_nothing_else_was_made_of(finished) -> None:
    chain = trace(str(finished.folder))
    assert [chain.nodes[key].name for key in chain.roots] == ["scores.csv"]


def test_a_table_of_a_reduction(finished) -> None:
    chain = trace(str(finished.folder / "region_graph.npz"))
    assert made_of(chain, asked(chain)) == [("reads", "fragments"), ("reads", "prob")]
    assert asked(chain).sessions


def test_runs_that_read_other_runs(finished, tmp_path: Path) -> None:
    first = tmp_path / "a" / "first"
    shutil.copytree(finished.folder, first)
    labels = open_volume(str(first / "labels.zarr"))
    op, grid = Op(copy, dtype=np.uint64), Grid(labels.domain, (12, 16, 20))
    JobEngine(tmp_path / "a" / "second").map(op, labels, grid=grid, name="same")
    chain = trace(str(tmp_path / "a" / "second" / "same.zarr"))
    assert made_of(chain, asked(chain)) == [("reads", "labels")]
    assert node(chain, "identity.yaml").state == "here"
    (tmp_path / "a").rename(tmp_path / "b")  # both moved together: found again
    moved = trace(str(tmp_path / "b" / "second" / "same.zarr"))
    assert node(moved, "labels").uri == str(tmp_path / "b" / "first" / "labels.zarr")
    shutil.rmtree(tmp_path / "b" / "first")
    gone = trace(str(tmp_path / "b" / "second" / "same.zarr"))
    assert [found.state for found in gone.nodes.values()] == ["gone", "here"]
    assert [found.name for found in gone.nodes.values()] == ["labels.zarr", "same"]


def test_an_input_that_has_changed_is_not_taken_for_what_was_read(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(4, 4, 4), dtype="uint8")
    volume.write(volume.domain, np.ones((4, 4, 4), np.uint8))
    op, grid = Op(copy, dtype=np.uint8), Grid(volume.domain, (4, 4, 4))
    JobEngine(tmp_path / "run").map(op, volume, grid=grid, name="same")
    create_volume(tmp_path / "em.zarr", shape=(4, 4, 5), dtype="uint8", overwrite=True)
    chain = trace(str(tmp_path / "run" / "same.zarr"))
    assert node(chain, "em.zarr").state == "changed"


def test_mirrors_lead_to_their_source(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(4, 4, 4), dtype="uint8")
    volume.write(volume.domain, np.ones((4, 4, 4), np.uint8))
    mirror(volume, str(tmp_path / "copy.zarr"))
    chain = trace(str(tmp_path / "copy.zarr"))
    assert made_of(chain, asked(chain)) == [("reads", "em.zarr")]
    assert asked(chain).sessions[0].blocks == 1


def test_a_mask_of_what_is_skipped_is_in_the_chain(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).random((8, 12, 12)).astype(np.float32)
    marks = np.zeros(raw.shape, np.uint8)
    marks[:, :6] = 1
    image, mask = (tmp_path / f"{name}.zarr" for name in ("em", "tissue"))
    for path, values in ((image, raw), (mask, marks)):
        volume = create_volume(
            path, shape=values.shape, dtype=values.dtype, voxel_size_nm=(10, 10, 10)
        )
        volume.write(volume.domain, values)
    infer(
        open_volume(image),
        Network(np.negative, (4, 4, 4)),
        options=InferenceOptions(stride=(2, 2, 2), skip=SkipOptions(mask=str(mask))),
        grid=Grid(open_volume(image).domain, (8, 8, 8)),
        engine=JobEngine(tmp_path / "run"),
    )
    chain = trace(str(tmp_path / "run" / "prob.zarr"))
    links = [link for link in made_of(chain, asked(chain)) if link[0] != "network"]
    assert links == [("reads", "em.zarr"), ("skips by", "tissue.zarr")]
    found = node(chain, "tissue.zarr")
    assert (found.id, found.state) == (open_volume(mask).identity, "here")


def test_empty_tables_are_alike_and_are_told_apart(tmp_path: Path) -> None:
    """With one cell both lookups are empty: the chain must not bite its tail."""
    given = []
    for name, channels, dtype in (
        ("cell", None, np.uint64),
        ("map", None, float),
        ("near", 3, float),
    ):
        volume = create_volume(
            tmp_path / f"{name}.zarr", shape=(4, 4, 4), dtype=np.dtype(dtype), channels=channels
        )
        volume.write(volume.domain, np.ones((*((channels,) if channels else ()), 4, 4, 4), dtype))
        given.append(volume)
    cell, boundary, near = given
    where = {"grid": Grid(cell.domain, (4, 4, 4)), "engine": JobEngine(tmp_path / "run")}
    labels = agglomerate(cell, boundary, **where)
    mutex_agglomerate(labels, near, offsets=NEAREST, **where, name="again")
    chain = trace(str(tmp_path / "run" / "again.zarr"))
    tables = [node(chain, f"{name}.final") for name in ("signed_graph", "region_graph")]
    assert len({table.id for table in tables}) == 2


def test_a_table_of_others_is_a_chain_of_one(tmp_path: Path) -> None:
    import pandas as pd

    schema = Schema((Column("n", "int64"),))
    write_table(tmp_path / "n.parquet", pd.DataFrame({"n": [1, 2]}), schema, {"by": "hand"})
    chain = trace(str(tmp_path / "n.parquet"))
    assert (asked(chain).kind, asked(chain).links, asked(chain).about["rows"]) == ("table", (), 2)


@pytest.mark.parametrize("name", ["nothing.zarr", "nothing.csv", "nothing"])
def test_what_is_not_there_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="nothing"):
        trace(str(tmp_path / name))


def test_secrets_never_appear(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2hunter2"
    monkeypatch.setattr(sys, "argv", ["volkit", "run", "x.yaml", "--set", f"my.token={secret}"])
    settings = [f"output={tmp_path / 'run'}", "input.box={start: [0, 0, 0], stop: [8, 16, 16]}"]
    config = read_workflow(tiny, settings).config
    cluster = replace(config.cluster, prologue=(f"export BOSS_TOKEN={secret}",))
    segment_neurons.run(replace(config, cluster=cluster))
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    chain = trace(str(tmp_path / "run"))
    said = json.dumps([[s.command for s in found.sessions] for found in chain.nodes.values()])
    assert "my.token=***" in said
