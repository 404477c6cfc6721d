"""Lazy graphs evaluate what several stages share once."""

from collections import Counter

import dask.array as da
import numpy as np
import pytest

from volkit.engine.lazy import LazyEngine, check_inputs
from volkit.engine.op import Op, Reduction
from volkit.errors import GeometryError
from volkit.geometry import Box, Grid

CALLS: Counter[str] = Counter()


def counted(block, values):
    CALLS["map"] += 1
    return values


def total(block, values):
    CALLS["table"] += 1
    return {"sum": np.array([values.sum(dtype=np.int64)])}


def add(tables):
    return {"sum": sum(table["sum"] for table in tables)}


def shifted(block, values, table, *, halo):
    CALLS["shifted"] += 1
    return (values + table["sum"])[block.crop]


def test_what_a_table_and_a_map_both_read_is_evaluated_once() -> None:
    """Without and with a halo, for a table that is a shared value of the map."""
    values = np.arange(512, dtype=np.int64).reshape(8, 8, 8)
    grid, engine = Grid(Box.from_shape(values.shape), (4, 4, 4)), LazyEngine()
    source = da.from_array(values, chunks=grid.block_shape)
    for halo in ((0, 0, 0), (1, 1, 1)):
        first = engine.map(Op(counted, dtype=np.int64), source, grid=grid, name="first")
        table = engine.reduce(Reduction(total, add), first, grid=grid, name="table")
        op = Op(shifted, dtype=np.int64, halo=halo, params={"halo": list(halo)})
        out = engine.map(op, first, grid=grid, name="second", shared=(table,))
        CALLS.clear()
        np.testing.assert_array_equal(out.compute(scheduler="sync"), values + values.sum())
        assert CALLS == {"map": 8, "table": 8, "shifted": 8}


@pytest.mark.parametrize(("lead", "said"), [((), r"\(2, 2, 2\)"), ((3,), r"\(-1, 2, 2, 2\)")])
def test_chunks_that_do_not_fit_are_told_which_would(lead, said) -> None:
    array = da.zeros((*lead, 4, 4, 4), chunks=1)
    with pytest.raises(GeometryError, match=f"rechunk the array to {said}, or choose a grid"):
        check_inputs([array], Grid(Box.from_shape((4, 4, 4)), (2, 2, 2)))
