"""The page of a model: its card, readable by whoever wants to know whether to use it."""

from volkit.markup import element, facts
from volkit.models.card import Checkpoint
from volkit.models.card_facts import card_facts
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import section

_INTENDED = ("what it is", "version", "licence", "attribution", "trained on", "voxel size")


def card_page(card: Checkpoint) -> str:
    """Write the card of a model as one file of HTML.

    Parameters
    ----------
    card : Checkpoint
        Any.

    Returns
    -------
    str
    """
    rows = card_facts(card)
    unknown = [name for name, value in rows if name in _INTENDED and value in ("", "unknown")]
    note = f"Its card does not say: {', '.join(unknown)}." if unknown else ""
    return document(
        f"Model {card.uri.rpartition('/')[2] or card.architecture}",
        section("What it is for", facts([row for row in rows if row[0] in _INTENDED])),
        section("What the card leaves open", element("p", note) if note else ""),
        section("How it works", facts([row for row in rows if row[0] not in _INTENDED])),
    )
