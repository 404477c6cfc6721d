"""Clip store: vessels cut out of films once, then taken from memory or from a folder."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box
from volkit.io.clips import read_frames
from volkit.io.files.recent import Recent
from volkit.kernels.clips import Clip, OutlineRule, cut_clip


@dataclass(frozen=True, slots=True, eq=False)
class ClipStore:
    """The films of a folder, cut out.

    Parameters
    ----------
    folder : Path
        Of the films.
    outline : OutlineRule
        How the vessel is found.
    cache : Path or None
        Folder in which cut clips are kept, under a digest of the film's size and time and of the
        rule, so that a changed film is cut anew; None keeps none.
    memory_mib : int
        Voxels of cut clips that are kept in memory.
    """

    folder: Path
    outline: OutlineRule = field(default_factory=OutlineRule)
    cache: Path | None = None
    memory_mib: int = 2048
    _kept: Recent = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kept", Recent(self.memory_mib * 2**20))

    def clip(self, name: str) -> Clip:
        """Give a clip by the name of its film.

        Raises
        ------
        SourceError
            If the film is absent, cut or damaged.
        """
        film = self.folder / name
        if self.cache is None:
            clip = cut_clip(read_frames(film), self.outline)
        else:
            clip = self._cached(film, self.cache / f"{name}-{self._digest(film)}.npz")
        self._kept.put(name, clip.voxels)
        return clip

    def voxels(self, name: str) -> NDArray[np.uint8]:
        """Give the voxels of a clip, shape (3, Z, Y, X), which are not to be changed."""
        return self._kept.get(name, lambda: self.clip(name).voxels)

    def _digest(self, film: Path) -> str:
        there = film.stat() if film.is_file() else None
        facts = (there and (there.st_size, there.st_mtime_ns), self.outline)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]

    def _cached(self, film: Path, path: Path) -> Clip:
        if path.is_file():
            with np.load(path, allow_pickle=False) as stored:
                return _read(stored)
        clip = cut_clip(read_frames(film), self.outline)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as stream:
                corners = np.array([clip.region.start, clip.region.stop])
                flags = np.array(clip.flags, "U32")
                np.savez(stream, voxels=clip.voxels, region=corners, flags=flags)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return clip


def _read(stored: Any) -> Clip:
    (a, b, c), (d, e, f) = stored["region"].tolist()
    return Clip(stored["voxels"], Box((a, b, c), (d, e, f)), tuple(stored["flags"].tolist()))
