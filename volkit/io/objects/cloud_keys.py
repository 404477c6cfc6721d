"""Keys of clouds: where those of S3 come from, read where a store is opened and kept nowhere."""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError, missing_extra
from volkit.io.credentials import Credentials, Secret, secret_text

# Variables by which a machine or a pod gets its keys from a service; obstore follows them itself.
_ROLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True, slots=True)
class S3Keys:
    """What signs requests to S3, and what its origin says of the store.

    Parameters
    ----------
    origin : str
        Where they were found, for messages.
    key, secret, token : str
        Empty where requests are not signed, or obstore finds the keys itself.
    region, endpoint : str
        Of the profile; empty where it does not say.
    anonymous : bool
        Whether requests are not signed.
    """

    origin: str
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    region: str = ""
    endpoint: str = ""
    anonymous: bool = False


def s3_keys(credentials: Credentials | None) -> S3Keys:
    """Find the keys that credentials name.

    Parameters
    ----------
    credentials : str, Secret or None
        ``anonymous``; ``profile:NAME`` of the files in ``~/.aws``; ``env:NAME``, ``file:PATH`` or
        a Secret that hold ``KEY:SECRET`` or ``KEY:SECRET:TOKEN``.  None takes the variables
        ``AWS_*``, else the default profile, else no keys: what is public can then be read.

    Raises
    ------
    ConfigError
        If they name keys that are not there.
    MissingExtraError
        If a profile needs boto3, as for single sign-on, and that is not installed.
    """
    if credentials == "anonymous":
        return S3Keys("credentials='anonymous'", anonymous=True)
    if isinstance(credentials, str) and credentials.startswith("profile:"):
        return _of_profile(credentials.partition(":")[2])
    if credentials is not None:
        return _of_text(credentials)
    if os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"):
        return S3Keys(
            "the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            os.environ.get("AWS_SESSION_TOKEN", ""),
        )
    role = next((name for name in _ROLES if os.environ.get(name)), None)
    if role is not None:
        return S3Keys(f"the variable {role}")
    name = os.environ.get("AWS_PROFILE", "default")
    if name != "default" or _profile("default"):
        return _of_profile(name)
    return S3Keys("no credentials, which suffices for what is public", anonymous=True)


def _of_text(credentials: Credentials) -> S3Keys:
    shown = "Secret(...)" if isinstance(credentials, Secret) else credentials
    parts = (secret_text(credentials) or "").split(":", 2)
    if len(parts) < 2 or not all(parts):
        raise ConfigError(
            f"credentials {shown}: expected KEY:SECRET or KEY:SECRET:TOKEN of S3 there; or use "
            "profile:NAME"
        )
    token = parts[2] if len(parts) == 3 else ""
    return S3Keys(f"credentials {shown}", parts[0], parts[1], token)


def _of_profile(name: str) -> S3Keys:
    """Read a profile from ``~/.aws``, or through boto3 where its keys must be fetched."""
    found = _profile(name)
    if not found:
        raise ConfigError(
            f"credentials 'profile:{name}': {_file('config')} and {_file('credentials')} have no "
            "such profile; check its name, or make it with 'aws configure'"
        )
    origin = f"the profile {name} of {_file('credentials').parent}"
    region, endpoint = found.get("region", ""), found.get("endpoint_url", "")
    key, secret = found.get("aws_access_key_id", ""), found.get("aws_secret_access_key", "")
    token = found.get("aws_session_token", "")
    if not (key and secret):
        key, secret, token = _fetched(name)
    return S3Keys(origin, key, secret, token, region, endpoint)


def _fetched(name: str) -> tuple[str, str, str]:
    """Let boto3 fetch the keys of a profile: roles, single sign-on, credential processes."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise missing_extra("boto3", "cloud") from error
    try:
        found = boto3.Session(profile_name=name).get_credentials()
        keys = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise ConfigError(
            f"credentials 'profile:{name}': no keys can be fetched ({type(error).__name__}); log "
            "in again, or check the profile"
        ) from None
    if keys is None or not keys.access_key or not keys.secret_key:
        raise ConfigError(
            f"credentials 'profile:{name}': the profile has no keys; run 'aws configure' or log in"
        )
    return keys.access_key, keys.secret_key, keys.token or ""


def _profile(name: str) -> Mapping[str, str]:
    """Merge what the two files of AWS say of a profile; empty where there is none."""
    found: dict[str, str] = {}
    for file, section in (
        ("config", name if name == "default" else f"profile {name}"),
        ("credentials", name),
    ):
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(_file(file), encoding="utf-8")
        except (Error, OSError, UnicodeError) as error:
            raise ConfigError(
                f"{_file(file)} cannot be read ({type(error).__name__}); mend it, or name other "
                "credentials"
            ) from None
        if parser.has_section(section):
            found |= dict(parser[section])
    return found


def _file(kind: str) -> Path:
    variable = {"config": "AWS_CONFIG_FILE", "credentials": "AWS_SHARED_CREDENTIALS_FILE"}[kind]
    return Path(os.environ.get(variable) or Path.home() / ".aws" / kind)
