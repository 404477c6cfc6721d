"""The contract of pipelines, kept by those of scans."""

from pathlib import Path

import pytest

from volkit.testing.heads import Scanner, write_heads
from volkit.testing.pipeline_contract import PipelineTests
from volkit.testing.scan_sets import write_scan_set

pytest.importorskip("nibabel")


class TestT1wPreprocess(PipelineTests):
    name = "t1w_preprocess"

    def workflow(self, folder: Path) -> Path:
        coarse = Scanner(shape=(15, 16, 14), voxel_size_mm=12.6)
        write_heads(folder / "heads", subjects=4, scans_per_subject=1, scanner=coarse)
        file = folder / "preprocess.yaml"
        file.write_text(
            "pipeline: t1w_preprocess\noutput: run\ninput: {scans: heads/scans.csv}\n"
            "chain: {bias: {method: none}, voxel_mm: 12.6, shape: [12, 12, 12]}\n"
            "split: {shares: {train: 1, test: 1}}\nsheet: 0\ncluster: {system: here}\n"
        )
        return file


class TestTrainScans(PipelineTests):
    name = "train_scans"

    def workflow(self, folder: Path) -> Path:
        write_scan_set(folder / "scans", subjects=8, scans=1)
        file = folder / "train.yaml"
        file.write_text(
            "pipeline: train_scans\noutput: run\ninput: {manifest: scans/manifest.csv}\n"
            "training:\n"
            "  window: [16, 16, 16]\n"
            "  network: {arguments: {widths: [2, 2, 4, 4]}}\n"
            "  optimisation: {epochs: 1, warmup: 0}\n"
            "scores: {draws: 20}\n"
        )
        return file
