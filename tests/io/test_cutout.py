"""Cutouts: laws of parts that are said in physical units, or at another level."""

import pickle
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import zarr
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume
from volkit.ops.multiscale import pyramid
from volkit.testing.strategies import boxes

FACTORS = [(1, 2, 2), (1, 3, 2), (2, 2, 2)]  # from each level to the next


def stored(
    folder: Path,
    *,
    domain: Box,
    size: tuple[float, ...],
    origin: tuple[float, ...],
) -> Volume:
    """Four levels whose voxels are all different, written as other tools would."""
    group = zarr.create_group(folder / "em.zarr")
    datasets, total = [], np.ones(3, int)
    for level in range(1 + len(FACTORS)):
        total = total * FACTORS[level - 1] if level else total
        start = [a // f for a, f in zip(domain.start, total, strict=True)]
        shape = [-(-b // f) - a for a, b, f in zip(start, domain.stop, total, strict=True)]
        voxel = [f * s for f, s in zip(total, size, strict=True)]
        first = [
            o + (f - 1) / 2 * s + a * v
            for o, f, s, a, v in zip(origin, total, size, start, voxel, strict=True)
        ]
        array = group.create_array(
            name=str(level),
            data=np.arange(np.prod(shape), dtype=np.uint32).reshape(shape),
            dimension_names=["z", "y", "x"],
        )
        array.attrs["volkit"] = {"voxel_offset": [int(a) for a in start]}
        steps = [
            {"type": "scale", "scale": [float(v) for v in voxel]},
            {"type": "translation", "translation": [float(v) for v in first]},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return open_volume(folder / "em.zarr")


PLACES = {
    "at the origin": (Box((0, 0, 0), (8, 12, 16)), (40, 4, 4), (0, 0, 0)),
    "anywhere, odd": (Box((-3, 5, 7), (4, 18, 26)), (33.3, 4.1, 3.7), (10.5, -77, 0.3)),
    "thirds": (Box((1, 1, 1), (8, 13, 18)), (30.333333, 3.333333, 3.333333), (0, 1.1, 0)),
    "atoms": (Box((0, 0, 0), (9, 11, 13)), (0.114, 0.108, 0.1), (-0.3, 0, 7.7)),
}


@pytest.fixture(scope="module", params=PLACES.values(), ids=list(PLACES))
def volume(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Volume:
    domain, size, origin = request.param
    return stored(tmp_path_factory.mktemp("levels"), domain=domain, size=size, origin=origin)


def levels(volume: Volume) -> list[Volume]:
    return [volume.at_level(n) for n in range(volume.levels)]


def extent_nm(volume: Volume) -> tuple[list[float], list[float]]:
    """The outer faces of a volume's voxels."""
    half = [v / 2 for v in volume.voxel_size_nm]
    first = volume.scale.to_nm(volume.domain.start)
    last = volume.scale.to_nm(tuple(n - 1 for n in volume.domain.stop))
    return [a - h for a, h in zip(first, half, strict=True)], [
        a + h for a, h in zip(last, half, strict=True)
    ]


def assert_parts_make_the_whole(parts: list[Box], whole: Box) -> None:
    counts = np.zeros(whole.shape, int)
    for part in parts:
        counts[part.relative_to(whole).slices] += 1
    assert (counts == 1).all()


def box_or_none(cut, message: str = "holds the centre of no voxel", **part) -> Box | None:
    try:
        return cut(**part).domain
    except GeometryError as error:
        if message not in str(error):
            raise
        return None


@given(data=st.data(), level=st.integers(0, 3))
def test_ranges_that_touch_share_no_voxel_and_leave_none_out(volume, data, level) -> None:
    this = volume.at_level(level)
    first, last = extent_nm(this)
    cuts = []
    for a, b, origin, size in zip(first, last, this.origin_nm, this.voxel_size_nm, strict=True):
        anywhere = st.floats(a, b)
        # Centres and faces, of this level and finer ones, are where arithmetic could go astray.
        steps = range(int((a - origin) / size * 4) + 1, int((b - origin) / size * 4))
        meant = st.sampled_from([origin + k * size / 4 for k in steps])
        inner = st.lists(st.one_of(anywhere, meant), max_size=3)
        cuts.append(sorted({a, b, *(c for c in data.draw(inner) if a < c < b)}))
    parts = []
    for spans in product(*(pairwise(c) for c in cuts)):
        start, stop = zip(*spans, strict=True)
        found = box_or_none(this.cutout, start_nm=start, stop_nm=stop)
        parts += [] if found is None else [found]
    assert_parts_make_the_whole(parts, this.domain)


@given(data=st.data(), level=st.integers(0, 3))
def test_centres_and_sizes_tile_too(volume, data, level) -> None:
    """A row of cutouts of equal size, each said by its centre in micrometres."""
    this = volume.at_level(level)
    size = this.voxel_size_nm[2]
    width = data.draw(st.integers(1, 4)) * size
    begin = this.origin_nm[2] + this.domain.start[2] * size - data.draw(st.integers(0, 3)) / 4
    middle = [
        o + (a + b - 1) / 2 * s
        for o, a, b, s in zip(
            this.origin_nm, this.domain.start, this.domain.stop, this.voxel_size_nm, strict=True
        )
    ]
    found = []
    for n in range(3):
        center = (middle[0] / 1e3, middle[1] / 1e3, (begin + (n + 0.5) * width) / 1e3)
        extent = (this.voxel_size_nm[0] / 1e3, this.voxel_size_nm[1] / 1e3, width / 1e3)
        part = box_or_none(this.cutout, "is outside", center_um=center, size_um=extent)
        if part is None:
            break
        found.append(part)
    for a, b in pairwise(found):
        assert a.stop[2] == b.start[2]
        assert a.shape == b.shape


@given(data=st.data())
def test_a_voxel_belongs_to_a_range_if_its_centre_does(volume, data) -> None:
    this = volume.at_level(data.draw(st.integers(0, 3)))
    part = data.draw(boxes(this.domain))
    quarters = [data.draw(st.sampled_from([0, 0.25, 0.5, 0.75])) for _ in range(6)]
    to_nm = this.scale.to_nm
    start = to_nm([a - q for a, q in zip(part.start, quarters[:3], strict=True)])
    stop = to_nm([b - q for b, q in zip(part.stop, quarters[3:], strict=True)])
    assert this.cutout(start_nm=start, stop_nm=stop).domain == part


@given(data=st.data(), level=st.integers(0, 3))
def test_boxes_of_level_0_that_touch_make_the_whole_of_every_level(volume, data, level) -> None:
    whole, this = volume.domain, volume.at_level(level)
    cuts = [
        sorted({a, b, *data.draw(st.lists(st.integers(a, b), max_size=3))})
        for a, b in zip(whole.start, whole.stop, strict=True)
    ]
    parts = []
    for spans in product(*(pairwise(c) for c in cuts)):
        box = Box(*zip(*spans, strict=True))
        found = box_or_none(this.cutout, level_0=box)
        assert found == box_or_none(volume.cutout(box).at_level, level=level)
        parts += [] if found is None else [found]
    assert_parts_make_the_whole(parts, this.domain)


@given(data=st.data())
def test_inner_voxels_follow_the_centre_rule_across_levels(volume, data) -> None:
    """Against exact arithmetic, on faces that are not the volume's own."""
    level = data.draw(st.integers(1, 3))
    box, this = data.draw(boxes(volume.domain)), volume.at_level(level)
    found = box_or_none(this.cutout, level_0=box)
    total = np.prod(FACTORS[:level], axis=0)
    for axis in range(3):
        a, b, f = box.start[axis], box.stop[axis], int(total[axis])
        # In units of fine voxels: centre of coarse voxel i; faces of the box.
        inside = [
            i
            for i in range(this.domain.start[axis], this.domain.stop[axis])
            if a - Fraction(1, 2) <= i * f + Fraction(f - 1, 2) < b - Fraction(1, 2)
            or (a == volume.domain.start[axis] and i * f + Fraction(f, 2) < a + Fraction(1, 2))
            or (b == volume.domain.stop[axis] and i * f + Fraction(f, 2) >= b)
        ]
        if found is None:
            if not inside:
                return
        else:
            assert inside == list(range(found.start[axis], found.stop[axis]))
    assert found is not None


def test_levels_of_the_whole_are_whole(volume: Volume) -> None:
    for this in levels(volume):
        for other in levels(volume):
            assert this.cutout(this.domain).at_level(other.level).domain == other.domain


@given(data=st.data())
def test_reading_a_cutout_is_slicing(volume, data) -> None:
    this = volume.at_level(data.draw(st.integers(0, 3)))
    part = data.draw(boxes(this.domain))
    inner = data.draw(boxes(part))
    expected = this.read()[inner.relative_to(this.domain).slices]
    cut = this.cutout(part).cutout(inner)
    assert (cut.shape, cut.domain, cut.level) == (inner.shape, inner, this.level)
    assert cut.scale == this.scale
    np.testing.assert_array_equal(cut.read(), expected)
    np.testing.assert_array_equal(this.cutout(part).read(inner), expected)
    np.testing.assert_array_equal(cut.to_dask((3, 3, 3)).compute(scheduler="sync"), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cut)).read(), expected)


def test_lazy_arrays_of_two_cutouts_have_two_names(volume: Volume) -> None:
    whole = volume.domain
    inner = Box(tuple(n + 1 for n in whole.start), whole.stop)
    handles = [volume, volume.cutout(inner), volume.cutout(whole), volume.at_level(1)]
    assert len({tokenize(handle) for handle in handles}) == 4
    assert len({handle.to_dask().name for handle in handles}) == 4
    assert volume.cutout(inner) == volume.cutout(inner)
    assert volume.cutout(inner).to_dask().name == volume.cutout(inner).to_dask().name


def test_coordinates_of_a_cutout_are_those_of_the_whole(volume: Volume) -> None:
    part = Box(tuple(n + 2 for n in volume.domain.start), volume.domain.stop)
    lazy = volume.cutout(part).to_xarray()
    assert [float(lazy[a][0]) for a in "zyx"] == pytest.approx(volume.scale.to_nm(part.start))


def test_by_hand(tmp_path: Path) -> None:
    domain, size, origin = PLACES["at the origin"]  # voxels of 40 x 4 x 4 nm
    volume = stored(tmp_path, domain=domain, size=size, origin=origin)
    part = {"start_nm": (0, 0, 10), "stop_nm": (80, 10, 34)}
    assert str(volume.cutout(**part).domain) == "[0:2, 0:3, 3:9]"  # centres at 12, 16, … 32 nm
    assert str(volume.at_level(1).cutout(**part).domain) == "[0:2, 0:1, 1:4]"  # at 10, 18, 26
    with pytest.raises(GeometryError, match="the centre of no voxel"):
        volume.at_level(2).cutout(**part)  # the first centre in y is at 10
    wider = {**part, "stop_nm": (80, 10.5, 34)}
    assert str(volume.at_level(2).cutout(**wider).domain) == "[0:2, 0:1, 1:2]"  # at 22


@pytest.mark.parametrize(
    ("part", "kind", "message"),
    [
        ({}, ConfigError, "a cutout by nothing; give box, or center_um and size_um"),
        ({"center_um": (0, 0, 0)}, ConfigError, "a cutout by center_um; give"),
        (
            {"box": Box((0, 0, 0), (1, 1, 1)), "level_0": Box((0, 0, 0), (1, 1, 1))},
            ConfigError,
            "a cutout by box, level_0; give",
        ),
        (
            {"start_nm": (0, 0, 0), "stop_nm": (40, 4, 0)},
            GeometryError,
            r"from \(0.0, 0.0, 0.0\) to \(40.0, 4.0, 0.0\) nm has no extent; give a positive size",
        ),
        (
            {"start_nm": (1, 1, 1), "stop_nm": (2, 2, 2)},
            GeometryError,
            r"holds the centre of no voxel of .*em.zarr at level 0, whose voxels are \(40",
        ),
        ({"box": Box((1, 1, 1), (1, 2, 2))}, GeometryError, "holds the centre of no voxel"),
        (
            {"center_um": (0, 0, 0), "size_um": (1, 1, 1)},
            GeometryError,
            r"box \[-12:13, -125:125, -125:125\] is outside .*em.zarr, which covers \[0:8",
        ),
        ({"level_0": Box((0, 0, 0), (9, 1, 1))}, GeometryError, "which covers .*within it"),
        ({"center_um": 1, "size_um": (1, 1, 1)}, GeometryError, "center_um 1 is not three numbers"),
        (
            {"start_nm": (0, 0, float("nan")), "stop_nm": (1, 1, 1)},
            GeometryError,
            "start_nm .* is not finite; give three numbers",
        ),
    ],
)
def test_parts_that_cannot_be(tmp_path: Path, part, kind, message) -> None:
    domain, size, origin = PLACES["at the origin"]
    volume = stored(tmp_path, domain=domain, size=size, origin=origin)
    with pytest.raises(kind, match=message):
        volume.cutout(**part)


def test_parts_of_other_levels_that_cannot_be(tmp_path: Path) -> None:
    domain, size, origin = PLACES["at the origin"]
    volume = stored(tmp_path, domain=domain, size=size, origin=origin)
    coarse, corner = volume.at_level(3), Box((0, 0, 0), (1, 1, 1))
    with pytest.raises(GeometryError, match=r"box \[0:9, 0:1, 0:1\] is outside level 0 of .*0:8"):
        coarse.cutout(level_0=Box((0, 0, 0), (9, 1, 1)))
    with pytest.raises(GeometryError, match="box .* of level 0 holds the centre of no voxel"):
        coarse.cutout(level_0=corner)
    with pytest.raises(SourceError, match="has no level 4; it has 0 to 3"):
        volume.cutout(corner).at_level(4)
    with pytest.raises(GeometryError, match="is outside the cutout of .*em.zarr, which covers"):
        volume.cutout(corner).cutout(level_0=Box((0, 0, 0), (1, 1, 2)))
    with pytest.raises(GeometryError, match="is outside the cutout of"):
        volume.cutout(corner).read(domain)


def test_a_voxel_size_that_the_caller_states_is_that_of_level_0(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 32, 32), dtype="uint8")
    volume.write(volume.domain, np.zeros((8, 32, 32), np.uint8))
    pyramid(volume, factors=[(1, 2, 2)], method="mean", levels=2)
    for level, size, origin in ((0, (40.0, 4.0, 4.0), 0.0), (1, (40.0, 8.0, 8.0), 2.0)):
        found = open_volume(volume.uri, level=level, voxel_size_nm=(40, 4, 4))
        assert found.voxel_size_nm == size
        assert found.origin_nm == (0.0, origin, origin)
        part = found.cutout(start_nm=(0, 0, 0), stop_nm=(40, 64, 64))
        assert part.shape == (1, int(64 / size[1]), int(64 / size[1]))
