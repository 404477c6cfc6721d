"""Project: the collections, experiments, channels and coordinate frames of a loopback Boss."""

import json
import re
from collections.abc import Mapping
from typing import Any

from volkit.testing.servers.boss_rules import (
    DATATYPES,
    EXISTS,
    IN_USE,
    NOT_FOUND,
    POST_ARGUMENT,
    Array,
    BossError,
    Path,
    said,
)
from volkit.testing.servers.loopback import Answer, Call

_NAME = re.compile(r"[\w-]+$")
_KINDS = ("", "collection", "experiment", "channel")
_BELOW = ("", "experiments", "channels")
_FRAME = [f"{a}_{what}" for a in "xyz" for what in ("start", "stop", "voxel_size")]
_NEEDED = ((), (), ("coord_frame", "num_hierarchy_levels"), ("type", "datatype"))
_CHANGEABLE = {"name", "description", "public", "num_hierarchy_levels", "hierarchy_method"}
_CHANGEABLE |= {"base_resolution", "default_time_sample", "sources", "related"}


class Project:
    """What a Boss service knows besides voxels.

    Attributes
    ----------
    resources : dict
        What the service tells, by path: (collection[, experiment[, channel]]).
    frames : dict
        Coordinate frames by name.
    voxels : dict
        Arrays (z, y, x) by path of the channel and level; a level without one is all zeros.
    metadata : dict
        Keys and values by path.
    """

    def __init__(self) -> None:
        self.resources: dict[Path, dict[str, Any]] = {}
        self.frames: dict[str, dict[str, Any]] = {}
        self.voxels: dict[Path, dict[int, Array]] = {}
        self.metadata: dict[Path, dict[str, str]] = {}
        self.reserved: dict[Path, int] = {}

    def find(self, path: Path) -> dict[str, Any]:
        """Find a resource.

        Raises
        ------
        BossError
            If one of the names of its path is not there.
        """
        for depth in range(1, len(path) + 1):
            if path[:depth] not in self.resources:
                kind = _KINDS[depth].capitalize()
                raise BossError(NOT_FOUND, f"{kind} {path[depth - 1]} not found")
        return self.resources[path]

    def frame_of(self, path: Path) -> dict[str, Any]:
        """Find the coordinate frame of an experiment, or of what lies in it."""
        return self.frames[self.find(path[:2])["coord_frame"]]

    def names(self, above: Path) -> list[str]:
        """List what lies directly below a path."""
        depth = len(above)
        return [p[-1] for p in self.resources if len(p) == depth + 1 and p[:depth] == above]

    def add(self, path: Path, stated: Mapping[str, Any], *, public: bool) -> dict[str, Any]:
        """Add a resource, with what the service adds of its own.

        Raises
        ------
        BossError
            If it exists.
        """
        if path in self.resources:
            raise BossError(EXISTS, f"{_KINDS[len(path)].capitalize()} {path[-1]} already exists")
        given = {"name": path[-1], "description": "", "creator": "loopback", "public": public}
        self.resources[path] = given | _defaults(path) | dict(stated) | {"name": path[-1]}
        return self.resources[path]

    def rename(self, path: Path, name: str) -> Path:
        """Give a resource another name; what lies in it comes along."""
        new = (*path[:-1], name)
        for table in (self.resources, self.voxels, self.metadata, self.reserved):
            moved: dict[Path, Any] = {}
            for key, value in table.items():
                fits = key[: len(path)] == path
                moved[(*new, *key[len(path) :]) if fits else key] = value
            table.clear()
            table.update(moved)
        return new

    def remove(self, path: Path) -> None:
        """Remove a resource in which nothing lies.

        Raises
        ------
        BossError
            If something does.
        """
        self.find(path)
        if self.names(path):
            raise BossError(IN_USE, f"Cannot delete {path[-1]}. It has {_BELOW[len(path)]}")
        for table in (self.resources, self.voxels, self.metadata, self.reserved):
            table.pop(path, None)

    def describe(self, path: Path) -> dict[str, Any]:
        """Say what the service tells of a resource."""
        told = dict(self.find(path))
        if len(path) < 3:
            told[_BELOW[len(path)]] = self.names(path)
        return told

    def answer_resource(self, call: Call, path: Path) -> Answer:
        """Answer about a collection, an experiment or a channel."""
        if call.method == "DELETE":
            self.remove(path)
            return Answer(204)
        if call.method == "POST":
            stated = _stated(call, _NEEDED[len(path)])
            self._check(path, stated)
            return said(self.add(path, stated, public=False), 201)
        if call.method == "PUT":
            path = self._change(self.find(path), path, _stated(call, ()))
        return said(self.describe(path))

    def answer_frame(self, call: Call, name: str) -> Answer:
        """Answer about a coordinate frame."""
        if call.method == "POST":
            if name in self.frames:
                raise BossError(EXISTS, f"Coordinate frame {name} already exists")
            stated = _stated(call, _FRAME)
            self.frames[name] = frame(name, stated)
            return said(self.frames[name], 201)
        if name not in self.frames:
            raise BossError(NOT_FOUND, f"Coordinate frame {name} not found")
        if call.method == "DELETE":
            if any(r.get("coord_frame") == name for r in self.resources.values()):
                raise BossError(IN_USE, f"Cannot delete {name}. It has experiments")
            del self.frames[name]
            return Answer(204)
        if call.method == "PUT":
            stated = _stated(call, ())
            found = self.frames.pop(name)
            found |= {k: stated[k] for k in ("name", "description") if k in stated}
            self.frames[found["name"]] = found
            for resource in self.resources.values():
                if resource.get("coord_frame") == name:
                    resource["coord_frame"] = found["name"]
            return said(found)
        return said(self.frames[name])

    def _change(self, found: dict[str, Any], path: Path, stated: Mapping[str, Any]) -> Path:
        unknown = sorted(set(stated) - _CHANGEABLE)
        if unknown:
            raise BossError(POST_ARGUMENT, f"{', '.join(unknown)} cannot be changed")
        found |= stated
        return self.rename(path, str(stated["name"])) if "name" in stated else path

    def _check(self, path: Path, stated: Mapping[str, Any]) -> None:
        if path[:-1]:
            self.find(path[:-1])
        if not _NAME.match(path[-1]):
            raise BossError(POST_ARGUMENT, f"{path[-1]} is no valid name")
        if len(path) == 2 and stated["coord_frame"] not in self.frames:
            raise BossError(POST_ARGUMENT, "This request requires a valid coordinate frame")
        if len(path) == 3:
            if stated["datatype"] not in DATATYPES:
                raise BossError(POST_ARGUMENT, f"Invalid datatype {stated['datatype']}")
            if stated["type"] not in ("image", "annotation"):
                raise BossError(POST_ARGUMENT, f"Invalid channel type {stated['type']}")


def frame(name: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a coordinate frame, with the types that the service gives."""
    made: dict[str, Any] = {"voxel_unit": "nanometers", "description": "", **stated, "name": name}
    for axis in "xyz":
        made |= {k: int(made[k]) for k in (f"{axis}_start", f"{axis}_stop")}
        made[f"{axis}_voxel_size"] = float(made[f"{axis}_voxel_size"])
    return made


def _stated(call: Call, needed: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Read the JSON object of a request."""
    try:
        found = json.loads(call.body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BossError(POST_ARGUMENT, "The body is no JSON object")
    missing = [key for key in needed if key not in found]
    if missing:
        raise BossError(POST_ARGUMENT, f"Missing {', '.join(missing)}")
    return found


def _defaults(path: Path) -> dict[str, Any]:
    """Say what the service fills in."""
    if len(path) == 1:
        return {}
    if len(path) == 2:
        return {
            "collection": path[0],
            "num_hierarchy_levels": 1,
            "hierarchy_method": "anisotropic",
            "num_time_samples": 1,
            "time_step": 0,
            "time_step_unit": "seconds",
        }
    return {
        "experiment": path[1],
        "type": "image",
        "base_resolution": 0,
        "default_time_sample": 0,
        "sources": [],
        "related": [],
        "downsample_status": "NOT_DOWNSAMPLED",
        "storage_type": "spdb",
        "bucket": None,
        "cv_path": None,
    }
