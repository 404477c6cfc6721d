"""The shape of the code: layers, sizes, documentation, and what an import costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "volkit").rglob("*.py"))
PACKAGES = sorted({file.parent for file in FILES})
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base_classes", "lib"}
MOST_LINES, MOST_STATEMENT_LINES, MOST_PARAMETERS = 300, 40, 8


def test_imports_go_one_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_files_are_short_documented_and_silent(package: Path) -> None:
    faults = [
        f"{file.name}: {fault}"
        for file in sorted(package.glob("*.py"))
        for fault in faults_of(file.read_text(encoding="utf-8"), file)
    ]
    assert faults == []


def faults_of(text: str, file: Path) -> Iterator[str]:
    if (count := len(text.splitlines())) > MOST_LINES:
        yield f"{count} lines are two ideas; split by idea"
    if file.stem in VAGUE:
        yield "its name is vague"
    tree = ast.parse(text)
    if not ast.get_docstring(tree):
        yield "a module says what it is"
    for node in ast.walk(tree):
        # Contract suites that are shipped are tests.
        if isinstance(node, ast.Assert) and "testing" not in file.parts:
            yield f"line {node.lineno}: an assertion"
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id == "print":
            yield f"line {called.lineno}: print is for no one"
        if isinstance(node, ast.FunctionDef):
            yield from faults_of_function(node)
    for name, node in public(tree):
        if not ast.get_docstring(node):
            yield f"{name} is not documented"


def faults_of_function(function: ast.FunctionDef) -> Iterator[str]:
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    own = [name for name in names if name.arg not in ("self", "cls")]
    if not function.name.startswith("_") and len(own) > MOST_PARAMETERS:
        yield f"{function.name} takes {len(own)} parameters"
    if (lines := code_lines(function)) > MOST_STATEMENT_LINES:
        yield f"{function.name} has {lines} lines of code"


def public(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every public class, function and method."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{node.name}.")


def code_lines(function: ast.FunctionDef) -> int:
    """Lines of a body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


LIGHT = """
import sys, time
begun = time.process_time()
import volkit
spent = time.process_time() - begun
heavy = {"torch", "distributed", "dask", "zarr", "numba", "pandas", "matplotlib"} & set(sys.modules)
print(spent, sorted(heavy))
"""


def test_import_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    spent, heavy = done.stdout.split(maxsplit=1)
    assert float(spent) < 0.5
    assert heavy.strip() == "[]"


def test_help_is_light() -> None:
    code = (
        "import sys\nfrom volkit.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'distributed', 'dask', 'zarr', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_names_a_place_on_one_machine() -> None:
    places = ("/" + "tmp/", "/" + "root/", "/" + "home/")
    texts = [
        *FILES,
        *ROOT.glob("workflows/**/*.yaml"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "Makefile",
    ]
    named = [
        f"{file.relative_to(ROOT)}: {place}"
        for file in texts
        for place in places
        if place in file.read_text(encoding="utf-8")
    ]
    assert named == []
