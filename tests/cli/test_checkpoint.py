"""The command checkpoint list: every model that ships, as cards say it."""

import json
from collections.abc import Callable

from volkit.models.checkpoint import read_checkpoint
from volkit.models.location import builtin_names

Says = Callable[..., str]


def test_every_model_that_ships_is_listed(says: Says) -> None:
    lines = says("checkpoint", "list").splitlines()
    begun = [line.split()[0] for line in lines if line.startswith("builtin:")]
    assert begun == [f"builtin:{name}" for name in builtin_names()]
    assert "builtin:boundaries-fib25" in begun
    row = next(line for line in lines if line.startswith("builtin:boundaries-fib25"))
    assert "residual_unet3d  10 x 10 x 10 nm" in row


def test_json_can_be_opened_again(says: Says) -> None:
    for row in json.loads(says("checkpoint", "list", "--json")):
        card = read_checkpoint(row["checkpoint"])
        assert (card.architecture, card.description) == (row["architecture"], row["description"])
