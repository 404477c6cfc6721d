"""The command evaluate: a table, a folder, JSON, and errors in one message."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.io import create_volume

Says = Callable[..., str]


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.chdir(tmp_path)
    truth = 1 + np.arange(4 * 8 * 8).reshape(4, 8, 8).astype(np.uint64) // 128
    for name, values in (("pred.zarr", np.ones_like(truth)), ("truth.zarr", truth)):
        volume = create_volume(name, shape=values.shape, dtype=values.dtype)
        volume.write(volume.domain, values)
    return "pred.zarr", "truth.zarr"


def test_the_table_the_folder_and_what_comes_next(sides, tmp_path, says) -> None:
    said = says("evaluate", *sides)
    words = " ".join(said.split())
    assert "3D Rand merge 0.5000 1: no segment joins true objects" in words
    assert "2D Rand F 1.0000 1 best; error 0.0000" in words
    folder = next(tmp_path.glob("evaluation-pred-zarr-*"))
    assert f"figure: {folder.name}/figure.png" in said
    assert f"next: open {folder.name}/figure.png" in said
    assert "blocks" not in says("evaluate", *sides)  # all was there
    says("evaluate", *sides, "--box", "0:2,0:8,0:8")
    assert len(list(tmp_path.glob("evaluation-*"))) == 2


def test_json_is_all_that_is_printed(sides, says) -> None:
    scores = json.loads(says("evaluate", *sides, "--json", "--convention", "snemi3d"))
    assert scores["volume"]["rand"]["merge"] == 0.5
    assert scores["convention"]["name"] == "snemi3d"


def test_what_cannot_be_scored_ends_in_one_message(sides, says) -> None:
    assert "convention 'ours' is unknown" in says(
        "evaluate", *sides, "--convention", "ours", code=1
    )
    assert "write three ranges" in says("evaluate", *sides, "--box", "0:2", code=1)
    assert "is not inside" in says("evaluate", *sides, "--box", "0:9,0:8,0:8", code=1)
    assert "does not exist" in says("evaluate", "nothing.zarr", sides[1], code=1)
