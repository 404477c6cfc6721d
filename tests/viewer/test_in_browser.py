"""The viewer in a browser: colours of known labels where they should be, and nobody else asked."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from volkit.io.open import create_volume
from volkit.io.points.files import write_points
from volkit.io.points.table import points_frame
from volkit.testing.browser import Browser, find_chromium
from volkit.testing.workflows import tiny_workflow
from volkit.viewer.view import View

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine"),
]

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser that in the end has asked no other machine, and had no error."""
    found = Browser.start()
    yield found
    # 412 is how the server tells the client that the state was changed on both sides at once; the
    # client then sends its own again.
    errors = [e for e in found.errors if not ("status of 412" in e and "/state/" in e)]
    assert found.close() == []
    assert errors == []


@contextmanager
def looking(browser: Browser, *uris: str) -> Iterator[View]:
    """Show something; the browser looks away before that ends, else it would miss the server."""
    with View.of(uris) as view:
        try:
            yield view
        finally:
            browser.open("about:blank")


def settled(browser: Browser, done, path: Path, seconds: float = 60.0):
    """Look again until what is drawn is as expected, and give it."""
    until = time.monotonic() + seconds
    while True:
        pixels = browser.screenshot(path)
        if done(pixels) or time.monotonic() > until:
            return pixels
        time.sleep(0.2)


def only(view: View, layout: str = "xy", **more) -> None:
    """Show one plane, without lines over it."""
    plain = {"showAxisLines": False, "showScaleBar": False, "showDefaultAnnotations": False}
    plain["selectedLayer"] = {"visible": False}
    view.server.show({**view.state, **plain, "layout": layout, **more})


def stored(path: Path, values, **more) -> str:
    volume = create_volume(
        path, shape=values.shape, dtype=values.dtype, voxel_size_nm=(40, 8, 8), **more
    )
    volume.write(volume.domain, values)
    return str(path)


def middle(browser: Browser, *, panels: int = 1) -> tuple[int, int]:
    """Where the middle of the first drawing lies on the page, once the layout is the one told."""
    script = (
        "(() => { const f = document.getElementById('viewer');"
        " const d = f.contentWindow.document;"
        " const p = d.querySelectorAll('.neuroglancer-rendered-data-panel');"
        f" if (p.length != {panels} || !d.querySelector('.neuroglancer-layer-item')) return null;"
        " const [a, b] = [f.getBoundingClientRect(), p[0].getBoundingClientRect()];"
        " return [a.x + b.x + b.width / 2, a.y + b.y + b.height / 2]; })()"
    )
    before = None
    while (place := browser.wait(script)) != before:  # bars above it may still be made
        before = place
        time.sleep(0.5)
    x, y = place
    return round(x), round(y)


def is_near(pixel, colour) -> bool:
    return bool(np.abs(pixel.astype(int) - np.array(colour)).max() < 30)


def test_labels_have_their_colours_where_they_lie(browser, tmp_path) -> None:
    """Four quarters of a plane, one of them background, at an offset, over a white image."""
    labels = np.zeros((4, 64, 64), np.uint64)
    labels[:, :32, :32], labels[:, :32, 32:], labels[:, 32:, :32] = 7, 2**40 + 1, 9
    path = stored(tmp_path / "labels.zarr", labels, start=(10, 200, 300))
    with looking(browser, path) as view:
        look = {"segmentColors": {"7": "#ff0000", str(2**40 + 1): "#00ff00", "9": "#0000ff"}}
        look |= {"selectedAlpha": 1.0}
        layers = [{**layer, **look} for layer in view.state["layers"]]
        assert view.state["position"] == [332, 232, 12]
        only(view, layers=layers, crossSectionScale=0.25)  # 4 pixels for each voxel
        browser.open(view.url)
        x, y = middle(browser)
        pixels = settled(
            browser, lambda p: is_near(p[y - 40, x - 40], RED), tmp_path / "labels.png"
        )
        for dy, dx, colour in ((-40, -40, RED), (-40, 40, GREEN), (40, -40, BLUE)):
            assert is_near(pixels[y + dy, x + dx], colour), (dy, dx)
            assert is_near(pixels[y + 3 * dy, x + 3 * dx], colour), (dy, dx)
        assert is_near(pixels[y + 40, x + 40], (0, 0, 0))
        # 32 voxels of 4 pixels on each side, and nothing beyond.
        assert is_near(pixels[y - 120, x - 132], (0, 0, 0))
        row = (np.abs(pixels[y - 40].astype(int) - RED).max(-1) < 30).sum()
        assert abs(int(row) - 128) <= 2


@pytest.mark.slow
def test_grey_is_what_the_image_holds_and_planes_have_their_proportions(browser, tmp_path) -> None:
    values = np.zeros((16, 64, 64), np.uint8)
    values[:, 16:48, 16:48] = 200
    with looking(browser, stored(tmp_path / "em.zarr", values)) as view:
        only(view, crossSectionScale=0.25)
        browser.open(view.url)
        x, y = middle(browser)
        pixels = settled(browser, lambda p: is_near(p[y, x], (200,) * 3), tmp_path / "em.png")
        assert is_near(pixels[y + 60, x - 60], (200, 200, 200))
        assert is_near(pixels[y, x + 80], (0, 0, 0))
        only(view, "xz", crossSectionScale=0.5)
        # 16 sections of 40 nm are as high as 80 voxels of 8 nm: 160 pixels at 4 nm.
        bright = settled(
            browser,
            lambda p: abs(int((p[:, x, 0] > 150).sum()) - 160) < 4,
            tmp_path / "xz.png",
        )
        assert abs(int((bright[:, x, 0] > 150).sum()) - 160) < 4
        assert abs(int((bright[y, :, 0] > 150).sum()) - 64) < 4


@pytest.mark.slow
def test_points_are_drawn_where_they_lie(browser, tmp_path) -> None:
    image = stored(tmp_path / "em.zarr", np.full((5, 64, 64), 10, np.uint8))
    points = points_frame([[80.0, 8.0 * 40, 8.0 * 20]], "a", scores=[0.9])
    write_points(tmp_path / "p.csv", points)
    with looking(browser, image, str(tmp_path / "p.csv")) as view:
        only(view, crossSectionScale=0.25, position=[20.5, 40.5, 2.5])
        browser.open(view.url)
        x, y = middle(browser)
        pixels = settled(browser, lambda p: int(p[y, x].max()) > 200, tmp_path / "points.png")
        assert is_near(pixels[y, x], (255, 90, 95))
        assert is_near(pixels[y, x + 40], (10, 10, 10))


@pytest.mark.slow
def test_the_slider_joins_labels(browser, tmp_path) -> None:
    from volkit.cli import main

    workflow = tiny_workflow(tmp_path / "project")
    with pytest.raises(SystemExit):
        main(["run", str(workflow), "--local"])
    with looking(browser, str(tmp_path / "project" / "run")) as view:
        only(view)
        browser.open(view.url)
        x, y = middle(browser)
        settled(browser, lambda p: p[y - 100 : y + 100, x - 100 : x + 100].std() > 20,
                tmp_path / "before.png")  # fmt: skip
        slide = (
            "(() => { const s = document.getElementById('threshold'); s.value = '1';"
            " s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change')); })()"
        )
        browser.run(slide)
        browser.wait("document.body.dataset.threshold == '1'")
        assert browser.run("document.getElementById('shown').value") == "1.000"
        for layer in view.state["layers"]:
            if layer["name"] == "labels at a threshold":
                source = layer["source"]
                url = source if isinstance(source, str) else source["url"]
                assert url.endswith("cut-1.000000")
                assert layer.get("visible", True)
        shown = {one["name"]: one.get("visible", True) for one in view.state["layers"]}
        assert not shown["labels"]
        alone = [
            {**one, "visible": one["name"] == "labels at a threshold", "selectedAlpha": 1.0}
            if one["type"] == "segmentation" else {**one, "visible": False}
            for one in view.state["layers"]
        ]  # fmt: skip
        only(view, layers=alone)

        def single(p) -> bool:
            part = p[y - 60 : y + 60, x - 60 : x + 60].reshape(-1, 3)
            return int(part.max()) > 100 and len(np.unique(part, axis=0)) == 1

        assert single(settled(browser, single, tmp_path / "joined.png"))


def test_a_browser_without_webgl_says_so() -> None:
    browser = Browser.start(flags=["--disable-3d-apis"])
    try:
        with looking(browser, "specimen://em?shape=8,32,32&part=truth") as view:
            browser.open(view.url)
            browser.wait("!document.getElementById('trouble').hidden")
            said = browser.run("document.getElementById('trouble').innerText")
            assert "no WebGL 2" in said
            assert browser.run("document.getElementById('viewer')") is None
    finally:
        assert browser.close() == []


@pytest.mark.slow
def test_first_pixels_of_a_terabyte(browser, tmp_path) -> None:
    """A specimen of 10^12 voxels: the time is printed, what is read is counted."""
    begun = time.monotonic()
    uri = "specimen://em?shape=10000,10000,10000"
    with looking(browser, uri) as view:
        only(view, "4panel")
        browser.open(view.url)
        x, y = middle(browser, panels=4)

        def first(p) -> bool:
            return float(p[y - 100 : y + 100, x - 100 : x + 100].std()) > 5

        pixels = settled(browser, first, tmp_path / "terabyte.png")
        seconds = time.monotonic() - begun
        sys.stdout.write(f"first pixels after {seconds:.1f} s, {view.server.answered} answers\n")
        assert first(pixels)
        assert view.server.answered < 2000  # of 4 million chunks
