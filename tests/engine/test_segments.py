"""Lookup tables in segments: the rows of a block's own ids, and few others read for them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.columns import digest
from volkit.engine.segments import write_segments
from volkit.errors import SourceError
from volkit.geometry import Box, Grid
from volkit.io.place import Place


def stored(folder: Path, lookup, grid: Grid, rows: int):
    return write_segments(Place.at(folder), lookup, grid, sha256=digest(lookup), rows=rows)


def table(old: np.ndarray) -> dict[str, np.ndarray]:
    return {"old": old, "new": old * np.uint64(3) + np.uint64(1)}


@given(
    old=st.sets(st.integers(1, 400) | st.integers(2**63 - 4, 2**64 - 1), max_size=60),
    asked=st.sets(st.integers(1, 400) | st.integers(2**63 - 4, 2**64 - 1), max_size=60),
    rows=st.integers(1, 9),
)
@settings(max_examples=40)
def test_rows_are_those_of_the_whole_table(old, asked, rows, tmp_path_factory) -> None:
    """Ids of voxels, ids beyond any voxel, and ids that are not there."""
    lookup = table(np.array(sorted(old), np.uint64))
    grid = Grid(Box((3, 0, 9), (8, 7, 17)), (2, 3, 4))
    found = stored(tmp_path_factory.mktemp("segments"), lookup, grid, rows).of(
        np.array(sorted(asked), np.uint64)
    )
    assert found["old"].tolist() == sorted(old & asked)
    assert found["new"].tolist() == [(3 * n + 1) % 2**64 for n in sorted(old & asked)]


@pytest.mark.parametrize("blocks", [(2, 2, 2), (4, 4, 4), (2, 2, 32), (32, 1, 1)])
def test_a_block_reads_what_lies_in_it(blocks, tmp_path: Path) -> None:
    """Every voxel has a row: 64 in a block, segments of 50, whatever lies elsewhere."""
    domain = Box.from_shape(tuple(4 * n for n in blocks))
    grid = Grid(domain, (4, 4, 4))
    handle = stored(tmp_path, table(np.arange(1, domain.size + 1, dtype=np.uint64)), grid, 50)
    numbers = np.arange(1, domain.size + 1, dtype=np.uint64).reshape(domain.shape)
    for block in (grid[0], grid[len(grid) // 2], grid[len(grid) - 1]):
        ids = numbers[block.write.slices].ravel()
        assert handle.of(ids)["old"].tolist() == ids.tolist()
        assert len(handle.needed(ids)) <= 4
    segments = list((tmp_path / handle.place.name / "000000").iterdir())
    assert len(segments) == -(-domain.size // 50)


def test_what_is_there_is_taken_and_what_is_torn_refused(tmp_path: Path) -> None:
    grid = Grid(Box.from_shape((4, 4, 4)), (2, 2, 2))
    lookup = table(np.arange(1, 60, 2, dtype=np.uint64))
    first = stored(tmp_path, lookup, grid, 7)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert stored(tmp_path, lookup, grid, 7) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == before
    assert first.facts == {"table": digest(lookup)}
    torn = next(path for path in before if path.name == "000000001.npz")
    torn.write_bytes(torn.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"cannot read the table .*000000001.npz"):
        first.of(lookup["old"])
