"""The command provenance: what a volume, a table or a run was made of."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from volkit.cli.commands import command, say_json, wants_json
from volkit.cli.tables import brief
from volkit.cli.work import terminal

if TYPE_CHECKING:
    from volkit.engine.origin import Session
    from volkit.pipelines.provenance import Chain, Node

app = typer.Typer()

_STATES = {"changed": "something else lies there now", "gone": "not to be found there any more"}
_DIGITS = 12  # of a digest, for people
_LONGEST_PARAMS = 200  # characters; --json has them all


@command(app)
def provenance(
    uri: Annotated[
        str,
        typer.Argument(help="A volume, a table, or the folder of a run.", show_default=False),
    ],
    ro_crate: Annotated[
        str | None,
        typer.Option(help="Describe it as an RO-Crate in this folder.", metavar="FOLDER"),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the RO-Crate: a URL, such as that of CC BY 4.0.")
    ] = None,
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Print what made a volume, a table or a run: the chain back to images and checkpoints.

    volkit provenance RUN/labels.zarr

    volkit provenance RUN --ro-crate RUN --licence https://creativecommons.org/licenses/by/4.0/
    """
    from volkit.pipelines.provenance import trace

    console = terminal()
    chain = trace(uri, credentials=credentials)
    if wants_json():
        say_json(chain)
    elif ro_crate is None:
        seen: set[str] = set()
        for root in chain.roots:
            console.print(_tree(chain, root, seen))
    if ro_crate is not None:
        from volkit.pipelines.ro_crate import write_ro_crate

        file = write_ro_crate(ro_crate, chain, licence=licence, credentials=credentials)
        if not wants_json():
            typer.echo(f"RO-Crate: {brief(file)}")


def _tree(chain: "Chain", root: str, seen: set[str]) -> Tree:
    tree = Tree(_label(chain.nodes[root], "", seen), guide_style="dim")
    _grow(tree, chain, root, seen)
    return tree


def _grow(tree: Tree, chain: "Chain", key: str, seen: set[str]) -> None:
    if key in seen:
        return
    seen.add(key)
    for link in chain.nodes[key].links:
        branch = tree.add(_label(chain.nodes[link.node], link.role, seen))
        _grow(branch, chain, link.node, seen)


def _label(node: "Node", role: str, seen: set[str]) -> Text:
    text = Text(f"{role}: " if role else "", style="dim", no_wrap=False)
    text.append(node.name, style="bold not dim")
    text.append(f" ({node.kind})", style="not dim")
    if node.id in seen:
        return text.append(" see above")
    if node.uri:
        text.append(f" {brief(node.uri)}", style="not dim")
    if node.state != "here":
        text.append(f": {_STATES[node.state]}", style="red")
    for line in _lines(node):
        text.append(f"\n{line}")
    return text


def _lines(node: "Node") -> Iterator[str]:
    """Say of a thing what a person asks first."""
    facts, about = node.facts, node.about
    if "kernel" in facts:
        yield _computation(facts)
    if "block_shape" in facts:
        start, stop = facts["domain"]
        box = ", ".join(f"{a}:{b}" for a, b in zip(start, stop, strict=True))
        copied = f", {about['copied']} of them copied" if "copied" in about else ""
        blocks = f"{about['blocks']} blocks" if "blocks" in about else "blocks"
        yield f"[{box}] in {blocks} of {_by(facts['block_shape'])}{copied}"
    elif "shape" in about:
        size = _by(f"{nm:g}" for nm in about["voxel_size_nm"])
        yield f"{about['dtype']}, {_by(about['shape'])} voxels of {size} nm"
    if node.kind == "checkpoint":
        yield f"sha256 {node.id}"
        yield from (
            f"{name}: {about[name]}" for name in ("description", "licence") if about.get(name)
        )
    elif node.fingerprint:
        yield f"computation {node.fingerprint[:_DIGITS]}"
    else:
        yield f"identity {node.id.partition('|')[0]}"
    yield from (_session(session) for session in node.sessions)


def _computation(facts: Mapping[str, Any]) -> str:
    """Name the function that was applied, and what it was told."""
    function, params = facts.get("finalize", facts["kernel"]), facts.get("params") or {}
    if isinstance(function, dict):
        params = function.get("arguments", params) if "finalize" in facts else params
        function = function.get("function", function)
    params = {key: value for key, value in params.items() if value not in ([], None)}
    text = json.dumps(params) if params else ""
    return f"{function} {text if len(text) <= _LONGEST_PARAMS else f'{text[:_LONGEST_PARAMS]} …'}"


def _session(session: "Session") -> str:
    elsewhere = [host for host in session.hosts if host != session.host]
    workers = f", workers on {', '.join(elsewhere)}" if elsewhere else ""
    return (
        f"{session.started} to {session.until}, {session.user} on {session.host}{workers}, "
        f"volkit {session.versions.get('volkit', '?')}: {session.command}"
    )


def _by(values: "Iterator[str] | list[int]") -> str:
    return " x ".join(map(str, values))
