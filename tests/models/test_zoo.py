"""What ships: cards that say enough, weights that are small and theirs."""

import hashlib

import pytest

from volkit.models import location
from volkit.models.checkpoint import load, read_checkpoint

PUBLISHED = ("n4-fib25", "vd2d-fib25", "vd2d3d-fib25")
FIB25 = ("affinities-fib25", "boundaries-fib25", *PUBLISHED)
NAMES = (*FIB25, "boundaries-specimen")
LARGEST_BYTES = 3_000_000


@pytest.mark.parametrize("name", NAMES)
def test_card_says_what_people_need(name) -> None:
    card = read_checkpoint(f"builtin:{name}")
    for text in (card.description, card.training_data, card.attribution):
        assert len(text) > 20
    assert card.licence != "unknown"
    assert "boundary" in card.classes or len(card.offsets) == card.channels[1]
    assert card.activation == ("softmax" if name in PUBLISHED else "sigmoid")
    assert card.voxel_size_nm is not None


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_belong_to_the_card(name) -> None:
    card = read_checkpoint(f"builtin:{name}")
    data = location.read_bytes(card.weights_uri)
    assert len(data) < LARGEST_BYTES
    assert hashlib.sha256(data).hexdigest() == card.sha256
    assert load(card, device="cpu").channels == card.channels


def test_affinities_of_neighbours_come_first() -> None:
    card = read_checkpoint("builtin:affinities-fib25")
    assert card.offsets[:3] == ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
    assert len(card.offsets) == 9


@pytest.mark.parametrize("name", FIB25)
def test_fib25_names_its_source(name) -> None:
    card = read_checkpoint(f"builtin:{name}")
    assert "CC" in card.licence
    for word in ("FIB-25", "Janelia", "neuroproof_examples"):
        assert word in card.attribution
    assert "mapped to bodies" in card.training_data


def test_recursive_networks_fit_each_other() -> None:
    """The second one sees the image as the first one's card scales it, and its map."""
    first, second = (read_checkpoint(f"builtin:{name}") for name in PUBLISHED[1:])
    assert (first.channels, second.channels) == ((1, 2), (2, 2))
    assert (first.scaling.kind, second.scaling.kind) == ("moments", "none")
    assert first.classes == second.classes == ("interior", "boundary")
