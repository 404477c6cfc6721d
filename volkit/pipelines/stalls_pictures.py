"""Pictures of a stall table: contact sheets, attention maps, and layers for Neuroglancer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.engine.op import Columns
from volkit.geometry import VoxelScale
from volkit.io.objects import open_objects
from volkit.io.open import create_volume
from volkit.io.points.annotations import write_boxes
from volkit.io.points.files import write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame
from volkit.io.sources import OpenOptions
from volkit.kernels.attention import overlaid
from volkit.kernels.clips import Clip
from volkit.ops.stall_attention import attention
from volkit.ops.stall_calls import probability_of
from volkit.ops.stall_ensemble import StallEnsemble
from volkit.ops.stall_prediction import ClipSource
from volkit.ops.stall_review import final_label
from volkit.ops.stall_sources import readable
from volkit.pipelines.stalls_sheet import (
    card,
    png_bytes,
    sheet_html,
    sheet_png,
    shown_rows,
    strip,
)
from volkit.pipelines.stalls_table import Files

_NM_PER_UM = 1000.0
_SHOWN = (
    "priority",
    "needs_review",
    "review_reason",
    "length_um",
    "radius_um_mean",
    "tortuosity",
    "depth_um",
    "touches_border",
    "mc_std",
    "fold_std",
    "snr",
)
Clips = Sequence[tuple[Any, Clip]]


def clips_of(rows: pd.DataFrame, columns: Columns, source: ClipSource) -> list[tuple[Any, Clip]]:
    """Read the clips of some rows of a table again, in their order.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of the stall table.
    columns : dict of ndarray
        What the source was given, with ``segment_id``.
    source : ClipSource
        Gives the clips.

    Returns
    -------
    list of (row, Clip)

    Raises
    ------
    SourceError
        If one cannot be read any more.
    """
    place = {int(key): n for n, key in enumerate(columns["segment_id"])}
    wanted = [place[int(key)] for key in rows["segment_id"]]
    found = {n: clip for n, clip, _ in readable(source.clips(columns, sorted(wanted)))}
    return [(row, found[n]) for n, (_, row) in zip(wanted, rows.iterrows(), strict=True)]


def write_sheets(folder: Path, clips: Clips, *, heading: str) -> Files:
    """Write the contact sheets ``sheet.png`` and ``sheet.html``."""
    cards = [card(row, clip) for row, clip in clips]
    sheet_png(folder / "sheet.png", cards, heading=heading)
    sheet_html(folder / "sheet.html", cards, heading=heading)
    return (("contact sheet", folder / "sheet.png"), ("page", folder / "sheet.html"))


def write_attention(
    folder: Path, clips: Clips, ensemble: StallEnsemble, *, scale: VoxelScale | None
) -> Files:
    """Write what the networks look at, for each segment.

    Parameters
    ----------
    folder : Path
        Gets ``ID.png``: frames, with the colours of the maps, and with Grad-CAM over them; and
        ``ID.zarr``: these colours and Grad-CAM as four channels, where the cuboid lies.
    clips : sequence of (row, Clip)
        From `clips_of`.
    ensemble : StallEnsemble
        The networks.
    scale : VoxelScale or None
        Of the volume; None where there is none.

    Returns
    -------
    tuple of (str, Path)
        Nothing without clips.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for row, clip in clips:
        colours, gradient = attention(ensemble, clip)
        name = str(row["segment_id"])
        (folder / f"{name}.png").write_bytes(png_bytes(_panels(clip, colours, gradient)))
        volume = create_volume(
            folder / f"{name}.zarr",
            shape=clip.region.shape,
            dtype=np.uint8,
            channels=4,
            start=clip.region.start,
            voxel_size_nm=None if scale is None else scale.voxel_size_nm,
            origin_nm=(0.0, 0.0, 0.0) if scale is None else scale.origin_nm,
            overwrite=True,
            attributes={"channels": ["deviation", "largest", "mean", "grad_cam"]},
        )
        volume.write(clip.region, np.concatenate([colours, gradient[None]]))
    return (("attention", folder),) if clips else ()


def write_layers(folder: Path, table: pd.DataFrame, scale: VoxelScale) -> Files:
    """Write segments as layers for Neuroglancer.

    Parameters
    ----------
    folder : Path
        Gets ``annotations``, a point at the centre of each segment, and ``boxes``, the cuboid of
        each under its own id, with what is known of it.
    table : pandas.DataFrame
        A stall table.
    scale : VoxelScale
        Of the volume.

    Returns
    -------
    tuple of (str, Path)
    """
    label, probability = final_label(table), probability_of(table)
    centres = np.stack([table[f"centroid_um_{a}"].to_numpy() for a in "zyx"], -1) * _NM_PER_UM
    points = points_frame(centres, label.tolist(), scores=probability)
    write_points(str(folder / "annotations"), points, PointOptions(format="annotations"))
    lower, upper = (
        _edges_nm(np.stack([table[f"{a}{n}"].to_numpy() for a in "zyx"], -1), scale) for n in (0, 1)
    )
    known = table[[name for name in _SHOWN if name in table]]
    values = pd.DataFrame({"label": label, "probability": probability, **known})
    place = open_objects(folder / "boxes", OpenOptions())
    place.delete_all()  # segments of an earlier workflow
    write_boxes(place, (lower, upper), table["segment_id"].to_numpy(np.uint64), values)
    return (("annotations", folder / "annotations"), ("boxes", folder / "boxes"))


def _edges_nm(voxels: Any, scale: VoxelScale) -> Any:
    """Say where voxels begin; nanometres are those of their centres."""
    return (voxels - 0.5) * np.array(scale.voxel_size_nm) + np.array(scale.origin_nm)


def pictured(
    table: pd.DataFrame, columns: Columns, source: ClipSource, *, count: int
) -> list[tuple[Any, Clip]]:
    """Read what a contact sheet shows."""
    return clips_of(shown_rows(table, count), columns, source)


def _panels(clip: Clip, colours: Any, gradient: Any) -> Any:
    grey = clip.voxels[0] if len(clip.voxels) < 3 else clip.voxels.mean(0)
    heat = np.stack([gradient, gradient // 3, np.zeros_like(gradient)])
    lines = [strip(part) for part in _shown(clip, overlaid(grey, colours), overlaid(grey, heat))]
    return np.concatenate(lines)


def _shown(clip: Clip, *overlays: Any) -> Iterator[Any]:
    yield clip.voxels
    yield from overlays
