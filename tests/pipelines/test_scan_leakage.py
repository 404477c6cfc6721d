"""Leakage on heads: scans divided at random look far better than subjects divided, and it is said.

The atrophy of the specimen tells the classes apart in about 73 of 100 subjects, whoever knows it
exactly; what is above that, no network can owe to the disease.
"""

from pathlib import Path

import pytest
import torch

from volkit.io.tables import read_table
from volkit.pipelines.registry import read_workflow
from volkit.testing.heads import write_heads

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "t1w"


def carried_out(name: str, **settings) -> list[str]:
    flow = read_workflow(WORKFLOWS / f"{name}.yaml", [f"{k}={v}" for k, v in settings.items()])
    told: list[str] = []
    flow.pipeline.run(flow, on_progress=None, on_message=told.append, replace_stale=False)
    return told


@pytest.mark.slow
def test_heads_that_were_met_before_are_known_again(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    table = write_heads(tmp_path / "heads", subjects=40, scans_per_subject=4, seed=11)
    carried_out(
        "preprocess",
        output=tmp_path / "prepared",
        cluster="{system: here}",
        split="{shares: {train: 1.0}, folds: 3, seed: 0}",
        **{"input.scans": table, "chain.bias": "{method: none}", "chain.shape": "[32, 32, 32]"},
    )
    told = carried_out(
        "train",
        output=tmp_path / "trained",
        measure_leakage="true",
        attention="{scans: 0}",
        **{
            "input.manifest": tmp_path / "prepared" / "manifest.csv",
            "training.window": "[32, 32, 32]",
            "training.network": "{arguments: {widths: [8, 16, 32, 64]}}",
            "training.augmentation": "{noise: 0.03, gamma: 0.1}",
            "training.optimisation": "{epochs: 8, batch: 8, learning_rate: 2e-3}",
        },
    )
    row = read_table(tmp_path / "trained" / "report" / "leakage.csv")[0].iloc[0]
    assert row["score"] == "accuracy"
    assert row["known_subjects"] > 0.9
    assert row["by_scan"] > 0.85  # more than anybody who knows the atrophy could reach
    assert row["by_subject"] < 0.75
    assert row["leaked_low"] > 0.1
    said = [line for line in told if line.startswith("leakage: ")]
    assert "that is what knowing the subjects seems to add" in said[0]
    scores = (tmp_path / "trained" / "report" / "scores.json").read_text()
    assert '"with scans divided at random"' in scores
