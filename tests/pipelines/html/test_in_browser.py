"""Pages in a browser: pages turn, phones need no scrolling to the side, nobody else is asked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from volkit.markup import element
from volkit.pipelines.html.charts import Span, line_chart, timeline
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import section
from volkit.pipelines.html.tables import table
from volkit.testing.browser import Browser, find_chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    rows = [(f"block {n}", str(n), "x" * (n % 50), "a long word " * 5) for n in range(99)]
    x = np.linspace(0, 1, 50)
    parts = (
        section("Numbers", table(("name", "number", "letters", "words"), rows)),
        section("When", timeline([Span("prob", 0, 30), Span("labels", 30, 90)], title="Stages")),
        section("Curve", line_chart(x, {"a": x, "b": x**2}, title="Two", across="x", up="y")),
        section("Text", element("pre", "z" * 400)),
    )
    path = tmp_path / "page.html"
    path.write_text(document("A page", parts), encoding="utf-8")
    return path


@pytest.fixture
def browser() -> Iterator[Browser]:
    found = Browser.start()
    yield found
    errors = found.errors
    assert found.close() == []
    assert errors == []


def test_tables_turn_their_pages(browser, page, tmp_path) -> None:
    browser.open(page.as_uri())
    browser.wait("document.querySelector('[data-ready]') != null")
    browser.screenshot(tmp_path / "page.png")
    first = "document.querySelector('tbody td').textContent"
    where = "document.querySelector('.turn output').value"
    assert (browser.run(first), browser.run(where)) == ("block 0", "page 1 of 4")
    for name, row, said in (
        ("on", "block 25", "page 2 of 4"),
        ("last", "block 75", "page 4 of 4"),
        ("on", "block 75", "page 4 of 4"),
        ("back", "block 50", "page 3 of 4"),
        ("first", "block 0", "page 1 of 4"),
    ):
        browser.run(f"document.querySelector('button[name={name}]').click()")
        assert (browser.run(first), browser.run(where)) == (row, said)
    browser.run("document.querySelector('nav a[href=\"#curve\"]').click()")
    assert browser.run("location.hash") == "#curve"


def test_a_phone_shows_it_without_scrolling_to_the_side(browser, page, tmp_path) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=375,
        height=700,
        deviceScaleFactor=1,
        mobile=True,
    )
    browser.open(page.as_uri())
    assert browser.run("document.documentElement.scrollWidth") == 375
    browser.screenshot(tmp_path / "phone.png")


def test_it_is_drawn_with_colours_in_light_and_dark_and_prints(browser, page, tmp_path) -> None:
    for theme, ground in (("light", 255), ("dark", 21)):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        browser.call("Emulation.setEmulatedMedia", features=features)
        browser.open(page.as_uri())
        pixels = browser.screenshot(tmp_path / f"{theme}.png")
        assert pixels[5, 5, 0] == ground
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(browser.call("Page.printToPDF")["data"]) > 10_000
