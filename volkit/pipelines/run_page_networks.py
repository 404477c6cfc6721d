"""Networks on the page of a run: the card of each that answered, as far as it can still be read."""

from collections.abc import Iterator, Mapping
from typing import Any

from volkit.errors import VolkitError
from volkit.io.redaction import without_secrets
from volkit.markup import Html, element, facts, together
from volkit.models.card_facts import card_facts
from volkit.models.checkpoint import read_checkpoint

_TOLD = ("uri", "description", "licence", "training_data", "sha256")


def networks(told: Mapping[str, Any]) -> Iterator[Html]:
    """Show the networks of a run.

    The report of a run says which they were.  Where the card still lies there and is of the same
    weights, all that it says is shown; else what the report says.

    Parameters
    ----------
    told : mapping
        The report's ``run.json``.

    Yields
    ------
    Html
        One for each network.
    """
    for role, said in told.items():
        if isinstance(said, Mapping) and {"uri", "sha256", "identity"} <= {*said}:
            for number, one in enumerate(said.get("members") or [said], 1):
                name = role if not said.get("members") else f"{role}, member {number}"
                yield together(element("h3", name), _card(one))


def _card(said: Mapping[str, Any]) -> Html:
    """Show what the card says now, if it is that of the run."""
    rows = [(name.replace("_", " "), str(said.get(name) or "")) for name in _TOLD]
    try:
        card = read_checkpoint(str(said["uri"]))
    except (VolkitError, ImportError, KeyError) as error:
        note = f"Its card cannot be read here: {without_secrets(str(error))}"
        return together(facts(rows), element("p", note))
    if card.sha256 != said.get("sha256"):
        note = "What lies there now are other weights than those of the run."
        return together(facts(rows), element("p", note, class_="some"))
    return facts(card_facts(card))
