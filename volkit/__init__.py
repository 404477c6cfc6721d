"""volkit: peta-scale brain volumes into segmentations, particles and tables.

The names here are the public ones that a notebook needs; each is loaded when it is first used, so
that ``import volkit`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from volkit.version import __version__ as __version__

if TYPE_CHECKING:
    from volkit.engine.job import JobEngine as JobEngine
    from volkit.engine.lazy import LazyEngine as LazyEngine
    from volkit.engine.op import Op as Op
    from volkit.engine.op import Reduction as Reduction
    from volkit.geometry import Box as Box
    from volkit.geometry import Grid as Grid
    from volkit.io.credentials import Secret as Secret
    from volkit.io.faults import Patience as Patience
    from volkit.io.open import create_volume as create_volume
    from volkit.io.open import open_volume as open_volume
    from volkit.io.sources import CacheOptions as CacheOptions
    from volkit.io.volume import Volume as Volume
    from volkit.models.checkpoint import read_checkpoint as read_checkpoint
    from volkit.ops.components import connected_components as connected_components
    from volkit.ops.fragments import FragmentOptions as FragmentOptions
    from volkit.ops.inference import InferenceOptions as InferenceOptions
    from volkit.ops.inference import infer as infer
    from volkit.ops.metrics import rand as rand
    from volkit.ops.metrics import segmentation_scores as segmentation_scores
    from volkit.ops.metrics import voi as voi
    from volkit.ops.mirror import mirror as mirror
    from volkit.ops.multiscale import pyramid as pyramid
    from volkit.ops.segmentation import SegmentationOptions as SegmentationOptions
    from volkit.ops.segmentation import segment as segment

_HOMES = {
    "Box": "volkit.geometry",
    "CacheOptions": "volkit.io.sources",
    "FragmentOptions": "volkit.ops.fragments",
    "Grid": "volkit.geometry",
    "InferenceOptions": "volkit.ops.inference",
    "JobEngine": "volkit.engine.job",
    "LazyEngine": "volkit.engine.lazy",
    "Op": "volkit.engine.op",
    "Patience": "volkit.io.faults",
    "Reduction": "volkit.engine.op",
    "Secret": "volkit.io.credentials",
    "SegmentationOptions": "volkit.ops.segmentation",
    "Volume": "volkit.io.volume",
    "connected_components": "volkit.ops.components",
    "create_volume": "volkit.io.open",
    "infer": "volkit.ops.inference",
    "mirror": "volkit.ops.mirror",
    "open_volume": "volkit.io.open",
    "pyramid": "volkit.ops.multiscale",
    "rand": "volkit.ops.metrics",
    "read_checkpoint": "volkit.models.checkpoint",
    "segment": "volkit.ops.segmentation",
    "segmentation_scores": "volkit.ops.metrics",
    "voi": "volkit.ops.metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'volkit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
