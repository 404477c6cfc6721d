"""Train N4, VD2D or VD2D3D as published: patches of answers, every voxel of them."""

from volkit.pipelines.train_run import training
from volkit.training.dense_config import DenseConfig

PIPELINE = training(
    "train_dense",
    DenseConfig,
    "volkit train workflows/em/train_vd2d3d.yaml --set recursion.checkpoint=",
)
