"""Bodies: the keys of the workflows of each pipeline, with comments where values may be others."""

from collections.abc import Callable

from volkit.errors import ConfigError
from volkit.pipelines.proposal.choice import THRESHOLD, THRESHOLDS, isotropic, training_window
from volkit.pipelines.proposal.draft import Draft, quoted

_MUCH_EMPTY = 0.2  # share of zeros from which leaving them out is worth a comment
_NEAREST = ([-1, 0, 0], [0, -1, 0], [0, 0, -1])
_BINS = (32, 128, 128)
_WINDOW, _PATCH = 64, 48
_CLUSTER = """\
cluster:
  workers: null # one for every processor; 0 is this process alone
  # system: slurm # or pbs, with queue, memory_gib and walltime; see the how-to on clusters
"""
_MERGING = """\
segment:
  # Merging ends where 1 - the mean affinity of two regions is the threshold: higher merges more.
  # Thresholds up to the limit are relabellings.
  agglomeration: {linkage: mean, threshold: 0.7, limit: 0.8}
  # Or by size, without `agglomeration`: a region of fewer voxels joins its neighbour across an edge
  # of that affinity or more.
  # linkage: [[1000, 0.1], [5000, 0.3], [20000, 0.5]]

layers: {labels: true, image: true} # for Neuroglancer, in the folder layers of the run
"""


def written(draft: Draft, pipeline: str) -> str:
    """Write the workflow of a pipeline.

    Parameters
    ----------
    draft : Draft
        What it is written from.
    pipeline : str
        Its name.

    Returns
    -------
    str
        YAML.
    """
    return draft.head(pipeline) + _BODIES[pipeline](draft)


def _segment_neurons(draft: Draft) -> str:
    network, image = draft.network, draft.roles.image
    if network is None or image is None:
        raise ConfigError("segment_neurons needs an image and a network; give both")
    threshold = THRESHOLDS.get(network.card, THRESHOLD)
    return (
        "input:\n"
        f"  image: {draft.place('image')}\n"
        f"{draft.truth()}{draft.level()}{draft.access()}{draft.box()}\n"
        f"checkpoint: {quoted(network.card)} # or the path of the card of another network\n"
        f"output: {draft.output}\n\n"
        f"{draft.blocks}\n"
        "infer:\n"
        "  batch: 4 # windows at once; auto tries which number is fastest\n"
        f"{_skip(image.zeros)}\n"
        "segment:\n"
        "  # Mean probability of a boundary at which merging ends: higher merges more.\n"
        f"  threshold: {threshold}\n\n"
        f"{_CLUSTER}"
    )


def _segment_boundaries(draft: Draft) -> str:
    roles, network = draft.roles, draft.network
    image = f"  image: {draft.place('image')} # shown beside the labels\n" if roles.image else ""
    stored = "" if network else f"  boundaries: {draft.place('boundaries')} # 1 is a boundary\n"
    card = f"checkpoint: {quoted(network.card)}\n" if network else ""
    return (
        f"input:\n{image}{stored}{draft.truth()}{draft.level()}{draft.access()}{draft.box()}\n"
        f"{card}output: {draft.output}\n\n{draft.blocks}\n{_MERGING}\n{_CLUSTER}"
    )


def _segment_affinities(draft: Draft) -> str:
    roles = draft.roles
    channels = (roles.affinities.volume.channels or 1) if roles.affinities else 0
    offsets = [*_NEAREST, *(None for _ in range(channels - len(_NEAREST)))]
    shown = str(offsets).replace("None", "null")
    image = f"  image: {draft.place('image')} # shown beside the labels\n" if roles.image else ""
    return (
        f"input:\n{image}  affinities: {draft.place('affinities')}\n"
        f"{draft.truth()}{draft.access()}{draft.box()}\n"
        "# PLEASE CHECK: from a voxel to the one that each channel compares it with, (z, y, x).\n"
        "# Affinities do not tell; a wrong sign moves borders by a voxel.  null is not used.\n"
        f"offsets: {shown}\n\n"
        f"output: {draft.output}\n\n{draft.blocks}\n{_MERGING}\n{_CLUSTER}"
    )


def _pick_particles(draft: Draft) -> str:
    network = draft.network
    if network is None:
        raise ConfigError("pick_particles needs a network; give --checkpoint")
    if draft.folder is not None:
        which = f"  folder: {quoted(draft.folder)} # its .mrc, .rec, .map and .zarr\n"
    else:
        listed = (quoted(draft.places[look.uri]) for look in draft.roles.tomograms)
        which = "  tomograms:\n" + "".join(f"    - {place}\n" for place in listed)
    return (
        f"input:\n{which}{draft.access()}\n"
        f"checkpoint: {quoted(network.card)} # or the path of the card of another network\n"
        f"output: {draft.output}\n\n{draft.blocks}\n"
        "infer:\n  batch: 4 # windows at once; auto tries which number is fastest\n\n"
        "pick:\n"
        "  threshold: null # those of the card; one for all, or one for each class\n"
        "  exclusion_nm: null # a pick removes worse ones of its class within this distance\n\n"
        "# truth: {points: truth.csv} # true points, to be scored against\n"
        "write:\n  formats: [star] # and csv, czii, portal, annotations, copick\n\n"
        f"{_CLUSTER}"
    )


def _statistics(draft: Draft) -> str:
    roles = draft.roles
    shape = roles.main.volume.shape
    bins = [min(b, n) for b, n in zip(_BINS, shape, strict=True)]
    end = f"bins: {bins} # voxels; profiles and maps are made of them\n\n"
    tail = f"{draft.blocks}output: {draft.output}\n\n{_CLUSTER}"
    if roles.classes is None:
        image = f"  image: {draft.place('image')} # intensity of each\n" if roles.image else ""
        cells = f"input:\n  cells: {draft.place('labels')} # ids of objects\n{image}"
        return f"{cells}{draft.voxel_size()}{draft.box()}\n{end}{tail}"
    names = ", ".join(f"class_{value}: {value}" for value in roles.classes.values if value)
    return (
        f"input:\n  classes: {draft.place('classes')}\n{draft.voxel_size()}{draft.box()}\n"
        "# PLEASE NAME them; these labels were found, and 0 is background.\n"
        f"classes: {{{names}}}\n"
        "unknown: other # labels without a name are tissue of no class; error refuses them\n\n"
        "# cell_class: class_1 # its components are measured as cells\n"
        "# shapes: [class_1] # surface and length of these, too\n"
        f"{end}{tail}"
    )


def _train_boundaries(draft: Draft) -> str:
    """Learn from nine tenths of the longest axis, and judge by the rest."""
    volume = draft.roles.main.volume
    start, stop = list(volume.domain.start), list(volume.domain.stop)
    axis = volume.shape.index(max(volume.shape))
    held = max(volume.shape[axis] // 10, min(_PATCH, volume.shape[axis] // 2))
    cut = stop[axis] - held
    learnt = [cut if i == axis else n for i, n in enumerate(stop)]
    judged = [cut if i == axis else n for i, n in enumerate(start)]
    places = f"image: {draft.place('image')}, labels: {draft.place('truth')}"
    spared, seen = _extent(judged, stop), _extent(start, learnt)
    window = training_window(volume.shape, _WINDOW)
    sure = draft.roles.main.scaled
    about = f"Boundaries, learnt from {draft.roles.main.name}"
    size = f"  voxel_size_nm: {[float(n) for n in volume.voxel_size_nm]}\n" if sure else ""
    return (
        f"checkpoint: {quoted(f'runs/{draft.file.stem}/boundaries.yaml')} # the card to write\n\n"
        "# Each may be a box of a larger volume; several volumes make better networks.\n"
        f"volumes:\n  - {{{places}, start: {start}, stop: {learnt}}}\n\n"
        "architecture: residual_unet3d\n"
        "arguments: {widths: [16, 32, 48, 64], blocks: [1, 1, 1, 1]}\n"
        f"window: {list(window)} # what the network sees at once, later\n\n"
        f"patches: {{shape: {list(training_window(seen, _PATCH))}, batch: 4}}\n"
        f"augmentation: {{isotropic: {str(isotropic(volume.voxel_size_nm)).lower()}}}\n"
        "optimisation: {steps: 5000, warmup: 100} # more steps make a better network\n\n"
        "validation: # on what the network does not learn from\n"
        f"  volumes:\n    - {{{places}, start: {judged}, stop: {stop}}}\n"
        f"  every: 500\n  window: {list(training_window(spared, _WINDOW))}\n\n"
        "precision: float32 # bfloat16 on a GPU, and on processors that have it\n"
        f"card:\n{size}  description: {quoted(about)}\n"
        "  licence: unknown # say which, before you share it\n"
    )


def _extent(start: list[int], stop: list[int]) -> list[int]:
    return [b - a for a, b in zip(start, stop, strict=True)]


def _skip(zeros: float) -> str:
    if zeros < _MUCH_EMPTY:
        return ""
    return (
        f"  # {zeros:.0%} of the image is 0.  Where that is empty space, leave it out:\n"
        "  # skip: {empty: {statistic: value, value: 0}}\n"
    )


_BODIES: dict[str, Callable[[Draft], str]] = {
    "segment_neurons": _segment_neurons,
    "segment_boundaries": _segment_boundaries,
    "segment_affinities": _segment_affinities,
    "pick_particles": _pick_particles,
    "statistics": _statistics,
    "train_boundaries": _train_boundaries,
}
