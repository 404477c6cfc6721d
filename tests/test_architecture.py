"""The shape of the code: layers, sizes, documentation, and what an import costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "volkit").rglob("*.py"))
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


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_file_is_short_documented_and_silent(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES, "two ideas; split by idea"
    assert file.stem not in VAGUE
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    for node in ast.walk(tree):
        # Contract suites that are shipped are tests.
        assert not isinstance(node, ast.Assert) or "testing" in file.parts, f"line {node.lineno}"
        called = node.func if isinstance(node, ast.Call) else None
        assert not (isinstance(called, ast.Name) and called.id == "print"), "print is for no one"
    undocumented = [name for name, node in public(tree) if not ast.get_docstring(node)]
    assert undocumented == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_functions_fit_the_eye(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            own = [name for name in names if name.arg not in ("self", "cls")]
            if not node.name.startswith("_"):
                assert len(own) <= MOST_PARAMETERS, f"{node.name} takes {len(own)} parameters"
            lines = code_lines(node)
            assert lines <= MOST_STATEMENT_LINES, f"{node.name} has {lines} lines of code"


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
