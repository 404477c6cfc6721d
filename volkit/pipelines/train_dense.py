"""Train N4, VD2D or VD2D3D as published: patches of answers, every voxel of them."""

from volkit.pipelines.train_run import training
from volkit.training.dense_config import DenseConfig


def _following(config: DenseConfig) -> str:
    stage = "segment_boundaries" if config.recursion is None else "recursive_vd2d3d"
    return f"volkit run workflows/em/{stage}.yaml --set checkpoint="


def _further(config: DenseConfig) -> tuple[str, ...]:
    told = config.recursion
    if told is None:
        return ()
    levels = ", ".join(f"{level:g}" for level in told.levels)
    return "--set", f"preliminary={told.checkpoint}", "--set", f"levels=[{levels}]"


PIPELINE = training("train_dense", DenseConfig, _following, _further)
