"""Statistics of tissue: every table that is asked for, from one pass over the volumes.

What is stored is sums, so that a table of the whole follows from those of blocks, exactly and for
every grid; features are made of it afterwards, and cost no further pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Block, Box, Coord, Grid
from volkit.kernels.class_counts import add_class_counts, class_counts
from volkit.kernels.class_shapes import add_class_shapes, class_shapes
from volkit.kernels.contingency import contingency
from volkit.kernels.keyed_sums import add_keyed
from volkit.kernels.object_table import add_objects, object_sums, quantised
from volkit.kernels.section_cells import add_section_cells, section_cells
from volkit.ops.arguments import arguments

Array = NDArray[Any]
ROLES = ("classes", "cells", "regions", "image")


@dataclass(frozen=True, slots=True)
class Tables:
    """What tables are asked for.

    Parameters
    ----------
    bins : tuple of int
        Bins in which classes are counted, voxels, (z, y, x), from the origin on.
    shapes : tuple of int
        Labels whose surface and length are counted, too; their blocks read one voxel more where
        they begin, of the classes alone.
    tile : tuple of int, optional
        Tiles, (y, x), in which every section of the cells is looked at; None leaves that out.
    intensity_range : tuple of float, optional
        Of the image, where it is not of 8 or 16 bits.
    origin : tuple of int, optional
        Where bins and sections begin; None is the first voxel of the domain.
    """

    bins: Coord
    shapes: tuple[int, ...] = ()
    tile: tuple[int, int] | None = None
    intensity_range: tuple[float, float] | None = None
    origin: Coord | None = None


def tissue_tables(
    volumes: dict[str, Any],
    tables: Tables,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "tissue",
) -> Any:
    """Gather tables of classes and cells in one pass.

    Parameters
    ----------
    volumes : dict of str to Volume, dask array or ndarray of shape (Z, Y, X)
        ``classes`` (semantic labels), ``cells`` (ids of objects), ``regions`` (ids of regions) and
        ``image``, as far as they are there; aligned voxel by voxel.
    tables : Tables
        Which.
    grid : Grid, optional
        Blocks to work in; the tables do not depend on it.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        Of the stage.

    Returns
    -------
    dict of ndarray
        Columns of all tables, ``TABLE.COLUMN``; see :func:`table_of` (LazyEngine: a Delayed of it).
        With classes ``counts`` and ``shapes``; with cells ``objects`` and ``sections``; with cells
        and regions ``overlap``.

    Raises
    ------
    ConfigError
        If there are neither classes nor cells, or a role is unknown.
    """
    unknown = set(volumes) - set(ROLES)
    if unknown or not {"classes", "cells"} & set(volumes):
        raise ConfigError(
            f"volumes are {', '.join(volumes) or 'none'}; give classes, cells or both, and as "
            "wanted regions and an image"
        )
    roles = [role for role in ROLES if role in volumes]
    call = arguments(*(volumes[role] for role in roles), grid=grid, engine=engine)
    reduction = Reduction(
        _tissue_block,
        _add_tables,
        halo=(1, 1, 1) if tables.shapes and "classes" in volumes else (0, 0, 0),
        before=True,
        alone=tuple(n for n, role in enumerate(roles) if role != "classes"),
        params={
            "roles": roles,
            "bins": list(tables.bins),
            "shapes": list(tables.shapes),
            "tile": None if tables.tile is None else list(tables.tile),
            "light": None if tables.intensity_range is None else list(tables.intensity_range),
            "origin": list(tables.origin or call.grid.domain.start),
        },
    )
    return call.engine.reduce(reduction, *call.inputs, grid=call.grid, name=name)


def table_of(columns: Columns, name: str) -> Columns:
    """Take one table out of the columns of several.

    Raises
    ------
    GeometryError
        If it was not asked for.

    Examples
    --------
    >>> import numpy as np
    >>> table_of({"counts.label": np.array([1]), "objects.id": np.array([7])}, "objects")
    {'id': array([7])}
    """
    found = {
        key.partition(".")[2]: column
        for key, column in columns.items()
        if key.partition(".")[0] == name
    }
    if not found:
        raise GeometryError(f"there is no table {name}; give the volumes that it is made of")
    return found


def _tissue_block(
    block: Block,
    *arrays: Array,
    roles: list[str],
    bins: list[int],
    shapes: list[int],
    tile: list[int] | None,
    light: list[float] | None,
    origin: list[int],
) -> Columns:
    core = block.write.relative_to(block.read)
    whole = dict(zip(roles, arrays, strict=True))
    part = {
        role: array if array.shape == block.write.shape else array[core.slices]
        for role, array in whole.items()
    }
    start, place = block.write.start, _coord(origin)
    found: dict[str, Columns] = {}
    if "classes" in part:
        found["counts"] = class_counts(
            part["classes"], _coord(bins), regions=part.get("regions"), start=start, origin=place
        )
        if shapes:
            offset = Box.from_shape((1, 1, 1), start).shift(_coord([-o for o in origin])).start
            found["shapes"] = class_shapes(
                whole["classes"], core, labels=shapes, bins=_coord(bins), start=offset
            )
    if "cells" in part:
        image = part.get("image")
        if image is not None and light is not None:
            image = quantised(image, *light)
        found["objects"] = object_sums(part["cells"], start=start, intensity=image)
        if tile is not None:
            found["sections"] = section_cells(
                part["cells"], (tile[0], tile[1]), start=start, origin=place
            )
        if "regions" in part:
            found["overlap"] = _overlap(part["cells"], part["regions"])
    return _flat(found)


def _overlap(cells: Array, regions: Array) -> Columns:
    """Count the voxels of every cell in every region."""
    table = contingency(cells, regions)
    kept = table["true"] != 0
    names = {"id": "true", "region": "pred", "voxels": "count"}
    return {new: table[old][kept] for new, old in names.items()}


def _add_tables(parts: Sequence[Columns]) -> Columns:
    adders = {
        "counts": add_class_counts,
        "shapes": add_class_shapes,
        "objects": add_objects,
        "sections": add_section_cells,
        "overlap": _add_overlaps,
    }
    names = {key.partition(".")[0]: None for key in parts[0]}
    return _flat({name: adders[name]([table_of(p, name) for p in parts]) for name in names})


def _add_overlaps(tables: Sequence[Columns]) -> Columns:
    return add_keyed(tables, keys=("id", "region"))


def add_tissue_tables(parts: Sequence[Columns]) -> Columns:
    """Add what :func:`tissue_tables` gives for parts of a volume, with the same origin.

    Parameters
    ----------
    parts : sequence of dict of ndarray
        At least one.

    Returns
    -------
    dict of ndarray
    """
    return _add_tables(parts)


def _flat(tables: dict[str, Columns]) -> Columns:
    return {
        f"{name}.{column}": values
        for name, table in tables.items()
        for column, values in table.items()
    }


def _coord(values: Sequence[int]) -> Coord:
    z, y, x = values
    return z, y, x
