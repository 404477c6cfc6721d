"""Folders of clusters: kept for a month after the last sign of life, then removed."""

import os
import time
from pathlib import Path

import pytest

from volkit.engine.cluster.home import cluster_home, prune
from volkit.errors import ConfigError

DAY = 86400.0


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "clusters"
    folder.mkdir(mode=0o700)
    return folder


def left_behind(base: Path, name: str, *, days_ago: float, log_days_ago: float) -> Path:
    """Make what a cluster leaves that was killed: credentials, too."""
    folder = base / name
    for path, days in (("logs/7.err", log_days_ago), ("tls/key.pem", days_ago)):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("x")
        then = time.time() - days * DAY
        os.utime(folder / path, (then, then))
    then = time.time() - days_ago * DAY
    os.utime(folder, (then, then))
    return folder


def test_only_folders_without_a_sign_of_life_for_a_month_are_removed(base: Path) -> None:
    old = left_behind(base, "cluster-old", days_ago=40, log_days_ago=31)
    logging = left_behind(base, "cluster-logging", days_ago=40, log_days_ago=1)
    recent = left_behind(base, "cluster-recent", days_ago=29, log_days_ago=29)
    other = left_behind(base, "mine", days_ago=400, log_days_ago=400)
    (base / "cluster-link").symlink_to(other, target_is_directory=True)
    with cluster_home(base) as folder:
        assert not old.exists()
        assert folder.parent == base
        assert folder.stat().st_mode & 0o777 == 0o700
    assert {p.name for p in base.iterdir()} == {
        *("cluster-logging", "cluster-recent", "cluster-link", "mine", folder.name)
    }
    assert (logging / "logs/7.err").exists()
    assert (recent / "tls/key.pem").exists()
    assert (other / "tls/key.pem").exists()


def test_a_cluster_that_goes_on_for_long_is_not_removed_by_the_next(base: Path) -> None:
    now = time.time() + 45 * DAY
    with cluster_home(base, clock=lambda: now) as going_on:
        assert prune(base, now=now + 29 * DAY) == []
        (going_on / "tls").mkdir()
    assert (going_on / "logs").is_dir()
    assert not (going_on / "tls").exists()
    assert prune(base, now=now + 29 * DAY) == []
    with cluster_home(base, clock=lambda: now + 31 * DAY) as following:
        assert not going_on.exists()
        assert following.exists()


def test_a_folder_that_others_may_enter_is_neither_used_nor_pruned(base: Path) -> None:
    old = left_behind(base, "cluster-old", days_ago=40, log_days_ago=40)
    base.chmod(0o755)
    with pytest.raises(ConfigError, match="closed to others"), cluster_home(base):
        pass
    assert old.exists()
