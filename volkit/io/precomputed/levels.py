"""Levels of a precomputed layer: scales, noted in its info as unfinished until they are not."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from volkit.errors import SourceError
from volkit.geometry import Coord
from volkit.io.levels import Made, NewLevel, no_levels
from volkit.io.place import Place
from volkit.io.precomputed.info import Info, Scale
from volkit.io.precomputed.layer import layer_place, read_info
from volkit.io.precomputed.scales import add_scale
from volkit.io.precomputed.source import open_precomputed, written_shape
from volkit.io.registry import forget_opened
from volkit.io.sources import OpenOptions
from volkit.io.volume import Volume

_NOTES = "pyramid"  # in the info's volkit entry: by its factor, how a scale was made


@dataclass(frozen=True, slots=True)
class PrecomputedLevels:
    """The scales of a layer, to be added to.

    The format has no scale that is not listed, so one is listed when it is begun: until it is
    finished, other programs find chunks missing, which they show as empty.

    Parameters
    ----------
    place : Place
        The layer.
    handle : Volume
        Of the layer.
    """

    place: Place
    handle: Volume

    @classmethod
    def of(cls, uri: str, options: OpenOptions) -> "PrecomputedLevels":
        """Look at a layer whose levels can be added to.

        Raises
        ------
        SourceError
            If it cannot be written.
        """
        how = replace(options, voxel_size_nm=None, cache=None)
        finest = open_precomputed(uri, 0, how)
        if isinstance(finest.writer, str):
            raise no_levels(uri, f"is read-only ({finest.writer})")
        return cls(Place(layer_place(uri), how), Volume(uri, 0, how))

    def listed(self) -> Sequence[Made]:
        """Say how each finished scale beyond the finest was made."""
        info = self._info()
        found: list[Made] = []
        for scale in info.scales[1:]:
            note = _notes(info).get(_key(_factor(info, scale)), {})
            if note and not note.get("finished"):
                break
            found.append({k: note[k] for k in ("method", "factor") if k in note})
        return found

    def write_shape(self, level: NewLevel) -> Coord:
        """Say which stored objects a scale has, adding it if it is not there."""
        return written_shape(self._scale(level))

    def begun(self, level: NewLevel, fingerprint: str) -> bool:
        """Tell whether the scale is there, and of this computation."""
        info = self._info()
        note = _notes(info).get(_key(level.factor), {})
        return len(info.scales) > level.number and note.get("fingerprint") == fingerprint

    def begin(self, level: NewLevel, fingerprint: str) -> Volume:
        """Add a scale, or take up the one that was begun."""
        self._scale(level)
        self._note(level, {**level.made, "fingerprint": fingerprint, "finished": False})
        return replace(self.handle, level=level.number)

    def finish(self, level: NewLevel) -> None:
        """Note that a scale is finished."""
        note = _notes(self._info())[_key(level.factor)]
        self._note(level, {**note, "finished": True})

    def remove_all(self) -> None:
        """Delete every scale but the finest.

        They are taken out of the info last, so that a removal that was killed is done again.
        """
        info = self._info()
        for scale in info.scales[1:]:
            self.place.objects.delete_all(f"{scale.key}/")
        stated = info.stated["scales"]
        own = {k: v for k, v in info.own.items() if k != _NOTES}
        self._put({**info.stated, "scales": [stated[info.scales[0].place]], "volkit": own})

    def _scale(self, level: NewLevel) -> Scale:
        """Find the scale of a level; add it where it is not there."""
        info = self._info()
        if len(info.scales) <= level.number:
            # Noted before it is there, lest it looks like one of another program.
            self._note(level, {"finished": False})
            add_scale(self.handle.uri, level.factor, self.place.options)
            info = self._info()
        scale = info.scales[level.number]
        if (scale.shape, scale.voxel_offset) != (level.domain.shape, level.domain.start):
            raise SourceError(
                f"{self.place} has scale {scale.key!r} at {scale.voxel_offset} with {scale.shape} "
                f"voxels as level {level.number}, asked for {level.domain}; replace all levels "
                "(replace_levels=True; volkit pyramid --replace)"
            )
        return scale

    def _info(self) -> Info:
        return read_info(self.place.uri, self.place.options)

    def _note(self, level: NewLevel, note: Made) -> None:
        info = self._info()
        notes = {**_notes(info), _key(level.factor): note}
        self._put({**info.stated, "volkit": {**info.own, _NOTES: notes}})

    def _put(self, stated: dict[str, Any]) -> None:
        # What tells this layer from another at its place, now that its info changes.
        own = {"created": uuid.uuid4().hex, **stated["volkit"]}
        data = json.dumps({**stated, "volkit": own}, indent=1).encode()
        self.place.objects.put("info", data)
        forget_opened()


def _notes(info: Info) -> Mapping[str, Made]:
    found: Mapping[str, Made] = info.own.get(_NOTES, {})
    return found


def _factor(info: Info, scale: Scale) -> Sequence[int]:
    sizes = zip(scale.voxel_size_nm, info.scales[0].voxel_size_nm, strict=True)
    return [round(a / b) for a, b in sizes]


def _key(factor: Sequence[int]) -> str:
    return "x".join(map(str, factor))
