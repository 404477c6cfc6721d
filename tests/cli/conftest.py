"""Commands as tests run them: in this process, and what they print."""

from collections.abc import Callable

import pytest

from volkit.cli import main

_DIFFERS = 3  # of commands that found something, and print it


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Run a command: what it prints, and what it says beside that or of its error."""

    def run(*arguments: object, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert ended.value.code == code, captured
        assert "Traceback" not in captured.err
        return captured.out, captured.err

    return run


@pytest.fixture
def says(ran: Callable[..., tuple[str, str]]) -> Callable[..., str]:
    """Run a command: what it prints, or what it says of its error."""

    def run(*arguments: object, code: int = 0) -> str:
        out, err = ran(*arguments, code=code)
        return out if code in (0, _DIFFERS) else err

    return run


@pytest.fixture
def tells(ran: Callable[..., tuple[str, str]]) -> Callable[..., str]:
    """Run a command: all that a person sees, white space made one."""

    def run(*arguments: object, code: int = 0) -> str:
        return " ".join("".join(ran(*arguments, code=code)).split())

    return run
