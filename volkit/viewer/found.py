"""Found things: what there is to see, before it is known where a viewer counts from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from volkit.io.volume import Volume
from volkit.viewer.layer import Kind
from volkit.viewer.threshold import Cut


@dataclass(frozen=True, slots=True)
class Item:
    """A volume or a table, and how to show it.

    Parameters
    ----------
    name : str
        Of its layer.
    kind : {'image', 'prob', 'labels', 'points', 'boxes', 'skeletons'}
        What it is.
    volume : Volume or None
        None where it is no volume.
    table : pandas.DataFrame or None
        None where it is no table.
    uri : str
        Where it lies.
    visible : bool
        Whether it is shown at first.
    """

    name: str
    kind: Kind
    volume: Volume | None = None
    table: pd.DataFrame | None = None
    uri: str = ""
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to see, and what a person should know of it.

    Parameters
    ----------
    items : tuple of Item
        In the order in which they lie over each other, the lowest first.
    messages : tuple of str
        What is not there, or not whole.
    cut : Cut or None
        Labels at a threshold that can be chosen; None where a run cannot tell them.
    """

    items: tuple[Item, ...] = ()
    messages: tuple[str, ...] = ()
    cut: Cut | None = field(default=None)


def together(parts: Sequence[Found]) -> Found:
    """Put what was found in several places into one, each volume once."""
    items: list[Item] = []
    seen: set[tuple[str, int]] = set()
    names: set[str] = set()
    for item in (item for part in parts for item in part.items):
        if item.volume is not None:
            key = (item.volume.uri, item.volume.level)
            if key in seen:
                continue
            seen.add(key)
        items.append(_renamed(item, names))
        names.add(items[-1].name)
    cuts = [part.cut for part in parts if part.cut is not None]
    messages = tuple(message for part in parts for message in part.messages)
    return Found(tuple(items), messages, cuts[0] if cuts else None)


def _renamed(item: Item, names: set[str]) -> Item:
    name, number = item.name, 1
    while name in names:
        number += 1
        name = f"{item.name} {number}"
    return Item(name, item.kind, item.volume, item.table, item.uri, item.visible)
