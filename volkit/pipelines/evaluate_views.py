"""Views of an evaluation: the voxels that its figure shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box
from volkit.geometry.scale import Vector
from volkit.io.volume import Volume
from volkit.ops.evaluation_alignment import Aligned

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Views:
    """Where the voxels of a figure come from.

    Parameters
    ----------
    volumes : Aligned
        Prediction and truth.
    image : Volume or None
        To show objects over, in the coordinates of the prediction.
    voxel_size_nm : tuple of float
        (z, y, x).
    """

    volumes: Aligned
    image: Volume | None
    voxel_size_nm: Vector

    def read(self, box: Box) -> tuple[Array, Array, Array]:
        """Read prediction, truth, and how bright to show them, 0 to 1."""
        pred, truth = self.volumes.pred.read(box), self.volumes.truth.read(box)
        if self.image is None or not self.image.domain.contains(box):
            return pred, truth, np.full(box.shape, 0.75, np.float32)
        grey = self.image.read(box).astype(np.float32)
        low, high = np.percentile(grey, (1, 99))
        return pred, truth, np.clip((grey - low) / ((high - low) or 1), 0, 1)
