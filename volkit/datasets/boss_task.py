"""BossTask: a published task as a PyTorch Dataset, from BossDB or wherever its volumes lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from volkit.datasets.task_cache import kept_copy
from volkit.datasets.task_file import Split, Task, read_task
from volkit.datasets.task_order import ShardedBatches
from volkit.datasets.task_samples import Sample, task_samples
from volkit.errors import ContractError, GeometryError
from volkit.geometry import Box
from volkit.geometry.scale import Vector
from volkit.io.open import open_volume
from volkit.io.stated_size import says_size
from volkit.io.volume import Volume
from volkit.kernels.class_merge import merged_classes

Array = NDArray[Any]


class BossTask(Dataset[tuple[Tensor, Any]]):
    """Samples of a task: images, and what is asked of them.

    Images are float32 from 0 to 1 (uint8 / 255): (1, y, x) where samples are single sections, else
    (1, z, y, x).  What is asked: for ``classes`` the number of the class of every voxel (int64,
    (y, x) or (z, y, x)); for ``mask`` 0 or 1 of every voxel; for ``region`` the number of the
    region, an int.

    Each sample lies in one region.  ``compat`` gives what the published loader gives, defects
    included: samples of several sections straddle regions, have x before y, and the last one is
    shorter; tiles without a region label count as cortex.

    ``voxel_size_nm`` is (z, y, x), or None where nobody states it; ``samples`` says which boxes
    each sample is made of.

    Parameters
    ----------
    task : Task, str, Path or mapping
        A task, or its file; see `volkit.datasets.task_file.read_task`.
    split : {'train', 'val', 'test'}
        Which sections.
    compat : bool
        As published.
    cache : str or Path, optional
        Folder in which copies of the boxes are kept, named by the content that they are copies of:
        changed coordinates or channels never meet an old copy.
    options : mapping, optional
        How to open both volumes: ``credentials``, ``patience``, ``cache`` and so on.

    Raises
    ------
    GeometryError
        If a box leaves the volume, image and labels differ in shape or voxel size, or no sample
        fits.
    ContractError
        If the labels are no integers, or the image is not of unsigned integers.
    SourceError
        If a volume cannot be opened.

    References
    ----------
    Quesada et al., MTNeuro, 2022, doi:10.48550/arXiv.2301.00345.
    """

    def __init__(
        self,
        task: Task | str | Path | Mapping[str, Any],
        split: Split,
        *,
        compat: bool = False,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.task = task if isinstance(task, Task) else read_task(task)
        self.split, self.compat = split, compat
        self.samples: tuple[Sample, ...] = task_samples(self.task, split, compat=compat)
        image = open_volume(self.task.image, **(options or {}))
        labels = open_volume(self.task.labels, **(options or {}))
        boxes = {name: self.task.box(name, split) for name in self.task.regions}
        _check(image, labels, boxes)
        self.voxel_size_nm: Vector | None = image.voxel_size_nm if says_size(image) else None
        self._volumes = {
            name: tuple(
                volume if cache is None else kept_copy(volume, box, Path(cache))
                for volume in (image, labels)
            )
            for name, box in boxes.items()
        }
        self._most = float(np.iinfo(image.dtype).max)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, n: int) -> tuple[Tensor, Any]:
        sample = self.samples[n]
        image, labels = (self._read(sample, which) for which in (0, 1))
        shown = torch.from_numpy(image.astype(np.float32) / np.float32(self._most))[None]
        if self.task.kind == "region":
            return self._laid(shown), self._region(labels, sample)
        asked = torch.from_numpy(self._asked(labels))
        return self._laid(shown), self._laid(asked)

    def _read(self, sample: Sample, which: int) -> Array:
        parts = [self._volumes[name][which].read(box) for name, box in sample.pieces]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _asked(self, labels: Array) -> NDArray[np.int64]:
        if self.task.kind == "mask":
            return (labels > self.task.threshold).astype(np.int64)
        return merged_classes(labels, self.task.classes).astype(np.int64)

    def _region(self, labels: Array, sample: Sample) -> int:
        """Find the region that most of the labelled pixels name; without, where the box lies."""
        if not self.compat:
            labels = labels[labels != 0]
            if not labels.size and sample.region in self.task.classes:
                return list(self.task.classes).index(sample.region)
            if not labels.size:
                raise ContractError(
                    f"no voxel of the sample {sample.pieces[0][1]} names a region, and "
                    f"{sample.region} is none of {', '.join(self.task.classes)}; leave out its "
                    "sections"
                )
        ids, counts = np.unique(labels, return_counts=True)
        return int(merged_classes(ids[counts.argmax()][None], self.task.classes)[0])

    def _laid(self, values: Tensor) -> Tensor:
        """Drop the axis of single sections; else, as published, put x before y."""
        if self.task.depth == 1:
            return values.squeeze(-3)
        return values.transpose(-1, -2) if self.compat else values

    def loader(
        self, *, batch: int, workers: int = 0, prefetch: int = 2, seed: int = 0, epoch: int = 0
    ) -> "DataLoader[Any]":
        """Make a DataLoader whose workers read parts of the task of their own.

        A worker's samples follow each other in the volume, so that it fetches a chunk once and not
        all workers fetch all chunks; within its part the order is drawn.

        Parameters
        ----------
        batch : int
            Samples per step.
        workers : int
            Processes that read; 0 is this one.
        prefetch : int
            Batches that each of them reads ahead.
        seed, epoch : int
            Of the order.

        Returns
        -------
        torch.utils.data.DataLoader
            Every sample once.
        """
        order = ShardedBatches(len(self), batch=batch, shards=max(workers, 1), seed=seed)
        return DataLoader(
            self,
            batch_sampler=order.of_epoch(epoch),
            num_workers=workers,
            prefetch_factor=prefetch if workers else None,
            # Clients of stores hold threads, which do not survive a fork.
            multiprocessing_context="spawn" if workers else None,
        )


def _check(image: Volume, labels: Volume, boxes: Mapping[str, Box]) -> None:
    """Refuse volumes that do not fit the task, or each other."""
    if labels.dtype.kind not in "uib":
        raise ContractError(
            f"labels {labels.uri} are {labels.dtype}, which are no codes; give integers"
        )
    if image.dtype.kind != "u" or image.channels is not None or labels.channels is not None:
        raise ContractError(
            f"image {image.uri} is {image.dtype} with {image.channels or 'no'} channels, labels "
            f"{labels.uri} have {labels.channels or 'no'}; give an image of unsigned integers, and "
            "both without channels"
        )
    if image.domain != labels.domain:
        raise GeometryError(
            f"image {image.uri} covers {image.domain}, labels {labels.uri} {labels.domain}; give "
            "channels of the same voxels"
        )
    if not np.allclose(image.voxel_size_nm, labels.voxel_size_nm, rtol=1e-3):
        raise GeometryError(
            f"voxels of {image.uri} are {image.voxel_size_nm} nm, those of {labels.uri} "
            f"{labels.voxel_size_nm}; state voxel_size_nm where one of them does not"
        )
    for name, box in boxes.items():
        if not image.domain.contains(box):
            raise GeometryError(
                f"the box {box} of {name} leaves {image.uri}, which covers {image.domain}; correct "
                "the ranges of the task, or its channels"
            )
