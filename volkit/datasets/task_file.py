"""Task files: which boxes of which channels are a task, as the MTNeuro benchmark publishes it.

Two schemas are read as they are: that of several regions (``xrange_cor``, ``yrange_cor`` and so
on) and that of one volume (``xrange_vol``, ``threshold``).  Ranges are half-open, in voxels.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from volkit.errors import ConfigError, SourceError
from volkit.geometry import Box
from volkit.kernels.class_merge import check_codes

Split = Literal["train", "val", "test"]
Kind = Literal["classes", "region", "mask"]
Range = tuple[int, int]

FOUR_CLASSES = {"background": (0,), "vessel": (1,), "cell": (2,), "axon": (3,)}
THREE_CLASSES = {"background": (0, 3), "vessel": (1,), "cell": (2,)}
REGION_MERGES = {"cor": (0, 1), "stri": (2, 8), "vp": (3, 4), "zi": (5, 6, 7)}
"""Ids of the channel of regions, by the name of a region in the task files; 0 is unlabelled, and
cortex in the published code."""

_ORDER = tuple(REGION_MERGES)  # in which the published loader stacks regions
_KNOWN = {"image_chan", "annotation_chan", "z_train", "z_val", "z_test", "volume_z", "tile_size"}
_OPTIONAL = {"zrange", "task_type", "combine_ax_and_bg", "noZI", "threshold", "threshold_value"}


@dataclass(frozen=True, slots=True)
class Task:
    """A task: what is shown, what is asked, and where.

    Parameters
    ----------
    image, labels : str
        Addresses, as `volkit.io.open.open_volume` takes them.
    regions : mapping of str to (range, range)
        For every region its ranges along y and x, voxels.
    splits : mapping of str to range
        Sections of ``train``, ``val`` and ``test``.
    tile : tuple of int
        Extent of a sample, voxels, (y, x).
    depth : int
        Sections of a sample.
    kind : {'classes', 'region', 'mask'}
        What is asked: the class of every voxel, the region of the sample, or whether labels are
        greater than ``threshold``.
    classes : mapping of str to tuple of int
        Codes of every class in the channel of labels; sources order them differently.  For
        ``region``, the ids of every region.
    threshold : int
        Of a mask.
    statistics : range or None
        Sections that statistics are made of.

    Raises
    ------
    ConfigError
        If numbers make no sense.
    """

    image: str
    labels: str
    regions: Mapping[str, tuple[Range, Range]] = field(hash=False)
    splits: Mapping[Split, Range] = field(hash=False)
    tile: Range
    depth: int = 1
    kind: Kind = "classes"
    classes: Mapping[str, tuple[int, ...]] = field(
        default_factory=lambda: dict(FOUR_CLASSES), hash=False
    )
    threshold: int = 0
    statistics: Range | None = None

    def __post_init__(self) -> None:
        ranges = [*self.splits.values(), *(r for pair in self.regions.values() for r in pair)]
        ranges += [] if self.statistics is None else [self.statistics]
        if not self.regions or any(not 0 <= a < b for a, b in ranges):
            raise ConfigError(
                f"a task has ranges {ranges}; give at least one region, and half-open ranges "
                "[start, stop] of voxels from 0 on"
            )
        if min(self.tile) < 1 or self.depth < 1:
            raise ConfigError(f"samples of {self.depth} sections of {self.tile} cannot be")
        if self.kind not in get_args(Kind):
            raise ConfigError(f"kind {self.kind!r} is unknown; choose one of {get_args(Kind)}")
        if self.kind != "mask":
            check_codes(self.classes)

    def box(self, region: str, split: Split | None = None) -> Box:
        """Give the box of a region: the sections of a split, or those of statistics.

        Raises
        ------
        ConfigError
            If the file names no such region, split or sections.

        Examples
        --------
        >>> task = Task("a", "b", {"vol": ((2, 8), (4, 9))}, {"train": (0, 5)}, (2, 2))
        >>> str(task.box("vol", "train"))
        '[0:5, 2:8, 4:9]'
        """
        if region not in self.regions:
            raise ConfigError(f"no region {region!r}; the task has {', '.join(self.regions)}")
        z = self.statistics if split is None else self.splits.get(split)
        if z is None:
            known = ", ".join(self.splits)
            raise ConfigError(f"the task has no {split or 'zrange'}; its splits are {known}")
        y, x = self.regions[region]
        return Box((z[0], y[0], x[0]), (z[1], y[1], x[1]))


def read_task(
    source: str | Path | Mapping[str, Any],
    *,
    kind: Kind | None = None,
    classes: Mapping[str, tuple[int, ...]] | None = None,
) -> Task:
    """Read a task file as it is published.

    Parameters
    ----------
    source : str, Path or mapping
        A JSON file, or what it holds.
    kind : {'classes', 'region', 'mask'}, optional
        What is asked; None follows the file: a mask where there is a ``threshold``, regions where
        the channel of labels is called ``roi_labels``, else classes.
    classes : mapping of str to tuple of int, optional
        Codes of every class; None takes those of the benchmark, with axons in the background where
        the file says ``combine_ax_and_bg``.

    Returns
    -------
    Task
        Without the zona incerta where the file says ``noZI``.

    Raises
    ------
    SourceError
        If the file cannot be read.
    ConfigError
        If keys are missing, unknown, or hold something else.

    References
    ----------
    Quesada et al., MTNeuro: A benchmark for evaluating representations of brain structure across
    multiple levels of abstraction, 2022, doi:10.48550/arXiv.2301.00345.
    """
    keys = _keys(source)
    regions = _regions(keys)
    stated = {name for region in regions for name in (f"xrange_{region}", f"yrange_{region}")}
    stray, missing = sorted(set(keys) - _KNOWN - _OPTIONAL - stated), sorted(_KNOWN - set(keys))
    if stray or missing:
        raise ConfigError(
            f"a task file has {', '.join(stray) or 'nothing'} that is unknown, and lacks "
            f"{', '.join(missing) or 'nothing'}; it needs {', '.join(sorted(_KNOWN))}, and "
            "xrange_NAME and yrange_NAME for every region"
        )
    found = kind or _kind(keys)
    if keys.get("noZI"):
        regions.pop("zi", None)
    if classes is None:
        classes = THREE_CLASSES if keys.get("combine_ax_and_bg") else FOUR_CLASSES
        classes = REGION_MERGES if found == "region" else classes
    x, y = _pair(keys, "tile_size")  # index 0 is x
    return Task(
        image=_text(keys, "image_chan"),
        labels=_text(keys, "annotation_chan"),
        regions=regions,
        splits={name: _pair(keys, f"z_{name}") for name in get_args(Split)},
        tile=(y, x),
        depth=_whole(keys, "volume_z"),
        kind=found,
        classes={name: tuple(codes) for name, codes in classes.items()},
        threshold=_whole(keys, "threshold_value") if keys.get("threshold") else 0,
        statistics=_pair(keys, "zrange") if "zrange" in keys else None,
    )


def _keys(source: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    try:
        keys = json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{source} cannot be read as a task file (JSON): {error}") from error
    if not isinstance(keys, dict):
        raise ConfigError(f"{source} holds {type(keys).__name__}; a task file is a JSON object")
    return keys


def _regions(keys: Mapping[str, Any]) -> dict[str, tuple[Range, Range]]:
    """Find the regions: in the order of the published loader, then in that of the file."""
    names = [key.removeprefix("xrange_") for key in keys if key.startswith("xrange_")]
    names.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    lacking = [name for name in names if f"yrange_{name}" not in keys]
    if lacking or not names:
        raise ConfigError(
            f"a task file gives xrange for {', '.join(names) or 'no region'} and no yrange for "
            f"{', '.join(lacking) or 'any'}; give both for every region"
        )
    return {name: (_pair(keys, f"yrange_{name}"), _pair(keys, f"xrange_{name}")) for name in names}


def _kind(keys: Mapping[str, Any]) -> Kind:
    if keys.get("threshold"):
        return "mask"
    channel = str(keys.get("annotation_chan", "")).partition("?")[0]
    return "region" if channel.rstrip("/").endswith("roi_labels") else "classes"


def _text(keys: Mapping[str, Any], name: str) -> str:
    if not isinstance(keys[name], str) or not keys[name]:
        raise ConfigError(f"{name} is {keys[name]!r}; give the address of a volume")
    return str(keys[name])


def _whole(keys: Mapping[str, Any], name: str) -> int:
    value = keys.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{name} is {value!r}; give a whole number")
    return value


def _pair(keys: Mapping[str, Any], name: str) -> Range:
    value = keys[name]
    whole = isinstance(value, list | tuple) and all(
        isinstance(n, int) and not isinstance(n, bool) for n in value
    )
    if not whole or len(value) != 2:
        raise ConfigError(f"{name} is {value!r}; give two whole numbers")
    return value[0], value[1]
