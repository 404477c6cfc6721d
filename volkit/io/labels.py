"""Labels: ids are uint64 and 0 is background; anything else is refused where it is read."""

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.uris import split_query
from volkit.io.volume import Volume

Content = Literal["image", "labels", "classes"]
"""Grey values and the like, ids of objects, or numbers of a few classes."""

_MOST_CLASSES = 16  # distinct values: an image of 8 bits has more
_LARGEST_CLASS = 255
_LARGE = 2**24  # voxels
# Words, not parts of them: what is labelled, or called a segment, is no label.
_LABELS = re.compile(
    r"labels?(?![a-z])|truth|segmentation|annotations?(?![a-z])|(?<![a-z])(gt|seg|annot)(?![a-z])",
    re.IGNORECASE,
)


def read_labels(volume: Volume, box: Box | None = None) -> npt.NDArray[np.uint64]:
    """Read ids of a box.

    Parameters
    ----------
    volume : Volume
        Of integers, without channels.
    box : Box or None
        In volume coordinates; None for all.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)

    Raises
    ------
    SourceError
        If the volume holds no integers, has channels, or an id is negative.

    Examples
    --------
    >>> from volkit.io import open_volume
    >>> read_labels(open_volume(np.array([[[0, 7]]], np.int32))).dtype
    dtype('uint64')
    """
    if volume.dtype.kind not in "bui" or volume.channels is not None:
        shown = "" if volume.channels is None else f" with {volume.channels} channels"
        raise SourceError(
            f"{volume.uri} holds {volume.dtype}{shown}; labels are integers without channels"
        )
    values = volume.read(box)
    if volume.dtype.kind == "i" and values.size and values.min() < 0:
        first = np.unravel_index(int(np.argmax(values < 0)), values.shape)
        start = (volume.domain if box is None else box).start
        place = tuple(int(a + b) for a, b in zip(first, start, strict=True))
        raise SourceError(
            f"{volume.uri} holds the negative id {values[first]} at voxel {place}; ids are 0 "
            "(background) and above: relabel it, or open the right volume"
        )
    return values.astype(np.uint64, copy=False)


def holds_labels(volume: Volume) -> bool:
    """Tell whether voxels are ids, of which no mean can be taken.

    They are where the volume says so (an annotation channel, a segmentation layer, OME labels),
    else where they are bool, or integers of 32 bits and more, and of fewer where the name of the
    volume says so (``truth.tif``, ``em.h5::labels``, ``cell_seg.zarr``).
    """
    said = volume.attributes
    own = said.get("volkit", {})
    kind = own.get("kind", said.get("kind", said.get("type")))
    if kind in ("annotation", "segmentation", "labels") or "image-label" in said.get("ome", said):
        return True
    if kind == "image":
        return False
    if volume.dtype.kind in "iu" and volume.dtype.itemsize < 4:
        return volume.channels is None and bool(_LABELS.search(_name(volume)))
    return volume.dtype.kind in "biu"


def content_of(volume: Volume, few: tuple[int, ...] = ()) -> Content:
    """Tell what voxels are, also where only their values say it: those of classes are few.

    Parameters
    ----------
    volume : Volume
        Any.
    few : tuple of int
        From :func:`few_values`, of some of it; none where nothing was read.

    Returns
    -------
    {'image', 'labels', 'classes'}

    Examples
    --------
    >>> from volkit.io import open_volume
    >>> tissue = open_volume(np.zeros((2, 4, 4), np.uint8))
    >>> content_of(tissue), content_of(tissue, (0, 1, 2))
    ('image', 'classes')
    """
    if volume.dtype.kind not in "biu" or volume.channels is not None:
        return "image"
    # A small box may hold few objects, whose ids are of 32 or 64 bits; no large volume does.
    plain = volume.dtype.itemsize <= 2 or volume.domain.size > _LARGE
    if plain and len(few) > 1 and max(few) <= _LARGEST_CLASS:
        return "classes"
    return "labels" if holds_labels(volume) else "image"


def few_values(values: npt.NDArray[Any]) -> tuple[int, ...]:
    """List the distinct values where they are whole numbers, and few enough to be classes.

    Parameters
    ----------
    values : ndarray
        Any shape.

    Examples
    --------
    >>> few_values(np.array([3, 0, 3])), few_values(np.arange(99)), few_values(np.zeros(2))
    ((0, 3), (), ())
    """
    if values.dtype.kind not in "biu":
        return ()
    found = np.unique(values)
    return tuple(map(int, found)) if found.size <= _MOST_CLASSES else ()


def _name(volume: Volume) -> str:
    """Find what somebody called a volume: a file, or what is inside it."""
    place, query = split_query(volume.uri)
    file, _, inside = place.rstrip("/").partition("::")
    return inside or query.get("part") or Path(file).name
