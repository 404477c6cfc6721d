"""Configuration: YAML into frozen dataclasses, strictly, at one border.

A key that no dataclass has is refused, with its path and the nearest known one.
"""

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from volkit.errors import ConfigError

T = TypeVar("T")
Tree = dict[str, Any]

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:(?!:)")  # em.h5::raw is a path
_FLOAT = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


def located(tree: Any, keys: Collection[str], folder: Path) -> Any:
    """Resolve relative paths against a folder; leave URIs and absolute paths as they are.

    Parameters
    ----------
    tree : dict, list or scalar
        As YAML has it.
    keys : collection of str
        Names of the keys, at any depth, whose text is a path or URI, or a list of these.
    folder : Path
        What relative paths start from.

    Returns
    -------
    object
        A tree like the one given.

    Examples
    --------
    >>> tree = {"image": "em.zarr", "from": [{"image": "s3://bucket/em.zarr"}]}
    >>> located(tree, {"image"}, Path("/data"))
    {'image': '/data/em.zarr', 'from': [{'image': 's3://bucket/em.zarr'}]}
    """
    if isinstance(tree, list):
        return [located(item, keys, folder) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: _placed(value, keys, folder) if key in keys else located(value, keys, folder)
        for key, value in tree.items()
    }


def _placed(value: Any, keys: Collection[str], folder: Path) -> Any:
    """Resolve a path, or several of them."""
    if isinstance(value, list):
        return [_placed(item, keys, folder) for item in value]
    if not isinstance(value, str):
        return located(value, keys, folder)
    return value if _SCHEME.match(value) else os.path.normpath(folder / value)


class _Loader(yaml.SafeLoader):
    """YAML without its two traps: silent duplicates, and 1e-4 read as text."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Tree:
    keys = [key.value for key, _ in node.value]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(
            f"line {node.start_mark.line + 1}: the key {', '.join(twice)} stands there twice; "
            "keep one of them"
        )
    return {str(k): v for k, v in loader.construct_mapping(node, deep=True).items()}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def parse_yaml(text: str, *, where: str) -> Any:
    """Parse YAML safely.

    Parameters
    ----------
    text : str
        YAML.
    where : str
        Where it comes from, for the message.

    Returns
    -------
    object
        Dicts, lists and scalars.

    Raises
    ------
    ConfigError
        If it is no YAML, or a key stands twice in a mapping.

    Examples
    --------
    >>> parse_yaml("rate: 1e-4", where="here")
    {'rate': 0.0001}
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is no YAML: {error}; mend it there") from None
    except ConfigError as error:
        raise ConfigError(f"{where}, {error}") from None


def read_yaml(path: Path) -> Tree:
    """Read a workflow file.

    Raises
    ------
    ConfigError
        If there is no such file, or no mapping in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the workflow {path} ({error}); give the path of a YAML file, such as "
            "workflows/segment_neurons.yaml"
        ) from None
    tree = parse_yaml(text, where=str(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds {type(tree).__name__}; a workflow is a mapping of keys")
    return tree


def override(tree: Mapping[str, Any], settings: Sequence[str], paths: Collection[str] = ()) -> Tree:
    """Change keys of a tree, as ``--set key.path=value`` does.

    Parameters
    ----------
    tree : mapping
        From a workflow file.
    settings : sequence of str
        ``key.path=value``; the value is YAML.
    paths : collection of str
        Names of the keys whose values are paths: here they are meant from the current folder,
        from which a shell completes them.

    Returns
    -------
    dict
        Changed; the tree given is left as it is.

    Raises
    ------
    ConfigError
        If a setting has no ``=``, or leads through something that is no mapping.

    Examples
    --------
    >>> override({"infer": {"batch": 4}}, ["infer.batch=8", "infer.stride=[8, 16, 16]"])
    {'infer': {'batch': 8, 'stride': [8, 16, 16]}}
    """
    changed: Tree = json.loads(json.dumps(tree, default=str))
    for setting in settings:
        path, found, value = setting.partition("=")
        if not found or not path.strip():
            raise ConfigError(f"--set {setting}: write it as key.path=value")
        *parents, last = path.strip().split(".")
        node = changed
        for key in parents:
            if node.get(key) is None:  # as an empty key of a file
                node[key] = {}
            node = node[key]
            if not isinstance(node, dict):
                raise ConfigError(f"--set {setting}: {key} holds a value, not further keys")
        parsed = parse_yaml(value, where=f"--set {setting}")
        node[last] = located({last: parsed}, paths, Path.cwd())[last]
    return changed


def validate(tree: Mapping[str, Any], kind: type[T], *, where: str) -> T:
    """Turn a tree into a frozen dataclass.

    Parameters
    ----------
    tree : mapping
        Keys and values as YAML has them.
    kind : type
        A dataclass whose fields are dataclasses, scalars and tuples.
    where : str
        Where the tree comes from, for the message.

    Returns
    -------
    object of ``kind``

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value is of the wrong kind or NaN; names the key's
        path.
    """
    found = (*_unknown_keys(tree, kind), *_nans(tree))
    wrong = [f"{path}: {reason}" for path, reason in found]
    if not wrong:
        try:
            # JSON, since strictness there takes lists for tuples, and text for nothing but text.
            return TypeAdapter(kind).validate_json(json.dumps(tree, default=str), strict=True)
        except ValidationError as error:
            wrong = _reasons(error)
    lines = wrong if len(wrong) == 1 else ["", *(f"  {line}" for line in wrong)]
    raise ConfigError(f"{where}: " + "\n".join(lines))


def _reasons(error: ValidationError) -> list[str]:
    reasons: dict[str, str] = {}
    for item in error.errors(include_url=False):
        # A union tries every member; their names are in the path, and the first reason is enough.
        path = ".".join(str(x) for x in item["loc"] if not re.search(r"[\[(]|^(int|str)$", str(x)))
        if item["type"] in ("missing", "missing_argument"):
            reason = "is missing"
        elif item["type"] == "value_error":
            reason = item["msg"].removeprefix("Value error, ")
        elif item["type"] in ("dataclass_type", "dataclass_exact_type"):
            reason = f"{json.dumps(item['input'])}: give keys and values here (a mapping)"
        elif item["type"] == "string_type" and isinstance(item["input"], int | float):
            text = f'"{json.dumps(item["input"])}"'
            reason = f"{text[1:-1]}: input should be text; quote it (--set '{path}={text}')"
        else:
            reason = f"{json.dumps(item['input'])}: {item['msg'][0].lower()}{item['msg'][1:]}"
        reasons.setdefault(path, reason)
    return [f"{path}: {reason}" if path else reason for path, reason in reasons.items()]


def _unknown_keys(tree: Any, kind: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Find the keys that the dataclass at their place does not have."""
    if isinstance(tree, list):
        members = [member for member in get_args(kind) if _fields(member) is not None]
        for i, item in enumerate(tree if len(members) == 1 else ()):
            yield from _unknown_keys(item, members[0], f"{path}{i}.")
    known = _fields(kind)
    if known is None or not isinstance(tree, Mapping):
        return
    for key, value in tree.items():
        if key in known:
            yield from _unknown_keys(value, known[key], f"{path}{key}.")
        else:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            yield f"{path}{key}", f"unknown key; {hint}"


def _nans(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Find the values that are no numbers, which every comparison would let pass."""
    if isinstance(tree, float) and isnan(tree):
        yield path, "nan is no value; give a number"
    within: Iterable[tuple[Any, Any]] = tree.items() if isinstance(tree, Mapping) else ()
    for key, value in enumerate(tree) if isinstance(tree, list | tuple) else within:
        yield from _nans(value, f"{path}.{key}" if path else str(key))


def _fields(kind: Any) -> dict[str, Any] | None:
    """List the fields of a dataclass, or of the one dataclass in a union."""
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if _fields(member) is not None]
        return _fields(members[0]) if len(members) == 1 else None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}
