"""Build ``docs/reference/cli.md`` from the commands themselves: what ``--help`` says, on a page.

python docs/build_cli.py [TARGET]
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from volkit.cli.app import app

TARGET = Path(__file__).resolve().parent / "reference" / "cli.md"
KINDS = {str: "TEXT", int: "INTEGER", float: "FLOAT", Path: "PATH", bool: ""}


def build() -> str:
    """Write the page."""
    whole: Any = typer.main.get_command(app)
    commands = dict(walk(whole, "volkit"))
    listed = [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {sentence(command.help)} |"
        for name, command in commands.items()
    ]
    parts = [
        "# Commands",
        "Made from the commands by `docs/build_cli.py`; `make docs` makes it anew. "
        "`volkit COMMAND --help` says the same.",
        "| command | |\n| --- | --- |\n" + "\n".join(listed),
        "Of `volkit` itself:",
        table(whole),
        *(section(name, command) for name, command in commands.items()),
    ]
    return "\n\n".join(parts) + "\n"


def walk(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands of a group by name, sorted, those of groups in it behind them."""
    for word, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from walk(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def section(name: str, command: Any) -> str:
    """Write a command: how it is called, what it does, its arguments and options."""
    arguments = [metavar(one) for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([name, "[OPTIONS]", *arguments])
    about = "\n\n".join(map(paragraph, re.split(r"\n\s*\n", (command.help or "").strip())))
    examples = about.replace("\n```\n\n```text\n", "\n")
    return "\n\n".join([f"## {name}", f"```text\n{usage}\n```", examples, table(command)])


def paragraph(text: str) -> str:
    """Write a paragraph of help: an example as a listing, all else as text."""
    joined = " ".join(text.split())
    if joined.startswith("volkit "):
        return "```text\n" + re.sub(r" (?=volkit )", "\n", joined) + "\n```"
    return plain(joined)


def table(command: Any) -> str:
    """List arguments and options."""
    rows = []
    for one in command.params:
        if "--help" in one.opts:
            continue
        required = " Required." if one.required and one.param_type_name == "option" else ""
        what = plain(" ".join((getattr(one, "help", None) or "").split())) + required
        rows.append(f"| `{shown(one)}` | {what}{default(one)} |")
    return "| | |\n| --- | --- |\n" + "\n".join(rows) if rows else "It takes no options."


def shown(one: Any) -> str:
    """Write an argument or an option as it is typed."""
    if one.param_type_name == "argument":
        return metavar(one)
    names = ", ".join([*one.opts, *one.secondary_opts])
    return names if one.is_flag else f"{names} {metavar(one)}"


def metavar(one: Any) -> str:
    """Name what stands for a value."""
    if one.metavar:
        found = str(one.metavar)
    elif one.param_type_name == "option":
        return kind_of(one.type_descriptor.annotation)
    else:
        found = one.name.upper()
    if one.param_type_name == "option":
        return found
    several = "" if one.nargs != -1 or found.endswith("...") else "..."
    return f"{found}{several}" if one.required or found.startswith("[") else f"[{found}{several}]"


def kind_of(annotation: Any) -> str:
    """Name a type as the help does."""
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal:
        return "|".join(map(str, inner))
    if inner:
        return kind_of(inner[0])
    return KINDS[annotation]


def default(one: Any) -> str:
    """Say what holds where nothing is given."""
    said = getattr(one, "show_default", None)
    if isinstance(said, str):
        return f" Default: {plain(said)}."
    if said is False or one.default is None or callable(one.default) or not one.default:
        return ""
    if getattr(one, "is_flag", False):
        return ""
    return f" Default: `{one.default}`."


def sentence(text: str | None) -> str:
    """Take the first sentence of a help text."""
    first = re.split(r"\n\s*\n", (text or "").strip())[0]
    return plain(" ".join(first.split()))


def plain(text: str) -> str:
    """Keep Markdown from taking words of a text for its own signs."""
    return re.sub(r"([|*_<\[\]])", r"\\\1", text.replace("``", "`"))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(build(), encoding="utf-8")
