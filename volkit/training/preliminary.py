"""Preliminary maps: what an earlier network says of a tissue, computed once and then fixed."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.models.checkpoint import load, read_checkpoint
from volkit.training.config import LabelledVolume
from volkit.training.dense_config import DenseConfig, Recursion
from volkit.training.patches import Held, open_tissue
from volkit.training.whole_map import whole_map

Floats = NDArray[np.float32]


def preliminary_map(spec: LabelledVolume, config: DenseConfig, recursion: Recursion) -> Held:
    """Give the map of an earlier network over a labelled box.

    It is kept beside the checkpoint, under the digest of all that decides it, so that a run that
    goes on finds the same bytes.

    Parameters
    ----------
    spec : LabelledVolume
        Image and box; beyond the box the image is mirrored.
    config : DenseConfig
        Where to keep it, and on which device to compute.
    recursion : Recursion
        The earlier network, and which of its answers is the map.

    Returns
    -------
    Held
        Probabilities (float32) over the box.

    Raises
    ------
    ConfigError
        If the network has no such answer.
    """
    card = read_checkpoint(recursion.checkpoint)
    if not 0 <= recursion.channel < card.channels[1]:
        raise ConfigError(
            f"recursion.channel is {recursion.channel}, the network {card.uri} answers "
            f"{card.channels[1]} channels; choose 0 to {card.channels[1] - 1}"
        )
    tissue = open_tissue(spec, card.scaling)
    image = tissue.image.read(tissue.box)
    decides = f"{card.identity} {recursion.channel} {tissue.scale} {image.dtype} {image.shape}"
    digest = hashlib.sha256(decides.encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
    path = Path(config.checkpoint).with_suffix(f".map-{digest[:16]}.npy")
    if not path.exists():
        predict = load(card, device=config.device)
        z, y, x = (w - 2 * m for w, m in zip(card.window, card.margin, strict=True))
        a, b, c = card.margin

        def answer(windows: Floats) -> Floats:
            found = predict(windows, scale=tissue.scale)[0, recursion.channel]
            far = [n - m for n, m in zip(found.shape, (a, b, c), strict=True)]
            return found[a : far[0], b : far[1], c : far[2]]

        def read(box: Box) -> Floats:
            return tissue.image.read(box).astype(np.float32)[None]

        _keep(whole_map(answer, read, tissue.box, margin=card.margin, tile=(z, y, x)), path)
    return Held(np.load(path, allow_pickle=False), tissue.box)


def _keep(values: Floats, path: Path) -> None:
    """Write a map, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
