"""Segment neurons: a stored image and a boundary network in, labels, scores and a report out.

::

    image ─► prob ─► seeds ─► fragments ─► region graph ─► labels ─► scores ─► report
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from volkit.ops.graph_holder import Holder, held_by, holder_advice
from volkit.pipelines.figure import Panel
from volkit.pipelines.graph_memory import room_for_graph
from volkit.pipelines.report import Report
from volkit.pipelines.segment_chain import Inputs, Segmented, compute, open_inputs
from volkit.pipelines.segment_config import SegmentNeurons
from volkit.pipelines.segment_plan import NetworkStage
from volkit.pipelines.segment_run import Segmentation, footing, warned


def _networks(inputs: Inputs, config: SegmentNeurons) -> tuple[NetworkStage, ...]:
    return (NetworkStage("prob", inputs.checkpoint, config.infer),)


def _advice(inputs: Inputs, config: SegmentNeurons) -> Iterator[str]:
    how, voxels = config.segment.agglomeration, inputs.grid.domain.size
    holder: Holder = held_by(voxels) if how == "auto" else "whole"
    if how == "auto":
        yield holder_advice(voxels, holder=holder)
    room = room_for_graph(config.cluster)
    if how != "octree" and holder == "whole" and held_by(voxels, memory_bytes=room) == "boxes":
        text = holder_advice(voxels, holder="whole", memory_bytes=room)
        yield f"{text}; give segment.agglomeration: octree, by which a few merges may differ"


def _report(inputs: Inputs, found: Segmented, config: SegmentNeurons) -> Report:
    panels = [
        Panel("image", inputs.image, "image"),
        Panel("boundary probability", found.prob, "prob", config.segment.fragments.channel),
        Panel("labels", found.labels, "labels"),
    ]
    if inputs.truth is not None:
        panels.append(Panel("truth", inputs.truth, "truth"))
    scores = found.scores
    volumes = {"image": inputs.image, "truth": inputs.truth}
    return Report(
        heading=Path(config.output).name,
        footing=footing(scores),
        warnings=warned(found.warnings, scores),
        panels=tuple(panels),
        domain=inputs.grid.domain,
        scores=None if scores is None else asdict(scores),
        parameters={"pipeline": "segment_neurons", **asdict(config)},
        inputs={name: volume for name, volume in volumes.items() if volume is not None},
        checkpoint=inputs.checkpoint,
        results={"labels": found.labels},
        stages=() if scores is None else ("contingency", "polarity"),
    )


SEGMENTATION = Segmentation(
    name="segment_neurons",
    config=SegmentNeurons,
    open_inputs=open_inputs,
    compute=compute,
    networks=_networks,
    report=_report,
    paths=frozenset({"image", "truth", "mask", "checkpoint", "members", "output"}),
    advice=_advice,
)
run, plan, carry_out = SEGMENTATION.run, SEGMENTATION.plan, SEGMENTATION.carry_out
PIPELINE = SEGMENTATION.pipeline
