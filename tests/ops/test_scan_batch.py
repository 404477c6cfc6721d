"""Batches of scans: what is set aside and what is tried again, and what decides the results."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.lazy import LazyEngine
from volkit.errors import SourceError
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.ops.scan_batch import ScanJob, mask_key, prepare_scans
from volkit.ops.scan_chain import ChainOptions
from volkit.ops.skull_strip import StripOptions
from volkit.ops.tissue_network import TissueOptions
from volkit.testing.heads_network import threshold_meshnet
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.loopback import Answer, Call

pytest.importorskip("nibabel")


class Locked(FileServer):
    """A store that refuses everybody."""

    def answer(self, call: Call) -> Answer:
        return Answer(403)


def table(uri: str) -> dict[str, np.ndarray]:
    return {"scan": np.array(["a"]), "uri": np.array([uri]), "masks": np.array(["{}"]),
            "stamp": np.array(["1"])}  # fmt: skip


def prepared(uri: str, folder: Path) -> dict[str, np.ndarray]:
    job = ScanJob(ChainOptions(), Place.at(folder), OpenOptions())
    return prepare_scans(table(uri), job, engine=LazyEngine()).compute(scheduler="sync")


def test_a_store_that_refuses_says_nothing_about_a_scan(tmp_path: Path) -> None:
    with Locked(tmp_path) as server, pytest.raises(SourceError, match="access is denied"):
        prepared(f"{server.url}/a.nii", tmp_path / "run")
    assert not (tmp_path / "run" / "records").exists()


def test_a_scan_that_is_not_there_is_set_aside(tmp_path: Path) -> None:
    with FileServer(tmp_path) as server:
        found = prepared(f"{server.url}/a.nii", tmp_path / "run")
    assert found["state"].tolist() == ["set aside"]
    assert found["reason"][0].endswith("/a.nii does not exist; check the path")
    assert (tmp_path / "run" / "records" / "a.json").is_file()


def test_masks_of_scans_and_columns_with_dashes_lie_at_places_of_their_own() -> None:
    keys = [mask_key(scan, mask) for scan in ("a", "a-b") for mask in ("brain", "b-brain")]
    assert len(set(keys)) == 4
    assert keys[0] == "masks/a-brain.nii"


def test_facts_are_those_of_the_networks_when_the_job_was_made(tmp_path: Path) -> None:
    """A network that was trained again in between, in the same process and place."""
    card = tmp_path / "net.yaml"
    network = TissueOptions(checkpoint=str(card))
    chain = ChainOptions(strip=StripOptions(method="meshnet_fallback", network=network))
    jobs = []
    for white in (0.8, 0.7):
        threshold_meshnet(card, white=white)
        jobs.append(ScanJob(chain, Place.at(tmp_path), OpenOptions()))
    assert jobs[0].facts != jobs[1].facts
    assert jobs[0].preprocessing != jobs[1].preprocessing


def test_patience_decides_what_is_set_aside_and_no_voxels(tmp_path: Path) -> None:
    slow = StripOptions(method="synthstrip", seconds=5.0)
    one, other = (
        ScanJob(ChainOptions(strip=strip), Place.at(tmp_path), OpenOptions())
        for strip in (slow, replace(slow, seconds=500.0))
    )
    assert one.facts != other.facts
    assert one.preprocessing == other.preprocessing
