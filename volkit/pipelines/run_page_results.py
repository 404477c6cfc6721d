"""Results on the page of a run: scores, pictures and tables, from the folder of its report."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from volkit.errors import VolkitError
from volkit.io.tables import read_table
from volkit.markup import Html, element
from volkit.pipelines.html.elements import picture
from volkit.pipelines.html.tables import frame_table, printed, table
from volkit.pipelines.table_charts import table_charts

_MOST_PICTURES = 12
_MOST_PICTURE_BYTES = 6 * 2**20  # of all together
_OWN = ("scores.csv",)  # tables that are shown in a section of their own


def score_rows(scores: Mapping[str, Any]) -> Html:
    """Write scores as a table, whatever they are nested in."""
    rows = [(name, printed(value)) for name, value in _flat(scores) if not name.startswith("made.")]
    short = [row for row in rows if row[1] and len(row[1]) < 60]
    # What came out first, and then how it was counted.
    short.sort(key=lambda row: row[0].startswith(("kind", "convention.")))
    return table(("score", "value"), short) if short else Html("")


def pictures(folder: Path) -> Iterator[Html]:
    """Embed what was drawn, as long as the page stays light."""
    found = [*folder.glob("*.png"), *sorted((folder / "figures").glob("*.png"))]
    left = _MOST_PICTURE_BYTES
    for number, path in enumerate(found):
        size = path.stat().st_size
        if number >= _MOST_PICTURES or size > left:
            yield element("p", f"{len(found) - number} more lie in {folder.name}.")
            return
        left -= size
        planes = "on the planes xy, xz and yz through the middle" if number == 0 else ""
        alt = f"{path.stem}: the volumes of the run beside each other {planes}".strip()
        yield element("figure", picture(path, alt=alt), element("figcaption", path.stem))


def tables(folder: Path) -> Iterator[Html]:
    """Show the tables of the report, and the curves that they hold."""
    for path in sorted([*folder.glob("*.csv"), *folder.glob("*.parquet")]):
        if path.name in _OWN:
            continue
        try:
            frame = read_table(path)[0]
        except VolkitError as error:
            yield element("p", f"{path.name} is not shown: {error}")
            continue
        yield from table_charts(path.stem, frame)
        yield frame_table(frame, caption=path.name)


def read_told(path: Path) -> Mapping[str, Any]:
    """Read what a file of JSON tells; empty where it is not there yet, or half written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        elif not isinstance(value, list):
            yield f"{path}{key}", value
