"""SourceTests: what every source must keep; subclass it in the tests of a new one."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from volkit.errors import GeometryError, SourceError
from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.volume import Volume
from volkit.testing.strategies import boxes

_HANDLE_BYTES = 2000  # a handle goes with every task


class SourceTests:
    """The contract of a source.

    A subclass gives ``store``, and changes what differs: ``channels``, ``dtype``, ``start``.
    """

    shape: Coord = (9, 14, 17)
    channels: int | None = None
    dtype: str = "uint16"
    start: Coord = (0, 0, 0)
    voxel_size_nm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    read_only: bool = True
    travels_light: bool = True

    def store(self, folder: Path, values: Array) -> Volume:
        """Store ``values``, axes ([c,] z, y, x), and open them."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def values(cls) -> Array:
        """Make voxels that are all different where the type allows it."""
        lead = () if cls.channels is None else (cls.channels,)
        rng = np.random.default_rng(7)
        return (
            rng.permutation(int(np.prod((*lead, *cls.shape))))
            .reshape((*lead, *cls.shape))
            .astype(cls.dtype)
        )

    @pytest.fixture(scope="class")
    @classmethod
    def volume(cls, values: Array, tmp_path_factory: pytest.TempPathFactory) -> Volume:
        """Store the volume, once for all tests of the class."""
        return cls().store(tmp_path_factory.mktemp("source"), values)

    def test_says_what_it_is(self, volume: Volume) -> None:
        """Shape, type and place are those that were stored."""
        assert volume.shape == self.shape
        assert volume.channels == self.channels
        assert volume.dtype == np.dtype(self.dtype)
        assert volume.domain == Box.from_shape(self.shape, self.start)
        assert volume.voxel_size_nm == pytest.approx(self.voxel_size_nm)
        assert volume.levels >= 1
        assert min(volume.chunk_shape) >= 1
        assert min(volume.write_shape) >= 1

    def test_reads_what_was_stored(self, volume: Volume, values: Array) -> None:
        """The whole comes back, contiguous and in native order."""
        found = volume.read()
        np.testing.assert_array_equal(found, values)
        assert found.dtype == np.dtype(self.dtype)
        assert found.flags.c_contiguous

    def test_any_box(self, volume: Volume, values: Array) -> None:
        """A box equals the same box of the whole."""

        @given(box=boxes(volume.domain))
        def equals_its_part_of_the_whole(box: Box) -> None:
            expected = values[(..., *box.relative_to(volume.domain).slices)]
            np.testing.assert_array_equal(volume.read(box), expected)

        equals_its_part_of_the_whole()

    def test_what_was_read_is_the_callers(self, volume: Volume, values: Array) -> None:
        """Changing it changes nothing stored."""
        volume.read()[...] = 0
        np.testing.assert_array_equal(volume.read(), values)

    def test_box_outside(self, volume: Volume) -> None:
        """A box over the face is refused, not padded."""
        with pytest.raises(GeometryError, match="is outside .* which covers"):
            volume.read(volume.domain.grow((0, 0, 1)))

    def test_handle_travels(self, volume: Volume, values: Array) -> None:
        """A handle is small, equal to its copy, hashable, and works on arrival."""
        sent = pickle.dumps(volume)
        copy: Any = pickle.loads(sent)
        assert copy == volume
        assert hash(copy) == hash(volume)
        assert copy.identity == volume.identity
        np.testing.assert_array_equal(copy.read(), values)
        if self.travels_light:
            assert len(sent) < _HANDLE_BYTES

    def test_identity_follows_the_content(
        self, volume: Volume, values: Array, tmp_path: Path
    ) -> None:
        """Other voxels have another identity."""
        assert self.store(tmp_path, values[..., ::-1]).identity != volume.identity

    def test_threads(self, volume: Volume, values: Array) -> None:
        """Several threads read at once."""
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: volume.read(), range(8)):
                np.testing.assert_array_equal(found, values)

    def test_dask(self, volume: Volume, values: Array) -> None:
        """A lazy array has one task per block and no voxels in its graph."""
        lazy = volume.to_dask((4, 8, 8))
        assert lazy.shape == values.shape
        assert lazy.dtype == values.dtype
        np.testing.assert_array_equal(lazy.compute(scheduler="sync"), values)
        if self.travels_light:
            assert len(dict(lazy.__dask_graph__())) <= 2 * lazy.npartitions
            assert len(pickle.dumps(lazy)) < 10 * _HANDLE_BYTES

    def test_xarray(self, volume: Volume, values: Array) -> None:
        """Coordinates are centres of voxels in nanometres."""
        lazy = volume.to_xarray()
        assert lazy.dims == (("c",) if self.channels else ()) + ("z", "y", "x")
        for axis, start, size, origin in zip(
            "zyx", self.start, volume.voxel_size_nm, volume.origin_nm, strict=True
        ):
            assert float(lazy[axis][0]) == pytest.approx(origin + start * size)
            assert lazy[axis].attrs["units"] == "nm"
        np.testing.assert_array_equal(lazy.compute(scheduler="sync"), values)

    def test_write(self, volume: Volume, values: Array) -> None:
        """A read-only source says so; another takes the same voxels again."""
        if self.read_only:
            with pytest.raises(SourceError, match="is read-only"):
                volume.write(volume.domain, values)
        else:
            volume.write(volume.domain, values)
            np.testing.assert_array_equal(volume.read(), values)
