"""Tables round-trip with units and provenance, whole or not at all."""

import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ContractError, SourceError
from volkit.io.tables import Column, Schema, read_table, write_table

SCHEMA = Schema(
    (
        Column("id", "uint64", "", "label"),
        Column("z_nm", "float64", "nm", "centre"),
        Column("score", "float32", "", "0 to 1"),
        Column("kind", "str"),
        Column("kept", "bool"),
    )
)
rows = st.lists(
    st.tuples(
        st.integers(0, 2**64 - 1),
        st.floats(-1e300, 1e300),
        st.floats(0, 1, width=32),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
        st.booleans(),
    ),
    max_size=5,
)


def table(values: list[tuple]) -> pd.DataFrame:
    columns = list(zip(*values, strict=True)) or [()] * 5
    return pd.DataFrame(
        {c.name: pd.Series(v, dtype=c.dtype) for c, v in zip(SCHEMA.columns, columns, strict=True)}
    )


ONE = table([(2**63 + 1, 0.1, 0.5, 'a, "b"', True)])


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@given(values=rows)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, values: list[tuple]
) -> None:
    path = tmp_path_factory.mktemp("table") / f"points.{suffix}"
    write_table(path, table(values), SCHEMA, {"threshold": 0.5})
    frame, schema, provenance = read_table(path)
    pd.testing.assert_frame_equal(frame, table(values))
    assert schema == SCHEMA
    assert provenance == {"threshold": 0.5}


def test_in_memory() -> None:
    for uri in ("memory://points.parquet", "memory://tables/points.csv"):
        write_table(uri, ONE, SCHEMA, {})
        pd.testing.assert_frame_equal(read_table(uri)[0], ONE)


def test_units_are_in_the_file(tmp_path: Path) -> None:
    write_table(tmp_path / "points.parquet", ONE, SCHEMA, {})
    field = pq.read_schema(tmp_path / "points.parquet").field("z_nm")
    assert field.metadata[b"unit"] == b"nm"
    write_table(tmp_path / "points.csv", ONE, SCHEMA, {})
    assert (tmp_path / "points.csv").read_text().splitlines()[0] == "id,z_nm,score,kind,kept"


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_tables_of_others(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    path = tmp_path / f"t.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    found, schema, provenance = read_table(path)
    assert found.values.tolist() == frame.values.tolist()
    assert schema == Schema((Column("a", "int64"), Column("b", "str")))
    assert provenance == {}


def test_tables_that_break_their_schema(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="column score is float64, its schema declares float32"):
        write_table(tmp_path / "t.csv", ONE.astype({"score": "float64"}), SCHEMA, {})
    with pytest.raises(ContractError, match="has columns z_nm, id, .*declares id, z_nm"):
        write_table(tmp_path / "t.csv", ONE[["z_nm", "id", "score", "kind", "kept"]], SCHEMA, {})
    with pytest.raises(ContractError, match="are not unique"):
        Schema((Column("a", "int64"), Column("a", "int64")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_tables_that_are_not_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    with pytest.raises(SourceError, match="does not exist; check the path"):
        read_table(path)
    write_table(path, ONE, SCHEMA, {})
    path.write_bytes(path.read_bytes()[:20] if suffix == "parquet" else b"")
    with pytest.raises(SourceError, match="cannot be read as a table|not as it was written"):
        read_table(path)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_every_flipped_bit_is_seen(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    write_table(path, ONE, SCHEMA, {"threshold": 0.5})
    noticed = 0
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        for place in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << (place % 8)
            file.write_bytes(damaged)
            try:
                frame, schema, provenance = read_table(path)
            except SourceError:
                noticed += 1
                continue
            pd.testing.assert_frame_equal(frame, ONE)  # a bit of no meaning
            assert (schema, provenance) == (SCHEMA, {"threshold": 0.5})
        file.write_bytes(whole)
        assert noticed > len(whole) // 7 * 0.7
        noticed = 0
    pd.testing.assert_frame_equal(read_table(path)[0], ONE)


def test_a_table_that_was_edited(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_table(path, ONE, SCHEMA, {})
    path.write_text(path.read_text().replace("0.5", "0.75"))
    with pytest.raises(SourceError, match=r"edited on purpose, delete .*t.csv.json"):
        read_table(path)
    (tmp_path / "t.csv.json").unlink()
    assert read_table(path)[0]["score"].tolist() == [0.75]


def test_other_readers_take_a_sealed_file(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", ONE, SCHEMA, {})
    found = pq.read_table(tmp_path / "t.parquet").to_pandas()
    pd.testing.assert_frame_equal(found, ONE)


def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, ONE, SCHEMA, {})
    noise = np.random.default_rng(0).random(10_000)
    schema = Schema((Column("a", "float64"),))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(SourceError, match="cannot be written: .*what was there before is kept"):
            write_table(path, pd.DataFrame({"a": noise}), schema, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    pd.testing.assert_frame_equal(read_table(path)[0], ONE)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
