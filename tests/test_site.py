"""The documentation as a site: built strictly, and every link of it followed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from volkit.testing.browser import Browser, find_chromium
from volkit.testing.servers.files import FileServer

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CONFIG = DOCS / "site" / "mkdocs.yml"
BUILD = """
import sys
from mkdocs.commands.build import build
from mkdocs.config import load_config

config = load_config(sys.argv[1], site_dir=sys.argv[2], strict=True)
config.extra["gallery"] = sys.argv[3] == "drawn"
config.plugins.on_startup(command="build", dirty=False)
build(config)
"""


class Tags(HTMLParser):
    """The links, anchors and paragraphs of a page, and what it fetches by itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.paragraphs: list[str] = []
        self._within = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self.fetched.append(given["src"])
        self._within = tag == "p" or (self._within and tag in ("code", "em", "strong", "a"))
        if tag == "p":
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = self._within and tag != "p"

    def handle_data(self, data: str) -> None:
        if self._within:
            self.paragraphs[-1] += data


def built(folder: Path, figures: str) -> Path:
    command = [sys.executable, "-c", BUILD, str(CONFIG), str(folder), figures]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, with empty figures: `tests/test_docs.py` runs the code that makes them."""
    return built(tmp_path_factory.mktemp("site"), "empty")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Tags]:
    return {path: Tags(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_in_the_site(site: Path) -> None:
    wanted = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    there = {path.relative_to(site) for path in site.rglob("*.html")}
    assert there == wanted | {Path("404.html")}
    assert not list(site.rglob("*.py"))


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[Path, Tags]) -> None:
    lost = []
    for path, tags in pages.items():
        for link in (*tags.links, *tags.fetched):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            near = site / parts.path[1:] if parts.path.startswith("/") else path.parent / parts.path
            target = path if not parts.path else Path(unquote(str(near))).resolve()
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(parts.fragment)
            known = not anchor or target not in pages or anchor in pages[target].anchors
            if not target.exists() or not known:
                lost.append(f"{path.relative_to(site)}: {link}")
    assert lost == []
    assert sum(len(tags.links) for tags in pages.values()) > 1000


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Tags]) -> None:
    fetched = {url for tags in pages.values() for url in tags.fetched}
    assert [url for url in fetched if urlsplit(url).netloc] == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", text), sheet.name


def test_no_list_or_table_is_left_as_text(site: Path, pages: dict[Path, Tags]) -> None:
    """What Markdown of a repository takes for a list, the site's Markdown may not."""
    left = [
        f"{path.relative_to(site)}: {text[:60]}"
        for path, tags in pages.items()
        for text in tags.paragraphs
        if re.search(r"(^|\n)(\* |\d\. |\|.*\|$|```|#+ )", text)
    ]
    assert left == []


def test_navigation_is_that_of_the_first_page(pages: dict[Path, Tags], site: Path) -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    named = re.findall(r"^\* \[[^]]+\]\(([^):]+)\.md\)", index, re.MULTILINE)
    links = pages[site / "index.html"].links
    assert {f"{name}.html" for name in named} <= set(links)
    assert len(named) > 40


def test_words_can_be_found(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    texts = {entry["location"]: entry["text"] for entry in index["docs"]}
    assert "volkit reprocess" in texts["how-to/reprocess.html"]


def test_listings_have_the_names_of_their_files(site: Path) -> None:
    page = (site / "tutorials" / "slurm.html").read_text(encoding="utf-8")
    assert '<span class="filename">slurm.yaml</span>' in page


@pytest.fixture
def browser() -> Iterator[Browser]:
    found = Browser.start()
    yield found
    assert found.close() == []


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_a_reader_finds_pages_and_sees_figures(browser: Browser, tmp_path: Path) -> None:
    folder = built(tmp_path / "site", "drawn")
    with FileServer(folder) as server:
        browser.open(f"{server.url}/index.html")
        browser.run("document.querySelector('[data-md-component=search-query]').focus()")
        browser.run(
            "(() => { const q = document.querySelector('[data-md-component=search-query]');"
            " q.value = 'walltime'; q.dispatchEvent(new Event('keyup')); })()"
        )
        found = browser.wait("document.querySelector('.md-search-result__link')?.href")
        assert found.startswith(server.url)
        browser.screenshot(tmp_path / "search.png")
        browser.open(f"{server.url}/gallery.html")
        sizes = browser.run(
            "[...document.querySelectorAll('article img')].map(i => [i.naturalWidth, i.alt.length])"
        )
        assert len(sizes) == 6
        assert all(width > 300 and words > 20 for width, words in sizes)
        browser.screenshot(tmp_path / "gallery.png")
        browser.open("about:blank")
    assert [e for e in browser.errors if "favicon" not in e] == []
