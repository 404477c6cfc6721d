"""Differences of tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError
from volkit.ops.table_difference import table_difference

rows = st.dictionaries(st.integers(0, 9), st.sampled_from([0.0, 1.5, float("nan")]))


def frame(found):
    return pd.DataFrame({"id": list(found), "nm": pd.Series(list(found.values()), dtype="float64")})


@given(rows, rows)
def test_equals_a_comparison_of_dicts(old, new) -> None:
    found = table_difference(frame(old), frame(new))
    assert found.added == len(new.keys() - old.keys())
    assert found.removed == len(old.keys() - new.keys())
    both = old.keys() & new.keys()
    assert found.changed == sum(str(old[i]) != str(new[i]) for i in both)
    assert len(found.rows) == found.added + found.removed + found.changed


@given(rows)
def test_nothing_changes_between_a_table_and_itself(a) -> None:
    for key in ((), ("id",)):
        found = table_difference(frame(a), frame(a), key=key)
        assert (found.added, found.removed, found.changed, found.reordered) == (0, 0, 0, False)
    back = table_difference(frame(a), frame(a).iloc[::-1])
    assert (back.added, back.removed, back.changed, back.reordered) == (0, 0, 0, len(a) > 1)


def test_rows_without_a_key_are_compared_whole_and_counted() -> None:
    old = pd.DataFrame({"class": ["a", "a", "b"], "nm": [1.0, 1.0, np.nan]})
    new = pd.DataFrame({"class": ["a", "b", "c"], "nm": [1.0, np.nan, 2.0]})
    found = table_difference(old, new)
    assert (found.key, found.added, found.removed, found.changed) == ((), 1, 1, 0)
    assert found.rows["class"].tolist() == ["a", "c"]


def test_columns_and_the_cells_that_changed_are_named() -> None:
    old = pd.DataFrame({"id": [1, 2], "nm": [1.0, 2.0], "kind": ["x", "y"], "gone": [0, 0]})
    new = pd.DataFrame({"id": [2, 1], "nm": [3.0, 1.0], "kind": ["z", "x"], "come": [0, 0]})
    found = table_difference(old, new)
    assert (found.columns_added, found.columns_removed) == (("come",), ("gone",))
    assert found.cells == {"nm": 1, "kind": 1}
    assert found.rows.to_dict("records") == [{"id": 2, "change": "changed", "columns": "nm kind"}]
    assert found.reordered


def test_tables_that_share_no_column_share_no_row() -> None:
    found = table_difference(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1, 2]}))
    assert (found.removed, found.added, found.changed) == (1, 2, 0)


def test_refuses_a_key_that_names_no_row() -> None:
    table = pd.DataFrame({"cell": [1, 1], "nm": [1.0, 2.0]})
    with pytest.raises(ConfigError, match="has no column id; its columns are cell, nm"):
        table_difference(table, table, key=["id"])
    with pytest.raises(ConfigError, match="several rows of cell 1"):
        table_difference(table, table, key=["cell"])
