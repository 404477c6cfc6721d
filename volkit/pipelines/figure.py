"""Figure: volumes beside each other on three planes through the middle of a domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from volkit.geometry import AXES, Box
from volkit.io.volume import Volume
from volkit.kernels.contingency import add_contingency, contingency
from volkit.pipelines.colours import label_colours, matched

Array = NDArray[Any]
Kind = Literal["image", "prob", "labels", "truth"]

_LONGEST = 1024  # voxels on a side of a panel: more than it has dots
_PLANES = ((0, "xy"), (1, "xz"), (2, "yz"))  # the axis that a plane cuts, and its name
_COLUMN_INCHES = 3.1
_ROOM_FOR_TEXT = 0.25  # height over width of a panel that can hold a line of it
_PALE, _DARK = "#e8e8ec", "#121218"


@dataclass(frozen=True, slots=True)
class Panel:
    """A volume and how to show it.

    Parameters
    ----------
    title : str
        Above its column.
    volume : Volume
        Shape (Z, Y, X), or (C, Z, Y, X).
    kind : {'image', 'prob', 'labels', 'truth'}
        Grey between its quantiles; 0 to 1; ids in colours over the image; ids that take the colour
        of the label they share most with.
    """

    title: str
    volume: Volume
    kind: Kind
    channel: int = 0


def section_figure(
    path: Path, panels: Sequence[Panel], *, domain: Box, heading: str = "", footing: str = ""
) -> None:
    """Draw volumes on the planes xy, xz and yz through the middle of a domain, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    panels : sequence of Panel
        From left to right; the first one is the image that labels are laid over.
    domain : Box
        What to show; where it is large, 1,024 voxels around its middle.
    heading, footing : str
        Above and below.
    """
    voxel = panels[0].volume.voxel_size_nm
    shown = _middle(domain)
    heights = [_extent_nm(_plane(shown, cut), voxel, cut)[0] for cut, _ in _PLANES]
    width = max(_extent_nm(_plane(shown, cut), voxel, cut)[1] for cut, _ in _PLANES)
    # Thin volumes keep rows that can be seen, tall ones a figure that fits a page.
    ratios = [min(max(height / width, 0.12), 1.6) for height in heights]
    size = (_COLUMN_INCHES * len(panels), _COLUMN_INCHES * sum(ratios) + 1.1)
    figure = Figure(figsize=size, dpi=150, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(panels), height_ratios=ratios, squeeze=False)
    pictures = _pictures(panels, shown)
    for row, (cut, name) in enumerate(_PLANES):
        box = _plane(shown, cut)
        extent = _extent_nm(box, voxel, cut)
        for ax, panel, picture in zip(axes[row], panels, pictures[row], strict=True):
            _draw(ax, picture, extent, panel.kind)
        where = f"{name}\n{AXES[cut]} = {box.start[cut]}"
        axes[row, 0].set_ylabel(
            where, color=_PALE, fontsize=10, rotation=0, ha="right", va="center", labelpad=8
        )
        _scale_bar(axes[row, 0], extent)
    for ax, panel in zip(axes[0], panels, strict=True):
        ax.set_title(panel.title, color=_PALE, fontsize=11)
    figure.suptitle(heading, color=_PALE, fontsize=13)
    figure.supxlabel(footing, color=_PALE, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file, equal pictures are equal bytes.
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _middle(domain: Box) -> Box:
    """Cut what fits a panel out of the middle of a domain."""
    over = [max(0, n - _LONGEST) // 2 for n in domain.shape]
    return domain.grow((-over[0], -over[1], -over[2]))


def _plane(box: Box, cut: int) -> Box:
    """Cut the plane through the middle of a box, one voxel thick on one axis."""
    start, stop = list(box.start), list(box.stop)
    start[cut] = (box.start[cut] + box.stop[cut]) // 2
    stop[cut] = start[cut] + 1
    return Box(tuple(start), tuple(stop))  # type: ignore[arg-type]


def _extent_nm(
    plane: Box, voxel_size_nm: tuple[float, float, float], cut: int
) -> tuple[float, float]:
    """Find height and width of a plane, nanometres."""
    height, width = (
        n * size
        for axis, (n, size) in enumerate(zip(plane.shape, voxel_size_nm, strict=True))
        if axis != cut
    )
    return height, width


def _pictures(panels: Sequence[Panel], shown: Box) -> list[list[Array]]:
    """Read the three planes of every volume and turn them into grey or colour, 0 to 1."""
    planes = [[_read(panel, _plane(shown, cut), cut) for panel in panels] for cut, _ in _PLANES]
    kinds = [panel.kind for panel in panels]
    low, high = np.percentile(np.concatenate([row[0].ravel() for row in planes]), (1, 99))
    pairs: dict[int, int] = {}
    if "labels" in kinds and "truth" in kinds:
        true, pred = kinds.index("truth"), kinds.index("labels")
        pairs = matched(add_contingency([contingency(row[true], row[pred]) for row in planes]))
    pictures = []
    for row in planes:
        grey = np.clip((row[0].astype(np.float32) - low) / ((high - low) or 1), 0, 1)
        pictures.append(
            [_look(values, k, grey=grey, pairs=pairs) for values, k in zip(row, kinds, strict=True)]
        )
    return pictures


def _look(values: Array, kind: Kind, *, grey: Array, pairs: dict[int, int]) -> Array:
    if kind == "image":
        return grey
    if kind == "prob":
        return np.clip(values.astype(np.float32), 0, 1)
    colours = label_colours(values, instead=pairs if kind == "truth" else None)
    return colours * (0.45 + 0.55 * grey[..., None])


def _read(panel: Panel, plane: Box, cut: int) -> Array:
    values = panel.volume.read(plane)
    return np.take(values if values.ndim == 3 else values[panel.channel], 0, axis=cut)


def _draw(ax: Axes, picture: Array, extent_nm: tuple[float, float], kind: Kind) -> None:
    height, width = extent_nm
    ax.imshow(
        picture,
        cmap="magma" if kind == "prob" else "gray",
        vmin=0,
        vmax=1,
        extent=(0, width, height, 0),
        interpolation="nearest",
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _scale_bar(ax: Axes, extent_nm: tuple[float, float]) -> None:
    """Draw a bar of a round length, about a quarter of the panel."""
    height, width = extent_nm
    length = round_length(width / 4)
    text = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    edge = [withStroke(linewidth=3, foreground="black")]
    x, y = 0.04 * width, height - 0.05 * min(width, height)
    ax.plot([x, x + length], [y, y], color="white", linewidth=2.5, path_effects=edge)
    if height < _ROOM_FOR_TEXT * width:
        return
    ax.annotate(
        text,
        (x, y),
        (0, 4),
        textcoords="offset points",
        color="white",
        fontsize=9,
        path_effects=edge,
    )


def round_length(length: float) -> float:
    """Round down to 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> round_length(0.7), round_length(430), round_length(1000)
    (0.5, 200.0, 1000.0)
    """
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (1, 2, 5) if step * power <= length) * power)
