"""Pictures of volumes in notebooks: from a few chunks, counted, or not at all; and escaped."""

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from volkit.io.open import create_volume, open_volume
from volkit.io.png import png_bytes
from volkit.io.preview import MOST_CHUNKS, preview
from volkit.ops.multiscale import pyramid
from volkit.testing.servers.files import FileServer


def stored(path: Path, shape, chunk, *, dtype="u1", levels: int = 1, seed: int = 0, **more):
    values = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    volume = create_volume(path, shape=shape, dtype=dtype, chunk_shape=chunk, **more)
    volume.write(volume.domain, values)
    if levels > 1:
        pyramid(volume, levels=levels, factors=(1, 2, 2))
    return open_volume(path), values


def drawn(html: str) -> np.ndarray:
    data = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)
    return imread(BytesIO(base64.b64decode(data.group(1))), format="png")


def chunk_reads(server: FileServer) -> list[str]:
    """What was fetched of voxels: all but the descriptions."""
    asked = [request.path for request in server.requests if request.status < 400]
    return [path for path in asked if not path.endswith((".json", ".zarray", ".zattrs"))]


def test_png_holds_the_pixels() -> None:
    rng = np.random.default_rng(0)
    for shape in ((5, 7), (4, 6, 3), (1, 1)):
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        found = np.rint(imread(BytesIO(png_bytes(pixels)), format="png") * 255).astype(np.uint8)
        np.testing.assert_array_equal(found[..., :3] if pixels.ndim == 3 else found, pixels)


def test_a_small_volume_is_drawn_whole(tmp_path) -> None:
    volume, values = stored(
        tmp_path / "em.zarr", (3, 40, 60), (3, 40, 60), voxel_size_nm=(40, 4, 4)
    )
    html = volume._repr_html_()
    low, high = np.percentile(values[1], (1, 99))
    expected = ((values[1] - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(drawn(html)[..., 0] if drawn(html).ndim == 3 else drawn(html),
                               expected, atol=1 / 255)  # fmt: skip
    assert "the middle plane, z = 1 at level 0" in html
    assert "40 x 4 x 4 nm" in html
    assert "3 x 40 x 60" in html
    assert "120 nm x 160 nm x 240 nm" in html


def test_of_a_large_volume_few_bytes_are_read(tmp_path) -> None:
    """Over HTTP, where every request and byte is counted: 4 chunks of 64."""
    stored(tmp_path / "em.zarr", (8, 1024, 1024), (4, 128, 128), levels=3, voxel_size_nm=(40, 4, 4))
    stored(tmp_path / "flat.zarr", (8, 1024, 1024), (4, 128, 128), voxel_size_nm=(40, 4, 4))
    with FileServer(tmp_path) as server:
        volume = open_volume(f"{server.url}/em.zarr")
        assert volume.levels == 3
        server.clear_requests()
        html = volume._repr_html_()
        assert "<img" in html
        assert "at level 2" in html
        reads = chunk_reads(server)
        assert 0 < len(reads) <= MOST_CHUNKS
        sizes = sum(request.bytes for request in server.requests if request.path in reads)
        assert sizes < MOST_CHUNKS * 4 * 128 * 128 + 1000
        # One that has no coarser level is far away, and not worth a read.
        flat = open_volume(f"{server.url}/flat.zarr")
        server.clear_requests()
        html = flat._repr_html_()
        assert chunk_reads(server) == []
        assert "no picture: it has no level that a few chunks show" in html
        assert "8 x 1024 x 1024" in html
    near = preview(open_volume(tmp_path / "flat.zarr"))  # on this machine one chunk is drawn
    assert near.pixels is not None
    assert near.pixels.shape == (128, 128)
    assert near.caption == "a part of the middle plane, z = 4 at level 0"


def test_labels_have_a_colour_each_and_background_is_dark(tmp_path) -> None:
    values = np.zeros((1, 8, 8), np.uint64)
    values[0, :4, :4], values[0, 4:, 4:] = 7, 2**40
    found = preview(open_volume(values)).pixels
    assert found.shape == (8, 8, 3)
    assert {tuple(p) for p in found[:4, 4:].reshape(-1, 3)} == {(16, 16, 16)}
    colours = {tuple(found[0, 0]), tuple(found[7, 7]), tuple(found[0, 7])}
    assert len(colours) == 3


def test_a_cutout_is_drawn_where_it_lies(tmp_path) -> None:
    volume, values = stored(tmp_path / "em.zarr", (4, 300, 300), (4, 128, 128), start=(10, 0, 0))
    part = volume.cutout(volume.domain.intersect(volume.domain.shift((1, 200, 210))))
    found = preview(part)
    assert found.caption == "the middle plane, z = 12 at level 0"
    plane = values[2, 200:, 210:].astype(float)
    low, high = np.percentile(plane, (1, 99))
    np.testing.assert_allclose(found.pixels / 255, ((plane - low) / (high - low)).clip(0, 1),
                               atol=1 / 255)  # fmt: skip


def test_what_cannot_be_opened_or_read_is_said_and_no_error(tmp_path) -> None:
    volume, _ = stored(tmp_path / "em.zarr", (2, 8, 8), (2, 8, 8))
    whole = next(
        p for p in (tmp_path / "em.zarr").rglob("*") if p.is_file() and p.suffix != ".json"
    )
    whole.write_bytes(b"torn")
    html = volume._repr_html_()
    assert "no picture:" in html
    assert "2 x 8 x 8" in html
    from volkit.io.volume import Volume

    absent = Volume(str(tmp_path / "absent<b>.zarr"))
    html = absent._repr_html_()
    assert "cannot be opened" in html
    assert "absent&lt;b&gt;.zarr" in html
    assert "<b>" not in html


def test_a_volume_without_voxel_size_says_so() -> None:
    html = open_volume(np.zeros((2, 4, 4), np.float32))._repr_html_()
    assert "not stated: lengths are voxels" in html
    assert "extent" not in html
    stated = open_volume(np.zeros((2, 4, 4), np.float32), voxel_size_nm=(1, 1, 1))._repr_html_()
    assert "not stated" not in stated


@pytest.mark.parametrize("values", [np.full((1, 4, 4), np.nan), np.zeros((2, 1, 4, 4), bool)])
def test_constant_and_empty_values_are_drawn(values) -> None:
    found = preview(open_volume(values))
    assert found.pixels.shape[:2] == (4, 4)
