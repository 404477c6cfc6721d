"""Look: what a person's data are, found out by reading as little as shows it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volkit.geometry.scale import Vector
from volkit.io.credentials import Credentials
from volkit.io.labels import few_values
from volkit.io.stated_size import open_sized, says_size
from volkit.io.uris import local_path, split_query
from volkit.io.volume import Volume
from volkit.pipelines.proposal.guess import TOMOGRAM_SUFFIXES, Guess, Kind, guessed
from volkit.pipelines.proposal.sample import sample_pieces

_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class Look:
    """What one of somebody's volumes is.

    Parameters
    ----------
    uri : str
        As it was given.
    volume : Volume
        At the level that was given.
    kind : str
        What it seems to be.
    scaled : bool
        Whether it states how large its voxels are.
    span : tuple of float
        Least and largest value but for half a per cent at each end, of what was sampled.
    zeros : float
        Share of voxels that are 0, of what was sampled.
    unsound : float
        Share of voxels that are NaN or infinite.
    values : tuple of int
        Distinct ones, where there are few.
    doubt : str
        Why it may be something else; empty where nothing speaks against it, or a person said it.
    """

    uri: str
    volume: Volume
    kind: Kind
    scaled: bool
    span: tuple[float, float]
    zeros: float
    unsound: float
    values: tuple[int, ...] = ()
    doubt: str = ""

    @property
    def name(self) -> str:
        """A short name."""
        return split_query(self.uri)[0].rstrip("/").rpartition("/")[2].partition("::")[0]

    @property
    def states_level(self) -> bool:
        """Whether a person has chosen the level, in the address."""
        return self.volume.level > 0 or "level" in split_query(self.uri)[1]

    @property
    def uncertain(self) -> str:
        """What a person should check, in a line; empty where nothing is in doubt."""
        other = f"say what it is where that is wrong: image={self.name}"
        return f"taken for {_AS[self.kind]}: {self.doubt}; {other}" if self.doubt else ""

    @property
    def says(self) -> str:
        """What was found, in a line."""
        by = " x ".join
        size = (
            f"{by(f'{nm:g}' for nm in self.volume.voxel_size_nm)} nm"
            if self.scaled
            else "voxels of unknown size"
        )
        channels = "" if self.volume.channels is None else f", {self.volume.channels} channels"
        low, high = self.span
        return (
            f"{_AS[self.kind]}: {by(map(str, self.volume.shape))} voxels{channels}, {size}, "
            f"{self.volume.dtype} from {low:.4g} to {high:.4g}, {self.zeros:.0%} zero"
        )


_AS: dict[Kind, str] = {
    "image": "an image",
    "tomogram": "a tomogram",
    "boundaries": "a map of boundaries",
    "affinities": "affinities",
    "labels": "labels of objects",
    "classes": "labels of classes",
}


def stated_kind(text: str) -> tuple[Kind | None, str]:
    """Understand ``KIND=URI``: what a person says a volume is.

    Examples
    --------
    >>> stated_kind("labels=cells.zarr"), stated_kind("s3://lab/em.zarr?endpoint=x")[0]
    (('labels', 'cells.zarr'), None)
    """
    word, mark, uri = text.partition("=")
    return (word, uri) if mark and word in _AS else (None, text)


def look_at(
    uri: str,
    *,
    kind: Kind | None = None,
    voxel_size_nm: Vector | None = None,
    credentials: Credentials | None = None,
) -> Look:
    """Look at a volume.

    Parameters
    ----------
    uri : str
        What ``open_volume`` takes.
    kind : str or None
        What it is; None guesses.
    voxel_size_nm : tuple of float or None
        Of level 0, (z, y, x), nanometres, where it does not say it.
    credentials : str, optional
        Of its store.

    Returns
    -------
    Look

    Raises
    ------
    SourceError
        If it cannot be opened or read.
    """
    volume = open_sized(uri, voxel_size_nm=voxel_size_nm, credentials=credentials)
    values = np.concatenate([piece.ravel() for piece in sample_pieces(volume)])
    sound = values[np.isfinite(values)] if values.dtype.kind in "fc" else values
    numbers = sound.view(np.uint8) if sound.dtype.kind == "b" else sound  # of which there are means
    spread = np.percentile(numbers, _PERCENTILES) if sound.size else np.zeros(2)
    span = float(spread[0]), float(spread[1])
    few = few_values(sound)
    guess = guessed(uri, volume, sound, few) if kind is None else Guess(kind)
    return Look(
        uri=uri,
        volume=volume,
        kind=guess.kind,
        doubt=guess.doubt,
        scaled=says_size(volume),
        span=span,
        zeros=float((sound == 0).mean()) if sound.size else 0.0,
        unsound=1 - sound.size / max(1, values.size),
        values=few,
    )


def tomogram_files(uri: str) -> tuple[Path, ...]:
    """List the tomograms of a folder; none where it is something else."""
    path = local_path(uri)
    if path is None or not path.is_dir():
        return ()
    return tuple(p for p in sorted(path.iterdir()) if p.suffix.lower() in TOMOGRAM_SUFFIXES)
