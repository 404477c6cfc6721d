"""The routes of the Boss service: from a method and a path to an answer."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import blosc
import numpy as np

from volkit.testing.servers.boss_rules import Boss, BossError, Json, Key, Ranges


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and its type."""

    status: int
    body: bytes = b""
    kind: str = "application/json"


@dataclass(frozen=True, slots=True)
class Question:
    """A request, taken apart."""

    boss: Boss
    method: str
    path: str
    query: Mapping[str, list[str]]
    body: bytes
    headers: Mapping[str, str]

    def told(self) -> Json:
        """Read a JSON body."""
        try:
            found: Json = json.loads(self.body or b"{}")
        except ValueError:
            raise BossError(400, 1003, "The body is no JSON") from None
        return found


def route(boss: Boss, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Answer one request.

    Raises
    ------
    BossError
        For every answer that is no success.
    """
    parts = urlsplit(target)
    asked = Question(boss, method, parts.path, parse_qs(parts.query), body, headers)
    for pattern, answer in _ROUTES:
        found = pattern.match(parts.path)
        if found:
            return answer(asked, found.groups())
    raise BossError(404, 1000, f"There is no route {method} {parts.path}")


Groups = tuple[Any, ...]


def _json(found: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(found).encode())


def _wrong(asked: Question) -> BossError:
    return BossError(405, 1000, f"{asked.method} is not allowed on {asked.path}")


def _resource(held: str, what: str, add: str) -> Callable[[Question, Groups], Answer]:
    """Make the answers for one kind of resource: read, make, change, remove."""

    def answer(asked: Question, groups: Groups) -> Answer:
        boss, key = asked.boss, groups if len(groups) > 1 else groups[0]
        table: dict[Any, Json] = getattr(boss, held)
        if asked.method == "GET":
            return _json({**boss.present(table, key, what), **_inside(boss, held, key)})
        if asked.method == "POST":
            return _json(getattr(boss, add)(key, asked.told()), 201)
        boss.present(table, key, what)
        if asked.method == "PUT":
            table[key].update(asked.told())
            return _json(table[key])
        del table[key]
        boss.voxels.pop(cast("Key", key), None)
        return Answer(204)

    return answer


def _inside(boss: Boss, held: str, key: Any) -> Json:
    """List what lies inside a resource."""
    if held == "collections":
        return {"experiments": [e for c, e in boss.experiments if c == key]}
    if held == "experiments":
        return {"channels": [h for c, e, h in boss.channels if (c, e) == key]}
    return {}


def _list(asked: Question, groups: Groups) -> Answer:
    boss = asked.boss
    if asked.path.strip("/").endswith("coord"):
        return _json({"coords": list(boss.frames)})
    if not groups:
        return _json({"collections": list(boss.collections)})
    if len(groups) == 1:
        return _json({"experiments": [e for c, e in boss.experiments if c == groups[0]]})
    return _json({"channels": [h for c, e, h in boss.channels if (c, e) == groups]})


def _ranges(groups: Groups) -> tuple[Key, int, Ranges]:
    key = cast("Key", groups[:3])
    x0, x1, y0, y1, z0, z1 = (int(n) for n in groups[4:10])
    return key, int(groups[3]), ((x0, x1), (y0, y1), (z0, z1))


def _cutout(asked: Question, groups: Groups) -> Answer:
    boss = asked.boss
    key, level, ranges = _ranges(groups)
    if asked.method == "GET":
        values = boss.read(key, level, ranges)
        if "filter" in asked.query:
            ids = np.array([int(i) for i in asked.query["filter"][0].split(",")], values.dtype)
            values = np.where(np.isin(values, ids), values, 0).astype(values.dtype)
        if "application/npygz" in asked.headers.get("accept", ""):
            return _npygz(values)
        packed = blosc.compress(values, typesize=values.dtype.itemsize, clevel=1)
        return Answer(200, packed, "application/blosc")
    if asked.method != "POST":
        raise _wrong(asked)
    dtype = np.dtype(boss.present(boss.channels, key, "channel")["datatype"])
    shape = tuple(b - a for a, b in reversed(ranges))
    try:
        values = np.frombuffer(blosc.decompress(asked.body), dtype).reshape(shape)
    except (blosc.error, ValueError):
        raise BossError(
            400,
            2002,
            "Failed to unpack data. Verify the datatype of your POSTed data and xyz dimensions "
            "used in the POST URL.",
        ) from None
    boss.write(key, level, ranges, values)
    return Answer(201)


def _npygz(values: Any) -> Answer:
    import zlib

    file = BytesIO()
    np.save(file, values, allow_pickle=False)
    return Answer(200, zlib.compress(file.getvalue(), 1), "application/npygz")


def _black(asked: Question, groups: Groups) -> Answer:
    if asked.method != "PUT":
        raise _wrong(asked)
    key, level, ranges = _ranges(groups)
    asked.boss.write(key, level, ranges, None)
    return Answer(200)


def _downsample(asked: Question, groups: Groups) -> Answer:
    key = cast("Key", groups)
    asked.boss.present(asked.boss.channels, key, "channel")
    isotropic = asked.query.get("iso", [""])[0].lower() == "true"
    return _json(asked.boss.levels(key, isotropic=isotropic))


def _ids(asked: Question, groups: Groups) -> Answer:
    key, level, ranges = _ranges(groups)
    found = np.unique(asked.boss.read(key, level, ranges))
    return _json({"ids": [str(i) for i in found if i]})


def _bounding_box(asked: Question, groups: Groups) -> Answer:
    key, level, wanted = cast("Key", groups[:3]), int(groups[3]), int(groups[4])
    asked.boss.present(asked.boss.voxels, key, "channel")
    frame = asked.boss.frame(key)
    places = np.argwhere(asked.boss.voxels[key][level] == wanted)
    if not len(places):
        raise BossError(404, 4000, f"id {wanted} not found")
    box = {"t_range": [0, 1]}
    for n, axis in enumerate("zyx"):
        zero = int(frame[f"{axis}_start"])
        box[f"{axis}_range"] = [int(places[:, n].min()) + zero, int(places[:, n].max()) + zero + 1]
    return _json(box)


def _reserve(asked: Question, groups: Groups) -> Answer:
    key, count = cast("Key", groups[:3]), int(groups[3])
    asked.boss.present(asked.boss.channels, key, "channel")
    start = asked.boss.reserved.get(key, 1)
    asked.boss.reserved[key] = start + count
    return _json({"start_id": str(start)})


def _metadata(asked: Question, groups: Groups) -> Answer:
    held = asked.boss.metadata.setdefault(groups[0], {})
    key = asked.query.get("key", [None])[0]
    if key is None:
        return _json({"keys": list(held)})
    if asked.method in ("POST", "PUT"):
        held[key] = asked.query.get("value", [""])[0]
        return _json({}, 201 if asked.method == "POST" else 200)
    if key not in held:
        raise BossError(404, 4000, f"there is no key {key}")
    if asked.method == "DELETE":
        del held[key]
        return Answer(204)
    return _json({"key": key, "value": held[key]})


_NAME = r"([\w-]+)"
_RANGE = r"(\d+):(\d+)"
_BOX = rf"{_NAME}/{_NAME}/{_NAME}/(\d)/{_RANGE}/{_RANGE}/{_RANGE}(?:/{_RANGE})?/?$"
_EXPERIMENT = rf"/v1/collection/{_NAME}/experiment"
_CHANNEL = rf"{_EXPERIMENT}/{_NAME}/channel"
_ROUTES = tuple(
    (re.compile(f"^{pattern}"), answer)
    for pattern, answer in (
        (rf"/v1/cutout/to_black/{_BOX}", _black),
        (rf"/v1/cutout/{_BOX}", _cutout),
        (rf"/v1/ids/{_BOX}", _ids),
        (rf"{_CHANNEL}/{_NAME}/?$", _resource("channels", "channel", "add_channel")),
        (rf"{_CHANNEL}/?$", _list),
        (rf"{_EXPERIMENT}/{_NAME}/?$", _resource("experiments", "experiment", "add_experiment")),
        (rf"{_EXPERIMENT}/?$", _list),
        (rf"/v1/collection/{_NAME}/?$", _resource("collections", "collection", "add_collection")),
        (r"/v1/collection/*$", _list),
        (rf"/v1/coord/{_NAME}/?$", _resource("frames", "coordinate frame", "add_frame")),
        (r"/v1/coord/*$", _list),
        (rf"/v1/downsample/{_NAME}/{_NAME}/{_NAME}/?$", _downsample),
        (rf"/v1/boundingbox/{_NAME}/{_NAME}/{_NAME}/(\d)/(\d+)/?$", _bounding_box),
        (rf"/v1/reserve/{_NAME}/{_NAME}/{_NAME}/(\d+)/?$", _reserve),
        (r"/v1/meta/([\w/-]+?)/?$", _metadata),
    )
)
