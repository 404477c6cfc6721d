"""Findings: what is marked as finished and is not as it was written."""

from dataclasses import dataclass
from typing import Literal

from volkit.geometry import Box

Problem = Literal["torn", "missing", "unreadable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is marked as finished and is not as it was written.

    Parameters
    ----------
    stage : str
        Whose.
    problem : {'torn', 'missing', 'unreadable'}
        What is wrong.
    number : int or None
        Of the block; None for a table.
    box : Box or None
        Its voxels, volume coordinates.
    detail : str
        What was found.
    """

    stage: str
    problem: Problem
    number: int | None
    box: Box | None
    detail: str

    def __str__(self) -> str:
        what = "table" if self.number is None else f"block {self.number}"
        where = "" if self.box is None else f" {self.box}"
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.stage}: {what}{where} is {self.problem}{detail}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of a stage.

    Parameters
    ----------
    stage : str
        Its name.
    total, done : int
        Blocks, and those that are marked as finished.
    sound : int
        Finished blocks that hold what was written.
    unknown : int
        Of these, blocks whose check sum is not known: they could be read.
    findings : tuple of Finding
        The others.
    """

    stage: str
    total: int
    done: int
    sound: int
    unknown: int
    findings: tuple[Finding, ...]
