"""Network: what inference needs to know of a model, without loading it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import cloudpickle

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.models.checkpoint import Checkpoint, load
from volkit.models.predictor import Predictor, as_predictor

_WRAPPED: WeakKeyDictionary[Callable[..., Any], Predictor] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Network:
    """A model as a value that travels to the workers.

    Parameters
    ----------
    model : Checkpoint or callable
        A callable gets and returns float32 batches, shape (B, C, Z, Y, X).
    window : tuple of int
        What it sees once, (z, y, x).
    margin : tuple of int
        Voxels at a window's faces that are not to be used.
    channels : int
        Channels that it returns.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``mps``; does not belong to its identity.
    precision : str
        ``float32``, ``bfloat16`` or ``float16``.
    batch : int
        Windows that go through it together; does not belong to its identity.
    """

    model: Checkpoint | Callable[..., Any]
    window: Coord
    margin: Coord = (0, 0, 0)
    channels: int = 1
    device: str = "auto"
    precision: str = "float32"
    batch: int = 4

    @classmethod
    def of(
        cls,
        model: Checkpoint | Callable[..., Any],
        *,
        window: Coord | None = None,
        channels: int | None = None,
        device: str = "auto",
        precision: str = "float32",
    ) -> "Network":
        """Take window, margin and channels from a checkpoint's card where they are not given.

        Raises
        ------
        ConfigError
            If a callable comes without its window.
        """
        if isinstance(model, Checkpoint):
            return cls(
                model,
                window or model.window,
                model.margin,
                model.channels[1],
                device,
                precision,
            )
        if window is None:
            raise ConfigError("a callable does not say what it sees; give its window, (z, y, x)")
        return cls(model, window, (0, 0, 0), channels or 1, device, precision)

    @property
    def facts(self) -> dict[str, Any]:
        """What decides its answers: weights, card and precision, but not place or device."""
        seen = {
            "window": list(self.window),
            "margin": list(self.margin),
            "channels": self.channels,
            "precision": self.precision,
        }
        if not isinstance(self.model, Checkpoint):
            return {"function": hashlib.sha256(cloudpickle.dumps(self.model)).hexdigest(), **seen}
        return {"weights": self.model.sha256, "card": self.model.identity, **seen}

    @property
    def origin(self) -> dict[str, Any]:
        """Where it lies, which its facts must not say."""
        if not isinstance(self.model, Checkpoint):
            name = getattr(self.model, "__qualname__", type(self.model).__name__)
            return {"function": f"{self.model.__module__}.{name}", "device": self.device}
        return {"uri": self.model.uri, "sha256": self.model.sha256, "device": self.device}

    @property
    def bounded(self) -> bool:
        """Whether it answers probabilities, from 0 to 1."""
        model = self.model
        return isinstance(model, Checkpoint) and model.activation in ("sigmoid", "softmax")

    def predictor(self) -> Predictor:
        """Load or wrap the model, once per process."""
        if isinstance(self.model, Checkpoint):
            return load(self.model, device=self.device, precision=self.precision)
        found = _WRAPPED.get(self.model)
        if found is None:
            # A torch module is copied when it is wrapped: too much to do for every block.
            found = as_predictor(self.model, device=self.device, precision=self.precision)
            _WRAPPED[self.model] = found
        return found
