import pickle

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.models.views import FLIPS, FLIPS_AND_ROTATIONS, IDENTITY, View, views_of

WINDOW = np.random.default_rng(3).random((2, 3, 4, 5, 5))


def test_there_are_sixteen_ways_all_different_and_undone() -> None:
    seen = {view.apply(WINDOW).tobytes() for view in FLIPS_AND_ROTATIONS}
    assert len(seen) == 16
    assert len({view.apply(WINDOW).tobytes() for view in FLIPS}) == 8
    for view in FLIPS_AND_ROTATIONS:
        np.testing.assert_array_equal(view.undo(view.apply(WINDOW)), WINDOW)


@pytest.mark.parametrize("flipped", ["", "z", "y", "x", "zy", "zx", "yx", "zyx"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_name_means_flips_then_a_turn(flipped, turns) -> None:
    name = flipped + ("", "r90", "r180", "r270")[turns]
    view = views_of([name])[-1] if name not in ("", "yxr180") else IDENTITY
    expected = np.rot90(np.flip(WINDOW, ["zyx".index(a) - 3 for a in flipped]), turns, (-2, -1))
    np.testing.assert_array_equal(view.apply(WINDOW), expected)


def test_names_are_read_back() -> None:
    names = [view.name for view in FLIPS_AND_ROTATIONS]
    assert len(set(names)) == 16
    assert views_of(names) == FLIPS_AND_ROTATIONS
    assert pickle.loads(pickle.dumps(FLIPS_AND_ROTATIONS)) == FLIPS_AND_ROTATIONS


def test_tensors_are_turned_like_arrays() -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    for view in FLIPS_AND_ROTATIONS:
        turned = view.apply(torch.from_numpy(WINDOW))
        np.testing.assert_array_equal(turned.numpy(), view.apply(WINDOW))
        np.testing.assert_array_equal(view.undo(turned).numpy(), WINDOW)


def test_a_step_turns_with_its_voxels() -> None:
    here, step = (2, 1, 3), (-1, 2, -1)
    for view in FLIPS_AND_ROTATIONS:
        marked = np.zeros((4, 5, 5))
        marked[here], marked[tuple(np.add(here, step))] = 1, 2
        turned = view.apply(marked)
        found = np.argwhere(turned == 2)[0] - np.argwhere(turned == 1)[0]
        assert tuple(found) == view.turned(step), view.name


def test_the_window_as_it_is_always_counts_once() -> None:
    assert views_of([]) == views_of(["identity"]) == views_of("none") == (IDENTITY,)
    assert views_of(["x", "identity"]) == (IDENTITY, View((False, False, True)))


def test_unknown_names_are_refused_with_the_known() -> None:
    with pytest.raises(ConfigError, match="views 'all' is unknown; choose one of none, flips"):
        views_of("all")
    for name in ("", "xy", "r45", "r90x", "w"):
        with pytest.raises(ConfigError, match=f"view '{name}' is unknown; name the flipped axes"):
            views_of([name])
    with pytest.raises(ConfigError, match="hold yx twice"):
        views_of(["yx", "r180"])
    with pytest.raises(ConfigError, match="hold identity twice"):
        views_of(["yxr180"])
