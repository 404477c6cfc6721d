"""Writes: what a box and its values must be, so that stored objects have one writer each."""

from volkit.errors import ContractError, GeometryError
from volkit.geometry import AXES, Box
from volkit.io.axes import Array
from volkit.io.sources import Source, chunk_start


def check_write(uri: str, source: Source, box: Box, values: Array) -> None:
    """Refuse values that do not fit a box, and boxes that cut stored objects.

    Parameters
    ----------
    uri : str
        Where to, for messages.
    source : Source
        Where to.
    box : Box
        Array coordinates.
    values : ndarray
        What is to be written.

    Raises
    ------
    GeometryError
        If shape or alignment do not fit.
    ContractError
        If ``values`` has another type: nothing is converted silently.
    """
    shown, unit, first = box.shift(source.voxel_offset), source.write_shape, chunk_start(source)
    lead = () if source.channels is None else (source.channels,)
    if values.shape != (*lead, *box.shape):
        raise GeometryError(
            f"values of shape {values.shape} for box {shown} of {uri}; expected "
            f"{(*lead, *box.shape)}"
        )
    if values.dtype != source.dtype:
        raise ContractError(
            f"values are {values.dtype}, {uri} holds {source.dtype}; convert them first, minding "
            "their range"
        )
    for axis, start, stop, n, zero, extent in zip(
        AXES, box.start, box.stop, unit, first, source.shape, strict=True
    ):
        if ((start - zero) % n and start) or ((stop - zero) % n and stop != extent):
            corner = tuple(o + f for o, f in zip(source.voxel_offset, first, strict=True))
            raise GeometryError(
                f"box {shown} cuts stored objects of {unit} on axis {axis}, which lets two writers "
                f"lose voxels; write whole multiples of {unit} counted from {corner}"
            )
