"""Options of inference: how windows are laid, blended and shared out, and what is left out."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, get_args

from volkit.errors import ConfigError
from volkit.geometry import Coord, coord
from volkit.kernels.blend import Weighting
from volkit.models.running import Backend, NonFinite, Precision
from volkit.models.views import ViewSet, views_of
from volkit.ops.padding import Padding
from volkit.ops.skip_options import SkipOptions
from volkit.ops.window_pass import OutputType

Seams = Literal["auto", "exchange", "recompute"]

_DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """How windows are laid and blended.

    Parameters
    ----------
    window : tuple of int, optional
        What the network sees once, (z, y, x), or one extent for all axes; None takes the card's.
    channels : int, optional
        That a module or function answers; None is one.  A card says so itself.
    stride : tuple of int, optional
        Distance between windows, as ``window``; None is half the part of a window that is used, or
        all of it where the network answers alike in every window.
    weights : {'gaussian', 'linear', 'hann', 'constant', 'pyramid', 'pyramid-published'}
        How answers of overlapping windows are weighted.
    weight_floor : float
        For ``pyramid-published``: voxels whose weights sum to less are dimmed by it, as its
        authors' code does.
    padding : {'reflect', 'edge', 'constant', 'none'}
        What windows see beyond the domain's faces; ``none`` cuts them off there, for networks
        that take any extent.
    batch : int or 'auto'
        Windows that go through the network together, ``auto`` for as many as are fastest; on the
        CPU the result does not depend on it.
    seams : {'auto', 'exchange', 'recompute'}
        Whether blocks exchange what windows answer beyond their faces, or evaluate windows again;
        ``auto`` exchanges where that saves more than 5 % of the windows.  The result is the same.
    dtype : {'float32', 'float16', 'uint8'}
        What is stored; uint8 is for probabilities, of which 255 stands for 1.
    device : str
        ``auto``, ``cuda``, ``mps`` or ``cpu``.
    precision : {'float32', 'bfloat16', 'float16'}
        Of the network's arithmetic; sums are exact always.
    backend : {'torch', 'onnxruntime'}
        What computes the network.
    compile : bool
        Whether torch compiles it at its first batch.
    blocks_at_once : int
        Blocks that a process works on at the same time: while one is in the network, others are
        read and written.
    nonfinite : {'fail', 'mark'}
        What becomes of a window that is answered by NaN or infinity: an error that names it, or
        NaN in the voxels that it decides.
    views : {'none', 'flips', 'flips+rotations'} or tuple of str
        How every window is turned for the mean of the answers; see
        `volkit.models.views.views_of`.
    skip : SkipOptions, optional
        What is left out: masks, boxes, empty cells.
    providers : tuple of str
        Execution providers of the backend ``onnxruntime``, the preferred one first, such as
        ``TensorrtExecutionProvider``; none is its CPU's.
    """

    window: Coord | None = None
    channels: int | None = None
    stride: Coord | None = None
    weights: Weighting = "gaussian"
    weight_floor: float = 1.0
    padding: Padding = "reflect"
    batch: int | Literal["auto"] = 4
    seams: Seams = "auto"
    dtype: OutputType = "float32"
    device: str = "auto"
    precision: str = "float32"
    backend: Backend = "torch"
    compile: bool = False
    blocks_at_once: int = 2
    nonfinite: NonFinite = "fail"
    views: ViewSet | tuple[str, ...] = "none"
    skip: SkipOptions | None = None
    providers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, known in (
            ("weights", self.weights, get_args(Weighting)),
            ("padding", self.padding, get_args(Padding)),
            ("seams", self.seams, get_args(Seams)),
            ("dtype", self.dtype, get_args(OutputType)),
            ("precision", self.precision, ("auto", *get_args(Precision))),
            ("backend", self.backend, get_args(Backend)),
            ("nonfinite", self.nonfinite, get_args(NonFinite)),
        ):
            if value not in known:
                raise ConfigError(f"{name} {value!r} is unknown; choose one of {', '.join(known)}")
        views_of(self.views)
        if isinstance(self.providers, str):
            raise ConfigError(f"providers {self.providers!r} is one name; give a list of names")
        object.__setattr__(self, "providers", tuple(self.providers))
        if self.device.partition(":")[0] not in _DEVICES:
            raise ConfigError(
                f"device {self.device!r} is unknown; choose one of {', '.join(_DEVICES)}"
            )
        if self.batch != "auto":
            _check_count("batch", self.batch, ", or auto")
        _check_count("blocks_at_once", self.blocks_at_once)
        if self.channels is not None:
            _check_count("channels", self.channels)
        for name, extent in (("window", self.window), ("stride", self.stride)):
            if extent is not None:
                object.__setattr__(self, name, _extent(name, extent))
        if self.weight_floor < 0:
            raise ConfigError(f"weight_floor {self.weight_floor} must not be negative")

    @property
    def floor(self) -> float:
        """Sum of weights below which voxels are dimmed; 0 where none are."""
        return self.weight_floor if self.weights == "pyramid-published" else 0.0


def _check_count(name: str, value: object, or_else: str = "") -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name} {value!r} must be a whole number, at least 1{or_else}")


def _extent(name: str, value: Any) -> Coord:
    found = coord(value, name=name)
    if min(found) < 1:
        raise ConfigError(f"{name} {found} must be at least 1 on every axis")
    return found
