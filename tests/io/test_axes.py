"""Every stored order becomes (c) z y x, and comes back."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.axes import AxisOrder
from volkit.testing.source_contract import boxes

EXTENTS = {"t": 1, "c": 2, "z": 3, "y": 4, "x": 5}


@given(
    names=st.sampled_from([p for n in ("zyx", "czyx", "tczyx", "tzyx") for p in permutations(n)]),
    data=st.data(),
)
def test_any_order_round_trips(names: tuple[str, ...], data: st.DataObject) -> None:
    shape = tuple(EXTENTS[a] for a in names)
    values = np.arange(np.prod(shape)).reshape(shape)
    order = AxisOrder.understand(names, shape)
    assert order.spatial == (3, 4, 5)
    assert order.channels == (2 if "c" in names else None)
    whole = order.read_axes(values)
    box = data.draw(boxes(Box.from_shape(order.spatial)))
    part = order.read_axes(values[order.stored(box)])
    np.testing.assert_array_equal(part, whole[(..., *box.slices)])
    np.testing.assert_array_equal(order.write_axes(part), values[order.stored(box)])


def test_by_hand() -> None:
    values = np.zeros((4, 3, 2))  # x, y, z
    values[3, 1, 0] = 1
    found = AxisOrder.understand("xyz", values.shape).read_axes(values)
    assert np.argwhere(found).tolist() == [[0, 1, 3]]


@pytest.mark.parametrize(
    ("keep", "channels"), [(True, 1), (False, None)], ids=["volkit's own", "of others"]
)
def test_one_channel(keep: bool, channels: int | None) -> None:
    order = AxisOrder.understand("tczyx", (1, 1, 2, 3, 4), keep_channel=keep)
    assert order.channels == channels


@pytest.mark.parametrize(
    ("names", "shape", "message"),
    [
        (None, (4, 4), "has 2 axes .*a volume has 3"),
        (None, (1, 1, 1, 4, 4, 4), "has 6 axes"),
        ("zyx", (4, 4), r"has 2 axes \(4, 4\) but names them z, y, x"),
        ("yxs", (4, 4, 3), "has axes y, x, s; a volume has z, y and x once each"),
        ("zyy", (4, 4, 4), "once each"),
        (["depth", "row", "column"], (4, 4, 4), "has axes depth, row, column"),
        ("tzyx", (5, 4, 4, 4), "has 5 time points"),
        ("zyx", (0, 4, 4), "is empty"),
    ],
)
def test_axes_that_do_not_fit(names: str | None, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(SourceError, match=f"em.zarr {message}" if "axes" in message else message):
        AxisOrder.understand(names, shape, uri="em.zarr")


def test_long_and_capital_names() -> None:
    order = AxisOrder.understand(["Time", "Channel", "Z", "Y", "X"], (1, 3, 4, 5, 6))
    assert (order.spatial, order.channels) == ((4, 5, 6), 3)
