"""Tables beside clips: what is known of each film, and which are stalled."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import SourceError

_TYPES = {
    "filename": "str",
    "url": "str",
    "project_id": "str",
    "num_frames": "Int64",
    "crowd_score": "float64",
    "tier1": "boolean",
    "micro": "boolean",
    "nano": "boolean",
    "expert": "boolean",
}
_NEEDED = ("filename", "project_id")
_TRUE = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_SHOWN = 3


def read_clip_table(metadata: str | Path, labels: str | Path | None = None) -> pd.DataFrame:
    """Read what is published beside a set of clips.

    Parameters
    ----------
    metadata : str or Path
        CSV with ``filename`` and ``project_id``; ``url``, ``num_frames``, ``crowd_score`` (0 to
        1), ``tier1``, ``micro``, ``nano`` and ``expert`` where they are known.  Other columns are
        left out.
    labels : str or Path, optional
        CSV with ``filename`` and ``stalled`` (0 or 1); clips that it does not name stay without.

    Returns
    -------
    pandas.DataFrame
        One row for each clip, in the order of the file, with all of these columns and ``stalled``
        (boolean); what is not known is missing.

    Raises
    ------
    SourceError
        If a table is absent or damaged, names a clip twice, lacks a column, holds values that make
        no sense, or labels a clip that the metadata does not know.
    """
    given = _read(metadata, _NEEDED)
    table = pd.DataFrame({name: _typed(metadata, given, name) for name in _TYPES})
    crowd = table["crowd_score"]
    if ((crowd < 0) | (crowd > 1)).any():
        raise SourceError(
            f"{metadata}: crowd_score of {_some(table, (crowd < 0) | (crowd > 1))} is not a share "
            "of 0 to 1; correct it, or leave it empty"
        )
    table["stalled"] = pd.array([None] * len(table), "boolean")
    if labels is not None:
        known = _labels(labels)
        unknown = sorted(set(known) - set(table["filename"]))
        if unknown:
            raise SourceError(
                f"{labels} labels {len(unknown)} clips that {metadata} does not know: "
                f"{', '.join(unknown[:_SHOWN])}; take the tables of one set"
            )
        table["stalled"] = pd.array([known.get(n) for n in table["filename"]], "boolean")
    return table


def _read(uri: str | Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV as text, with its columns checked."""
    path = Path(uri)
    if not path.is_file():
        raise SourceError(f"{uri} does not exist; check the path")
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise SourceError(f"{uri} cannot be read as CSV ({error}); write it again") from error
    if missing := [name for name in needed if name not in found]:
        raise SourceError(
            f"{uri} has no column {' and '.join(missing)}, but {', '.join(found.columns)}; "
            f"a table of clips has {', '.join(needed)}"
        )
    if found.empty:
        raise SourceError(f"{uri} names no clip; give a row for each")
    for name in needed:
        if (found[name].str.strip() == "").any():
            raise SourceError(f"{uri}: a row has no {name}; fill it in")
    twice = found["filename"].duplicated()
    if twice.any():
        raise SourceError(
            f"{uri} names {int(twice.sum())} clips twice: {_some(found, twice)}; keep one row of "
            "each"
        )
    return found


def _typed(uri: str | Path, given: pd.DataFrame, name: str) -> Any:
    """Turn the text of a column into values; nothing where it is empty or absent."""
    kind = _TYPES[name]
    if name not in given:
        return pd.Series([None] * len(given), dtype="str" if kind == "str" else kind)
    text = given[name].str.strip()
    if kind == "str":
        return text
    empty = text == ""
    if kind == "boolean":
        wrong = ~empty & ~text.str.lower().isin(list(_TRUE))
        values: Any = pd.array([_TRUE.get(t.lower()) for t in text], "boolean")
    else:
        numbers: Any = pd.to_numeric(text.mask(empty), errors="coerce")
        wrong = ~empty & ~np.isfinite(numbers.astype("float64"))
        if kind == "Int64":
            wrong |= ~empty & (numbers % 1 != 0)
        values = numbers if wrong.any() else numbers.astype(kind)
    if wrong.any():
        raise SourceError(
            f"{uri}: {name} of {_some(given, wrong)} is {text[wrong].iloc[0]!r}; expected "
            f"{'true or false' if kind == 'boolean' else 'a number'}"
        )
    return values


def _labels(uri: str | Path) -> dict[str, bool]:
    given = _read(uri, ("filename", "stalled"))
    text = given["stalled"].str.strip().str.lower()
    wrong = ~text.isin(list(_TRUE))
    if wrong.any():
        raise SourceError(
            f"{uri}: stalled of {_some(given, wrong)} is {text[wrong].iloc[0]!r}; expected 0 or 1"
        )
    return {name: _TRUE[value] for name, value in zip(given["filename"], text, strict=True)}


def _some(table: pd.DataFrame, chosen: Any) -> str:
    names = table["filename"][chosen].tolist()
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
