"""What limits a reprocessing: boxes, a mask, cutouts, or where the old model was unsure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from volkit.engine.selection import Selection
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.pipelines.config import located
from volkit.pipelines.version_stages import stage_volume, version_stages

_PROBABILITY = "prob"
_PART = "{name}"
_COLUMNS = ("z0", "z1", "y0", "y1", "x0", "x1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is to be computed anew, as a person says it; in one way or in none.

    Parameters
    ----------
    boxes : tuple of Box
        Volume coordinates, voxels.
    mask : str, optional
        Path or URI of a volume; blocks in which it is not 0.
    cutouts : Path, optional
        CSV of boxes with the columns z0, z1, y0, y1, x0, x1, voxels; others do not count.
    unsure : tuple of float, optional
        Lowest and highest of the old probabilities; blocks that hold such.

    Raises
    ------
    ConfigError
        If it is said in several ways.
    """

    boxes: tuple[Box, ...] = ()
    mask: str | None = None
    cutouts: Path | None = None
    unsure: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        said = [name for name in ("boxes", "mask", "cutouts", "unsure") if getattr(self, name)]
        if len(said) > 1:
            raise ConfigError(f"{' and '.join(said)} are given; limit the work in one way")

    @property
    def record(self) -> dict[str, Any] | None:
        """The same as JSON, with whole paths; None where nothing is limited."""
        if self.mask is not None:
            return {"mask": _whole(self.mask)}
        if self.unsure is not None:
            return {"unsure": list(self.unsure)}
        boxes = self._all_boxes()
        return {"boxes": [[list(b.start), list(b.stop)] for b in boxes]} if boxes else None

    def selections(self, run: Path, base: int, parts: Sequence[str]) -> dict[str, Selection]:
        """Give what engines understand, for each part of a run whose stages are ``PART-stage``.

        ``{name}`` in a mask stands for the name of the part.

        Parameters
        ----------
        run : Path
            Folder of the run.
        base : int
            The version whose probabilities are the old ones.
        parts : sequence of str
            Names.

        Returns
        -------
        dict of str to Selection
            Of the parts that the base has, where anything is limited.

        Raises
        ------
        ConfigError
            As for `selection`; or if no part has old probabilities.
        SourceError
            If a mask cannot be opened.
        """
        if self.mask is None and self.unsure is None:
            found = self.selection(run, base)
            return {} if found is None else dict.fromkeys(parts, replace(found, may_miss=True))
        stages = {stage.name for stage in version_stages(run, base)}
        known = [part for part in parts if f"{part}-{_PROBABILITY}" in stages]
        made = {}
        for part in known or parts[:1]:  # which has none, and says so
            own = replace(self, mask=self.mask and self.mask.replace(_PART, part))
            found = own.selection(run, base, stage=f"{part}-{_PROBABILITY}")
            if found is not None:
                made[part] = replace(found, may_miss=True)
        return made

    def selection(self, run: Path, base: int, *, stage: str = _PROBABILITY) -> Selection | None:
        """Give what engines understand.

        Parameters
        ----------
        run : Path
            Folder of the run.
        base : int
            The version whose probabilities are the old ones.
        stage : str
            That made them.

        Raises
        ------
        ConfigError
            If a list of cutouts cannot be understood, or the mask is of other voxels.
        SourceError
            If the mask cannot be opened.
        """
        if self.mask is None and self.unsure is None:
            boxes = self._all_boxes()
            return Selection(boxes) if boxes else None
        prob = stage_volume(run, base, stage)
        if self.mask is None:
            return Selection(where=prob, between=self.unsure)
        mask = open_volume(_whole(self.mask))
        if mask.voxel_size_nm != prob.voxel_size_nm:
            raise ConfigError(
                f"the mask {self.mask} has voxels of {mask.voxel_size_nm} nm, the run of "
                f"{prob.voxel_size_nm} nm; give a mask of the run's own voxels (?level=N)"
            )
        return Selection(where=mask)

    def _all_boxes(self) -> tuple[Box, ...]:
        return self.boxes if self.cutouts is None else read_boxes(self.cutouts)


def read_boxes(path: Path) -> tuple[Box, ...]:
    """Read a list of boxes.

    Parameters
    ----------
    path : Path
        CSV with the columns z0, z1, y0, y1, x0, x1.

    Returns
    -------
    tuple of Box

    Raises
    ------
    ConfigError
        If it cannot be understood; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file, skipinitialspace=True)
            missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise ConfigError(
                    f"{path} has no column {', '.join(missing)}; its first line has to name "
                    f"{','.join(_COLUMNS)}"
                )
            boxes = tuple(_box(row, path, table.line_num) for row in table)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the cutouts {path} ({error}); give a CSV file") from None
    if not boxes:
        raise ConfigError(f"{path} lists no cutout; add a line for each")
    return boxes


def _box(row: dict[str, Any], path: Path, line: int) -> Box:
    try:
        z0, z1, y0, y1, x0, x1 = (int(row[name]) for name in _COLUMNS)
        box = Box((z0, y0, x0), (z1, y1, x1))
    except (TypeError, ValueError) as error:
        reason = error if isinstance(error, GeometryError) else "six whole numbers are expected"
        raise ConfigError(f"{path}, line {line}: {reason}; mend it there") from None
    if not box.size:
        raise ConfigError(f"{path}, line {line}: {box} holds no voxel; mend it there")
    return box


def _whole(uri: str) -> str:
    """Write a path from the root on; leave URLs as they are."""
    return str(located({"mask": uri}, {"mask"}, Path.cwd())["mask"])
