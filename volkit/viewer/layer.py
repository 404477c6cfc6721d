"""Layers: what a viewer shows of a volume, a table or skeletons, and in which colours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from volkit.errors import ConfigError

Kind = Literal["image", "prob", "labels", "points", "boxes", "skeletons"]
KINDS: tuple[Kind, ...] = ("image", "prob", "labels", "points", "boxes", "skeletons")
State = dict[str, Any]


class Served(Protocol):
    """What a server answers requests with."""

    def answer(self, path: str) -> bytes | None:
        """Give what lies at a path below the layer; None where nothing does."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a viewer.

    Parameters
    ----------
    name : str
        As the viewer lists it.
    kind : {'image', 'prob', 'labels', 'points', 'boxes', 'skeletons'}
        What it shows.
    served : object or None
        Answers for it; None where the state itself holds it, or another server has it.
    look : dict
        What Neuroglancer is told of it, beside name, type and source.
    visible : bool
        Whether it is shown at first.
    source : str
        Where it lies, where another server has it: a URL as Neuroglancer writes it.
    transform : dict or None
        Where its voxels lie, as Neuroglancer has it; None where it says that itself.
    """

    name: str
    kind: Kind
    served: Served | None = None
    look: State = field(default_factory=dict)
    visible: bool = True
    source: str = ""
    transform: State | None = None

    def state(self, address: str) -> State:
        """Describe the layer to Neuroglancer.

        Parameters
        ----------
        address : str
            URL below which the server answers, with the name of the layer.
        """
        types = {"prob": "image", "labels": "segmentation", "skeletons": "segmentation"}
        told: State = {"type": types.get(self.kind, "annotation"), "name": self.name}
        if self.kind == "image":
            told["type"] = "image"
        source: State = {"url": self.source or f"precomputed://{address}"}
        if self.transform is not None:
            source["transform"] = self.transform
        told["source"] = source
        if not self.visible:
            told["visible"] = False
        return {**told, **self.look}


def image_look(span: tuple[float, float], channels: int | None, dtype: str) -> State:
    """Say how an image is drawn: grey between two values, or red, green and blue.

    Parameters
    ----------
    span : tuple of float
        Values that become black and white; the viewer has sliders for them.
    channels : int or None
        Of the volume.
    dtype : str
        Of a voxel.
    """
    if channels == 3 and dtype == "uint8":
        parts = ", ".join(f"toNormalized(getDataValue({n}))" for n in range(3))
        return {"shader": f"void main() {{\n  emitRGB(vec3({parts}));\n}}\n", "opacity": 1.0}
    low, high = span
    shader = (
        f"#uicontrol invlerp normalized(range=[{low:.9g}, {high:.9g}])\n"
        "void main() {\n  emitGrayscale(normalized());\n}\n"
    )
    return {"shader": shader, "opacity": 1.0}


def prob_look(span: tuple[float, float], channels: int | None, dtype: str) -> State:
    """Say how probabilities are drawn: the more, the less one sees through a colour.

    Three channels, as affinities have them, are red, green and blue.

    Parameters
    ----------
    span, channels, dtype
        As for :func:`image_look`; ``span`` is what stands for 0 and 1.
    """
    low, high = span
    value = "float(toRaw(getDataValue({})))" if dtype != "float32" else "toRaw(getDataValue({}))"
    head = f"#define P(v) clamp(((v) - {low:.9f}) / {high - low:.9f}, 0.0, 1.0)\n"
    if channels == 3:
        parts = ", ".join(f"P({value.format(n)})" for n in range(3))
        return {"shader": f"{head}void main() {{\n  emitRGB(vec3({parts}));\n}}\n", "opacity": 0.6}
    controls = (
        "#uicontrol float least slider(min=0, max=1, default=0)\n"
        '#uicontrol vec3 color color(default="#ff7a33")\n'
    )
    channel = "0"
    if channels is not None and channels > 1:
        controls += f"#uicontrol int channel slider(min=0, max={channels - 1}, default=0)\n"
        channel = "channel"
    body = (
        f"void main() {{\n  float p = P({value.format(channel)});\n"
        "  if (p < least) {\n    emitTransparent();\n  } else {\n"
        "    emitRGBA(vec4(color, p));\n  }\n}\n"
    )
    return {"shader": controls + head + body, "opacity": 0.75}


def label_look(colours: Mapping[int, str]) -> State:
    """Say how labels are drawn; those without a colour have one of the viewer's own.

    Parameters
    ----------
    colours : mapping of int to str
        ``#rrggbb`` by id.

    Raises
    ------
    ConfigError
        If something is no colour.
    """
    for key, colour in colours.items():
        if len(colour) != 7 or not colour.startswith("#") or not _is_hex(colour[1:]):
            raise ConfigError(f"label {key} has the colour {colour!r}; write it as #rrggbb")
    look: State = {"tab": "segments", "selectedAlpha": 0.45, "hideSegmentZero": True}
    if colours:
        look["segmentColors"] = {str(key): colour for key, colour in colours.items()}
    return look


def mark_look(colour: str, properties: tuple[State, ...], scores: tuple[float, float]) -> State:
    """Say how points and boxes are drawn; scores get a slider below which they are hidden.

    Parameters
    ----------
    colour : str
        ``#rrggbb``, for what has no classes.
    properties : tuple of dict
        Of the marks.
    scores : tuple of float
        Least and largest score, where there is such a column.
    """
    names = {prop["id"]: prop for prop in properties}
    lines, body = [], []
    if "score" in names and scores[0] < scores[1]:
        least = "#uicontrol float least_score slider(min={:.6g}, max={:.6g}, default={:.6g})"
        lines.append(least.format(*scores, scores[0]))
        body.append("  if (float(prop_score()) < least_score) discard;")
    classes = names.get("class_", {}).get("enum_values", [])
    if len(classes) > 1:
        # Hues as far from each other as so many can be.
        body += [
            f"  float hue = fract(float(prop_class_()) / {len(classes)}.0);",
            "  vec3 mixed = clamp(abs(fract(hue + vec3(0.0, 2.0, 1.0) / 3.0) * 6.0 - 3.0) - 1.0,"
            " 0.0, 1.0);",
            "  setColor(vec4(mix(vec3(1.0), mixed, 0.8), 1.0));",
        ]
    else:
        body.append("  setColor(defaultColor());")
    shader = "\n".join([*lines, "void main() {", *body, "}", ""])
    return {"annotationColor": colour, "shader": shader}


def _is_hex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
