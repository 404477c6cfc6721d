import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.models.card import as_card, parse_card
from volkit.models.roles import Move, Roles
from volkit.models.views import FLIPS, FLIPS_AND_ROTATIONS, View, views_of
from volkit.testing.networks import Affinities, gradient

LABELS = np.random.default_rng(11).integers(1, 3, (1, 1, 7, 6, 6)).astype(np.float32)
NEAREST = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
CARD = {
    "weights": "net.safetensors",
    "sha256": "ab" * 32,
    "architecture": "meshnet",
    "channels": [1, 3],
    "window": [8, 8, 8],
}


@pytest.mark.parametrize("view", FLIPS_AND_ROTATIONS, ids=lambda view: view.name)
@pytest.mark.parametrize(
    "offsets",
    [
        NEAREST,
        ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
        (*NEAREST, (-3, 0, 0), (0, -4, 0), (0, 0, -4)),
        (*NEAREST, (1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((0, -2, -1), (0, -1, -2), (0, 2, -1), (0, -1, 2)),
    ],
)
def test_affinities_of_a_turned_window_are_those_of_the_window(view, offsets) -> None:
    network = Affinities(offsets)
    truth, seen = network(LABELS)[0], view.undo(network(view.apply(LABELS)))[0]
    shape = LABELS.shape[2:]
    for channel, move in enumerate(Roles(offsets).under(view, channels=len(offsets))):
        z, y, x = np.indices(shape)
        source = z + move.shift[0], y + move.shift[1], x + move.shift[2]
        inside = np.all([(s >= 0) & (s < n) for s, n in zip(source, shape, strict=True)], axis=0)
        got = seen[(move.channel, *(s[inside] for s in source))]
        np.testing.assert_array_equal(got, truth[channel][inside])


@pytest.mark.parametrize("view", FLIPS_AND_ROTATIONS, ids=lambda view: view.name)
def test_vectors_of_a_turned_window_are_those_of_the_window(view) -> None:
    image = np.random.default_rng(2).random((1, 1, 5, 6, 6), np.float32)
    truth, seen = gradient(image), view.undo(gradient(view.apply(image)))
    for channel, move in enumerate(Roles(vectors=((0, 1, 2),)).under(view, channels=3)):
        np.testing.assert_array_equal(move.sign * seen[:, move.channel], truth[:, channel])
        assert move.shift == (0, 0, 0)


def test_a_flip_shifts_by_the_offset_and_a_turn_swaps_channels() -> None:
    roles = Roles((*NEAREST, None))
    flip, quarter = views_of(["x", "r90"])[1:]
    assert roles.under(flip, channels=4) == (Move(0), Move(1), Move(2, shift=(0, 0, -1)), Move(3))
    # Turned from y to x, -y becomes -x, and -x becomes +y: the edge of -y, seen from its far end.
    assert roles.under(quarter, channels=4) == (
        Move(0),
        Move(2),
        Move(1, shift=(0, 0, -1)),
        Move(3),
    )


def test_channels_without_a_role_stay() -> None:
    for view in FLIPS_AND_ROTATIONS:
        assert Roles().under(view, channels=2) == (Move(0), Move(1))


def test_what_a_view_asks_for_must_be_there() -> None:
    turn = View((False, True, False), swapped=True)
    with pytest.raises(ConfigError, match=r"view r90 the affinity of offset \(0, 0, -9\) becomes"):
        Roles((None, (0, 0, -9))).under(turn, channels=2)
    with pytest.raises(ConfigError, match="the y component of the vector .* becomes that along x"):
        Roles(vectors=((None, 0, None),)).under(turn, channels=1)
    for view in FLIPS:
        Roles((None, (0, 0, -9))).under(view, channels=2)
    with pytest.raises(ConfigError, match="under the view x the affinity"):  # a diagonal alone
        Roles(((0, 1, 1),)).under(View((False, False, True)), channels=1)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"offsets": [[0, 0, 0], None, None]}, r"hold \(0, 0, 0\), or one of them twice"),
        ({"offsets": [[0, 0, 1], [0, 0, 1], None]}, "or one of them twice"),
        ({"offsets": [[0, 0, 1]]}, "1 offsets for 3 output channels; give one to each"),
        ({"vectors": [[0, 1, 3]]}, r"name the channels \[3\], there are 3"),
        ({"vectors": [[0, 1, 1]]}, r"channels \[1\] have two roles"),
        ({"vectors": [[0, 1, 2]], "offsets": [None, None, [0, 0, 1]]}, r"channels \[2\] have two"),
    ],
)
def test_roles_that_cannot_be_are_refused_by_the_card(roles, message) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_card(CARD | roles)


def test_vectors_of_probabilities_are_refused() -> None:
    with pytest.raises(ConfigError, match="under the activation 'sigmoid' cannot point backwards"):
        parse_card(CARD | {"vectors": [[0, 1, 2]], "activation": "sigmoid"})


def test_a_card_keeps_its_roles() -> None:
    card = parse_card(CARD | {"offsets": [*map(list, NEAREST)]}, "net.yaml")
    assert card.roles == Roles(NEAREST)
    assert parse_card(as_card(card), "net.yaml") == card
    # Roles do not change what a network answers: old cards keep their identity.
    assert card.identity == parse_card(CARD, "net.yaml").identity
