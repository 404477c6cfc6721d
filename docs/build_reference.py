"""Build ``docs/reference/api.md`` from the docstrings of volkit; nothing is imported.

The names that ``import volkit`` offers come in full; all others with their first line, in a page
for each layer in the folder ``modules`` beside it.

    python docs/build_reference.py [FOLDER]
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "reference"
LAYERS = {
    "errors": "What goes wrong, by name",
    "geometry": "Boxes, grids, blocks, windows: integers, no arrays",
    "io": "Volumes and tables, and the sources behind them",
    "kernels": "The science: plain functions on arrays",
    "models": "Checkpoints and networks",
    "engine": "How a kernel is applied to blocks",
    "ops": "Kernels composed over a domain, for both engines",
    "training": "Learning a network from volumes",
    "pipelines": "Use cases from a workflow file to a report",
    "viewer": "Volumes, tables and runs in a browser",
    "bench": "Measurements against peers",
    "plugins": "What other packages bring, found by their entry points",
    "xarray": "The accessor `.volkit` of a DataArray",
    "testing": "Specimens, contracts and networks for tests",
}
Definition = ast.FunctionDef | ast.ClassDef


def build() -> dict[str, str]:
    """Write the pages, by the names of their files."""
    homes = public_homes()
    public = [
        "# Python names",
        "Made from the docstrings by `docs/build_reference.py`; `make docs` makes it anew.\n"
        "These are the names that `import volkit` offers. Below is what every module has; "
        "`help(name)` says the rest.",
        *(full(name, home) for name, home in sorted(homes.items(), key=lambda x: x[0].lower())),
        "## Modules",
        "\n".join(
            f"* [`volkit.{layer}`](modules/{layer}.md): {meaning}."
            for layer, meaning in LAYERS.items()
        ),
    ]
    pages = {"api.md": joined(public)}
    for layer, meaning in LAYERS.items():
        about = [f"# volkit.{layer}", meaning + "; made from the docstrings."]
        tables = [table(path) for path in module_files(layer)]
        pages[f"modules/{layer}.md"] = joined([*about, *tables])
    return pages


def joined(parts: list[str]) -> str:
    """Put paragraphs one below the other."""
    return "\n\n".join(part for part in parts if part) + "\n"


def public_homes() -> dict[str, str]:
    """Read from the package which names it offers, and where each lives."""
    tree = ast.parse((ROOT / "volkit" / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_HOMES":
            homes: dict[str, str] = ast.literal_eval(node.value)
            return homes
    raise SystemExit("volkit/__init__.py has no _HOMES; correct docs/build_reference.py")


def module_files(layer: str) -> list[Path]:
    """List the files of a layer."""
    folder = ROOT / "volkit" / layer
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def full(name: str, home: str) -> str:
    """Write a name with its signature and its whole docstring."""
    found = find(name, home)
    lines = [f"## `{name}`", f"```text\n{signature(found)}\n```", docstring(found)]
    if isinstance(found, ast.ClassDef):
        lines += [f"- `{shown(member)}`: {first_line(member)}" for member in members(found)]
    head, rest = lines[:3], lines[3:]
    return "\n\n".join(head) + ("\n\n" + "\n".join(rest) if rest else "")


def find(name: str, home: str) -> Definition:
    """Find a definition in a module, or in the modules of a package."""
    place = ROOT / Path(*home.split("."))
    files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for path in files:
        for node in definitions(ast.parse(path.read_text())):
            if node.name == name:
                return node
    raise SystemExit(f"{home} has no {name}; correct volkit/__init__.py")


def table(path: Path) -> str:
    """List the public names of a module with their first lines."""
    tree = ast.parse(path.read_text())
    rows = [
        f"| `{node.name}` | {first_line(node).replace('|', chr(92) + '|')} |"
        for node in definitions(tree)
    ]
    if not rows:
        return ""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    about = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    return f"## `{module}`\n\n{about}\n\n| name | |\n| --- | --- |\n" + "\n".join(rows)


def definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield the public functions and classes of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def members(found: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Yield the public methods and properties of a class."""
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def signature(found: Definition) -> str:
    """Write what a call looks like, one parameter to a line where there are several."""
    if isinstance(found, ast.ClassDef):
        fields = [
            ast.unparse(node)
            for node in found.body
            if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_")
        ]
        return f"class {found.name}" + "".join(f"\n    {field}" for field in fields)
    returns = f" -> {ast.unparse(found.returns)}" if found.returns else ""
    line = f"{found.name}({ast.unparse(found.args)}){returns}"
    return re.sub(r", (?=\*|\w+:)", ",\n    ", line)


def shown(member: ast.FunctionDef) -> str:
    """Write a method as it is called, a property by its name."""
    if any(ast.unparse(decorator) == "property" for decorator in member.decorator_list):
        return member.name
    arguments = [a.arg for a in (*member.args.posonlyargs, *member.args.args)][1:]
    return f"{member.name}({', '.join([*arguments, *(a.arg for a in member.args.kwonlyargs)])})"


def docstring(found: Definition) -> str:
    """Write a docstring as it stands; Markdown shows it as text."""
    text = inspect.cleandoc(ast.get_docstring(found) or "")
    head, _, rest = text.partition("\n\n")
    return head.replace("\n", " ") + (f"\n\n```text\n{rest}\n```" if rest else "")


def first_line(node: Definition) -> str:
    """Read the first sentence of a docstring."""
    return (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    for name, page in build().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(page, encoding="utf-8")
