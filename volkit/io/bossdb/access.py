"""Access: which service is meant, and as whom it is asked."""

import configparser
import os
from dataclasses import dataclass
from pathlib import Path

from volkit.errors import ConfigError
from volkit.io.bossdb.address import Address, plain_host
from volkit.io.credentials import Credentials, Secret, secret_text
from volkit.io.uris import split_scheme

PUBLIC = "public"  # the token that the service takes from everybody, for what is public
_SERVICE = "https://api.bossdb.io"
_CONFIG = Path("~/.intern/intern.cfg")
_VARIABLES = ("INTERN_PROTOCOL", "INTERN_HOST", "INTERN_TOKEN")


@dataclass(frozen=True, slots=True)
class Access:
    """Where to ask, and as whom.

    Parameters
    ----------
    host : str
        ``scheme://name[:port]``.
    token : Secret
        Never shown.
    found_in : str
        Which place the token came from, for messages.
    """

    host: str
    token: Secret
    found_in: str


def find_access(address: Address, credentials: Credentials | None) -> Access:
    """Decide whom to ask and as whom.

    The token is what ``credentials`` name, else that of ``~/.intern/intern.cfg``, else that of the
    ``INTERN_*`` variables, else the public one, as intern has it.  A configured token goes to the
    configured host only; another host in the address gets the public one.

    Parameters
    ----------
    address : Address
        Whose host is asked, if it says one.
    credentials : str, Secret or None
        ``profile:NAME`` names an identity in the object store of channels kept outside the
        service; the service itself is then asked as with None.

    Raises
    ------
    ConfigError
        If the configuration cannot be read, or a named token is not there.
    """
    configured = _from_file() or _from_environment()
    host = _host(address.host, configured)
    if credentials == "anonymous":
        return Access(host, Secret(PUBLIC), "credentials='anonymous'")
    explicit = secret_text(credentials)
    if explicit is not None:
        shown = credentials if isinstance(credentials, str) else "a Secret"
        return Access(host, Secret(_checked(explicit, shown)), f"credentials: {shown}")
    if configured is not None and configured.host == host:
        return configured
    why = "no token is configured" if configured is None else "the configured token is another's"
    return Access(host, Secret(PUBLIC), f"the public token was sent, since {why}")


def _host(said: str | None, configured: Access | None) -> str:
    if said is None:
        return _SERVICE if configured is None else configured.host
    if split_scheme(said)[0]:
        return said
    if configured is not None and split_scheme(configured.host)[1] == said:
        return configured.host
    return plain_host(f"https://{said}", uri=said)


def _from_file() -> Access | None:
    path = _CONFIG.expanduser()
    if not path.is_file():
        return None
    # Own messages throughout: those of configparser quote lines, and one of them is the token.
    try:
        parser = configparser.ConfigParser()
        parser.read(path, encoding="utf-8")
        sections = ("Volume Service", "Default")
        section = next(name for name in sections if parser.has_section(name))
        host, token = (_value(parser, section, key) for key in ("host", "token"))
        protocol = _value(parser, section, "protocol")
    except (OSError, UnicodeDecodeError, configparser.Error, StopIteration) as error:
        raise ConfigError(
            f"{_CONFIG} cannot be read ({type(error).__name__}); it needs a section [Default] with "
            "protocol, host and token: mend it, or remove it"
        ) from None
    return _configured(protocol, host, token, found_in=str(_CONFIG))


def _value(parser: configparser.ConfigParser, section: str, key: str) -> str:
    """Get a value as intern does; where that fails, a percent sign in it stands for itself."""
    try:
        return parser.get(section, key)
    except configparser.InterpolationError:
        return parser.get(section, key, raw=True)


def _from_environment() -> Access | None:
    protocol, host, token = (os.environ.get(name) for name in _VARIABLES)
    if protocol is None or host is None or token is None:
        return None
    return _configured(protocol, host, token, found_in="the variables INTERN_*")


def _configured(protocol: str, host: str, token: str, *, found_in: str) -> Access:
    name = split_scheme(host)[1] or host
    where = plain_host(f"{protocol.strip()}://{name.strip()}", uri=found_in)
    return Access(where, Secret(_checked(token, found_in)), found_in)


def _checked(token: str, found_in: str) -> str:
    """Refuse what cannot stand in a header, before a library repeats it in a message."""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise ConfigError(
            f"the token of {found_in} is empty or holds characters that no token has; put it there "
            "again"
        )
    return token
