"""Tables of a page: short ones whole, long ones page by page, from rows that are packed into it."""

import base64
import gzip
import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from volkit.markup import Html, element, together

_PAGE = 25  # rows that are shown at a time
_MOST = 100_000  # rows that a page carries: a megabyte or so

PAGING = """
const turnPages = () => {
for (const box of document.querySelectorAll("[data-rows]:not([data-taken])")) {
  box.dataset.taken = "yes";
  (async () => {
    const bytes = Uint8Array.from(atob(box.dataset.rows), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const rows = JSON.parse(await new Response(stream).text());
    const size = Number(box.dataset.page), last = Math.ceil(rows.length / size) - 1;
    const body = box.querySelector("tbody"), where = box.querySelector("output");
    let at = 0;
    const show = n => {
      at = Math.min(Math.max(n, 0), last);
      body.replaceChildren(...rows.slice(at * size, (at + 1) * size).map(row => {
        const line = document.createElement("tr");
        for (const value of row) {
          const cell = document.createElement("td");
          cell.textContent = value;
          if (/^-?[\\d.,e+%-]+$/.test(value)) cell.className = "number";
          line.append(cell);
        }
        return line;
      }));
      where.value = `page ${at + 1} of ${last + 1}`;
    };
    const steps = {first: () => 0, back: () => at - 1, on: () => at + 1, last: () => last};
    for (const button of box.querySelectorAll("button"))
      button.addEventListener("click", () => show(steps[button.name]()));
    show(0);
    box.dataset.ready = "yes";
  })();
}
};
turnPages();
"""
"""What makes long tables turn their pages."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> Html:
    """Write a table; one that is long shows its first page, and carries the rest.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequences of str
        The cells.
    caption : str
        What it is a table of.
    """
    head = element("thead", element("tr", [element("th", name, scope="col") for name in header]))
    body = element("tbody", [element("tr", [_cell(value) for value in r]) for r in rows[:_PAGE]])
    said = element("caption", caption) if caption else Html("")
    whole = element("div", element("table", said, head, body), class_="wide")
    if len(rows) <= _PAGE:
        return whole
    carried = rows[:_MOST]
    packed = gzip.compress(json.dumps(carried, separators=(",", ":")).encode(), 6, mtime=0)
    names = (("first", "first"), ("back", "back"), ("on", "next"), ("last", "last"))
    buttons = [element("button", text, name=name, type="button") for name, text in names]
    counted = f"{len(rows):,} rows"
    if len(rows) > _MOST:
        counted = f"the first {_MOST:,} of {counted}"
    turning = element(
        "div", buttons, element("output", f"{_PAGE} rows"), element("span", counted), class_="turn"
    )
    return element(
        "div", whole, turning, data_rows=base64.b64encode(packed).decode(), data_page=_PAGE
    )


def frame_table(frame: pd.DataFrame, *, caption: str = "") -> Html:
    """Write a table of pandas; of very many rows the first ones."""
    shown = frame.head(_MOST)
    columns = [[printed(value) for value in shown[name].tolist()] for name in shown.columns]
    rows: list[tuple[str, ...]] = list(zip(*columns, strict=True))
    found = table([str(name) for name in frame.columns], rows, caption=caption)
    if len(frame) <= _MOST:
        return found
    rest = f"These are the first {_MOST:,} of {len(frame):,} rows; the table itself has all."
    return together(found, element("p", rest))


def printed(value: Any) -> str:
    """Write a number as a person reads it.

    Examples
    --------
    >>> printed(12345), printed(0.123456789), printed(float("nan")), printed("a")
    ('12,345', '0.1235', '-', 'a')
    """
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "-"
    return str(value)


def _cell(value: str) -> Html:
    number = value.replace(",", "").replace(" %", "").replace("%", "")
    try:
        float(number)
    except ValueError:
        return element("td", value)
    return element("td", value, class_="number")
