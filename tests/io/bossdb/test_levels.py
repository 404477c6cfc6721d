"""Levels: where the voxels of each resolution lie."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.bossdb.levels import CUBOID, Frame, find_level, read_frame

FRAME = {
    "name": "CF",
    "x_start": 300,
    "x_stop": 1003,
    "y_start": 200,
    "y_stop": 801,
    "z_start": 100,
    "z_stop": 140,
    "x_voxel_size": 0.004,
    "y_voxel_size": 0.004,
    "z_voxel_size": 0.04,
    "voxel_unit": "micrometers",
}


def test_frame() -> None:
    frame = read_frame(FRAME, uri="bossdb://a/b/c")
    assert str(frame.extent) == "[100:140, 200:801, 300:1003]"
    assert frame.voxel_size_nm == (40.0, 4.0, 4.0)
    assert frame.unit == "micrometers"


@pytest.mark.parametrize(
    ("unit", "nm"), [("nanometers", 1), ("millimeters", 1e6), ("centimeters", 1e7)]
)
def test_units(unit: str, nm: float) -> None:
    frame = read_frame({**FRAME, "voxel_unit": unit}, uri="")
    assert frame.voxel_size_nm[0] == pytest.approx(0.04 * nm)


@pytest.mark.parametrize("broken", [{"x_stop": None}, {"y_voxel_size": "wide"}])
def test_a_frame_that_is_not_complete(broken: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="bossdb://a/b/c: its coordinate frame 'CF' is not compl"):
        read_frame({**FRAME, **broken}, uri="bossdb://a/b/c")


def test_a_frame_without_voxels() -> None:
    with pytest.raises(SourceError, match="holds no voxels"):
        read_frame({**FRAME, "z_stop": 100}, uri="bossdb://a/b/c")


def test_ends_are_rounded_up_and_starts_down() -> None:
    frame = Frame(Box((0, 0, 0), (40, 601, 703)), (40.0, 4.0, 4.0), "nanometers")
    anisotropic = find_level(frame, 1, isotropic=False, stated=None)
    assert anisotropic.domain.shape == (40, 301, 352)
    assert anisotropic.voxel_size_nm == (40.0, 8.0, 8.0)
    isotropic = find_level(frame, 1, isotropic=True, stated=None)
    assert isotropic.domain.shape == (20, 301, 352)
    assert isotropic.voxel_size_nm == (80.0, 8.0, 8.0)
    moved = Frame(Box((3, 101, 300), (43, 702, 1003)), (40.0, 4.0, 4.0), "nanometers")
    assert str(find_level(moved, 2, isotropic=True, stated=None).domain) == "[0:11, 25:176, 75:251]"


def test_centres_of_coarse_voxels() -> None:
    """Voxel 0 of level 1 covers voxels 0 and 1: its centre lies between theirs."""
    frame = Frame(Box((0, 0, 0), (8, 8, 8)), (40.0, 4.0, 4.0), "nanometers")
    assert find_level(frame, 0, isotropic=True, stated=None).origin_nm == (0.0, 0.0, 0.0)
    assert find_level(frame, 1, isotropic=True, stated=None).origin_nm == (20.0, 2.0, 2.0)
    assert find_level(frame, 2, isotropic=False, stated=None).origin_nm == (0.0, 6.0, 6.0)


def answer(frame: Frame, levels: int, *, isotropic: bool) -> dict[str, Any]:
    """Answer as the service does: from the ends of the frame, halved and rounded up in turn."""
    (z, y, x), (sz, sy, sx) = frame.extent.stop, frame.voxel_size_nm
    extent, size = {}, {}
    for level in range(levels):
        extent[str(level)], size[str(level)] = [x, y, z], [sx, sy, sz]
        x, y, sx, sy = -(-x // 2), -(-y // 2), 2 * sx, 2 * sy
        if isotropic:
            z, sz = -(-z // 2), 2 * sz
    cuboids = {str(level): [512, 512, 16] for level in range(levels)}
    return {"extent": extent, "voxel_size": size, "cuboid_size": cuboids}


corners = st.tuples(*[st.integers(0, 999)] * 3)
extents = st.tuples(*[st.integers(1, 999)] * 3)


@given(corners, extents, st.booleans(), st.integers(0, 5))
def test_arithmetic_agrees_with_the_service(
    start: tuple[int, int, int], shape: tuple[int, int, int], isotropic: bool, level: int
) -> None:
    frame = Frame(Box.from_shape(shape, start), (40.0, 4.0, 4.0), "nanometers")
    stated = find_level(
        frame, level, isotropic=isotropic, stated=answer(frame, 6, isotropic=isotropic)
    )
    assert stated == find_level(frame, level, isotropic=isotropic, stated=None)
    assert stated.cuboid == CUBOID


def test_what_the_service_says_counts() -> None:
    frame = Frame(Box((0, 0, 0), (40, 100, 100)), (40.0, 4.0, 4.0), "nanometers")
    said = {
        "extent": {"0": [100, 100, 40], "1": [49, 50, 40]},
        "voxel_size": {"0": [4, 4, 40], "1": [8, 8, 40]},
        "cuboid_size": {"1": [256, 256, 32]},
    }
    level = find_level(frame, 1, isotropic=True, stated=said)
    assert (level.domain.shape, level.cuboid) == ((40, 50, 49), (32, 256, 256))
    assert level.factor == (1, 2, 2)


@pytest.mark.parametrize("said", [{}, {"extent": {"0": [700, 600, 40]}}, {"extent": "none"}])
def test_an_answer_without_sense_is_left_aside(said: dict[str, Any]) -> None:
    """As one that counts from the start of the frame, whose ends could not be told."""
    frame = Frame(Box((100, 200, 300), (140, 801, 1003)), (40.0, 4.0, 4.0), "nanometers")
    assert find_level(frame, 1, isotropic=False, stated=said) == find_level(
        frame, 1, isotropic=False, stated=None
    )
