"""Documentation: its code runs, prints what it says, and what it names is there.

Every ``python`` block of a page runs in order, in one namespace and an empty folder; a ``text``
block right behind it is what it prints.  Every ``console`` block is a list of ``$ command`` lines,
each with what it prints, or nothing where that does not matter.  A comment before a block says
what is unusual about it::

    <!-- not executed: reason -->
    <!-- needs: package -->         executed where that is installed, as by the extra `dev`
    <!-- file: name -->             the block is the content of this file
    <!-- exit code: 1 -->           the command of the block is meant to fail
"""

import ast
import contextlib
import importlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

import volkit
from volkit.io import registry

Python = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
COMMANDS = {  # what Python is given
    "volkit": ("-c", "from volkit.cli import main; main()"),
    "python": (),
    "pytest": ("-m", "pytest", "-q", "-p", "no:cacheprovider"),
}


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page: its language, its text, where it begins, what is said of it."""

    language: str
    text: str
    line: int
    note: str


def fences(page: Path) -> list[Fence]:
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Fence] = []
    note, start = "", None
    for number, line in enumerate(lines):
        if start is None and line.startswith("```"):
            start = number
        elif line.startswith("```") and start is not None:
            text = "\n".join(lines[start + 1 : number]) + "\n"
            found.append(Fence(lines[start].removeprefix("```"), text, start + 1, note))
            note, start = "", None
        elif start is None and line.strip():
            comment = re.fullmatch(r"<!-- (.+) -->", line.strip())
            note = comment[1] if comment else ""
    assert start is None, f"{page}: the block that begins in line {start} does not end"
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with the workflows beside, from which modules are imported."""
    shutil.copytree(ROOT / "workflows", tmp_path / "workflows")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before, environment = set(sys.modules), dict(os.environ)
    yield tmp_path
    os.environ.clear()  # pages may set variables, as their readers do
    os.environ.update(environment)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
    registry._plugins.cache_clear()


# What CloudVolume's own packages say when they are imported.
@pytest.mark.filterwarnings("ignore:Please install grpcio:ImportWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs_and_prints_what_it_says(page: Path, folder: Path, warm_python: Python) -> None:
    found = executed(fences(page))
    namespace = {"__name__": "__main__"}
    write_script(folder / "page.py", found)
    for fence, after in pairwise([*found, Fence("", "", 0, "")]):
        place = f"{page.relative_to(ROOT)}, line {fence.line}"
        if fence.note.startswith("file: "):
            target = folder / fence.note.removeprefix("file: ")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(fence.text)
            importlib.invalidate_caches()
        elif fence.language == "python":
            printed = run_python(fence, namespace)
            if after.language == "text":
                check(after.text, printed, place)
        elif fence.language == "console":
            code = re.fullmatch(r"exit code: (\d+)", fence.note)
            run_console(fence, place, warm_python, expected_code=int(code[1]) if code else 0)


def executed(found: list[Fence]) -> list[Fence]:
    """Leave out blocks that are not to be executed, or cannot be here, with what they print."""
    kept: list[Fence] = []
    left_out = False
    for fence in found:
        if fence.language == "text" and not fence.note:
            if not left_out:
                kept.append(fence)
            continue
        package = re.fullmatch(r"needs: (\w+)", fence.note)
        absent = package is not None and importlib.util.find_spec(package[1]) is None
        left_out = absent or fence.note.startswith("not executed: ")
        if not left_out:
            kept.append(fence)
    return kept


def write_script(path: Path, found: list[Fence]) -> None:
    """Write the code of a page as a file with the same line numbers: functions have a source."""
    lines: list[str] = []
    for fence in found:
        if fence.language == "python" and not fence.note.startswith("file: "):
            lines += [""] * (fence.line - len(lines)) + fence.text.splitlines()
    path.write_text("\n".join(lines) + "\n")


def run_python(fence: Fence, namespace: dict[str, object]) -> str:
    tree = ast.increment_lineno(ast.parse(fence.text), fence.line)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, str(Path("page.py").absolute()), "exec"), namespace)
    return printed.getvalue()


def run_console(fence: Fence, place: str, warm_python: Python, *, expected_code: int) -> None:
    for part in re.split(r"^\$ ", fence.text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        name, *arguments = shlex.split(command, comments=True)
        if (name, arguments) == ("pip", ["install", "-e", "."]):
            install_here(Path.cwd())
            continue
        wide = {**os.environ, "COLUMNS": "120"}
        if name == "pytest":  # it rewrites what it imports, so that nothing may be there
            cold = [sys.executable, *COMMANDS[name], *arguments]
            done = subprocess.run(cold, capture_output=True, text=True, check=False, env=wide)
        else:
            done = warm_python(*COMMANDS[name], *arguments, environment=wide, together=True)
        assert done.returncode == expected_code, f"{place}: {command}\n{done.stdout}"
        if expected.strip():
            check(expected, done.stdout, f"{place}: {command}")


def install_here(folder: Path) -> None:
    """Do what an editable install of the folder's project leaves behind: its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    name, version = project["name"], project["version"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project.get("entry-points", {})
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    importlib.invalidate_caches()
    registry._plugins.cache_clear()


def check(expected: str, printed: str, place: str) -> None:
    """Compare, with ``...`` for anything, and whatever white space there is."""
    pieces = [r"\s+".join(map(re.escape, piece.split())) for piece in expected.split("...")]
    same = re.fullmatch(r"\s*" + ".*?".join(pieces) + r"\s*", printed, flags=re.DOTALL)
    assert same, f"{place}: the page says\n{expected}\nbut it prints\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        if f'savefig("{target}"' in page.read_text() or f'Path("{target}")' in page.read_text():
            continue  # a figure that the page itself makes
        linked = (page.parent / place).resolve() if place else page
        assert linked.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(), flags=re.MULTILINE)
            assert anchor in [anchor_of(title) for title in titles], f"{page.name}: {target}"


def anchor_of(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for path, test in re.findall(r"`((?:volkit|tests|workflows)/[\w/.-]+?)(?:::(\w+))?`", text):
        assert (ROOT / path).exists(), f"{page.name} names {path}, which is not there"
        if test:
            defined = f"def {test}(" in (ROOT / path).read_text()
            assert defined, f"{page.name} names {path}::{test}, which is not there"


def test_every_page_can_be_reached() -> None:
    linked = re.findall(r"\]\(([^)#\s]+\.md)", (DOCS / "index.md").read_text())
    assert {(DOCS / name).resolve() for name in linked} >= {
        page for page in PAGES if page.name != "index.md"
    }


def test_no_page_names_a_place_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(work|tmp|home|root|Users)/", page.read_text()), page


def test_the_reference_can_be_built(tmp_path: Path) -> None:
    """Wording may lag behind until `make docs`; the public names may not."""
    script = DOCS / "build_reference.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    for page in (tmp_path / "api.md", DOCS / "reference" / "api.md"):
        named = set(re.findall(r"^## `(\w+)`$", page.read_text(), flags=re.MULTILINE))
        assert named >= set(volkit._HOMES), f"{page} is old: run `make docs`"
    pages = {path.name for path in (tmp_path / "modules").iterdir()}
    assert pages == {path.name for path in (DOCS / "reference" / "modules").iterdir()}


def test_commands_are_documented_as_they_are(tmp_path: Path) -> None:
    """The page of the commands is what their help says now."""
    fresh = tmp_path / "cli.md"
    subprocess.run([sys.executable, str(DOCS / "build_cli.py"), str(fresh)], check=True)
    told = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert fresh.read_text(encoding="utf-8") == told, "run `make docs`"


def test_every_workflow_is_listed() -> None:
    page = (DOCS / "reference" / "workflows.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(\.\./\.\./(workflows/[^)]+)\)", page))
    files = [path for path in (ROOT / "workflows").rglob("*.*") if path.suffix != ".json"]
    shipped = {path.relative_to(ROOT).as_posix() for path in files}
    assert linked == shipped
