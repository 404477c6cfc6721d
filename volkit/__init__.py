"""volkit: peta-scale brain volumes into segmentations, particles and tables.

The names here are the public ones that a notebook needs; each is loaded when it is first used, so
that ``import volkit`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from volkit.version import __version__ as __version__

if TYPE_CHECKING:
    from volkit.cli.notebook import progress as progress
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
    from volkit.io.points.files import read_points as read_points
    from volkit.io.points.files import write_points as write_points
    from volkit.io.sources import CacheOptions as CacheOptions
    from volkit.io.volume import Volume as Volume
    from volkit.models.checkpoint import read_checkpoint as read_checkpoint
    from volkit.models.ensemble import Ensemble as Ensemble
    from volkit.ops.affinity_segmentation import affinity_segment as affinity_segment
    from volkit.ops.affinity_watershed import AffinityOptions as AffinityOptions
    from volkit.ops.components import connected_components as connected_components
    from volkit.ops.evaluation import evaluate as evaluate
    from volkit.ops.fragments import FragmentOptions as FragmentOptions
    from volkit.ops.inference import infer as infer
    from volkit.ops.inference_options import InferenceOptions as InferenceOptions
    from volkit.ops.metrics import rand as rand
    from volkit.ops.metrics import segmentation_scores as segmentation_scores
    from volkit.ops.metrics import voi as voi
    from volkit.ops.mirror import mirror as mirror
    from volkit.ops.multiscale import pyramid as pyramid
    from volkit.ops.particle_options import PickOptions as PickOptions
    from volkit.ops.particle_scoring import evaluate_points as evaluate_points
    from volkit.ops.particles import pick as pick
    from volkit.ops.segmentation import SegmentationOptions as SegmentationOptions
    from volkit.ops.segmentation import segment as segment
    from volkit.ops.skip_options import EmptyOptions as EmptyOptions
    from volkit.ops.skip_options import SkipOptions as SkipOptions
    from volkit.pipelines.status import read_status as read_status
    from volkit.viewer.picture_table import PictureTable as PictureTable

_HOMES = {
    "AffinityOptions": "volkit.ops.affinity_watershed",
    "Box": "volkit.geometry",
    "CacheOptions": "volkit.io.sources",
    "EmptyOptions": "volkit.ops.skip_options",
    "Ensemble": "volkit.models.ensemble",
    "FragmentOptions": "volkit.ops.fragments",
    "Grid": "volkit.geometry",
    "InferenceOptions": "volkit.ops.inference_options",
    "JobEngine": "volkit.engine.job",
    "LazyEngine": "volkit.engine.lazy",
    "Op": "volkit.engine.op",
    "Patience": "volkit.io.faults",
    "PickOptions": "volkit.ops.particle_options",
    "PictureTable": "volkit.viewer.picture_table",
    "Reduction": "volkit.engine.op",
    "Secret": "volkit.io.credentials",
    "SegmentationOptions": "volkit.ops.segmentation",
    "SkipOptions": "volkit.ops.skip_options",
    "Volume": "volkit.io.volume",
    "affinity_segment": "volkit.ops.affinity_segmentation",
    "connected_components": "volkit.ops.components",
    "create_volume": "volkit.io.open",
    "evaluate": "volkit.ops.evaluation",
    "evaluate_points": "volkit.ops.particle_scoring",
    "infer": "volkit.ops.inference",
    "mirror": "volkit.ops.mirror",
    "open_volume": "volkit.io.open",
    "pick": "volkit.ops.particles",
    "progress": "volkit.cli.notebook",
    "pyramid": "volkit.ops.multiscale",
    "rand": "volkit.ops.metrics",
    "read_points": "volkit.io.points.files",
    "read_checkpoint": "volkit.models.checkpoint",
    "read_status": "volkit.pipelines.status",
    "segment": "volkit.ops.segmentation",
    "segmentation_scores": "volkit.ops.metrics",
    "voi": "volkit.ops.metrics",
    "write_points": "volkit.io.points.files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'volkit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
