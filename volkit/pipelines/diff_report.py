"""Report of a comparison: verdicts, where the change lies, and one page of HTML with all of it."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.geometry import AXES, Grid
from volkit.io.tables import Column, Schema, write_table
from volkit.kernels.overlap import CHANGES
from volkit.pipelines.diff_verdict import SAME, Verdict, worst

_VERDICTS = Schema(
    (
        Column("name", "str", "", "what was compared"),
        Column("kind", "str", "", "labels, values or table"),
        Column("verdict", "str", "", "how large the change is"),
        Column("share", "float64", "", "voxels or rows that changed, 0 to 1"),
        Column("numbers", "str", "", "in one line"),
    )
)
_MEANINGS = {
    "changed": ("voxels", "that changed beyond a renaming of objects"),
    "old_objects": ("", "old objects involved"),
    "new_objects": ("", "new objects involved"),
    "most_old": ("", "old id of the largest change; 0 is background"),
    "most_new": ("", "new id of the largest change; 0 is background"),
    "most_changed": ("voxels", "of the largest change"),
    "values": ("", "voxels times channels"),
    "unlike": ("", "values that differ at all"),
    "over": ("", "values that differ by more than the threshold"),
    "largest": ("", "largest absolute difference"),
    "mean": ("", "mean absolute difference"),
}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1c1c22; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { border-bottom: 1px solid #d8d8e0; padding: .35rem .8rem; text-align: left;
         vertical-align: top; }
img { max-width: 100%; }
code { font-size: 90%; }
.same { color: #1b7837; } .small { color: #9a6700; } .large { color: #b2182b; }
"""


def write_blocks(
    path: Path, grid: Grid, rows: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any]
) -> None:
    """Write where a volume changed: the box of every block, and how much.

    Parameters
    ----------
    path : Path
        Parquet.
    grid : Grid
        The blocks.
    rows : mapping of ndarray
        ``block`` and what is said of it.
    provenance : mapping
        JSON.
    """
    columns: dict[str, NDArray[Any]] = {"block": rows["block"]}
    described = [Column("block", "int64", "", "number of the block, C order")]
    index = np.unravel_index(rows["block"], grid.shape)
    for edge in ("start", "stop"):
        for axis, name in enumerate(AXES):
            step = index[axis] + (edge == "stop")
            at = grid.domain.start[axis] + step * grid.block_shape[axis]
            columns[f"{name}_{edge}"] = np.minimum(at, grid.domain.stop[axis]).astype(np.int64)
            described.append(Column(f"{name}_{edge}", "int64", "voxels", f"{edge} of its box"))
    for name in (name for name in _MEANINGS if name in rows):
        columns[name] = rows[name]
        described.append(Column(name, rows[name].dtype.name, *_MEANINGS[name]))
    write_table(path, pd.DataFrame(columns), Schema(tuple(described)), provenance)


def write_objects(
    path: Path, objects: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any]
) -> None:
    """Write what became of the objects that changed, as Parquet."""
    sides, names = np.array(["old", "new"], object), np.array(CHANGES, object)
    frame = pd.DataFrame(
        {
            "side": pd.Series(sides[objects["is_new"].astype(int)], dtype="str"),
            "id": objects["id"],
            "voxels": objects["voxels"],
            "change": pd.Series(names[objects["change"]], dtype="str"),
            "links": objects["links"],
            "partner": objects["partner"],
        }
    )
    schema = Schema(
        (
            Column("side", "str", "", "old or new"),
            Column("id", "uint64", "", "of the object"),
            Column("voxels", "int64", "voxels", "its size"),
            Column("change", "str", "", ", ".join(CHANGES)),
            Column("links", "int64", "", "objects of the other side that it is linked to"),
            Column("partner", "uint64", "", "object that shares most voxels, 0 for none"),
        )
    )
    write_table(path, frame, schema, provenance)


def write_summary(folder: Path, verdicts: Sequence[Verdict], provenance: Mapping[str, Any]) -> None:
    """Write ``diff.json`` and ``verdicts.csv``."""
    rows = [
        {
            "name": v.name,
            "kind": v.kind,
            "verdict": v.verdict,
            "share": v.share,
            "numbers": v.numbers,
        }
        for v in verdicts
    ]
    whole = {"verdict": worst(tuple(verdicts)), "compared": rows, **provenance}
    text = json.dumps(whole, indent=1, default=str) + "\n"
    (folder / "diff.json").write_text(text, encoding="utf-8")
    frame = pd.DataFrame(
        {
            "name": pd.Series([v.name for v in verdicts], dtype="str"),
            "kind": pd.Series([v.kind for v in verdicts], dtype="str"),
            "verdict": pd.Series([v.verdict for v in verdicts], dtype="str"),
            "share": np.array([v.share for v in verdicts], np.float64),
            "numbers": pd.Series([v.says for v in verdicts], dtype="str"),
        }
    )
    write_table(folder / "verdicts.csv", frame, _VERDICTS, provenance)


def write_page(
    path: Path,
    verdicts: Sequence[Verdict],
    figures: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write one page of HTML that needs no other file.

    Parameters
    ----------
    path : Path
        Target.
    verdicts : sequence of Verdict
        The table.
    figures : mapping of str to Path
        PNG by name of what was compared.
    provenance : mapping
        JSON; ``old`` and ``new`` name the sides.
    """
    total = worst(tuple(verdicts))
    old, new = (html.escape(str(provenance[side])) for side in ("old", "new"))
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{old} and {new}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f'<h1 class="{_colour(total)}">{total}</h1>',
        f"<p>old: <code>{old}</code><br>new: <code>{new}</code></p>",
        "<table><tr><th>compared</th><th>kind</th><th>verdict</th><th>share</th><th>numbers</th>",
        *(_row(verdict) for verdict in verdicts),
        "</table>",
        *(_figure(name, figure) for name, figure in figures.items()),
        "<h2>Made from</h2>",
        f"<pre>{html.escape(json.dumps(provenance, indent=1, default=str))}</pre>",
        "</body></html>",
    ]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _row(verdict: Verdict) -> str:
    cells = (verdict.name, verdict.kind, verdict.verdict, f"{verdict.share:.4%}", verdict.says)
    inner = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr class="{_colour(verdict.verdict)}">{inner}</tr>'


def _figure(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<h2>{html.escape(name)}</h2><img alt="heat map" src="data:image/png;base64,{data}">'


def _colour(verdict: str) -> str:
    return "same" if verdict in SAME else verdict.split()[0] if "change" in verdict else "large"
