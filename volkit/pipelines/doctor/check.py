"""Check: one thing that was looked at, what was found, and what to do."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What.
    state : {'ok', 'warn', 'fail'}
        ``warn`` is in the way of some uses, ``fail`` of all, or of one that was asked for.
    says : str
        What was found.
    advice : str
        What to do; empty where there is nothing to do.
    """

    name: str
    state: State
    says: str
    advice: str = ""
