"""Layers of an evaluation: prediction, truth, and every error as a box to jump to."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.errors import VolkitError
from volkit.io.open import open_volume
from volkit.io.tables import read_table
from volkit.io.uris import local_path
from volkit.viewer.found import Found, Item
from volkit.viewer.layer import Kind
from volkit.viewer.open_layers import kind_of

_MOST_ERRORS = 1000  # boxes of each kind: the worst come first
_ERRORS = (("objects.csv", "split", "split objects"), ("segments.csv", "merged", "merges"))


def is_evaluation(uri: str) -> bool:
    """Tell the folder that ``volkit evaluate`` leaves."""
    folder = local_path(uri)
    return folder is not None and folder.is_dir() and "pred" in _parameters(folder)


def evaluation_layers(uri: str) -> Found:
    """Find what an evaluation was of, and what is wrong.

    Parameters
    ----------
    uri : str
        Its folder.

    Returns
    -------
    Found
        Boxes have the id, the size and what is wrong, the worst first.
    """
    folder = local_path(uri) or Path(uri)
    said = _parameters(folder)
    messages: list[str] = []
    items = list(_volumes(said, messages))
    for name, by, title in _ERRORS:
        table = _errors(folder / name, by)
        if table is not None and len(table):
            items.append(Item(title, "boxes", table=table, uri=str(folder / name)))
    return Found(tuple(items), tuple(messages))


def _parameters(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        said = found["made"]["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def _volumes(said: Mapping[str, Any], messages: list[str]) -> Iterator[Item]:
    roles: tuple[tuple[str, Kind | None], ...] = (
        ("image", "image"),
        ("truth", None),
        ("pred", None),
    )
    for role, known in roles:
        if said.get(role) is None:
            continue
        uri = str(said[role])
        try:
            volume = open_volume(uri)
        except (VolkitError, ImportError) as error:
            messages.append(
                f"{role} is not shown: {error} (addresses are those that volkit evaluate was given)"
            )
            continue
        kind = known or ("prob" if volume.dtype.kind == "f" else kind_of(volume, uri))
        yield Item(role, kind, volume, uri=uri, visible=role != "truth")


def _errors(path: Path, by: str) -> pd.DataFrame | None:
    """Read the objects of which something is wrong, the worst first."""
    if not path.exists():
        return None
    table = read_table(path)[0]
    if by not in table.columns or "z_start" not in table.columns:
        return None
    wrong = table[table[by] > 0].sort_values(by, ascending=False, kind="stable")
    return wrong.head(_MOST_ERRORS).reset_index(drop=True)
