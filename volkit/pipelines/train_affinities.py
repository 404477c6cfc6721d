"""Train a residual U-Net on affinities, near and far."""

from volkit.pipelines.train_run import training
from volkit.training.affinity_config import AffinityConfig

PIPELINE = training(
    "train_affinities",
    AffinityConfig,
    lambda _: "volkit run workflows/em/segment_affinities.yaml --set checkpoint=",
)
