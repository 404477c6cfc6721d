"""Rims: compared tile by tile, they join what touches, and no large box needs more beside them."""

import tracemalloc

import numpy as np
import pytest

from volkit.geometry import Box, Coord, Grid
from volkit.kernels import label_rims
from volkit.kernels.label_rims import rim_table, rise_rims
from volkit.kernels.label_runs import component_parts
from volkit.kernels.octree_components import sink_links


def halves(mask: np.ndarray, block_shape: Coord, connectivity: int):
    """The parts of every block, and what each passes on to the box around all of them."""
    domain = Box.from_shape(mask.shape)
    parts, tables = [], []
    for block in Grid(domain, block_shape):
        values = np.ascontiguousarray(mask[block.write.slices])
        how = {"start": block.write.start, "domain_shape": mask.shape}
        parts.append(component_parts(values, connectivity=connectivity, **how))
        table = rim_table(parts[-1], block.write)
        tables.append(rise_rims([table], connectivity=connectivity, domain=domain)[0])
    return parts, tables, domain


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize(
    ("shape", "block_shape"),
    [
        ((230, 310, 4), (230, 310, 2)),  # rims all over z and y
        ((40, 38, 3000), (20, 38, 3000)),  # most of them in two sections, cut once more along y
    ],
)
def test_many_rims_join_what_touches(
    shape: Coord, block_shape: Coord, connectivity: int, monkeypatch
) -> None:
    monkeypatch.setattr(label_rims, "_MOST", 2**13)
    mask = np.random.default_rng(7).random(shape) < 0.11
    parts, tables, domain = halves(mask, block_shape, connectivity)
    assert sum(len(table["rim_name"]) for table in tables) > 15_000  # several tiles
    up, kept = rise_rims(tables, connectivity=connectivity, domain=domain)
    assert not len(up["rim_name"])
    lookup = sink_links(kept, None)
    painted = [part.painted(lookup["old"], lookup["new"]) for part in parts]
    axis = next(n for n in range(3) if shape[n] != block_shape[n])
    whole = component_parts(mask, connectivity=connectivity).painted()
    np.testing.assert_array_equal(np.concatenate(painted, axis), whole)


def test_rims_of_any_order_join_what_touches(monkeypatch) -> None:
    monkeypatch.setattr(label_rims, "_MOST", 100)
    mask = np.random.default_rng(8).random((20, 16, 12)) < 0.4
    parts, tables, domain = halves(mask, (20, 16, 6), 26)
    for table in tables:  # as tables of an earlier version lie in a folder
        order = np.random.default_rng(9).permutation(len(table["rim_name"]))
        for name in ("rim_z", "rim_y", "rim_x", "rim_length", "rim_name"):
            table[name] = table[name][order]
    lookup = sink_links(rise_rims(tables, connectivity=26, domain=domain)[1], None)
    painted = [part.painted(lookup["old"], lookup["new"]) for part in parts]
    whole = component_parts(mask, connectivity=26).painted()
    np.testing.assert_array_equal(np.concatenate(painted, 2), whole)


def test_what_is_held_beside_the_rims_does_not_grow_with_them() -> None:
    held = {}
    for side in (16, 256, 512):  # the first compiles
        mask = np.zeros((side, side, 4), bool)
        mask[:, ::2] = True  # sheets: rims grow as faces do, and names as their sides
        _, tables, domain = halves(mask, (side, side, 2), 6)
        tracemalloc.start()
        try:
            rise_rims(tables, connectivity=6, domain=domain)
            held[side] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert held[512] <= 1.5 * held[256], held
