"""Redaction: text that is kept or shown, without the secrets that somebody may have put into it."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HIDDEN = "***"

_SECRET = r"(?:token|secret|password|passwd|pwd|key|signature|authorization)"
_NAMED = re.compile(
    rf"""([\w.\-]*{_SECRET}["']?\s*[=:]\s*)((?P<quote>["']).*?(?P=quote)|[^\s"'&,;}}\]]+)""",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"--?[\w\-]*{_SECRET}", re.IGNORECASE)
_VARIABLE = re.compile(rf"{_SECRET}$", re.IGNORECASE)
_REFERENCE = r"anonymous|env:|file:|profile:|null|none|Secret\(\)"
_CREDENTIALS = re.compile(
    rf"""(credentials?["']?\s*[=:]\s*["']?)(?!{_REFERENCE})[^\s"'&,;}}\]]+""", re.IGNORECASE
)
_USER = re.compile(r"://[^/\s]*@")
_HEADER = re.compile(r"\b(bearer|basic|token)\s+[\w.~+/=\-]{8,}", re.IGNORECASE)
# Tokens that can be known by their shape: JWT, AWS, GitHub, Hugging Face, Slack, Google.
_SHAPES = re.compile(
    r"\beyJ[\w\-]{8,}\.[\w\-]+\.[\w\-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20,}"
    r"|\bgithub_pat_\w{20,}|\bhf_\w{20,}|\bxox[abprs]-[\w\-]{10,}|\bAIza[\w\-]{35}"
)
_FOLDERS = ("PWD", "OLDPWD")  # of every shell: where it is, and was; no passwords
_SHORTEST = 8  # characters of a variable's value that is looked for: shorter ones stand in words


def without_secrets(text: str) -> str:
    """Hide what looks like a secret, and the values of variables that are named like one.

    Parameters
    ----------
    text : str
        A URI, a setting, a message.

    Returns
    -------
    str
        With ``***`` in place of secrets; names of variables and files that hold them are kept.

    Examples
    --------
    >>> without_secrets("https://me:pass@host/em.zarr?token=abc&level=2")
    'https://host/em.zarr?token=***&level=2'
    >>> without_secrets("input.credentials=env:BOSS_TOKEN"), without_secrets("credentials: abc")
    ('input.credentials=env:BOSS_TOKEN', 'credentials: ***')
    """
    for value in _values():
        text = text.replace(value, HIDDEN)
    text = _USER.sub("://", text)
    text = _HEADER.sub(rf"\1 {HIDDEN}", text)
    text = _SHAPES.sub(HIDDEN, text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    return _CREDENTIALS.sub(rf"\1{HIDDEN}", text)


def redacted(tree: Any) -> Any:
    """Hide secrets in JSON: in its text, and behind keys that are named like one.

    Parameters
    ----------
    tree : object
        Mappings, sequences and scalars.

    Returns
    -------
    object
        The same, as dicts and lists.

    Examples
    --------
    >>> redacted({"boss": {"token": "abc", "host": "api"}, "key": 3})
    {'boss': {'token': '***', 'host': 'api'}, 'key': 3}
    """
    if isinstance(tree, Mapping):
        return {
            key: HIDDEN
            if isinstance(value, str) and _VARIABLE.search(str(key))
            else redacted(value)
            for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [redacted(value) for value in tree]
    return without_secrets(tree) if isinstance(tree, str) else tree


def command_line(arguments: Sequence[str]) -> str:
    """Write a command as it can be typed again, without secrets.

    Parameters
    ----------
    arguments : sequence of str
        The program and what it was given.

    Returns
    -------
    str

    Examples
    --------
    >>> command_line(["volkit", "run", "my em.yaml", "--token", "abc", "--set", "a.key=1"])
    "volkit run 'my em.yaml' --token *** --set a.key=***"
    """
    shown: list[str] = []
    hide = False
    for argument in arguments:
        shown.append(HIDDEN if hide else _quoted(without_secrets(argument)))
        hide = _OPTION.fullmatch(argument) is not None
    return " ".join(shown)


def _quoted(argument: str) -> str:
    quoted = shlex.quote(argument)
    bare = HIDDEN in argument and quoted == f"'{argument}'" and " " not in argument
    return argument if bare else quoted


def _values() -> Iterator[str]:
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and name not in _FOLDERS and len(value) >= _SHORTEST:
            yield value
