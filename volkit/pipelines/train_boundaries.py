"""Train a boundary network: labelled volumes in, a checkpoint with its card out."""

from volkit.pipelines.train_run import training
from volkit.training.config import TrainConfig

PIPELINE = training(
    "train_boundaries",
    TrainConfig,
    lambda _: "volkit plan workflows/segment_neurons.yaml --set checkpoint=",
)
