"""Routes of the Boss service: from a method and a path to an answer, for those who may have it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from urllib.parse import parse_qs, unquote

from volkit.testing.servers.boss_project import Project
from volkit.testing.servers.boss_rules import (
    EXISTS,
    LOGIN,
    METHOD,
    NOT_FOUND,
    PERMISSION,
    POST_ARGUMENT,
    ROLE,
    UNHANDLED,
    URL,
    BossError,
    Path,
    refusal,
    said,
)
from volkit.testing.servers.boss_volume import Volume
from volkit.testing.servers.loopback import Answer, Call

PUBLIC = "public"  # the token of those who have none

_LISTS = ("collections", "experiments", "channels")


@dataclass(frozen=True, slots=True)
class Routes:
    """The service behind HTTP.

    Parameters
    ----------
    project : Project
        What it knows.
    volume : Volume
        Its voxels.
    """

    project: Project
    volume: Volume
    lock: RLock = field(default_factory=RLock)

    def answer(self, call: Call, token: str | None) -> Answer:
        """Answer a request; ``token`` is the one that may do all, None if everybody may.

        What the service refuses, or fails in, is an answer too.
        """
        path = unquote(call.path)
        for pattern, methods, act in _ROUTES:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            try:
                if call.method not in methods:
                    raise BossError(METHOD, f'Method "{call.method}" not allowed.')
                self._allow(call, _resource_of(found), token)
                return act(self, call, found)
            except BossError as error:
                return error.to_answer()
            except Exception as error:  # the service's own last resort
                return refusal(500, UNHANDLED, repr(error))
        return BossError(URL, f"There is no {call.method} {path}").to_answer()

    def _allow(self, call: Call, path: Path, token: str | None) -> None:
        """Refuse who may not do this."""
        given = call.headers.get("authorization", "")
        if token is None or given == f"Token {token}":
            return
        if given != f"Token {PUBLIC}":
            raise BossError(LOGIN, "Access denied, are you logged in?")
        resources = self.project.resources
        above = (path[:depth] for depth in range(1, len(path) + 1))
        if any(not resources[p]["public"] for p in above if p in resources):
            raise BossError(PERMISSION, "This user does not have the required permissions")
        if call.method != "GET":
            code = ROLE if call.method == "POST" else PERMISSION
            raise BossError(code, "This user does not have the required role")

    def list_names(self, call: Call, found: re.Match[str]) -> Answer:
        """List what lies in a resource."""
        above = _resource_of(found)
        with self.lock:
            if above:
                self.project.find(above)
            return said({_LISTS[len(above)]: self.project.names(above)})

    def resource(self, call: Call, found: re.Match[str]) -> Answer:
        """Answer about a collection, an experiment or a channel."""
        with self.lock:
            return self.project.answer_resource(call, _resource_of(found))

    def frames(self, call: Call, found: re.Match[str]) -> Answer:
        """Answer about coordinate frames."""
        with self.lock:
            if found["frame"]:
                return self.project.answer_frame(call, found["frame"])
            return said({"coords": list(self.project.frames)})

    def metadata(self, call: Call, found: re.Match[str]) -> Answer:
        """Answer about a key, or list all keys."""
        path = _resource_of(found)
        query = {name: values[0] for name, values in parse_qs(call.query).items()}
        with self.lock:
            self.project.find(path)
            return _about_key(call, self.project.metadata.setdefault(path, {}), query)

    def cutout(self, call: Call, found: re.Match[str]) -> Answer:
        """Answer a cutout."""
        ranges = found.groupdict()
        return self.volume.answer_cutout(call, _resource_of(found), int(found["level"]), ranges)

    def black(self, call: Call, found: re.Match[str]) -> Answer:
        """Clear a region."""
        return self.volume.answer_black(_resource_of(found), int(found["level"]), found.groupdict())

    def ids(self, call: Call, found: re.Match[str]) -> Answer:
        """List ids."""
        return self.volume.answer_ids(_resource_of(found), int(found["level"]), found.groupdict())

    def bounding_box(self, call: Call, found: re.Match[str]) -> Answer:
        """Say which box holds an id."""
        return self.volume.answer_box(call, _resource_of(found), int(found["level"]), found["id"])

    def reserve(self, call: Call, found: re.Match[str]) -> Answer:
        """Reserve ids."""
        return self.volume.answer_reserve(_resource_of(found), found["count"])

    def levels(self, call: Call, found: re.Match[str]) -> Answer:
        """Say what levels there are, or make them."""
        return self.volume.answer_levels(call, _resource_of(found))


def _resource_of(found: re.Match[str]) -> Path:
    names = found.groupdict()
    return tuple(names[key] for key in ("c", "e", "h") if names.get(key))


def _about_key(call: Call, stored: dict[str, str], query: dict[str, str]) -> Answer:
    key = query.get("key")
    if key is None:
        return said({"keys": list(stored)})
    if call.method == "POST" and key in stored:
        raise BossError(EXISTS, f"Key {key} already exists")
    if call.method != "POST" and key not in stored:
        raise BossError(NOT_FOUND, f"Key {key} not found")
    if call.method == "GET":
        return said({"key": key, "value": stored[key]})
    if call.method == "DELETE":
        del stored[key]
        return Answer(204)
    if "value" not in query:
        raise BossError(POST_ARGUMENT, "Missing value")
    stored[key] = query["value"]
    return Answer(201 if call.method == "POST" else 200)


Act = Callable[[Routes, Call, re.Match[str]], Answer]

_C, _E, _H = (rf"(?P<{name}>[\w-]+)" for name in "ceh")
_AT = rf"{_C}/{_E}/{_H}"
_BOX = rf"{_AT}/(?P<level>\d)/(?P<x>[^/]+)/(?P<y>[^/]+)/(?P<z>[^/]+)(?:/(?P<t>[^/]+))?"
_ALL = ("GET", "POST", "PUT", "DELETE")


def _compile(
    routes: tuple[tuple[str, tuple[str, ...], Act], ...],
) -> list[tuple[re.Pattern[str], tuple[str, ...], Act]]:
    """Compile patterns; a slash at the end may be there or not, or twice, as intern has it."""
    return [(re.compile(f"/v1/{path}/*"), methods, act) for path, methods, act in routes]


_ROUTES = _compile(
    (
        ("collection", ("GET",), Routes.list_names),
        (f"collection/{_C}", _ALL, Routes.resource),
        (f"collection/{_C}/experiment", ("GET",), Routes.list_names),
        (f"collection/{_C}/experiment/{_E}", _ALL, Routes.resource),
        (f"collection/{_C}/experiment/{_E}/channel", ("GET",), Routes.list_names),
        (f"collection/{_C}/experiment/{_E}/channel/{_H}", _ALL, Routes.resource),
        (r"coord(?:/+(?P<frame>[\w-]+))?", _ALL, Routes.frames),
        (f"meta/{_C}(?:/{_E}(?:/{_H})?)?", _ALL, Routes.metadata),
        (f"cutout/to_black/{_BOX}", ("PUT",), Routes.black),
        (f"cutout/{_BOX}", ("GET", "POST"), Routes.cutout),
        (f"ids/{_BOX}", ("GET",), Routes.ids),
        (rf"boundingbox/{_AT}/(?P<level>\d)/(?P<id>\d+)", ("GET",), Routes.bounding_box),
        (rf"reserve/{_AT}/(?P<count>\d+)", ("GET",), Routes.reserve),
        (f"downsample/{_AT}", ("GET", "POST"), Routes.levels),
    )
)
