"""What tables with columns and units say of themselves."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from volkit.io.place import Place
from volkit.io.redaction import redacted
from volkit.io.tables import read_table


@dataclass(frozen=True, slots=True)
class Said:
    """What a table says.

    Parameters
    ----------
    sha256 : str
        Of its rows and of what it says.
    provenance : mapping
        What made it, from what.
    about : mapping
        Columns, rows, versions, parameters.
    stages : tuple of str
        Whose tables it was computed from.
    """

    sha256: str
    provenance: Mapping[str, Any]
    about: Mapping[str, Any]
    stages: tuple[str, ...]


def said_of(place: Place) -> Said:
    """Read what a table says of itself; its seal is checked on the way.

    Raises
    ------
    SourceError
        If there is no such table, or it is damaged.
    """
    frame, schema, provenance = read_table(place.uri, options=place.options)
    text = json.dumps([schema.names, provenance], sort_keys=True) + frame.to_csv(index=False)
    run = provenance.get("run", provenance)
    told = {key: run[key] for key in ("versions", "parameters", "domain") if key in run}
    about = {"columns": list(schema.names), "rows": len(frame), **redacted(told)}
    stages = tuple(str(name) for name in run.get("stages", ()))
    return Said(hashlib.sha256(text.encode()).hexdigest(), provenance, about, stages)


def networks_of(
    facts: Mapping[str, Any], shared: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Find the checkpoints that a shared value is made of: one, or those of an ensemble.

    Parameters
    ----------
    facts : mapping
        Of the value.
    shared : sequence of mapping
        Where the shared values of the stage lay.

    Yields
    ------
    tuple of str
        The digest of the weights, and where their card lay; empty where nobody wrote it down.

    Examples
    --------
    >>> facts = {"members": [{"weights": "ab"}, {"weights": "cd"}], "combine": "mean"}
    >>> list(networks_of(facts, [{"members": [{"uri": "b.yaml", "sha256": "cd"}]}]))
    [('ab', ''), ('cd', 'b.yaml')]
    """
    said = [each for value in shared for each in (value, *value.get("members", ()))]
    for member in facts.get("members", (facts,)):
        if "weights" in member:
            told = [each for each in said if each.get("sha256") == member["weights"]]
            yield str(member["weights"]), str(told[0].get("uri", "")) if told else ""


def references(tree: object, role: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find the volumes and checkpoints that a provenance names.

    Parameters
    ----------
    tree : object
        JSON.
    role : str
        What the tree is called where it was found.

    Yields
    ------
    tuple of str and mapping
        What it is called, and its ``uri`` with ``identity`` and ``level``, or with ``sha256``.

    Examples
    --------
    >>> said = {"uri": "em.zarr", "identity": "zarr:1|0", "level": 0}
    >>> list(references({"run": {"inputs": {"image": said}}})) == [("image", said)]
    True
    """
    if not isinstance(tree, Mapping):
        return
    if "members" in tree:  # an ensemble: each of its checkpoints
        for member in tree["members"]:
            yield from references(member, role)
        return
    if "uri" in tree and ({"identity", "level"} <= tree.keys() or "sha256" in tree):
        yield role, tree
        return
    for key, value in tree.items():
        yield from references(value, str(key))
