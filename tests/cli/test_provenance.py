"""Provenance and reproduced blocks on the command line."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from volkit.cli import main
from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.testing.workflows import tiny_workflow

Says = Callable[..., str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tiny_workflow(tmp_path_factory.mktemp("cli"), shape=(24, 32, 20))
    with pytest.raises(SystemExit, match="0"):
        main(["run", str(path)])
    return path


def test_the_tree_names_what_labels_were_made_of(tiny: Path, tells: Says) -> None:
    said = tells("provenance", tiny.parent / "run" / "labels.zarr")
    assert said.startswith("labels (volume)")
    for words in (
        "├── reads: fragments (volume)",
        "└── table: region_graph.final (table)",
        'volkit.ops.segmentation._merged {"threshold": 0.6}',
        "network: identity.yaml (checkpoint)",
        "reads: image.zarr (volume)",
        "reads: prob (volume) see above",
        "4 blocks of 12 x 16 x 20",
        "sha256 ",
    ):
        assert words in said


def test_json_is_for_machines(tiny: Path, tells: Says) -> None:
    chain = json.loads(tells("provenance", tiny.parent / "run", "--json"))
    (root,) = chain["roots"]
    assert chain["nodes"][root]["name"] == "scores.csv"
    assert {node["kind"] for node in chain["nodes"].values()} == {"volume", "table", "checkpoint"}


def test_a_crate_is_written(tiny: Path, tells: Says) -> None:
    run = tiny.parent / "run"
    said = tells("provenance", run, "--ro-crate", run)
    assert said.strip() == f"RO-Crate: {run / 'ro-crate-metadata.json'}"
    assert json.loads((run / "ro-crate-metadata.json").read_text())["@graph"]


def test_a_run_is_reproduced(tiny: Path, ran: Callable[..., tuple[str, str]]) -> None:
    said = "".join(ran("run", tiny, "--check-reproducible", "2"))
    assert [line.split()[-2:] for line in said.splitlines()[-6:]] == [["same", "bytes"]] * 6


def unbroken(said: str) -> str:
    """Take out what stands between the lines into which long paths are broken."""
    return re.sub(r"[\s│├└─]", "", said)


def test_versions_lead_to_what_they_share_and_copy(tmp_path: Path, tells: Says) -> None:
    tiny = tiny_workflow(tmp_path, shape=(24, 16, 20))
    run = tmp_path / "run"
    tells("run", tiny)
    tells("reprocess", run, "--set", "segment.threshold=0.3")
    said = tells("provenance", run / "versions" / "v2")
    assert f"reads:prob(volume){run / 'prob.zarr'}" in unbroken(said)
    assert f"table:contingency(table){run / 'contingency.npz'}" in unbroken(said)
    tells("reprocess", run, "--set", "infer.weights=constant", "--box", "0:12,0:16,0:20")
    said = tells("provenance", run / "versions" / "v3" / "labels.zarr")
    assert "2 blocks of 12 x 16 x 20, 1 of them copied" in said
    assert f"copiedfrom:prob(volume){run / 'prob.zarr'}" in unbroken(said)
    assert "not to be found" not in said


def test_a_difference_ends_with_1(tmp_path: Path, tells: Says) -> None:
    tiny = tiny_workflow(tmp_path, shape=(12, 16, 20))
    tells("run", tiny)
    labels = open_volume(tmp_path / "run" / "labels.zarr")
    labels.write(Box.from_shape((12, 16, 20)), labels.read() + 1)
    said = tells("run", "--check-reproducible", tiny, code=1)
    assert "labels: block 0 [0:12, 0:16, 0:20]: 3,840 voxels differ, by 1 at most" in said
    assert "error: the same inputs and versions gave other bytes" in said


def test_what_is_not_there(tells: Says, tmp_path: Path) -> None:
    assert "nothing.zarr does not exist" in tells("provenance", tmp_path / "nothing.zarr", code=1)
