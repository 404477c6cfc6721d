"""JSON Schema of workflow files: what an editor needs to complete and check their keys.

Made from the dataclasses that check the files, and in draft 7, which editors know best.  What keys
demand of each other is checked by volkit alone.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from volkit.errors import ConfigError
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.registry import Pipeline, find_pipeline, pipeline_names

DIALECT = "http://json-schema.org/draft-07/schema#"
DEFAULT = "train_boundaries"  # of files that name no pipeline, which `volkit train` takes

_SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", re.DOTALL | re.MULTILINE)

Schema = dict[str, Any]


def workflow_schema(name: str | None = None) -> Schema:
    """Describe the workflow files of a pipeline.

    Parameters
    ----------
    name : str, optional
        Of the pipeline; None describes those of all that are installed and work, told apart by
        their key ``pipeline``.

    Returns
    -------
    dict
        JSON Schema, draft 7.

    Raises
    ------
    ConfigError
        If there is no such pipeline.
    """
    if name is not None:
        return _of_one(find_pipeline(name))
    return _of_all(list(_working()))


def cluster_schema() -> Schema:
    """Describe files of a cluster section, as ``--cluster`` takes them."""
    return {"$schema": DIALECT, "title": "volkit: cluster", **_drawn(ClusterOptions)}


def _working() -> Iterator[Pipeline]:
    for name in pipeline_names():
        with suppress(ConfigError):  # a plug-in that is broken hides no other
            yield find_pipeline(name)


def _of_one(pipeline: Pipeline) -> Schema:
    found = _drawn(pipeline.config)
    return {"$schema": DIALECT, "title": f"volkit: {pipeline.name}", **_named(found, pipeline.name)}


def _of_all(pipelines: Sequence[Pipeline]) -> Schema:
    """Put the schemas of pipelines into one, of which the key ``pipeline`` chooses."""
    kinds: dict[type, TypeAdapter[Any]] = {
        pipeline.config: TypeAdapter(pipeline.config) for pipeline in pipelines
    }
    roots, shared = TypeAdapter.json_schemas(
        [(kind, "validation", adapter) for kind, adapter in kinds.items()],
        schema_generator=_Drawn,
    )
    definitions: Schema = dict(shared.get("$defs", {}))
    rules = []
    for pipeline in pipelines:
        root: Schema = roots[pipeline.config, "validation"]
        whole = definitions[root["$ref"].rpartition("/")[2]] if "$ref" in root else root
        definitions[f"pipeline {pipeline.name}"] = _named(whole, pipeline.name)
        rules.append(
            {
                "if": {"properties": {"pipeline": {"const": pipeline.name}}},
                "then": {"$ref": f"#/$defs/pipeline {pipeline.name}"},
            }
        )
    return {
        "$schema": DIALECT,
        "title": "volkit: workflow",
        "type": "object",
        "properties": {"pipeline": {"enum": [pipeline.name for pipeline in pipelines]}},
        "required": ["pipeline"],
        "allOf": rules,
        "$defs": definitions,
    }


def _drawn(kind: type) -> Schema:
    found: Schema = TypeAdapter(kind).json_schema(schema_generator=_Drawn)
    reference = found.pop("$ref", None)  # where the class occurs inside itself
    return found if reference is None else {**found["$defs"][reference.rpartition("/")[2]], **found}


def _named(whole: Schema, name: str) -> Schema:
    """Add the key that names the pipeline, which its configuration does not have."""
    key = {"const": name, "description": "What the file is for."}
    required = [] if name == DEFAULT else ["pipeline"]
    return {
        **whole,
        "properties": {"pipeline": key, **whole.get("properties", {})},
        "required": [*required, *whole.get("required", [])],
    }


class _Drawn(GenerateJsonSchema):
    """Schemas as volkit checks: no other keys, the words of docstrings, tuples as in draft 7."""

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> Schema:
        found = super().dataclass_schema(schema)
        if "properties" not in found:
            return found
        words = key_descriptions(schema["cls"])
        properties = {
            key: {**told, **({"description": words[key]} if key in words else {})}
            for key, told in found["properties"].items()
        }
        found.pop("title", None)
        about = _first_line(schema["cls"])
        described = {"description": about} if about else {}
        return {**found, **described, "properties": properties, "additionalProperties": False}

    def tuple_schema(self, schema: core_schema.TupleSchema) -> Schema:
        found = super().tuple_schema(schema)
        items = found.pop("prefixItems", None)
        if items is None:
            return found
        if all(item == items[0] for item in items):
            return {**found, "items": items[0]}
        return {**found, "items": items, "additionalItems": False}

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False  # the key says as much


def key_descriptions(kind: type) -> dict[str, str]:
    """Read from the docstring of a dataclass what each key means.

    Parameters
    ----------
    kind : type
        With a section ``Parameters``, as numpydoc writes it.

    Returns
    -------
    dict of str to str
        By key; those of the classes that it inherits from, too.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> key_descriptions(Box)
    {'start': 'First voxel and the one after the last, (z, y, x).', 'stop': 'First voxel and the \
one after the last, (z, y, x).'}
    """
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if is_dataclass(each):
            found |= _parameters(inspect.cleandoc(each.__doc__ or ""))
    return found


def _parameters(text: str) -> dict[str, str]:
    section = _SECTION.search(text)
    found: dict[str, str] = {}
    body = section[1] if section else ""
    for entry in re.finditer(r"^(\w[^\n]*)\n((?:[ \t]+[^\n]*\n?|\n)+)", body, re.MULTILINE):
        names, _, _ = entry[1].partition(" : ")
        words = " ".join(entry[2].split()).replace("``", "`")
        found |= {name.strip(): words for name in names.split(",")}
    return found


def _first_line(kind: type) -> str:
    # A dataclass without a docstring gets its signature for one.
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return "" if text.startswith(f"{kind.__name__}(") else text.replace("``", "`")
