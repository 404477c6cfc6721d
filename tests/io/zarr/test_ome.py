"""OME metadata round-trips: what is written is what is read."""

from hypothesis import given
from hypothesis import strategies as st

from volkit.io.zarr.ome import multiscale, read_levels, write_multiscale

lengths = st.tuples(*(st.floats(0.01, 1e6).map(lambda v: round(v, 3)) for _ in range(3)))


@given(size=lengths, shift=lengths, channels=st.booleans())
def test_round_trip(size: tuple, shift: tuple, channels: bool) -> None:
    ome = write_multiscale(name="em", channels=channels, voxel_size_nm=size, translation_nm=shift)
    image = multiscale({"ome": ome})
    assert image is not None
    (level,) = read_levels(image, uri="em.zarr")
    assert "".join(level.axes) == ("czyx" if channels else "zyx")
    assert level.scale_nm[-3:] == size
    assert level.translation_nm[-3:] == shift


def test_versions_before_units() -> None:
    (level,) = read_levels({"datasets": [{"path": "0"}]}, uri="old.zarr")
    assert "".join(level.axes) == "tczyx"
    assert level.scale_nm == (1,) * 5
