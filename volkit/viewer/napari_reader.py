"""A reader for napari: what ``open_volume`` opens becomes a layer that is read when it is seen."""

from collections.abc import Callable, Sequence
from typing import Any

from volkit.errors import VolkitError
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.viewer.layer import Kind
from volkit.viewer.open_layers import kind_of, value_span

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]

_UNIT = "nanometer"


def napari_get_reader(path: str | Sequence[str]) -> Reader | None:
    """Say whether volkit opens what napari asks for.

    Parameters
    ----------
    path : str or sequence of str
        Paths, or URIs such as ``precomputed://gs://bucket/layer``.

    Returns
    -------
    callable or None
        What makes layers of them; None leaves it to other plugins.
    """
    paths = [path] if isinstance(path, str) else list(path)
    try:
        for each in paths:
            open_volume(each)
    except (VolkitError, ImportError):
        return None
    return read_layers if paths else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Make a layer of each volume, with all its levels, in nanometres.

    Parameters
    ----------
    path : str or sequence of str
        What ``open_volume`` takes.

    Returns
    -------
    list of (list of dask array, dict, str)
        As napari has it: levels, finest first; how to show them; ``image`` or ``labels``.

    Raises
    ------
    SourceError
        If one cannot be opened.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [_layer(open_volume(each), each) for each in paths]


def _layer(volume: Volume, uri: str) -> LayerData:
    levels = [volume.at_level(n) if n else volume for n in range(volume.level, volume.levels)]
    kind = kind_of(volume, uri)
    scale, start = volume.scale, volume.domain.start
    how: dict[str, Any] = {
        "name": uri.partition("?")[0].rstrip("/").rpartition("/")[2],
        "multiscale": len(levels) > 1,
        "scale": scale.voxel_size_nm,
        "translate": scale.to_nm(start),
        "units": (_UNIT,) * 3,
        "metadata": {"volkit": {"uri": uri, "identity": volume.identity}},
    }
    arrays = [level.to_dask() for level in levels]
    if kind != "labels":
        how["contrast_limits"] = value_span(volume, kind)
        if volume.channels is not None:
            how["channel_axis"] = 0
    return (arrays if len(arrays) > 1 else arrays[0]), how, _type(kind)


def _type(kind: Kind) -> str:
    return "labels" if kind == "labels" else "image"
