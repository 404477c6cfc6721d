"""What the channels of heat maps are, and above what their peaks count, for ``pick_particles``."""

from collections.abc import Mapping

from volkit.errors import ConfigError
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble
from volkit.ops.particle_options import PickOptions
from volkit.pipelines.pick_particles_config import PickParticles

_UNSTATED = 0.5


def pick_options(config: PickParticles, model: Checkpoint | Ensemble | None) -> PickOptions:
    """Say what counts as a particle: by the workflow, and by the cards of its networks.

    Parameters
    ----------
    config : PickParticles
        The workflow.
    model : Checkpoint, Ensemble or None
        The network; None where heat maps are stored.

    Returns
    -------
    PickOptions

    Raises
    ------
    ConfigError
        If nothing says what the channels are, two say it differently, or options name classes
        that the network has not.
    """
    cards = model.checkpoints if isinstance(model, Ensemble) else (model,)
    known = [card for card in cards if card is not None]
    told = config.pick
    return PickOptions(
        _classes(known, config),
        threshold=_threshold(known, config),
        kernel=told.kernel,
        refine=told.refine,
        exclusion_nm=told.exclusion_nm,
        across_classes=told.across_classes,
        target_offset=told.target_offset,
    )


def _classes(cards: list[Checkpoint], config: PickParticles) -> tuple[str, ...]:
    stated = next((card.classes for card in cards if card.classes), ())
    if stated and config.classes and stated != config.classes:
        raise ConfigError(
            f"classes are {', '.join(config.classes)}, the card says {', '.join(stated)}; leave "
            "classes out"
        )
    if not (stated or config.classes):
        raise ConfigError(
            "classes are missing: nothing says what the channels of the heat maps are; give "
            "their names in order"
        )
    return stated or config.classes


def _threshold(cards: list[Checkpoint], config: PickParticles) -> float | Mapping[str, float]:
    """Take what the workflow says, or else the card; best thresholds of a mean nobody has found."""
    if config.pick.threshold is not None:
        return config.pick.threshold
    stated = [dict(card.thresholds) for card in cards]
    if not any(stated):
        return _UNSTATED
    if any(each != stated[0] for each in stated):
        raise ConfigError(
            "pick.threshold is missing: the cards of the ensemble state different thresholds, and "
            "those of the mean of their answers follow from none of them; give a threshold"
        )
    return stated[0]
