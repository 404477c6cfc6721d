"""Cutouts: boxes are divided where cuboids meet, and what comes is checked."""

import blosc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box
from volkit.io.bossdb.cutouts import halve, pieces, unpack
from volkit.io.faults import CorruptPayloadError
from volkit.testing.strategies import boxes

CUBOID = (2, 4, 4)  # small, so that boxes hold many
PLACES = boxes(Box((0, 0, 0), (40, 30, 30)))


def covered(parts: list[Box], box: Box) -> np.ndarray:
    count = np.zeros(box.shape, int)
    for part in parts:
        count[part.relative_to(box).slices] += 1
    return count


@given(PLACES)
def test_pieces_cover_a_box_once_and_share_no_cuboid(box: Box) -> None:
    parts = list(pieces(box, CUBOID))
    assert (covered(parts, box) == 1).all()
    touched = [
        cuboid
        for part in parts
        for cuboid in np.ndindex(*(-(-b // n) for b, n in zip(part.stop, CUBOID, strict=True)))
        if all(c >= a // n for c, a, n in zip(cuboid, part.start, CUBOID, strict=True))
    ]
    assert len(touched) == len(set(touched))


@given(PLACES)
def test_halves_cover_a_box_once(box: Box) -> None:
    halves = list(halve(box, CUBOID))
    if box.size == 1:
        assert halves == []
    else:
        assert len(halves) == 2
        assert (covered(halves, box) == 1).all()
        assert min(half.size for half in halves) >= 1


def test_halves_meet_where_cuboids_do() -> None:
    first, second = halve(Box((0, 100, 0), (20, 110, 8)), (16, 512, 512))
    assert (str(first), str(second)) == ("[0:16, 100:110, 0:8]", "[16:20, 100:110, 0:8]")
    first, second = halve(first, (16, 512, 512))
    assert str(second) == "[8:16, 100:110, 0:8]"


SHAPE = (3, 20, 30)
VALUES = np.arange(1800, dtype=np.uint16).reshape(SHAPE)


@pytest.mark.parametrize("typesize", [2, 16])  # the service means bits where blosc means bytes
def test_unpacks_what_the_service_packs(typesize: int) -> None:
    payload = blosc.compress(VALUES.tobytes(), typesize=typesize)
    found = unpack(payload, SHAPE, VALUES.dtype, what="a box")
    np.testing.assert_array_equal(found, VALUES)
    assert found.dtype == VALUES.dtype
    assert found.flags.writeable
    assert found.flags.owndata


def test_what_was_cut_short_is_seen() -> None:
    payload = blosc.compress(VALUES.tobytes(), typesize=2)
    for length in (0, 15, 16, len(payload) - 1):
        with pytest.raises(CorruptPayloadError, match=r"a box: .* bytes came"):
            unpack(payload[:length], SHAPE, VALUES.dtype, what="a box")


def test_what_is_of_another_size_is_seen() -> None:
    payload = blosc.compress(VALUES.tobytes(), typesize=2)
    with pytest.raises(CorruptPayloadError, match=r"a box: 3600 bytes came, where .* are 7200"):
        unpack(payload, SHAPE, np.dtype("uint32"), what="a box")


def test_what_is_no_blosc_is_seen() -> None:
    with pytest.raises(CorruptPayloadError, match="a box: .* bytes came"):
        unpack(b"<html>Bad gateway, come back later</html>", SHAPE, VALUES.dtype, what="a box")


@given(st.integers(0, 2**32 - 1))
def test_damage_never_kills_the_process(seed: int) -> None:
    """Damage inside is seen where blosc can see it, which has no checksum."""
    rng = np.random.default_rng(seed)
    payload = bytearray(blosc.compress(VALUES.tobytes(), typesize=2))
    payload[rng.integers(16, len(payload))] ^= 1 << int(rng.integers(8))
    try:
        unpack(bytes(payload), SHAPE, VALUES.dtype, what="a box")
    except CorruptPayloadError as error:
        assert "damaged" in str(error)  # noqa: PT017 (either is right)
