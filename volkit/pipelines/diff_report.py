"""Report of a comparison: verdicts, where the change lies, and one page of HTML with all of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.geometry import AXES, Grid
from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.kernels.overlap import CHANGES
from volkit.markup import Html, element, facts, together
from volkit.pipelines.diff_verdict import SAME, Verdict, worst
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import picture, section
from volkit.pipelines.html.tables import frame_table, table
from volkit.pipelines.worst_objects import worst_rows

_VERDICTS = Schema(
    (
        Column("name", "str", "", "what was compared"),
        Column("kind", "str", "", "labels, values or table"),
        Column("verdict", "str", "", "how large the change is"),
        Column("share", "float64", "", "voxels or rows that changed, 0 to 1"),
        Column("numbers", "str", "", "in one line"),
    )
)
_CHANGED = ("changed", "over", "unlike")  # what says how much a block changed
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
    old, new = str(provenance["old"]), str(provenance["new"])
    header = ("compared", "kind", "verdict", "share", "numbers")
    rows = [(v.name, v.kind, v.verdict, f"{v.share:.4%}", v.says) for v in verdicts]
    drawn = [
        element("figure", element("figcaption", name), picture(figure, alt=_said(name, verdicts)))
        for name, figure in figures.items()
    ]
    made = json.dumps(provenance, indent=1, default=str)
    text = document(
        f"{Path(old).name} and {Path(new).name}",
        section("Verdicts", table(header, rows)),
        section("Where it changed", drawn),
        section("Most changed blocks", list(_worst(path.parent, verdicts, new))),
        section("Changed blocks and objects", list(_tables(path.parent, verdicts))),
        section("Made from", element("pre", made)),
        lead=together(
            element("p", total, class_=_colour(total), role="status"),
            facts([("old", old), ("new", new)]),
        ),
    )
    path.write_text(text, encoding="utf-8")


def _said(name: str, verdicts: Sequence[Verdict]) -> str:
    found = next((v for v in verdicts if v.name == name), None)
    words = "" if found is None else f": {found.verdict}, {found.share:.4%}"
    return f"heat map of where {name} changed, on three planes{words}"


def _tables(folder: Path, verdicts: Sequence[Verdict]) -> Iterator[Html]:
    """Show which blocks and objects changed."""
    for verdict in verdicts:
        for ending in ("blocks.parquet", "objects.parquet"):
            path = folder / f"{verdict.name}.{ending}"
            frame = read_table(path)[0] if path.exists() else pd.DataFrame()
            if len(frame):
                yield frame_table(frame, caption=path.name)


def _worst(folder: Path, verdicts: Sequence[Verdict], new: str) -> Iterator[Html]:
    """Name the blocks that changed most, to be looked at on the new side."""
    for verdict in verdicts:
        path = folder / f"{verdict.name}.blocks.parquet"
        frame = read_table(path)[0] if path.exists() else pd.DataFrame()
        by = next((name for name in _CHANGED if name in frame.columns), None)
        if by is not None:
            yield worst_rows(frame, by, new, title=verdict.name)


def _colour(verdict: str) -> str:
    return "same" if verdict in SAME else verdict.split()[0] if "change" in verdict else "large"
