"""xarray: operations of volkit as ``array.volkit`` of every DataArray.

``import volkit.xarray`` once makes the accessor known; ``import volkit`` alone does not, since it
loads nothing before it is needed.
"""

from typing import Any

import dask.array as da
import xarray as xr

from volkit.geometry import AXES, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.coordinates import check_same_place, scale_of
from volkit.ops import (
    affinity_segmentation,
    components,
    evaluation,
    inference,
    metrics,
    particles,
    segmentation,
)
from volkit.ops.arguments import default_grid
from volkit.ops.object_rows import object_rows


@xr.register_dataarray_accessor("volkit")
class VolkitAccessor:
    """Operations on a DataArray with dims ([c,] z, y, x), as ``array.volkit``.

    Everything is lazy: results are DataArrays over dask arrays, or Delayed tables and scores.
    Maps keep attributes and all coordinates but those of channels.  Chunks of a dask array are the
    blocks that are worked in; uneven ones, such as slicing leaves, are evened out first.  The same
    call gives dask keys of the same name.

    Parameters
    ----------
    array : xarray.DataArray
        Given by xarray.

    Examples
    --------
    >>> import numpy as np
    >>> import volkit.xarray
    >>> prob = xr.DataArray(np.eye(4).reshape(1, 4, 4), dims=("z", "y", "x"), attrs={"of": "eye"})
    >>> labels = prob.volkit.connected_components(threshold=0.5)
    >>> labels.values.max(), labels.attrs
    (np.uint64(1), {'of': 'eye'})
    """

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    @property
    def scale(self) -> VoxelScale:
        """Where voxels lie: that at (0, 0, 0) is the first of the array, nanometres."""
        return scale_of(self._array)

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel by the coordinates, (z, y, x), nanometres."""
        return self.scale.voxel_size_nm

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel by the coordinates, (z, y, x), nanometres."""
        return self.scale.origin_nm

    @property
    def blocks(self) -> xr.DataArray:
        """The array over a dask array with dims in order and even chunks: blocks to work in."""
        dims = [dim for dim in ("c", *AXES) if dim in self._array.dims]
        if {*dims} != {*self._array.dims} or len(dims) < len(AXES):
            return self._array  # which operations refuse, and say why
        array = self._array.transpose(*dims)
        data = array.data
        if not isinstance(data, da.Array):
            return array.copy(data=da.from_array(data, chunks=-1))
        space = zip(data.chunks[-3:], data.shape[-3:], strict=True)
        chunks = (*((n,) for n in data.shape[:-3]), *(_even(c, n) for c, n in space))
        return array if chunks == data.chunks else array.copy(data=data.rechunk(chunks))

    def infer(self, model: Any, **how: Any) -> xr.DataArray:
        """Run a network over the array; see :func:`volkit.infer`."""
        return self._named(inference.infer(self.blocks, model, **how), "prob")

    def connected_components(self, *, threshold: float, **how: Any) -> xr.DataArray:
        """Label what lies above a threshold; see :func:`volkit.connected_components`."""
        found = components.connected_components(self.blocks, threshold=threshold, **how)
        return self._named(found, "labels")

    def relabel_components(self, **how: Any) -> xr.DataArray:
        """Give every connected part of every label an id of its own.

        See :func:`volkit.ops.components.components_of`.
        """
        return self._named(components.components_of(self.blocks, **how), "labels")

    def segment(self, **how: Any) -> xr.DataArray:
        """Segment boundary probabilities into cells; see :func:`volkit.segment`."""
        return self._named(segmentation.segment(self.blocks, **how), "labels")

    def affinity_segment(self, **how: Any) -> affinity_segmentation.AffinitySegmentation:
        """Segment affinities; see :func:`volkit.affinity_segment`."""
        return affinity_segmentation.affinity_segment(self.blocks, **how)

    def pick(self, options: Any, **how: Any) -> Any:
        """Find the particles of heat maps, in nanometres of the coordinates.

        See :func:`volkit.pick`; ``scale`` is that of the coordinates unless it is given.

        Returns
        -------
        Delayed of pandas.DataFrame
            ``z_nm, y_nm, x_nm, score, class``.
        """
        return particles.pick(self.blocks, options, **{**self._scale(how), **how})

    def objects(self, image: xr.DataArray | None = None, **how: Any) -> Any:
        """Measure labelled objects: size, place, shape, and how bright the image is in them.

        Parameters
        ----------
        image : xarray.DataArray, optional
            Of the same voxels.
        **how
            As for :func:`volkit.ops.object_rows.object_rows`; ``scale`` is that of the coordinates
            unless it is given.

        Returns
        -------
        Delayed of pandas.DataFrame
            A row for each object.
        """
        given = None if image is None else self._beside(image)
        return object_rows(self.blocks, given, **{**self._scale(how), **how})

    def evaluate(self, truth: Any, **how: Any) -> Any:
        """Score the array, a prediction, against the truth; see :func:`volkit.evaluate`."""
        return evaluation.evaluate(self.blocks, self._beside(truth), **how)

    def rand(self, truth: Any, **how: Any) -> Any:
        """Compute the Rand scores of the array against the truth; see :func:`volkit.rand`."""
        return metrics.rand(self._beside(truth), self.blocks, **self._in_blocks(how))

    def voi(self, truth: Any, **how: Any) -> Any:
        """Compute its variation of information against the truth; see :func:`volkit.voi`."""
        return metrics.voi(self._beside(truth), self.blocks, **self._in_blocks(how))

    def _scale(self, how: dict[str, Any]) -> dict[str, Any]:
        """Give the scale of the coordinates, unless one is given."""
        return {} if "scale" in how else {"scale": self.scale}

    def _in_blocks(self, how: dict[str, Any]) -> dict[str, Any]:
        """Work in the blocks of this array, unless others are given."""
        data = self.blocks.data
        return how if "grid" in how else {**how, "grid": default_grid(data)}

    def _beside(self, other: Any) -> Any:
        """Bring another array into the blocks of this one."""
        check_same_place(self._array, other)
        laid = other.volkit.blocks if isinstance(other, xr.DataArray) else other
        data = laid.data if isinstance(laid, xr.DataArray) else laid
        own = self.blocks.data
        if not isinstance(data, da.Array) or data.shape[-3:] != own.shape[-3:]:
            return laid
        cut = data.rechunk((*data.chunks[:-3], *own.chunks[-3:]))
        return laid.copy(data=cut) if isinstance(laid, xr.DataArray) else cut

    def _named(self, found: xr.DataArray, name: str) -> xr.DataArray:
        return found.rename(name)


def _even(chunks: tuple[int, ...], extent: int) -> tuple[int, ...]:
    """Even out the chunks of an axis: equal but for the last, none longer than the longest was.

    Examples
    --------
    >>> _even((5, 5, 2), 12), _even((1, 5, 5), 11), _even((0,), 0)
    ((5, 5, 2), (4, 4, 3), (0,))
    """
    if extent == 0 or (all(c == chunks[0] for c in chunks[:-1]) and chunks[-1] <= chunks[0]):
        return chunks
    count = -(-extent // max(chunks))
    size = -(-extent // count)
    rest = extent % size
    return (size,) * (extent // size) + ((rest,) if rest else ())
