"""Workflows that are complete and tiny: an image, its truth, a network, a file of keys."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from volkit.geometry import Coord
from volkit.io.open import create_volume
from volkit.models.architectures import build
from volkit.models.checkpoint import save_checkpoint

_CELL = 14  # voxels: about the distance between the centres of cells
_VOXEL_NM = (10.0, 10.0, 10.0)


def tiny_workflow(folder: Path, *, shape: Coord = (24, 48, 40), **changes: Any) -> Path:
    """Write a ``segment_neurons`` workflow that runs in seconds on one processor.

    The image is a boundary map, and the network says what it sees: scores are near 1, and every
    stage is the real one.

    Parameters
    ----------
    folder : Path
        Where to; made where it is not there.
    shape : tuple of int
        Extent of the image, voxels.
    **changes
        Keys of the workflow that are to be others.

    Returns
    -------
    Path
        The workflow file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth, boundary = voronoi_cells(shape)
    for name, values in (("image", boundary), ("truth", truth)):
        volume = create_volume(
            folder / f"{name}.zarr", shape=shape, dtype=values.dtype, voxel_size_nm=_VOXEL_NM
        )
        volume.write(volume.domain, values)
    identity_checkpoint(folder / "identity.yaml")
    keys: dict[str, Any] = {
        "pipeline": "segment_neurons",
        "input": {"image": "image.zarr", "truth": "truth.zarr"},
        "checkpoint": "identity.yaml",
        "output": "run",
        "block_shape": [12, 16, 20],
        "infer": {"batch": 2, "device": "cpu"},
        "segment": {"fragments": {"tile": [24, 24, 24], "halo": [20, 20, 20]}, "threshold": 0.6},
        "cluster": {"workers": 0},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**keys, **changes}, sort_keys=False), encoding="utf-8")
    return path


def voronoi_cells(shape: Coord, *, seed: int = 0) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Make cells and the probability of a boundary between them.

    Parameters
    ----------
    shape : tuple of int
        Voxels, (z, y, x).
    seed : int
        Of the centres.

    Returns
    -------
    truth : ndarray of uint64, shape ``shape``
        Ids from 1.
    boundary : ndarray of float32, shape ``shape``
        0 to 1.

    Examples
    --------
    >>> truth, boundary = voronoi_cells((8, 16, 16))
    >>> truth.shape, bool(boundary.max() <= 1), len(np.unique(truth)) > 1
    ((8, 16, 16), True, True)
    """
    rng = np.random.default_rng(seed)
    count = max(2, round(np.prod(shape) / _CELL**3))
    centres = rng.uniform(0, shape, size=(count, 3))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    distance, nearest = KDTree(centres).query(voxels, k=2)
    truth = nearest[..., 0].astype(np.uint64) + 1
    wall = (distance[..., 1] - distance[..., 0] < 1.5).astype(np.float32)
    return truth, np.clip(1.2 * gaussian_filter(wall, 0.7), 0, 0.98).astype(np.float32)


def identity_checkpoint(path: Path, *, window: Coord = (8, 16, 16), gain: float = 1.0) -> None:
    """Write a network that answers what it sees, where that is not negative.

    Parameters
    ----------
    path : Path
        The card.
    window : tuple of int
        What it sees at once, voxels.
    gain : float
        What its answer is multiplied by: another one is another network.
    """
    import torch

    arguments = {"widths": [1], "blocks": [1], "norm": "none"}
    network = build("residual_unet3d", **arguments)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    state["stem.conv.weight"][0, 0, 1, 1, 1] = 1
    state["head.weight"][0, 0, 0, 0, 0] = gain
    save_checkpoint(
        state,
        path,
        {
            "architecture": "residual_unet3d",
            "arguments": arguments,
            "channels": [1, 1],
            "window": list(window),
            "classes": ["boundary"],
            "description": "says what it sees",
        },
    )
