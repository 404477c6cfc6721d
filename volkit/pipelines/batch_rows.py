"""Rows of batch files, from CSV or YAML, and what they say."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError
from volkit.geometry.scale import Vector
from volkit.pipelines.config import parse_yaml

Row = dict[str, Any]

_RANGE = re.compile(r"\s*(-?\d+)\s*:\s*(-?\d+)\s*")
_TOP = ("workflow", "output", "set", "cluster", "items")
_OWN = ("name", "workflow", "image", "box", "center_um", "size_um")


def read_rows(path: Path) -> tuple[Row, list[tuple[str, Row]]]:
    """Read a batch file.

    Parameters
    ----------
    path : Path
        CSV where its name ends so, else YAML.

    Returns
    -------
    top : dict
        What holds for all items: ``workflow``, ``output``, ``set``, ``cluster``.
    rows : list of (str, dict)
        Where each item stands, such as ``line 3``, and what it says.

    Raises
    ------
    ConfigError
        If the file cannot be understood.
    """
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_yaml(path)


def row_settings(row: Mapping[str, Any]) -> tuple[list[str], Vector | None, Vector | None]:
    """Bring a row into the form of ``--set``, and its cutout into numbers.

    Parameters
    ----------
    row : mapping
        Column and value.

    Returns
    -------
    settings : list of str
        ``key.path=value``.
    center_um, size_um : tuple of float or None
        Of the cutout, (z, y, x), micrometres.

    Raises
    ------
    ConfigError
        If a value cannot be understood.
    """
    tree: dict[str, Any] = {k: v for k, v in row.items() if k not in _OWN and v is not None}
    shared = sorted(key for key in tree if key.split(".")[0] == "cluster")
    if shared:
        raise ConfigError(f"{', '.join(shared)}: the cluster is shared by all items; give it once")
    if row.get("image") is not None:
        tree["input.image"] = str(row["image"])
    if row.get("box") is not None:
        tree["input.box"] = _box(row["box"])
    center, size = (_vector(row, name) for name in ("center_um", "size_um"))
    if (center is None) != (size is None) or (center is not None and "input.box" in tree):
        raise ConfigError("a cutout is a box, or center_um and size_um: give one of the two")
    return list(flat_settings(tree)), center, size


def _box(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    spans = [_RANGE.fullmatch(part) for part in value.split(",")]
    if len(spans) != 3 or not all(spans):
        raise ConfigError(f"box {value}: write z0:z1,y0:y1,x0:x1 in voxels, such as 0:64,0:99,8:99")
    start, stop = ([int(s[edge]) for s in spans if s] for edge in (1, 2))
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        raise ConfigError(f"box {value} holds no voxel; each range ends after it begins")
    return {"start": start, "stop": stop}


def _vector(row: Mapping[str, Any], name: str) -> Vector | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        z, y, x = (float(v) for v in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name} {value}: write z,y,x in micrometres, such as 10,25.5,30"
        ) from None
    return z, y, x


def flat_settings(tree: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Write nested keys as ``key.path=value``; a box stays one value.

    Examples
    --------
    >>> list(flat_settings({"segment": {"threshold": 0.5}, "input.level": 1}))
    ['segment.threshold=0.5', 'input.level=1']
    """
    for key, value in tree.items():
        if isinstance(value, Mapping) and key not in ("box", "input.box"):
            yield from flat_settings(value, f"{path}{key}.")
        else:
            yield f"{path}{key}={json.dumps(value)}"


def _read_csv(path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    with _opened(path) as file:
        reader = csv.DictReader(file, skipinitialspace=True, strict=True)
        header = reader.fieldnames or []
        if "name" not in header or len(set(header)) < len(header):
            raise ConfigError(
                f"{path} has the columns {', '.join(header) or '(none)'}; the first line names "
                "each once, with `name` among them"
            )
        rows = []
        try:
            for row in reader:
                where = f"line {reader.line_num}"
                if None in row or None in row.values():
                    raise ConfigError(
                        f"{path}, {where} has other columns than the {len(header)} of the header; "
                        'put what holds commas in quotes, such as "0:64,0:64,0:64"'
                    )
                rows.append((where, {k: _cell(k, v, where) for k, v in row.items()}))
        except csv.Error as error:
            raise ConfigError(f"{path}, line {reader.line_num}: {error}; mend it there") from None
    return {}, rows


def _cell(key: str, text: str, where: str) -> Any:
    """Read a cell as YAML, but for what is text whatever it looks like."""
    text = text.strip()
    if not text:
        return None
    return text if key in _OWN else parse_yaml(text, where=f"{where}, {key}")


def _read_yaml(path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    with _opened(path) as file:
        tree = parse_yaml(file.read(), where=str(path))
    top: dict[str, Any] = tree if isinstance(tree, dict) else {"items": tree}
    unknown = sorted(set(top) - set(_TOP))
    items = top.get("items")
    if unknown or not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
        said = f"the keys {', '.join(unknown)}" if unknown else "no list of items"
        raise ConfigError(
            f"{path} has {said}; give a list of items, or {', '.join(_TOP)}, each item with a name"
        )
    return top, [(f"item {number}", item) for number, item in enumerate(items, 1)]


def _opened(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ConfigError(
            f"cannot read the batch file {path} ({error}); give a CSV or YAML file"
        ) from None
