"""Decisions: what each sign does to call, reasons, review and priority."""

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.kernels.stall_decision import CALLS, REASONS, DecisionRule, decide, reason_names

RULE = DecisionRule(threshold=0.7, margin=0.1)


def one(p: float, **signs):
    found = decide(np.array([p]), {k: np.array([v]) for k, v in signs.items()}, RULE)
    return CALLS[found.call[0]], reason_names(found.reason[0]), bool(found.review[0])


@pytest.mark.parametrize(
    ("p", "signs", "expected"),
    [
        (0.9, {}, ("stalled", (), False)),
        (0.1, {}, ("flowing", (), False)),
        (0.65, {}, ("undecided", ("near_threshold",), True)),
        (0.7, {"mc_std": 0.3}, ("undecided", ("near_threshold", "high_mc_std"), True)),
        (0.9, {"mc_std": 0.3}, ("undecided", ("high_mc_std",), True)),
        (0.1, {"fold_std": 0.3}, ("undecided", ("fold_disagreement",), True)),
        (0.1, {"touches_border": True}, ("flowing", ("border",), False)),
        (0.9, {"touches_border": True}, ("stalled", ("border",), True)),
        (0.1, {"n_frames": 2}, ("flowing", ("roi_too_small",), False)),
        (0.9, {"n_frames": 2}, ("undecided", ("roi_too_small",), True)),
        (0.1, {"snr": 0.2}, ("flowing", ("low_snr",), True)),
        (0.1, {"contour_found": False}, ("undecided", ("no_contour",), True)),
        (0.9, {"mutual_info": 0.4}, ("stalled", ("out_of_distribution",), True)),
        (0.9, {"mc_std": np.nan, "snr": np.nan}, ("stalled", (), False)),
    ],
)
def test_each_sign_does_what_it_says(p, signs, expected) -> None:
    assert one(p, **signs) == expected


def test_bits_are_the_published_order() -> None:
    assert REASONS[0] == "near_threshold"
    assert reason_names(0b100000001) == ("near_threshold", "out_of_distribution")
    rule = DecisionRule(most_voxels=10, intensity=(5.0, 9.0))
    signs = {"n_voxels_roi": np.array([11.0, 9.0]), "mean_intensity": np.array([6.0, 12.0])}
    found = decide(np.array([0.9, 0.9]), signs, rule)
    assert found.reason.tolist() == [1 << 5, 1 << 8]


def test_what_is_nearest_to_the_threshold_or_least_certain_comes_first() -> None:
    p = np.array([0.62, 0.69, 0.2, 0.2, 0.05])
    found = decide(p, {"mc_std": np.array([0, 0, 0.2, 0.45, 0])}, RULE)
    assert found.priority[4] == 0
    assert not found.review[4]
    assert found.priority[1] > found.priority[0]
    assert found.priority[3] > found.priority[2] > 0
    assert found.priority.max() <= 1


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError, match="give a threshold between 0 and 1"):
        DecisionRule(threshold=1.5)
    with pytest.raises(ContractError, match="predict the segments first"):
        decide(np.array([np.nan]), {}, RULE)
