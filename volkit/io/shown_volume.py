"""Shown volumes: what a notebook says of a volume, with a small picture where that is cheap."""

from collections.abc import Sequence
from math import prod

from volkit.errors import VolkitError
from volkit.io.png import png_image
from volkit.io.preview import preview
from volkit.io.redaction import without_secrets
from volkit.io.stated_size import says_size
from volkit.io.volume import Volume
from volkit.markup import Html, element, shown

_UNITS = ((1e6, "mm"), (1e3, "µm"))


def shown_volume(volume: Volume) -> str:
    """Write what is known of a volume as HTML.

    What cannot be read is said, and no error: a notebook shows the rest.

    Parameters
    ----------
    volume : Volume
        Any.

    Returns
    -------
    str
        HTML.
    """
    where = without_secrets(volume.uri)
    try:
        rows = _rows(volume)
    except (VolkitError, OSError) as error:
        return shown("Volume", [("uri", where), ("cannot be opened", without_secrets(str(error)))])
    return shown("Volume", [("uri", where), *rows], _picture(volume, where))


def _rows(volume: Volume) -> list[tuple[str, str]]:
    size = volume.voxel_size_nm
    extent = [n * s for n, s in zip(volume.shape, size, strict=True)]
    stated = says_size(volume)
    voxels = prod(volume.shape) * (volume.channels or 1)
    channels = "" if volume.channels is None else str(volume.channels)
    return [
        ("shape (z, y, x)", _times(volume.shape)),
        ("channels", channels),
        ("type", str(volume.dtype)),
        ("voxel", f"{_times(size)} nm" if stated else "not stated: lengths are voxels"),
        ("extent", _times([_length(n) for n in extent]) if stated else ""),
        ("domain", str(volume.domain) if any(volume.domain.start) else ""),
        ("level", f"{volume.level} of {volume.levels}" if volume.levels > 1 else ""),
        ("chunks", _times(volume.chunk_shape)),
        ("bytes", _bytes(voxels * volume.dtype.itemsize)),
    ]


def _picture(volume: Volume, where: str) -> Html:
    try:
        found = preview(volume)
    except (VolkitError, OSError) as error:
        return element("p", f"no picture: {without_secrets(str(error))}")
    if found.pixels is None:
        return element("p", found.caption)
    style = "image-rendering:pixelated;min-width:96px;max-width:192px;margin:0"
    drawn = png_image(found.pixels, alt=f"{found.caption} of {where}", style=style)
    return element("figure", drawn, element("figcaption", found.caption), style="margin:0")


def _times(values: Sequence[object]) -> str:
    return " x ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


def _length(nm: float) -> str:
    for size, unit in _UNITS:
        if nm >= size:
            return f"{nm / size:.4g} {unit}"
    return f"{nm:.4g} nm"


def _bytes(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} PiB"
