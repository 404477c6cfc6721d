"""Reviews: what people said of segments, merged into the stall table so that nothing is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import ContractError, SourceError
from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.ops.stall_schema import KEY

LABELS = ("stalled", "flowing", "unsure")
REVIEWS = Schema(
    (
        Column("volume_id", "str", "", "volume or clip that the segment is of"),
        Column("segment_id", "uint64", "", "its id in the stall table"),
        Column("reviewer", "str", "", "who answered"),
        Column("review_label", "str", "", "stalled, flowing or unsure"),
        Column("reviewed_at", "str", "", "when, ISO 8601"),
        Column("expert", "bool", "", "whether the answer is an expert's"),
    )
)
_ANSWER = [*KEY, "reviewer", "reviewed_at"]
_ASKED = (
    *KEY,
    *("call", "p_stalled", "p_calibrated", "mc_std", "review_reason", "priority"),
    *("reviewer", "review_label", "reviewed_at"),
)


def write_form(path: Path, queue: pd.DataFrame) -> None:
    """Write a form to fill in: CSV with columns for the answers.

    Parameters
    ----------
    path : Path
        Target, ``.csv``.
    queue : pandas.DataFrame
        From `volkit.ops.stall_calls.review_queue`.
    """
    form = queue[list(_ASKED)].assign(expert=False)
    scratch = path.with_suffix(".part")
    form.to_csv(scratch, index=False, lineterminator="\n")
    scratch.replace(path)


def read_reviews(uri: str | Path) -> pd.DataFrame:
    """Read answers: a form that was filled in, or a table of reviews.

    Parameters
    ----------
    uri : str or Path
        CSV or Parquet with ``volume_id``, ``segment_id``, ``reviewer``, ``review_label`` and
        ``reviewed_at``; ``expert`` may be there.  Rows without a label are no answers.

    Returns
    -------
    pandas.DataFrame
        With the columns of `REVIEWS`.

    Raises
    ------
    SourceError
        If there is no such table.
    ContractError
        If columns are missing, ids are no whole numbers, a label is unknown, or an answer has
        neither reviewer nor time.
    """
    frame = _csv(Path(uri)) if str(uri).lower().endswith(".csv") else read_table(uri)[0]
    missing = [n for n in REVIEWS.names if n not in frame.columns and n != "expert"]
    if missing:
        raise ContractError(
            f"{uri} lacks {', '.join(missing)}; give a form that volkit wrote, filled in"
        )
    answered = frame[frame["review_label"].notna() & (frame["review_label"] != "")]
    return _checked(answered.reset_index(drop=True), str(uri))


def add_reviews(history: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Add answers to those there were; none is changed or dropped.

    Parameters
    ----------
    history, answers : pandas.DataFrame
        From `read_reviews` or `no_reviews`.

    Returns
    -------
    pandas.DataFrame
        All of them, each once, by segment, time and reviewer.

    Raises
    ------
    ContractError
        If somebody gave two different answers at the same moment.
    """
    joined = pd.concat([history, answers], ignore_index=True).drop_duplicates(ignore_index=True)
    twice = joined[joined.duplicated(_ANSWER, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        raise ContractError(
            f"{first['reviewer']} gave two answers for segment {first['segment_id']} of "
            f"{first['volume_id']} at {first['reviewed_at']}; correct the time of one of them"
        )
    order = [*KEY, "reviewed_at", "reviewer"]
    return joined.sort_values(order, kind="stable", ignore_index=True)


def merged(table: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Put the last answer for each segment into its row; what the networks said stays.

    Parameters
    ----------
    table : pandas.DataFrame
        A stall table.
    history : pandas.DataFrame
        All answers; of an expert's, the last is the expert's label, too.

    Returns
    -------
    pandas.DataFrame
        A copy; rows without an answer are as they were.

    Raises
    ------
    ContractError
        If an answer is for a segment that the table does not have.
    """
    rows = pd.MultiIndex.from_frame(table[KEY])
    place = rows.get_indexer(pd.MultiIndex.from_frame(history[KEY]))
    if (place < 0).any():
        lost = history[place < 0].iloc[0]
        raise ContractError(
            f"{int((place < 0).sum())} answers are for segments that the table does not have, such "
            f"as {lost['segment_id']} of {lost['volume_id']}; give the answers for this table"
        )
    found = table.copy()
    for name in ("reviewer", "review_label", "reviewed_at"):
        found[name] = _last(found[name], place, history[name])
    expert = (history["expert"] & (history["review_label"] != "unsure")).to_numpy(bool)
    labels = history["review_label"][expert]
    found["expert_label"] = _last(found["expert_label"], place[expert], labels)
    return found


def final_label(table: pd.DataFrame) -> "pd.Series[str]":
    """Say what a segment is: an expert's word, then a reviewer's, then the call."""
    reviewed = table["review_label"].where(table["review_label"] != "unsure", "undecided")
    known = table["expert_label"].fillna(reviewed)
    return known.fillna(table["call"]).astype("str")


def no_reviews() -> pd.DataFrame:
    """Give a table of reviews without any."""
    return pd.DataFrame({c.name: pd.Series([], dtype=c.dtype) for c in REVIEWS.columns})


def write_reviews(uri: str | Path, history: pd.DataFrame) -> None:
    """Write all answers."""
    write_table(uri, history, REVIEWS, {})


def _last(column: "pd.Series[Any]", place: Any, values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Write values by row; later ones go over earlier ones."""
    filled = column.to_numpy(dtype=object, copy=True)
    filled[place] = values.to_numpy(dtype=object)
    return pd.Series(filled, column.index).astype("str")


def _csv(path: Path) -> pd.DataFrame:
    """Read a form that may have been through a spreadsheet."""
    try:
        return pd.read_csv(path, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as a form ({error}); check the path") from error


def _checked(frame: pd.DataFrame, uri: str) -> pd.DataFrame:
    ids = frame["segment_id"].astype("str")
    whole = ids.str.fullmatch(r"\d+")
    if not whole.all():
        raise ContractError(
            f"{uri} has the segment {ids[~whole].iloc[0]!r}, which is no whole number; "
            "spreadsheets round long numbers: format the column as text, and fill in the form again"
        )
    strange = sorted({*frame["review_label"]} - {*LABELS})
    if strange:
        raise ContractError(f"{uri} has the label {strange[0]!r}; answers are {', '.join(LABELS)}")
    for name in ("reviewer", "reviewed_at"):
        lacking = frame[name].isna() | (frame[name] == "")
        if lacking.any():
            raise ContractError(
                f"{uri} has an answer for segment {ids[lacking].iloc[0]} without {name}; fill it in"
            )
    expert = frame.get("expert", pd.Series(False, frame.index)).astype("str").str.lower()
    typed: dict[str, Any] = {
        name: frame[name].astype("str") for name in REVIEWS.names if name in frame.columns
    }
    typed["segment_id"] = pd.Series([int(n) for n in ids], frame.index, dtype=np.uint64)
    typed["expert"] = expert.isin(("true", "1", "yes"))
    return pd.DataFrame({name: typed[name] for name in REVIEWS.names})
