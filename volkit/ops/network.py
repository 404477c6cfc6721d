"""Network: what inference needs to know of a model, without loading it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.models.checkpoint import Checkpoint, load
from volkit.models.ensemble import (
    Ensemble,
    Model,
    common_window,
    named,
    widest_margin,
)
from volkit.models.ensemble_predictor import ensemble_predictor
from volkit.models.members import (
    digest_of,
    is_bounded,
    member_facts,
    member_origin,
    scaling_of,
)
from volkit.models.members import resolved_scale as resolved_scale
from volkit.models.predictor import Predictor
from volkit.models.roles import Roles
from volkit.models.running import Backend, NonFinite, Running
from volkit.models.scaling import Scaling
from volkit.models.views import IDENTITY, View
from volkit.models.wrapped import wrapped

_NO_ROLES = Roles()


@dataclass(frozen=True, slots=True)
class Network:
    """A model as a value that travels to the workers.

    Parameters
    ----------
    model : Checkpoint, Ensemble or callable
        A callable gets and returns float32 batches, shape (B, C, Z, Y, X).
    window : tuple of int
        What it sees once, (z, y, x).
    margin : tuple of int
        Voxels at a window's faces that are not to be used; where windows are rotated, as many
        along y as along x.
    channels : int
        Channels that it returns; those that hold deviations count too.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``mps``; does not belong to its identity.
    precision : str
        ``float32``, ``bfloat16`` or ``float16``.
    views : tuple of View
        How every window is turned; the mean of the answers, turned back, is taken.
    roles : Roles
        Which channels are affinities or components of vectors.
    batch : int
        Windows that go through the network together; does not belong to its identity.
    backend, compile, nonfinite, providers
        See `volkit.models.running.Running`.

    Raises
    ------
    ConfigError
        If windows that are not square are to be rotated, or the channels do not allow a view.
    ModelError
        If a callable cannot be pickled.
    """

    model: Checkpoint | Ensemble | Callable[..., Any]
    window: Coord
    margin: Coord = (0, 0, 0)
    channels: int = 1
    device: str = "auto"
    precision: str = "float32"
    views: tuple[View, ...] = (IDENTITY,)
    roles: Roles = _NO_ROLES
    batch: int = 4
    backend: Backend = "torch"
    compile: bool = False
    nonfinite: NonFinite = "fail"
    providers: tuple[str, ...] = ()
    digests: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Here and not in every task: pickling a large module takes seconds.
        object.__setattr__(self, "digests", tuple(map(digest_of, self.members)))
        for view in self.views:
            self.roles.under(view, channels=self.channels // self._maps)
        turning = [view.name for view in self.views if view.swapped]
        if not turning:
            return
        _, y, x = self.window
        if y != x:
            raise ConfigError(
                f"views {', '.join(turning)} rotate windows of {self.window}, whose y and x "
                "differ; choose a square window, or flips without rotations"
            )
        for card in self._cards:
            if card.voxel_size_nm and card.voxel_size_nm[1] != card.voxel_size_nm[2]:
                raise ConfigError(
                    f"views {', '.join(turning)} rotate voxels of {card.voxel_size_nm} nm, that "
                    f"{named(card)} was trained on; choose flips without rotations"
                )
        z, widest = self.margin[0], max(self.margin[1:])
        object.__setattr__(self, "margin", (z, widest, widest))

    @classmethod
    def of(
        cls,
        model: Checkpoint | Ensemble | Callable[..., Any] | Sequence[Model],
        *,
        window: Coord | None = None,
        channels: int | None = None,
        device: str = "auto",
        precision: str = "float32",
        views: tuple[View, ...] = (IDENTITY,),
        **running: Any,
    ) -> "Network":
        """Take window, margin, channels and their roles from cards where they are not given.

        Parameters
        ----------
        model : Checkpoint, Ensemble, callable, or sequence of these
            A sequence is an ensemble whose answers are averaged.
        window, channels, device, precision, views
            As in `Network`; ``channels`` of a callable, without deviations.
        **running
            ``batch``, ``backend``, ``compile``, ``nonfinite``, ``providers``, as in `Network`.

        Raises
        ------
        ConfigError
            If a callable comes without its window, or members of an ensemble want different ones.
        """
        if isinstance(model, Sequence):
            model = Ensemble(tuple(model))
        members = model.members if isinstance(model, Ensemble) else (model,)
        cards = [member for member in members if isinstance(member, Checkpoint)]
        maps = 2 if isinstance(model, Ensemble) and model.deviation else 1
        each = cards[0].channels[1] if cards else channels or 1
        return cls(
            model,
            window or common_window(cards),
            widest_margin(cards),
            each * maps,
            device,
            precision,
            views,
            cards[0].roles if cards else _NO_ROLES,
            **running,
        )

    @property
    def members(self) -> tuple[Model, ...]:
        """The networks that answer a window: one, but for an ensemble."""
        return self.model.members if isinstance(self.model, Ensemble) else (self.model,)

    @property
    def passes(self) -> int:
        """Count the passes for one window: those of all members, for every view."""
        return len(self.members) * len(self.views)

    @property
    def bounded(self) -> bool:
        """Whether every answer lies within [-1, 1], as known without loading it."""
        return not self.marks and all(is_bounded(member) for member in self.members)

    @property
    def marks(self) -> bool:
        """Whether answers may be NaN, and voxels become so."""
        return self.nonfinite == "mark"

    @property
    def scaling(self) -> Scaling | tuple[Scaling, ...]:
        """How the input is scaled: for an ensemble, for each of its members."""
        found = tuple(scaling_of(member) for member in self.members)
        return found if isinstance(self.model, Ensemble) else found[0]

    @property
    def needs_histogram(self) -> bool:
        """Whether a member's scaling depends on the volume."""
        return any(scaling_of(member).needs_histogram for member in self.members)

    @property
    def facts(self) -> dict[str, Any]:
        """What decides its answers: weights, card and precision, but not place or device."""
        seen: dict[str, Any] = {
            "window": list(self.window),
            "margin": list(self.margin),
            "channels": self.channels,
            **self._running.facts,
        }
        if self.views != (IDENTITY,):
            seen["views"] = [view.name for view in self.views]
            seen["offsets"] = [offset and list(offset) for offset in self.roles.offsets]
            seen["vectors"] = [list(vector) for vector in self.roles.vectors]
        if not isinstance(self.model, Ensemble):
            return {**member_facts(self.model, self.digests[0]), **seen}
        return {
            "members": list(map(member_facts, self.members, self.digests)),
            "shares": list(self.model.shares),
            "combine": self.model.combine,
            "deviation": self.model.deviation,
            **seen,
        }

    @property
    def origin(self) -> dict[str, Any]:
        """Where it lies, which its facts must not say."""
        if not isinstance(self.model, Ensemble):
            return {**member_origin(self.model), "device": self.device}
        members = [member_origin(member) for member in self.model.members]
        return {"members": members, "device": self.device}

    def predictor(self) -> Predictor:
        """Load or wrap the model, every member once per process."""
        members = tuple(map(self._loaded, self.members, self.digests))
        if not isinstance(self.model, Ensemble) and self.views == (IDENTITY,):
            return members[0]
        model = self.model if isinstance(self.model, Ensemble) else Ensemble(self.members)
        return ensemble_predictor(
            members,
            model.shares,
            views=self.views,
            roles=self.roles,
            combine=model.combine,
            deviation=model.deviation,
            margin=self.margin,
        )

    def batch_for(self, predictor: Predictor, channels: int) -> int:
        """Say how many windows go through a predictor of it together.

        Parameters
        ----------
        predictor : Predictor
            From :meth:`predictor`.
        channels : int
            Of the input.

        Returns
        -------
        int
            At least 1; tried once per process where ``batch`` is 0.
        """
        if self.batch:
            return self.batch
        from volkit.models.batch_size import best_batch

        return best_batch(predictor, self.window, channels)

    def _loaded(self, member: Model, digest: str) -> Predictor:
        if isinstance(member, Checkpoint):
            found: Predictor = load(
                member,
                self.device,
                self.precision,
                backend=self.backend,
                compile=self.compile,
                nonfinite=self.nonfinite,
                providers=self.providers,
            )
        else:
            found = wrapped(member, digest, self._running)
        if (limit := getattr(found, "limit", None)) is not None:
            limit.full = self.batch
        return found

    @property
    def _running(self) -> Running:
        return Running(
            self.device,
            self.precision,
            self.backend,
            self.compile,
            self.nonfinite,
            self.providers,
        )

    @property
    def _cards(self) -> list[Checkpoint]:
        return [member for member in self.members if isinstance(member, Checkpoint)]

    @property
    def _maps(self) -> int:
        return 2 if isinstance(self.model, Ensemble) and self.model.deviation else 1
