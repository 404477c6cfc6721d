"""HTML: what is escaped, paged and drawn, by hand-made pages and an independent parser."""

import base64
import gzip
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from volkit.markup import Html, element, facts, together
from volkit.pipelines.html import document as pages
from volkit.pipelines.html.charts import Span, duration, line_chart, timeline
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import section
from volkit.pipelines.html.tables import frame_table, table
from volkit.pipelines.table_charts import table_charts

EVIL = "<script>alert('x')</script>\" & <b>"


class Checker(HTMLParser):
    """Counts elements, and follows which are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []
        self.text = ""

    def handle_starttag(self, tag, attributes) -> None:
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes) -> None:
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def parsed(text: str) -> Checker:
    found = Checker()
    found.feed(text)
    assert found.open == []
    return found


def test_text_from_outside_stays_text() -> None:
    page = document(
        EVIL,
        section(EVIL, element("p", EVIL, title=EVIL), facts([(EVIL, EVIL)])),
        section("Rows", table((EVIL,), [(EVIL,)] * 3, caption=EVIL)),
        section("Drawn", timeline([Span(EVIL, 0, 1, EVIL)], title=EVIL)),
        section("Lines", line_chart(np.arange(2.0), {EVIL: np.arange(2.0)}, title=EVIL,
                                    across=EVIL, up=EVIL)),
    )  # fmt: skip
    found = parsed(page)
    assert "script" not in [tag for tag, _ in found.seen]
    assert "b" not in [tag for tag, _ in found.seen]
    assert found.text.count(EVIL) > 10
    assert ("p", {"title": EVIL}) in found.seen


def test_a_long_table_carries_all_rows_and_shows_the_first() -> None:
    rows = [(f"name {n}", str(n), EVIL) for n in range(1000)]
    found = parsed(document("t", table(("name", "n", "evil"), rows)))
    packed = next(a["data-rows"] for tag, a in found.seen if "data-rows" in a)
    assert [tuple(r) for r in json.loads(gzip.decompress(base64.b64decode(packed)))] == rows
    assert sum(tag == "tr" for tag, _ in found.seen) == 1 + 25
    assert [a["name"] for tag, a in found.seen if tag == "button"] == [
        "first",
        "back",
        "on",
        "last",
    ]
    short = parsed(document("t", table(("n",), rows[:25])))
    assert not any("data-rows" in a for _, a in short.seen)
    assert "script" not in [tag for tag, _ in short.seen]


def test_a_million_rows_fit_a_page_that_says_what_it_leaves_out() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(1_000_000), "score": rng.random(1_000_000)})
    text = frame_table(frame)
    assert len(text) < 2_000_000
    assert "first 100,000 of 1,000,000 rows" in text


def test_drawings_say_in_words_what_they_show() -> None:
    x = np.linspace(0, 1, 5)
    chart = line_chart(x, {"up": x, "down": 1 - x}, title="Two", across="a", up="b")
    svg = ET.fromstring(re.search(r"<svg.*</svg>", chart)[0])
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Two. up: 0 to 1, mean 0.5; down: 0 to 1, mean 0.5"
    lines = [line.get("points").split() for line in svg.iter("polyline")]
    # From the lower left corner to the upper right one, and from upper left to lower right.
    assert (lines[0][0], lines[0][-1]) == ("64.0,180.0", "624.0,12.0")
    assert (lines[1][0], lines[1][-1]) == ("64.0,12.0", "624.0,180.0")
    assert [line.get("stroke-dasharray") for line in svg.iter("polyline")] == [None, "6 3"]
    assert line_chart(x[:1], {"one": x[:1]}, title="", across="", up="") == ""
    rows = timeline([Span("a", 0, 10), Span("b", 10, 20, "2 blocks")], title="When")
    bars = list(ET.fromstring(re.search(r"<svg.*</svg>", rows)[0]).iter("rect"))
    assert [float(bar.get("width")) for bar in bars] == [227, 227]
    assert [float(bar.get("x")) for bar in bars] == [170, 397]
    assert "b: 10 s, 2 blocks" in rows


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_read_on_their_ground(theme) -> None:
    """Contrast of text is 4.5 or more, as WCAG 2 level AA asks."""
    rules = re.findall(r"--(\w+): (#\w{6})", pages._STYLE)
    half = len(rules) // 2
    colours = dict(rules[:half] if theme == "light" else rules[half:])
    assert set(colours) == set(dict(rules))
    for ground, text in combinations(colours, 2):
        names = {ground, text}
        if (
            names & {"paper", "band"}
            and not names <= {"paper", "band", "rule"}
            and ("rule" not in names)
        ):
            assert contrast(colours[ground], colours[text]) >= 4.5, names


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_curves_are_known_by_their_columns() -> None:
    values = np.linspace(0, 1, 4)
    curve = pd.DataFrame({"threshold": values, "precision": values, "recall": 1 - values})
    titles = [re.search("<figcaption>(.*?)<", c)[1] for c in table_charts("curve", curve)]
    assert titles == ["curve: precision, recall over thresholds", "curve: precision over recall"]
    sections = pd.DataFrame({"z": np.arange(4), "f_score": values})
    (profile,) = table_charts("sections", sections)
    assert "profile over z" in profile
    reliable = pd.DataFrame({"predicted": values, "observed": values})
    (chart,) = table_charts("r", reliable)
    assert "as it should be" in chart
    assert list(table_charts("other", pd.DataFrame({"a": [1, 2]}))) == []


def test_small_things() -> None:
    assert [duration(s) for s in (59.6, 3599, 172801)] == ["60 s", "59:59 min", "2.0 days"]
    assert section("Empty", "", Html("")) == ""
    assert together("a", [element("b", "c")], "<") == "a<b>c</b>&lt;"
    assert 'content="5"' in document("t", refresh=5)
    assert "http-equiv" not in document("t")
