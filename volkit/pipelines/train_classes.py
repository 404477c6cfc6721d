"""Train a network on classes of tissue: labelled volumes in, a checkpoint with its card out."""

from volkit.pipelines.train_run import training
from volkit.training.class_config import ClassConfig

PIPELINE = training(
    "train_classes",
    ClassConfig,
    lambda _: "volkit run workflows/statistics/mtneuro.yaml --set checkpoint=",
)
