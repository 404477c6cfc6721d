"""Sources of clips: cuboids of a volume, or films with an outline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volkit.engine.op import Columns
from volkit.errors import MissingExtraError, SourceError, VolkitError
from volkit.geometry import Box
from volkit.io.clips import read_frames
from volkit.kernels.clips import Clip, OutlineRule, cut_clip, outline_mask
from volkit.kernels.vessel_outline import filled_outline, segment_signal
from volkit.ops.stall_cuboids import CuboidReader


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A clip that cannot be read.

    Parameters
    ----------
    reason : str
        For a person.
    """

    reason: str


Shown = Iterator[tuple[int, Clip | Unreadable, Mapping[str, float]]]
_SAME_NS = 2 * 10**9  # file systems keep times to the nanosecond or to two seconds, and share files


@dataclass(frozen=True, slots=True)
class VolumeClips:
    """Cuboids of a volume; the table has ``segment_id``, their boxes, and ``line_id``, ``line_of``.

    Parameters
    ----------
    reader : CuboidReader
        Of image, mask and centre lines.
    """

    reader: CuboidReader

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the clips."""
        return self.reader.facts

    def clips(self, table: Columns, rows: Sequence[int]) -> Shown:
        """Read the cuboids of rows."""
        boxes = [_box(table, row) for row in rows]
        ids = [int(table["segment_id"][row]) for row in rows]
        for n, clip, signal in self.reader.read(ids, boxes, (table["line_id"], table["line_of"])):
            yield rows[n], clip, signal


@dataclass(frozen=True, slots=True)
class FilmClips:
    """Films with an outline; the table has ``filename``, and ``stamp``, which changes with a film.

    Parameters
    ----------
    folder : str
        Of the films.
    outline : OutlineRule
        How the vessel is found.
    """

    folder: str
    outline: OutlineRule = field(default_factory=OutlineRule)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the clips, beside the table."""
        return {"outline": {k: _plain(v) for k, v in asdict(self.outline).items()}}

    def clips(self, table: Columns, rows: Sequence[int]) -> Shown:
        """Read and cut the films of rows; one that is damaged does not stop the others.

        Nor does one that is not the film of its stamp any more: it is as unreadable.

        Raises
        ------
        OSError
            If a film is gone: then others may be, too, and none of them is damaged.
        """
        for row in rows:
            name, stamp = str(table["filename"][row]), str(table["stamp"][row])
            clip = self._clip(Path(self.folder) / name)
            # Asked afterwards, so that nothing that was put there meanwhile passes for the old one.
            if not same_film(str(film_stamps(Path(self.folder), [name])[0]), stamp):
                clip = Unreadable(f"{name} was replaced while it was worked on")
            yield row, clip, {} if isinstance(clip, Unreadable) else self.signal(clip)

    def _clip(self, path: Path) -> Clip | Unreadable:
        try:
            return cut_clip(read_frames(path), self.outline)
        except MissingExtraError:
            raise  # no film can be read
        except VolkitError as error:
            return Unreadable(str(error))

    def signal(self, clip: Clip) -> dict[str, float]:
        """Measure what is within the outline of a clip; nothing where there is none."""
        if "no_contour" in clip.flags:
            return {}
        votes = outline_mask(clip.voxels, self.outline).mean(0)
        inside, outside = filled_outline(votes >= max(self.outline.votes, 1e-9))
        grey = clip.voxels.mean(0)
        whole = grey.shape
        return segment_signal(grey, np.broadcast_to(inside, whole), np.broadcast_to(outside, whole))


def film_stamps(folder: Path, names: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.str_]]":
    """Stamp films by size and time of change, so that a changed one is noticed."""
    found = [(folder / name).stat() for name in names]
    return np.array([f"{s.st_size}-{s.st_mtime_ns}" for s in found], dtype=np.str_)


def same_film(stamp: str, other: str) -> bool:
    """Tell whether stamps are of one film, which two machines may see.

    Examples
    --------
    >>> same_film("5-1700000000000000000", "5-1700000000250000000")
    True
    >>> same_film("5-1700000000000000000", "6-1700000000000000000")
    False
    """
    (size, changed), (other_size, other_changed) = (s.split("-") for s in (stamp, other))
    return size == other_size and abs(int(changed) - int(other_changed)) < _SAME_NS


def readable(shown: Shown) -> Iterator[tuple[int, Clip, Mapping[str, float]]]:
    """Give clips of which each must be there.

    Raises
    ------
    SourceError
        At the first that cannot be read.
    """
    for row, clip, signal in shown:
        if isinstance(clip, Unreadable):
            raise SourceError(f"a clip cannot be read any more: {clip.reason}")
        yield row, clip, signal


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _box(table: Columns, row: int) -> Box:
    z, y, x = (int(table[f"{a}0"][row]) for a in "zyx")
    k, j, i = (int(table[f"{a}1"][row]) for a in "zyx")
    return Box((z, y, x), (k, j, i))
