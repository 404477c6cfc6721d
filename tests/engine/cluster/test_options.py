"""The cluster section: what it means, and what is refused."""

from typing import Any

import pytest

from volkit.engine.cluster.options import ClusterOptions
from volkit.errors import ConfigError


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({}, "local"),
        ({"workers": 0}, "here"),
        ({"workers": 0, "gpus": 1}, "local"),
        ({"scheduler": "tcp://1.2.3.4:8786"}, "address"),
        ({"system": "here"}, "here"),
        ({"system": "slurm", "workers": 2, "memory_gib": 1}, "slurm"),
    ],
)
def test_the_system_follows_from_the_rest(keys: dict[str, Any], place: str) -> None:
    assert ClusterOptions(**keys).place == place


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"system": "slum"}, r"system 'slum' is unknown; did you mean slurm\?"),
        ({"system": "condor"}, "choose one of here, local, address, slurm"),
        ({"system": "slurm"}, "system slurm needs workers and memory_gib"),
        ({"system": "pbs", "workers": 0, "memory_gib": 1}, "0 workers and 0 gpus"),
        ({"system": "address"}, "an address belongs to `system: address`"),
        ({"system": "local", "scheduler": "tcp://a:1"}, "an address belongs to `system: address`"),
        ({"workers": -1}, "expected 0 or more workers"),
        ({"gpus": -1}, "gpus -1 must be at least 0"),
        ({"workers_per_job": 0}, "workers_per_job 0 must be at least 1"),
        ({"idle_minutes": 0.0}, r"idle_minutes 0\.0 must be above 0"),
        ({"system": "slurm", "walltime": "soon"}, "walltime 'soon': write HH:MM:SS"),
        ({"system": "slurm", "folder": "a b"}, "folder 'a b' has white space"),
        ({"system": "slurm", "scratch": "/x/$(id)"}, r"scratch .* give a plain folder"),
        ({"system": "slurm", "prologue": ("a\nb",)}, "give one line each"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any], message: str) -> None:
    jobs = {"workers": 1, "memory_gib": 1.0} if keys.get("system") == "slurm" else {}
    more = jobs if len(keys) > 1 else {}
    with pytest.raises(ConfigError, match=message):
        ClusterOptions(**{**more, **keys})


def test_workers_leave_before_their_walltime() -> None:
    jobs = {"system": "slurm", "workers": 1, "memory_gib": 1.0}
    assert ClusterOptions(**jobs).lifetime_seconds is None
    assert ClusterOptions(**jobs, walltime="01:00:00").lifetime_seconds == 55 * 60
    assert ClusterOptions(**jobs, walltime="00:04:00").lifetime_seconds == 30
