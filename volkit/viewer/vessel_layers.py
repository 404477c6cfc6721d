"""Layers of stall tables: vessels that are called stalled or want a look, as boxes to jump to."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from volkit.errors import VolkitError
from volkit.io.place import Place
from volkit.kernels.stall_decision import reason_names
from volkit.ops.stall_calls import probability_of
from volkit.ops.stall_files import read_stalls
from volkit.ops.stall_review import final_label
from volkit.viewer.found import Item

_TABLE = "report/stalls.parquet"
_STALLED = "stalled"
_EDGES = [f"{axis}{end}" for end in (0, 1) for axis in "zyx"]
_KNOWN = ("length_um", "radius_um_mean", "depth_um", "touches_border")


def flagged_vessels(place: Place, messages: list[str]) -> Iterator[Item]:
    """Find the vessels of a run that somebody should look at.

    Parameters
    ----------
    place : Place
        Folder of the run; without a stall table nothing is found.
    messages : list of str
        Told what cannot be shown.

    Yields
    ------
    Item
        ``stalled vessels``, and ``vessels to review``: those about which the networks are in
        doubt.  Boxes have the id, the probability and what is known of the vessel, the most
        pressing first.
    """
    path = None if place.local is None else place.local / _TABLE
    if path is None or not path.exists():
        return
    try:
        table = read_stalls(path)[0]
    except VolkitError as error:
        messages.append(f"flagged vessels are not shown: {error}")
        return
    shown = _shown(table)
    label = shown["label"]
    for name, kept, by in (
        ("stalled vessels", label == _STALLED, "score"),
        ("vessels to review", table["needs_review"] & (label != _STALLED), "priority"),
    ):
        rows = shown[kept].sort_values(by, ascending=False, kind="stable", ignore_index=True)
        if len(rows):
            yield Item(name, "boxes", table=rows, uri=str(path))


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Choose what is said of a vessel."""
    words = [", ".join(reason_names(int(bits))) for bits in table["review_reason"]]
    return pd.DataFrame(
        {
            **{name: table[name].astype("int64") for name in _EDGES},
            "segment_id": table["segment_id"],
            "score": np.nan_to_num(probability_of(table)),
            "label": final_label(table),
            "why": pd.Series(words, table.index, dtype="str"),
            "priority": table["priority"].fillna(0.0),
            **{name: table[name] for name in _KNOWN},
        }
    )
