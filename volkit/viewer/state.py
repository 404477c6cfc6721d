"""States: all that a viewer is told, from where it looks to what it shows."""

from collections.abc import Sequence
from typing import Any

from volkit.geometry.scale import Vector
from volkit.io.volume import Volume
from volkit.viewer.frame import Frame
from volkit.viewer.layer import State

_PANEL = 500  # pixels of a plane, about
_BACKGROUND = "#000000"


def view_state(
    layers: Sequence[State], frame: Frame, volume: Volume | None, at: Vector | None
) -> State:
    """Put layers before a viewer's eye.

    Parameters
    ----------
    layers : sequence of dict
        The lowest first.
    frame : Frame
        Where the viewer counts from.
    volume : Volume or None
        What is to be in view; None where no layer is a volume.
    at : tuple of float or None
        Voxel of the frame to look at, (z, y, x); None is the middle of the volume.

    Returns
    -------
    dict
        What Neuroglancer takes.
    """
    state: State = {
        "dimensions": frame.dimensions,
        "layers": list(layers),
        "layout": "4panel",
        "showDefaultAnnotations": True,
        "crossSectionBackgroundColor": _BACKGROUND,
        "projectionBackgroundColor": _BACKGROUND,
    }
    lists = [layer["name"] for layer in layers if layer.get("annotations")]
    if lists:
        state["selectedLayer"] = {"visible": True, "layer": lists[-1]}
    if volume is not None:
        scale = zoom(volume, frame)
        state |= {"crossSectionScale": scale, "projectionScale": scale * 1.5 * _PANEL}
        corners = zip(volume.domain.start, volume.domain.stop, strict=True)
        z, y, x = at or [(a + b) / 2 for a, b in corners]
        state["position"] = [x, y, z]
    elif at is not None:
        state["position"] = list(at[::-1])
    return state


def zoom(volume: Volume, frame: Frame) -> float:
    """Choose how many of the smallest voxels a pixel shows: all of a section, where that is cheap.

    A volume without coarser levels is shown voxel by voxel where it is large, so that a viewer
    asks for a few chunks and not for a whole section.
    """
    unit = min(frame.voxel_size_nm)
    high, wide = (n * s for n, s in zip(volume.shape[1:], volume.voxel_size_nm[1:], strict=True))
    whole = max(high, wide) / _PANEL / unit
    last = volume.at_level(volume.levels - 1) if volume.levels - 1 > volume.level else volume
    cheap = max(last.voxel_size_nm[1:]) / unit
    return max(min(whole, cheap), min(whole, 1.0))


def with_source(state: State, name: str, url: str, *, instead_of: str = "") -> State:
    """Give a state in which a layer has another source, and all else is as it was.

    Parameters
    ----------
    state : dict
        What is shown.
    name : str
        Of the layer.
    url : str
        Its new source.
    instead_of : str
        Another layer, which is no longer shown, while this one is; empty changes neither.
    """
    layers = []
    for layer in state.get("layers", []):
        if layer.get("name") == name:
            layer = {**layer, "source": _moved(layer.get("source"), url)}
        if instead_of and layer.get("name") in (name, instead_of):
            layer = {**layer, "visible": layer.get("name") == name}
        layers.append(layer)
    return {**state, "layers": layers}


def _moved(source: Any, url: str) -> Any:
    first = source[0] if isinstance(source, list) and source else source
    return {**first, "url": url} if isinstance(first, dict) else url
