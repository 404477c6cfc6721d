"""Contact sheets of prepared scans: three sections of each, with the outline of the brain."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.files.scan_bytes import scan_of
from volkit.ops.scan_batch import mask_key

_DARK, _PALE, _LINE = "#121218", "#e8e8ec", "#ffd166"
_COLUMNS = 4
_RANGE = (1, 99.5)  # percentiles that become black and white


def contact_sheet(path: Path, folder: Path, frame: pd.DataFrame, *, count: int) -> None:
    """Draw a contact sheet, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    folder : Path
        Of the run.
    frame : pandas.DataFrame
        Of schema ``QUALITY``; evenly taken scans of it are shown.
    count : int
        At most.

    Raises
    ------
    SourceError
        If a prepared scan cannot be read.
    """
    good = frame[frame["state"] == "ok"]
    at = np.unique(np.rint(np.linspace(0, len(good) - 1, min(count, len(good)))).astype(int))
    shown = good.iloc[at]
    lines = max(1, -(-len(shown) // _COLUMNS))
    figure = Figure(
        figsize=(3.6 * _COLUMNS, 1.6 * lines + 0.6), dpi=110, facecolor=_DARK, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, row in zip(axes, shown.itertuples(), strict=False):
        _draw(ax, folder, row)
    aside = len(frame) - len(good)
    figure.suptitle(
        f"{len(good)} scans prepared, {aside} set aside, {len(shown)} shown",
        color=_PALE,
        fontsize=10,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _draw(ax: Any, folder: Path, row: Any) -> None:
    values, mask = (_read(folder / key) for key in (row.path, mask_key(row.scan, "brain")))
    low, high = np.percentile(values[mask > 0], _RANGE)
    ax.imshow(side_by_side(values), cmap="gray", vmin=min(low, values.min()), vmax=high)
    outline = side_by_side(mask)
    if outline.any() and not outline.all():
        ax.contour(outline, levels=[0.5], colors=_LINE, linewidths=0.6)
    ax.set_title(
        f"{row.scan}  {row.label}  {row.brain_ml:.0f} ml", color=_PALE, fontsize=7, loc="left"
    )


def side_by_side(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay the middle axial, coronal and sagittal sections beside each other, the head upright.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        In canonical orientation.

    Returns
    -------
    ndarray, shape (max(Y, Z), X + X + Y)
        The smallest value where there is none.

    Examples
    --------
    >>> side_by_side(np.ones((2, 3, 4), np.float32)).shape
    (3, 11)
    """
    z, y, x = (n // 2 for n in values.shape)
    sections = (values[z, ::-1], values[::-1, y], values[::-1, :, x])
    height = max(len(section) for section in sections)
    return np.hstack([_raised(section, height) for section in sections])


def _raised(section: NDArray[np.float32], height: int) -> NDArray[np.float32]:
    above = (height - len(section)) // 2
    width = ((above, height - len(section) - above), (0, 0))
    return np.pad(section, width, constant_values=section.min())


def _read(path: Path) -> NDArray[np.float32]:
    try:
        return scan_of(str(path), path.read_bytes())[0]
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error}); run again with --replace") from error
