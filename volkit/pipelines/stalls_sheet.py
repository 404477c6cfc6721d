"""Contact sheets of segments: frames of each beside what is known of it, as PNG and as HTML."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from volkit.kernels.clips import Clip
from volkit.kernels.resize import resized
from volkit.kernels.stall_decision import reason_names
from volkit.ops.stall_calls import probability_of, review_queue
from volkit.ops.stall_schema import KEY

Bytes = NDArray[np.uint8]

_PALE, _DARK, _EDGE = "#e8e8ec", "#121218", "#55555f"
_CALLS = {"stalled": "#ff7b6b", "flowing": "#8ce99a", "undecided": "#ffd166"}
_FRAMES, _HEIGHT, _COLUMNS = 5, 96, 2
_STYLE = (
    "body{background:#121218;color:#e8e8ec;font:14px sans-serif;margin:2em}"
    "table{border-collapse:collapse}td,th{padding:.4em .8em;text-align:left;"
    "border-bottom:1px solid #55555f;vertical-align:middle}img{display:block}"
)


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """A segment on a sheet.

    Parameters
    ----------
    strip : ndarray of uint8, shape (Y, X, 3)
        Frames beside each other.
    facts : mapping of str to str
        What is known.
    call : str
        Decides the colour.
    """

    strip: Bytes
    facts: Mapping[str, str]
    call: str

    @property
    def title(self) -> str:
        """Say it in one line."""
        shown = [f"{name} {text}" for name, text in self.facts.items() if text]
        return "   ".join(shown)


def shown_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose the segments of a sheet: those to be reviewed, then the most probable ones.

    Parameters
    ----------
    table : pandas.DataFrame
        A stall table.
    count : int
        At most.

    Returns
    -------
    pandas.DataFrame
        Its rows.
    """
    queue = review_queue(table)
    rest = table[~table["segment_id"].isin(queue["segment_id"])]
    order = rest.assign(_p=probability_of(rest)).sort_values(
        ["_p", *KEY], ascending=[False, True, True], kind="stable"
    )
    return pd.concat([queue, order.drop(columns="_p")], ignore_index=True)[:count]


def card(row: Any, clip: Clip) -> Card:
    """Make the card of a segment from its row and what the networks saw."""
    calibrated = row["p_calibrated"]
    facts = {
        "segment": str(row["segment_id"]),
        "p": f"{row['p_stalled']:.3f}",
        "calibrated": "" if pd.isna(calibrated) else f"{calibrated:.3f}",
        "mc std": "" if pd.isna(row["mc_std"]) else f"{row['mc_std']:.3f}",
        "length": "" if pd.isna(row["length_um"]) else f"{row['length_um']:.0f} µm",
        "call": str(row["call"]),
        "why": ", ".join(reason_names(int(row["review_reason"]))),
    }
    return Card(strip(clip.voxels), facts, str(row["call"]))


def strip(voxels: Bytes, *, frames: int = _FRAMES, height: int = _HEIGHT) -> Bytes:
    """Lay frames of a clip beside each other, evenly taken from first to last.

    Parameters
    ----------
    voxels : ndarray of uint8, shape (C, Z, Y, X)
        One channel is grey, two are grey and an outline, three are colours.
    frames : int
        How many.
    height : int
        Of the strip, pixels.

    Returns
    -------
    ndarray of uint8, shape (height, X', 3)
    """
    chosen = np.rint(np.linspace(0, voxels.shape[1] - 1, frames)).astype(int)
    given = voxels[:, chosen]
    if len(given) == 2:  # the outline in red
        given = np.stack([np.maximum(given[0], given[1]), given[0], given[0]])
    colours = np.broadcast_to(given, (3, *given.shape[1:]))
    width = max(1, round(height * given.shape[3] / given.shape[2]))
    scaled = np.rint(resized(colours, (frames, height, width))).astype(np.uint8)
    gap = np.full((3, height, 2), 18, np.uint8)
    parts = [part for frame in range(frames) for part in (scaled[:, frame], gap)][:-1]
    return np.ascontiguousarray(np.concatenate(parts, axis=2).transpose(1, 2, 0))


def sheet_png(path: Path, cards: Sequence[Card], *, heading: str) -> None:
    """Draw a contact sheet, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    cards : sequence of Card
        In order, line by line.
    heading : str
        Above them.
    """
    lines = max(1, -(-len(cards) // _COLUMNS))
    figure = Figure(
        figsize=(7.2 * _COLUMNS, 1.9 * lines + 0.5), dpi=110, facecolor=_DARK, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, each in zip(axes, cards, strict=False):
        ax.imshow(each.strip, interpolation="nearest")
        ax.set_anchor("NW")
        ax.set_title(each.title, color=_CALLS.get(each.call, _PALE), fontsize=8, loc="left")
    figure.suptitle(heading, color=_PALE, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def sheet_html(path: Path, cards: Sequence[Card], *, heading: str) -> None:
    """Write a contact sheet as a page that needs no other file.

    Parameters
    ----------
    path : Path
        Target.
    cards : sequence of Card
        In order.
    heading : str
        Above them.
    """
    names = list(cards[0].facts) if cards else []
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["frames", *names])
    rows = "".join(f"<tr>{_html_row(each)}</tr>\n" for each in cards)
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(heading)}'
        f"</title><style>{_STYLE}</style>\n<h1>{html.escape(heading)}</h1>\n"
        f"<table><tr>{head}</tr>\n{rows}</table></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def png_bytes(picture: Bytes) -> bytes:
    """Write a picture, shape (Y, X, 3), as PNG."""
    stream = BytesIO()
    imsave(stream, picture, format="png", pil_kwargs={"pnginfo": None})
    return stream.getvalue()


def _html_row(each: Card) -> str:
    data = base64.b64encode(png_bytes(each.strip)).decode()
    label = html.escape(f"frames of segment {each.facts.get('segment', '')}")
    picture = f'<td><img alt="{label}" src="data:image/png;base64,{data}"></td>'
    colour = _CALLS.get(each.call, _PALE)
    cells = "".join(
        f'<td style="color:{colour}">{html.escape(text)}</td>'
        if name == "call"
        else f"<td>{html.escape(text)}</td>"
        for name, text in each.facts.items()
    )
    return picture + cells
