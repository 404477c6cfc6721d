"""Properties of annotations: every column of a table of volkit's, also where values are missing."""

import numpy as np
import pandas as pd

from volkit.io.points.properties import described

NA = pd.NA


def test_columns_with_missing_values_are_numbers_without_them() -> None:
    frame = pd.DataFrame(
        {
            "found": pd.Series([True, NA, False], dtype="boolean"),
            "sure": pd.Series([True, True, False], dtype="boolean"),
            "votes": pd.Series([3, NA, 2], dtype="Int64"),
            "node": pd.Series([1, 2, 2**40], dtype="UInt64"),
            "near": [True, False, True],
        }
    )
    columns, said = described(frame)
    assert {p["id"]: p["type"] for p in said} == {
        "found": "float32", "votes": "float32", "node": "float32", "sure": "uint8", "near": "uint8"
    }  # fmt: skip
    np.testing.assert_array_equal(columns["found"], np.array([1, np.nan, 0], np.float32))
    np.testing.assert_array_equal(columns["votes"], np.array([3, np.nan, 2], np.float32))
    assert columns["sure"].tolist() == [1, 1, 0]
    assert columns["found"].dtype == columns["votes"].dtype == np.float32


def test_names_are_those_of_a_shader_and_each_is_there_once() -> None:
    frame = pd.DataFrame({"class": [1], "Class": [2], "2nd µm": [3], "µ": [4]})
    columns, said = described(frame)
    assert [p["id"] for p in said] == ["class_", "class__", "p_2nd_m", "value"]
    assert [p["description"] for p in said] == ["class", "Class", "2nd µm", "µ"]
    assert [columns[p["id"]].tolist() for p in said] == [[1], [2], [3], [4]]


def test_what_nobody_can_filter_by_and_more_than_a_viewer_shows_is_left_out() -> None:
    many = pd.DataFrame({"path": [f"p{n}" for n in range(1001)], "n": range(1001)})
    assert [p["id"] for p in described(many)[1]] == ["n"]
    wide = pd.DataFrame({f"c{n}": [n] for n in range(20)})
    assert len(described(wide)[1]) == 16
