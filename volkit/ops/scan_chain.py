"""The chain from an acquired T1-weighted head to what a network sees, one scan at a time.

::

    reorient ─► bias ─► resample ─► strip ─► crop ─► resize ─► normalise

Every step is kept with its parameters and the SHA-256 of its voxels.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.io.files.affine import Affine
from volkit.io.scan_files import AcquiredScan
from volkit.io.seals import digest
from volkit.kernels.brain_mask import z_scores
from volkit.kernels.scan_grid import Shape, brought_to, cube_box, cut_out, isotropic, margin_box
from volkit.ops.bias_field import BiasOptions, without_bias
from volkit.ops.scan_quality import Limits, Quality, check_usable, measure
from volkit.ops.skull_strip import StripOptions, Stripped, find_brain
from volkit.ops.tissue_network import TissueOptions, find_tissues

Floats = NDArray[np.float32]
BRAIN = "brain"
"""Name of the mask of the brain that was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOptions:
    """What is done to every scan.

    Parameters
    ----------
    bias : BiasOptions
        How shading is taken out.
    voxel_mm : float
        Edge of the cubic voxels that scans are resampled to, millimetres.
    strip : StripOptions
        Who finds the brain.
    margin : int
        Voxels that are left around the brain on each of the six faces.
    shape : tuple of int
        Of the result, (z, y, x), voxels.
    keep_aspect : bool
        Pad to a cube before, so that no axis is stretched more than others.
    normalise : {"brain", "all"}
        Over which voxels mean and standard deviation are taken; all voxels are mapped alike.
    limits : Limits
        What a scan must keep, or it is set aside.
    tissue : TissueOptions or None
        A network whose classes are measured.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    bias: BiasOptions = field(default_factory=BiasOptions)
    voxel_mm: float = 1.0
    strip: StripOptions = field(default_factory=StripOptions)
    margin: int = 3
    shape: Shape = (128, 128, 128)
    keep_aspect: bool = False
    normalise: str = "brain"
    limits: Limits = field(default_factory=Limits)
    tissue: TissueOptions | None = None

    def __post_init__(self) -> None:
        if self.voxel_mm <= 0 or self.margin < 0 or min(self.shape) < 1:
            raise ConfigError(
                f"voxel_mm {self.voxel_mm}, margin {self.margin}, shape {list(self.shape)}: give a "
                "size above 0, a margin of 0 or more, and a voxel or more on every axis"
            )
        if self.keep_aspect and len(set(self.shape)) > 1:
            raise ConfigError(
                f"keep_aspect pads to a cube, shape is {list(self.shape)}; give three like numbers"
            )
        if self.normalise not in ("brain", "all"):
            raise ConfigError(f"normalise is {self.normalise!r}; choose brain or all")


@dataclass(frozen=True, slots=True)
class PreparedScan:
    """A scan as a network sees it.

    Parameters
    ----------
    values : ndarray of float32, shape ``ChainOptions.shape``
        Normalised; voxels outside the brain are all equal.
    masks : dict of str to ndarray of uint8, the same shape
        ``brain``, and those that came along.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS: where the scan was acquired.
    steps : tuple of dict
        JSON: the name of each step, its parameters, and the SHA-256 of its voxels.
    quality : Quality
        What was measured.
    tissue_ml : dict of str to float
        Volumes; empty without a network.
    """

    values: Floats
    masks: Mapping[str, NDArray[np.uint8]]
    affine: Affine
    steps: tuple[dict[str, Any], ...]
    quality: Quality
    tissue_ml: Mapping[str, float]


def prepare_scan(
    scan: AcquiredScan, options: ChainOptions, *, masks: Mapping[str, AcquiredScan] | None = None
) -> PreparedScan:
    """Carry a scan through the chain.

    Parameters
    ----------
    scan : AcquiredScan
        The head.
    options : ChainOptions
        What is done to it.
    masks : mapping of str to AcquiredScan, optional
        Masks in the frame of the scan, by name; all of them come along.

    Returns
    -------
    PreparedScan
        The same bytes on every machine.

    Raises
    ------
    ContractError
        If the scan is no head that can be used; the message says why.
    ConfigError, ModelError, MissingExtraError
        If the chain itself cannot be carried out.
    """
    check_names(masks or {}, options.strip)
    check_usable(scan, options.limits)
    steps = _Steps()
    steps.add("reorient", scan.values, stored=dict(scan.facts), file_sha256=scan.sha256)
    values, field_range = _unshaded(scan, options, steps)
    values, change = isotropic(values, scan.spacing_mm, options.voxel_mm)
    affine = change.joined(scan.affine)
    steps.add("resample", values, voxel_mm=options.voxel_mm, interpolation="linear")
    together = _resampled(scan, masks or {}, options.voxel_mm)
    given = together.get(options.strip.column)
    if options.strip.method == "nonzero":  # before interpolation, which spreads what is not 0
        above = (scan.values > 0).astype(np.uint8)
        given, _ = isotropic(above, scan.spacing_mm, options.voxel_mm, nearest=True)
    found = find_brain(values, affine, options.strip, given=given)
    quality = measure(values, found.mask, affine, options.limits, field_range=field_range)
    tissue = _tissue_ml(values, affine, found, options)
    values = np.where(found.mask, values, np.float32(0))
    steps.add("strip", values, **asdict(options.strip))
    carried = {**together, BRAIN: found.mask}
    return _shaped(values, carried, affine, options, steps, quality, tissue)


def check_names(masks: Iterable[str], options: StripOptions) -> None:
    """Refuse a mask that has the name of the one that is found.

    Parameters
    ----------
    masks : iterable of str
        Names of those that come along.
    options : StripOptions
        Who finds the brain.

    Raises
    ------
    ConfigError
        If one is called ``brain`` and another one is to be the brain.
    """
    taken = options.method == "mask" and options.column == BRAIN
    if BRAIN in masks and not taken:
        raise ConfigError(
            f"a mask {BRAIN} comes along, and strip.method {options.method} writes another one of "
            "that name; rename its column, leave it out, or strip by it (strip.method mask, "
            f"strip.column {BRAIN})"
        )


def _shaped(
    values: Floats,
    masks: Mapping[str, NDArray[Any]],
    affine: Affine,
    options: ChainOptions,
    steps: "_Steps",
    quality: Quality,
    tissue: Mapping[str, float],
) -> PreparedScan:
    """Crop, resize and normalise a brain, and whatever comes along."""
    start, stop = margin_box(masks[BRAIN], options.margin)
    boxes = [(start, stop)]
    if options.keep_aspect:
        z, y, x = (b - a for a, b in zip(start, stop, strict=True))
        boxes.append(cube_box((z, y, x)))
    small: dict[str, NDArray[np.uint8]] = {k: (m != 0).astype(np.uint8) for k, m in masks.items()}
    for box in boxes:
        values, change = cut_out(values, *box)
        affine = change.joined(affine)
        small = {name: cut_out(mask, *box)[0] for name, mask in small.items()}
        steps.add("crop", values, start=list(box[0]), stop=list(box[1]), margin=options.margin)
    quality = quality.cropped(small[BRAIN] != 0)
    values, change = brought_to(values, options.shape)
    affine = change.joined(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
    steps.add("resize", values, shape=list(options.shape), spacing_mm=[float(v) for v in spacing])
    small = {k: brought_to(m, options.shape, nearest=True)[0] for k, m in small.items()}
    over = small[BRAIN] != 0 if options.normalise == "brain" else None
    values, mean, deviation = z_scores(values, over)
    steps.add("normalise", values, over=options.normalise, mean=mean, deviation=deviation)
    return PreparedScan(values, small, affine, tuple(steps.made), quality, tissue)


class _Steps:
    """The steps so far."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []

    def add(self, step: str, values: Floats, **params: Any) -> None:
        """Note a step with what it left."""
        sha256 = digest(str(values.shape).encode(), np.ascontiguousarray(values).data)
        plain = json.loads(json.dumps(params, default=list))
        self.made.append({"step": step, **plain, "voxels_sha256": sha256})


def _unshaded(
    scan: AcquiredScan, options: ChainOptions, steps: _Steps
) -> tuple[Floats, tuple[float, float]]:
    if options.bias.method == "none":
        return scan.values, (1.0, 1.0)
    values, shading = without_bias(scan.values, scan.spacing_mm, options.bias)
    steps.add("bias", values, **asdict(options.bias))
    bright = scan.values > scan.values.mean()
    low, high = np.quantile(shading[bright], [0.01, 0.99])
    return values, (float(low), float(high))


def _tissue_ml(
    values: Floats, affine: Affine, found: Stripped, options: ChainOptions
) -> dict[str, float]:
    if options.tissue is None:
        return {}
    tissues = found.tissues
    if tissues is None or options.tissue != options.strip.network:
        # The fallback's mask is the network's own: there is nothing to be gained by it.
        head = values if found.tissues is not None else np.where(found.mask, values, np.float32(0))
        tissues = find_tissues(head, affine, options.tissue)
    return tissues.volumes_ml(affine)


def _resampled(
    scan: AcquiredScan, masks: Mapping[str, AcquiredScan], voxel_mm: float
) -> dict[str, NDArray[np.uint8]]:
    """Bring masks to the voxels of the resampled scan."""
    found = {}
    for name, mask in masks.items():
        if mask.values.shape != scan.values.shape or not np.allclose(
            mask.affine, scan.affine, atol=1e-3
        ):
            raise ContractError(
                f"the mask {name} has {mask.values.shape} voxels in another frame than the scan, "
                f"which has {scan.values.shape}; give one that was drawn on this scan"
            )
        if not np.isfinite(mask.values).all():
            raise ContractError(
                f"the mask {name} has NaN or infinite voxels; give one that is 0 where it is not"
            )
        inside = (mask.values != 0).astype(np.uint8)
        found[name], _ = isotropic(inside, scan.spacing_mm, voxel_mm, nearest=True)
    return found
