"""Fixtures of the tests of BossDB: a server on loopback, and a home without configuration."""

from collections.abc import Iterator
from itertools import count

import pytest

from volkit.io.faults import Patience
from volkit.io.registry import forget_opened
from volkit.testing.servers.boss import BossServer

_NUMBERS = count()


@pytest.fixture(scope="module", autouse=True)
def _no_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's own configuration of intern out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("INTERN_PROTOCOL", "INTERN_HOST", "INTERN_TOKEN"):
            patch.delenv(name, raising=False)
        yield
    forget_opened()


@pytest.fixture(scope="module")
def server() -> Iterator[BossServer]:
    """A server that takes everybody."""
    with BossServer() as running:
        yield running


@pytest.fixture
def name() -> str:
    """A channel that no other test has, on whatever port: caches know channels by their names."""
    return f"col{next(_NUMBERS)}/exp/em"


@pytest.fixture
def patience() -> Patience:
    """Ask again at once, and not for long."""
    return Patience(first_wait_seconds=0.001, most_wait_seconds=0.01, deadline_seconds=20)
