"""Sources of clips: cuboids of a volume, or films with an outline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volkit.engine.op import Columns
from volkit.errors import MissingExtraError, VolkitError
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

        Raises
        ------
        OSError
            If a film is gone: then others may be, too, and none of them is damaged.
        """
        for row in rows:
            path = Path(self.folder) / str(table["filename"][row])
            path.stat()
            try:
                clip = cut_clip(read_frames(path), self.outline)
            except MissingExtraError:
                raise  # no film can be read
            except VolkitError as error:
                yield row, Unreadable(str(error)), {}
            else:
                yield row, clip, self.signal(clip)

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


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _box(table: Columns, row: int) -> Box:
    z, y, x = (int(table[f"{a}0"][row]) for a in "zyx")
    k, j, i = (int(table[f"{a}1"][row]) for a in "zyx")
    return Box((z, y, x), (k, j, i))
