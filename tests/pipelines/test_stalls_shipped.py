"""What ships for stall tables: the network with its calibrator, right about unseen volumes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from volkit.geometry import Box
from volkit.io.open import create_volume
from volkit.kernels.binary_scores import best_threshold, roc_area
from volkit.kernels.calibration_scores import reliability
from volkit.ops.stall_calibration import read_calibrator
from volkit.ops.stall_ensemble import StallEnsemble, read_folds
from volkit.ops.stall_files import read_stalls
from volkit.pipelines.registry import read_workflow
from volkit.testing.stall_judged import judged_specimens
from volkit.testing.stalls import stall_specimen

torch.set_num_threads(1)
WORKFLOW = Path(__file__).parents[2] / "workflows" / "stalls" / "volume.yaml"
NAME = "builtin:stalls-specimen"


def test_the_calibrator_that_ships_is_of_the_network_that_ships() -> None:
    # After another network was put there: python -m volkit.testing.stall_judged, then
    # workflows/stalls/calibrate.yaml with method=centred, whose calibrator.npz is the file.
    made = read_calibrator(NAME, model=StallEnsemble(read_folds(NAME)).fingerprint)
    assert made.examples > 300
    assert (np.diff(made.fit(np.linspace(0, 1, 101))) > 0).all()  # it makes no ties


@pytest.mark.slow
def test_it_improves_what_is_said_of_other_specimens() -> None:
    found = judged_specimens(StallEnsemble(read_folds(NAME), passes=0), range(50_001, 50_021))
    said, truth = found["probability"].to_numpy(), found["stalled"].to_numpy(bool)
    better = read_calibrator(NAME).fit(said)
    assert reliability(better, truth).expected_error < reliability(said, truth).expected_error


@pytest.mark.slow
def test_stalled_segments_of_unseen_volumes_are_found(tmp_path: Path) -> None:
    said, truth = [], []
    for seed in range(901, 906):
        specimen, folder = stall_specimen(seed=seed), tmp_path / str(seed)
        box = Box.from_shape(specimen.shape)
        folder.mkdir()
        for name, values in (("image", specimen.image(box)), ("mask", specimen.mask(box))):
            volume = create_volume(
                folder / f"{name}.zarr", shape=specimen.shape, dtype=np.uint8,
                voxel_size_nm=(1500.0, 500.0, 500.0))  # fmt: skip
            volume.write(box, values.astype(np.uint8))
        settings = [
            f"input.image={folder}/image.zarr", f"input.mask={folder}/mask.zarr",
            f"output={folder}/run", "cluster.workers=0", "networks.passes=5", "report.sheet=0",
        ]  # fmt: skip
        workflow = read_workflow(WORKFLOW, settings)
        workflow.pipeline.run(
            workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
        )
        table, _ = read_stalls(folder / "run" / "report" / "stalls.parquet")
        labels = specimen.tree.labels(box)
        places = np.rint(table[[f"centroid_{a}" for a in "zyx"]].to_numpy()).astype(int)
        here = labels[tuple(places.T)].astype(int)
        said += table["p_stalled"][here > 0].tolist()
        truth += specimen.stalled[here[here > 0] - 1].tolist()
    p, t = np.array(said), np.array(truth)
    assert len(t) > 40
    assert roc_area(p, t) >= 0.95
    assert best_threshold(p, t).mcc >= 0.80
