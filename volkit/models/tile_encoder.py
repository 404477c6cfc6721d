"""Tile encoders that are stored: a card of a network, or components, known by their content."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ModelError
from volkit.models.checkpoint import read_checkpoint
from volkit.models.tile_components import TileComponents

Floats = NDArray[np.float32]
_BATCH = 16  # always as many, so that an answer cannot depend on how tiles meet


@dataclass(frozen=True, slots=True)
class TileEncoder:
    """An encoder as a value that travels to workers.

    Parameters
    ----------
    uri : str
        A card (``.yaml``), or components (``.npz``).
    identity : str
        Digest of its content.
    """

    uri: str
    identity: str

    @property
    def facts(self) -> dict[str, str]:
        """What decides the embeddings."""
        return {"encoder": self.identity}

    def __call__(self, tiles: Floats) -> Floats:
        """Embed tiles, float32 from 0 to 1, shape (B, C, y, x): float32, shape (B, D).

        Raises
        ------
        ModelError
            If it is no longer there, or has changed.
        """
        encoder = _loaded(self.uri, self.identity)
        if not len(tiles):
            return np.zeros((0, 0), np.float32)
        if isinstance(encoder, TileComponents):
            return np.concatenate([encoder(tile[None]) for tile in tiles])
        return np.concatenate(
            [
                _asked(encoder, tiles[start : start + _BATCH])
                for start in range(0, len(tiles), _BATCH)
            ]
        )


def open_encoder(uri: str | Path) -> TileEncoder:
    """Find a stored encoder.

    Parameters
    ----------
    uri : str or Path
        A card whose network answers a whole tile with a vector, or components in ``.npz``.

    Returns
    -------
    TileEncoder

    Raises
    ------
    ModelError
        If there is none, or the network answers something else.
    """
    return TileEncoder(str(uri), _identity(str(uri)))


def _identity(uri: str) -> str:
    if uri.endswith(".npz"):
        return TileComponents.read(Path(uri)).facts["sha256"]
    card = read_checkpoint(uri)
    if card.output != "whole":
        raise ModelError(
            f"{uri} answers voxels, not tiles as a whole; give the card of an encoder, as the "
            "pipeline regions makes them"
        )
    return card.identity


@lru_cache(maxsize=4)
def _loaded(uri: str, identity: str) -> Any:
    if _identity(uri) != identity:
        raise ModelError(f"{uri} has changed since the work began; begin anew")
    if uri.endswith(".npz"):
        return TileComponents.read(Path(uri))
    from volkit.models.module_loading import read_module

    return read_module(read_checkpoint(uri)).eval()


def _asked(network: Any, tiles: Floats) -> Floats:
    """Ask a network, which sees a full batch however few tiles there are."""
    import torch

    batch = np.zeros((_BATCH, *tiles.shape[1:]), np.float32)
    batch[: len(tiles)] = tiles
    with torch.inference_mode():
        # Of a classifier, what it classifies.
        ask = getattr(network, "features", network)
        answer: Floats = ask(torch.from_numpy(batch)).numpy()[: len(tiles)]
    return answer
