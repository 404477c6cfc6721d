"""The first task of the benchmark, from channels of a Boss server to accuracies of encoders."""

import numpy as np

from volkit.datasets import BossTask
from volkit.training.region_options import EncoderSize, RegionOptions, Schooling
from volkit.training.region_study import region_study


def test_a_published_task_is_studied_as_it_is(keys) -> None:
    told = {
        name: value
        for name, value in keys.items()
        if name not in ("task_type", "combine_ax_and_bg", "noZI")
    }
    task = {**told, "annotation_chan": keys["annotation_chan"].replace("pixel", "roi")}
    learning, judging = (BossTask(task, split) for split in ("train", "test"))
    options = RegionOptions(
        methods=("supervised", "pca"),
        seeds=(0,),
        side=8,
        encoder=EncoderSize(widths=(4,), blocks=(1,), components=4),
        schooling=Schooling(epochs=1, batch=16),
    )
    found = region_study(learning, judging, options, regions=tuple(learning.task.regions))
    regions = [int(judging[n][1]) for n in range(len(judging))]
    for table in found.confusion.values():
        assert table.sum(axis=1).tolist() == np.bincount(regions, minlength=4).tolist()
