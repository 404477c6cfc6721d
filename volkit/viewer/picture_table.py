"""Picture tables: rows that have a place, each beside a picture of what is there."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

import numpy as np
import pandas as pd

from volkit.errors import ConfigError, VolkitError
from volkit.geometry import Box
from volkit.geometry.scale import Vector
from volkit.io.png import png_image
from volkit.io.preview import grey_pixels
from volkit.io.redaction import without_secrets
from volkit.io.volume import Volume
from volkit.markup import Html, element, together
from volkit.viewer.frame import Frame
from volkit.viewer.table_layers import table_marks

_MOST_ROWS = 50  # each reads a chunk or a few
_MOST_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class PictureTable:
    """A table that shows itself in a notebook with a picture for each of its first rows.

    Nothing is read before it is shown, and then one plane around each row.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``z_nm, y_nm, x_nm``, corners of boxes (``z_start`` to ``x_stop``, voxels), or centres
        (``z, y, x``, voxels).
    image : Volume
        What pictures are of.
    rows : int
        That are shown; the first ones.
    size_nm : float
        Of what a picture shows, on each side.

    Raises
    ------
    SourceError
        If the columns of the table do not say where its rows lie.
    ConfigError
        If there are to be more than 50 rows, or a size is not positive.

    Examples
    --------
    >>> from volkit.io import open_volume
    >>> em = open_volume(np.eye(9, dtype=np.uint8)[None] * 255, voxel_size_nm=(10, 10, 10))
    >>> found = PictureTable(pd.DataFrame({"z_nm": [0.], "y_nm": [40.], "x_nm": [40.]}), em,
    ...                      size_nm=50.0)
    >>> found._repr_html_().count("<img")
    1
    """

    table: pd.DataFrame
    image: Volume
    rows: int = 10
    size_nm: float = 500.0

    def __post_init__(self) -> None:
        if not 0 < self.rows <= _MOST_ROWS or not self.size_nm > 0:
            raise ConfigError(
                f"{self.rows} rows of {self.size_nm:g} nm: show 1 to {_MOST_ROWS} rows, each of "
                "more than 0 nm"
            )
        table_marks(self.table.head(1), Frame.of(self.image.scale), name="the table")

    def _repr_html_(self) -> str:
        shown = self.table.head(self.rows)
        frame = Frame.of(self.image.scale)
        marks = table_marks(shown, frame, name="the table")
        middles = marks.lower if marks.upper is None else (marks.lower + marks.upper) / 2
        names = [str(name) for name in shown.columns[:_MOST_COLUMNS]]
        head = element("tr", [element("th", name, scope="col") for name in ("", *names)])
        lines = [
            element("tr", element("td", self._picture(_vector(place))), _cells(row))
            for place, row in zip(
                frame.to_voxels(middles), shown.iloc[:, :_MOST_COLUMNS].itertuples(index=False),
                strict=True,
            )
        ]  # fmt: skip
        more = len(self.table) - len(shown)
        said = element("p", f"and {more:,} more rows") if more else Html("")
        body = element("table", element("thead", head), element("tbody", lines))
        return str(together(body, said))

    def _picture(self, voxel: Vector) -> Html:
        """Draw the plane around a place; voxel 0 covers 0 to 1."""
        if not np.isfinite(voxel).all():
            return element("span", "no place")
        z, y, x = (floor(n) for n in voxel)
        _, sy, sx = self.image.voxel_size_nm
        ry, rx = (max(1, round(self.size_nm / size / 2)) for size in (sy, sx))
        wanted = Box((z, y - ry, x - rx), (z + 1, y + ry + 1, x + rx + 1))
        box = wanted.intersect(self.image.domain)
        if not box.size:
            return element("span", "outside")
        try:
            values = self.image.read(box)
        except (VolkitError, OSError) as error:
            return element("span", f"not read: {without_secrets(str(error))}")
        plane = values[0, 0] if values.ndim == 4 else values[0]
        alt = f"plane around voxel {z},{y},{x}"
        return png_image(grey_pixels(plane), alt=alt, style="image-rendering:pixelated;width:96px")


def _cells(row: Iterable[object]) -> Html:
    told = (f"{v:.6g}" if isinstance(v, float | np.floating) else str(v) for v in row)
    return together([element("td", text) for text in told])


def _vector(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    z, y, x = (float(n) for n in values)
    return z, y, x
