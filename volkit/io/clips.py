"""Clips: short films of one outlined vessel, read as stacks in colours."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.open import open_volume

_COLOURS = 3


def read_frames(uri: str | Path) -> NDArray[np.uint8]:
    """Read all frames of a film.

    Parameters
    ----------
    uri : str or Path
        ``.mp4`` and what else `volkit.io.files.video` opens; any other volume of uint8 with three
        channels or one.

    Returns
    -------
    ndarray of uint8, shape (3, Z, Y, X)
        Red, green and blue of frame z; a grey film three times, so that no outline is in it.

    Raises
    ------
    SourceError
        If it is absent, cut or damaged, or not of 8 bits in grey or three colours.
    MissingExtraError
        If PyAV is not installed.
    """
    volume = open_volume(uri)
    frames = np.asarray(volume.read(volume.domain))
    if frames.ndim == _COLOURS:
        frames = np.broadcast_to(frames, (_COLOURS, *frames.shape))
    if frames.dtype != np.uint8 or frames.shape[0] != _COLOURS:
        raise SourceError(
            f"{uri} holds {frames.dtype} of shape {frames.shape}; a clip is uint8 with three "
            "colours or grey: convert it to 8 bits, for example with ffmpeg -pix_fmt yuv420p"
        )
    return np.ascontiguousarray(frames)
