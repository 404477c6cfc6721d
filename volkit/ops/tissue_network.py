"""Tissue networks: MeshNet and its like on a whole head, in the frame that they were trained in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.files.affine import Affine
from volkit.io.files.canonical import canonical, reoriented
from volkit.io.open import open_volume
from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.ops.inference import infer
from volkit.ops.inference_options import InferenceOptions

Labels = NDArray[np.uint8]

_DIGITS = 3  # of a millilitre: a cubic millimetre
_LETTERS = ({"R", "L"}, {"A", "P"}, {"S", "I"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueOptions:
    """A network that tells tissues apart, and what it wants to see.

    Parameters
    ----------
    checkpoint : str
        Its card; class 0 is the background.
    axes : str
        Which way the first, second and third axis of its input grow; LIA for those of brainchop.
    extent : int
        Voxels along every axis of its input; a larger head is given whole.
    device : str
        ``auto``, ``cuda``, ``mps`` or ``cpu``.

    Raises
    ------
    ConfigError
        If axes or extent make no sense.
    """

    checkpoint: str
    axes: str = "LIA"
    extent: int = 256
    device: str = "cpu"

    def __post_init__(self) -> None:
        if len(self.axes) != 3 or any(len(set(self.axes) & pair) != 1 for pair in _LETTERS):
            raise ConfigError(
                f"axes {self.axes!r}: give three letters, one of RL, one of AP, of SI"
            )
        if self.extent < 1:
            raise ConfigError(f"extent is {self.extent}; give 1 voxel or more")


@dataclass(frozen=True, slots=True)
class Tissues:
    """What a network says of a head.

    Parameters
    ----------
    labels : ndarray of uint8, shape (Z, Y, X)
        Number of the most probable class of every voxel.
    classes : tuple of str
        Names of the classes; the first is the background.
    voxels : tuple of float
        Of each class, its probabilities summed over the voxels.
    """

    labels: Labels
    classes: tuple[str, ...]
    voxels: tuple[float, ...]

    def volumes_ml(self, affine: Affine) -> dict[str, float]:
        """Give the volume of every tissue, millilitres, without the background.

        Probabilities are summed, not labels counted: of a voxel at the border of two tissues each
        gets its part, and the thin cortex loses nothing.

        Parameters
        ----------
        affine : ndarray of float64, shape (4, 4)
            Voxel indices (x, y, z) to millimetres.

        Examples
        --------
        >>> found = Tissues(np.zeros((1, 1, 3), np.uint8), ("none", "white", "grey"), (1, 1.5, 0.5))
        >>> found.volumes_ml(np.diag([10.0, 10.0, 10.0, 1.0]))
        {'white': 1.5, 'grey': 0.5}
        """
        millilitres = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
        named = zip(self.classes[1:], self.voxels[1:], strict=True)
        return {name: round(count * millilitres, _DIGITS) for name, count in named}


def find_tissues(values: NDArray[np.float32], affine: Affine, options: TissueOptions) -> Tissues:
    """Let a network tell the tissues of a head apart.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        A head in canonical orientation, with the voxels that the network was trained on.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.
    options : TissueOptions
        The network.

    Returns
    -------
    Tissues
        In the frame of ``values``.

    Raises
    ------
    ContractError
        If the network sees other channels than one, or does not answer probabilities of classes.
    ModelError
        If there is no such network.

    References
    ----------
    Fedorov et al., End-to-end learning of brain tissue segmentation from imperfect labeling,
    IJCNN 2017, https://doi.org/10.1109/IJCNN.2017.7966333
    """
    card = read_checkpoint(options.checkpoint)
    seen, answered = card.channels
    if seen != 1 or answered < 2 or card.activation != "softmax":
        raise ContractError(
            f"{options.checkpoint} sees {seen} channels and answers {answered} by {card.activation}"
            "; give a network that makes probabilities (softmax) of two or more classes of one "
            "channel"
        )
    turned, frame = reoriented(values, affine, options.axes)
    # A network's first axis is the first one of the file, which volkit's arrays have last.
    seen_by_network = turned.transpose(2, 1, 0)
    padded, inside = _padded(seen_by_network, options.extent)
    prob = _probabilities(padded, card, options.device)[(slice(None), *inside)]
    labels = prob.argmax(axis=0).astype(np.uint8)
    back, _ = canonical(labels.transpose(2, 1, 0), frame)
    return Tissues(
        labels=np.ascontiguousarray(back),
        classes=tuple(card.classes or (f"class {n}" for n in range(answered))),
        voxels=tuple(float(each.sum(dtype=np.float64)) for each in prob),
    )


def _padded(values: NDArray[Any], extent: int) -> tuple[NDArray[np.float32], tuple[slice, ...]]:
    """Put a head into the middle of a cube of zeros, where it is smaller."""
    wanted = [max(extent, n) for n in values.shape]
    front = [(w - n) // 2 for w, n in zip(wanted, values.shape, strict=True)]
    inside = tuple(slice(f, f + n) for f, n in zip(front, values.shape, strict=True))
    padded = np.zeros(wanted, np.float32)
    padded[inside] = values
    return padded, inside


def _probabilities(
    values: NDArray[np.float32], card: Checkpoint, device: str
) -> NDArray[np.float32]:
    """Ask for the classes of every voxel; the head goes through the network in one piece."""
    domain = Box.from_shape((values.shape[0], values.shape[1], values.shape[2]))
    z, y, x = (n + 2 * m for n, m in zip(domain.shape, card.margin, strict=True))
    options = InferenceOptions(
        window=(z, y, x),
        stride=domain.shape,
        weights="constant",
        padding="none",
        batch=1,
        blocks_at_once=1,
        device=device,
    )
    prob = infer(open_volume(values), card, options=options, grid=Grid(domain, domain.shape))
    found: NDArray[np.float32] = prob.compute(scheduler="sync")
    return found
