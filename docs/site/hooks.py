"""What the site has beyond the pages: its navigation, the workflows, and figures made for it."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GALLERY = "gallery.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the navigation from the first page: what it links to, under its headings."""
    config.nav = navigation((DOCS / "index.md").read_text(encoding="utf-8"))
    return config


def navigation(index: str) -> list[dict[str, object]]:
    """Read lists of links under headings of the second and third rank.

    >>> navigation("## How to\\n### Data\\n* [Open](a.md): it.\\n## More\\n* [Rest](b.md)")[1:]
    [{'How to': [{'Data': [{'Open': 'a.md'}]}]}, {'More': [{'Rest': 'b.md'}]}]
    """
    found: list[dict[str, object]] = [{"Start": "index.md"}]
    section: list[object] = []
    group: list[object] = section
    for line in index.splitlines():
        if heading := re.match(r"(##|###) (.+)", line):
            group = []
            if heading[1] == "##":
                section = group
                found.append({heading[2]: section})
            else:
                section.append({heading[2]: group})
        elif link := re.match(r"\* \[([^]]+)\]\(([^):]+\.md)\)", line):
            group.append({link[1]: link[2]})
    return [part for part in found if all(part.values())]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the workflows that pages link to, and the figures that the gallery draws."""
    for path in sorted((ROOT / "workflows").rglob("*.*")):
        place = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    for name, content in pictures(DOCS / GALLERY, draw=config.extra.get("gallery", True)).items():
        files.append(File.generated(config, name, content=content))
    return files


def pictures(page: Path, *, draw: bool) -> dict[str, bytes]:
    """Run the code of a page in an empty folder, and give the pictures that it leaves there.

    Without ``draw`` they are empty, for those who only want to know where links lead.
    """
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\]\(([\w/-]+\.png)\)", text)
    if not draw:
        return dict.fromkeys(named, b"")
    code = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "page.py")
        script.write_text("\n".join(code), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script.name], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PluginError(f"the code of {page.name} failed:\n{done.stderr}")
        return {name: Path(folder, name).read_bytes() for name in named}


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Give listings the name of their file; lead links to workflows to where the site has them."""
    named = re.sub(
        r"^<!-- file: (.+?) -->\n```(\w+)$", r'```\2 title="\1"', markdown, flags=re.MULTILINE
    )
    depth = page.file.src_uri.count("/")
    return named.replace(
        "](" + "../" * (depth + 1) + "workflows/", "](" + "../" * depth + "workflows/"
    )
