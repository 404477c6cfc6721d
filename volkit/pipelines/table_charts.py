"""Charts of tables: what is a curve by its columns is drawn as one."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.markup import Html
from volkit.pipelines.html.charts import line_chart

_SCORES = (("f_score", "split", "merge"), ("precision", "recall", "pixel_error", "f"))
_RELIABLE = (("confidence", "accuracy"), ("predicted", "observed"), ("mean_prob", "positive"))
_FEWEST = 2


def table_charts(name: str, frame: pd.DataFrame) -> Iterator[Html]:
    """Draw the curves of a table: over thresholds, precision over recall, reliability, z-profiles.

    Parameters
    ----------
    name : str
        Of the table.
    frame : pandas.DataFrame
        What is a curve is told by names of columns.

    Yields
    ------
    Html
        A drawing for each curve.
    """
    columns = set(frame.columns)
    if len(frame) < _FEWEST:
        return
    groups = [{s: _numbers(frame, s) for s in group if s in columns} for group in _SCORES]
    scores = groups[0] or groups[1]
    over_thresholds = "threshold" in columns and frame["threshold"].is_unique
    for lines in groups if over_thresholds else ():
        x, title = _numbers(frame, "threshold"), f"{name}: {', '.join(lines)} over thresholds"
        if lines:
            yield line_chart(x, lines, title=title, across="threshold", up="score")
    if {"precision", "recall"} <= columns and "threshold" in columns:
        precision = {"precision": _numbers(frame, "precision")}
        yield line_chart(_numbers(frame, "recall"), precision, across="recall", up="precision",
                         title=f"{name}: precision over recall")  # fmt: skip
    for said, found in _RELIABLE:
        if {said, found} <= columns:
            ideal = _numbers(frame, said)
            lines = {found: _numbers(frame, found), "as it should be": ideal}
            yield line_chart(ideal, lines, title=f"{name}: reliability", across=said, up=found)
    if "z" in columns and frame["z"].is_unique and "threshold" not in columns:
        lines = scores or {
            str(c): _numbers(frame, c)
            for c in [c for c in frame.columns if c != "z"][:4]
            if pd.api.types.is_numeric_dtype(frame[c])
        }
        if lines:
            yield line_chart(_numbers(frame, "z"), lines, title=f"{name}: profile over z",
                             across="z, voxels", up="value")  # fmt: skip


def _numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return frame[name].to_numpy(np.float64)
