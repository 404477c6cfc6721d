"""Predictions of scans: each scan has its own answer, whatever the order of the manifest."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.engine.job import JobEngine
from volkit.io.scan_manifest import ScanManifest, read_manifest
from volkit.models.architectures import build
from volkit.models.checkpoint import read_checkpoint, save_checkpoint
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.scan_prediction import SCAN_CALLS, ScanWork, predict_scans
from volkit.testing.scan_sets import write_scan_set

pytest.importorskip("nibabel")
torch = pytest.importorskip("torch")
torch.set_num_threads(1)

SHAPE = (16, 16, 16)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> ScanEnsemble:
    """Two networks that nobody has trained."""
    cards = []
    for fold in range(2):
        torch.manual_seed(fold)
        arguments = {"in_channels": 1, "classes": 2, "widths": [2, 2, 4, 4]}
        about = {
            "architecture": "video_resnet",
            "arguments": arguments,
            "channels": [1, 2],
            "window": list(SHAPE),
            "output": "whole",
            "activation": "softmax",
            "classes": ["AD", "CN"],
            "description": "says anything",
        }
        path = tmp_path_factory.mktemp("net") / "net.yaml"
        save_checkpoint(build("video_resnet", **arguments).state_dict(), path, about)
        cards.append(read_checkpoint(path))
    return ScanEnsemble(tuple(cards), "AD", "cpu")


def answered(manifest: ScanManifest, ensemble: ScanEnsemble, folder: Path, **how) -> pd.DataFrame:
    folds = tuple((0, 1) if row.subject != "s00" else (1,) for row in manifest.rows)
    work = ScanWork(manifest, ensemble, folds)
    return predict_scans(work, engine=JobEngine(folder), **how)


def test_answers_are_means_over_the_networks_that_may_be_asked(
    ensemble: ScanEnsemble, tmp_path: Path
) -> None:
    manifest = write_scan_set(tmp_path / "scans", subjects=4)
    found = answered(manifest, ensemble, tmp_path / "run", group=3)
    SCAN_CALLS.check(found)
    assert found["scan"].tolist() == [row.scan for row in manifest.rows]
    assert found["networks"].tolist() == [1, 1, *[2] * 6]
    assert found["fold"].tolist() == [1, 1, *[-1] * 6]
    values, _ = manifest.read_scan(manifest.rows[4])
    said = ensemble.probabilities(ensemble.prepared(values, name="a"), (0, 1))
    assert found["probability"][4] == said.mean()
    assert found["spread"][4] == said.std()
    assert (found["spread"][:2] == 0).all()
    assert found["probability"].nunique() == 8
    again = answered(manifest, ensemble, tmp_path / "other", group=1)
    pd.testing.assert_frame_equal(found, again)


def test_a_manifest_in_another_order_gives_every_scan_its_own_answer(
    ensemble: ScanEnsemble, tmp_path: Path
) -> None:
    """Also where the run is finished, and the same rows are asked for again."""
    manifest = write_scan_set(tmp_path / "scans", subjects=4)
    before = answered(manifest, ensemble, tmp_path / "run").set_index("scan")["probability"]
    head, *lines = Path(manifest.uri).read_text().splitlines()
    turned = tmp_path / "scans" / "turned.csv"
    turned.write_text("\n".join([head, *lines[::-1]]) + "\n")
    found = answered(read_manifest(turned), ensemble, tmp_path / "run")
    after = found.set_index("scan")["probability"]
    np.testing.assert_array_equal(after[before.index], before)
