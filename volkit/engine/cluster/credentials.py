"""Credentials of a cluster: a certificate authority of its own, thrown away once it has signed."""

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError, missing_extra

_FILES = ("ca.pem", "certificate.pem", "key.pem")
_VALID = timedelta(days=400)  # longer than any run
_NAME = "volkit-cluster"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What scheduler, workers and clients of one cluster show each other.

    Parameters
    ----------
    ca, certificate, key : str
        PEM: the authority, and what it signed.
    """

    ca: str
    certificate: str
    key: str = field(repr=False)

    @classmethod
    def fresh(cls) -> "Credentials":
        """Make an authority, let it sign one certificate, and forget its key.

        Raises
        ------
        MissingExtraError
            If the package cryptography is not installed.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.serialization import (
                Encoding,
                NoEncryption,
                PrivateFormat,
            )
        except ImportError:
            raise missing_extra("cryptography", "hpc") from None
        # Elliptic curves: a key takes a millisecond, an RSA key a noticeable part of the start.
        authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca = _signed(f"{_NAME}-ca", authority, f"{_NAME}-ca", authority, is_authority=True)
        leaf = _signed(_NAME, own, f"{_NAME}-ca", authority, is_authority=False)
        key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(ca, leaf, key.decode())

    @classmethod
    def read(cls, folder: Path) -> "Credentials":
        """Read what :meth:`write` left.

        Raises
        ------
        ConfigError
            If a file is missing, or others may read the key.
        """
        try:
            texts = [(folder / name).read_text(encoding="ascii") for name in _FILES]
            mode = (folder / _FILES[-1]).stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"tls {folder}: cannot read the credentials ({error}); give the folder with "
                f"{', '.join(_FILES)} of that cluster"
            ) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"tls {folder}: others may read {_FILES[-1]}, and with it use the cluster; "
                f"chmod 600 {folder / _FILES[-1]}"
            )
        return cls(*texts)

    def write(self, folder: Path) -> None:
        """Write three files that nobody else can read, into a folder that nobody else can enter."""
        private_folder(folder)
        for name, text in zip(_FILES, (self.ca, self.certificate, self.key), strict=True):
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)

    def security(self) -> Any:
        """Give them to distributed, in memory: no file, no command line.

        Returns
        -------
        distributed.Security
        """
        from distributed import Security

        roles = {
            f"tls_{role}_{kind}": text
            for role in ("client", "scheduler", "worker")
            for kind, text in (("cert", self.certificate), ("key", self.key))
        }
        return Security(require_encryption=True, tls_ca_file=self.ca, **roles)


def worker_arguments(folder: Path) -> dict[str, str]:
    """Name the files of a folder as the command line of a worker does."""
    options = ("--tls-ca-file", "--tls-cert", "--tls-key")
    return {key: str(folder / name) for key, name in zip(options, _FILES, strict=True)}


def private_folder(folder: Path) -> Path:
    """Make a folder that belongs to this user alone.

    Raises
    ------
    ConfigError
        If it is somebody else's, or others may enter it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder} ({error}); choose another") from error
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"{folder} must be yours and closed to others, since it holds credentials: "
            f"chmod 700 {folder}, or choose another"
        )
    return folder


def _signed(name: str, key: Any, issuer: str, issuer_key: Any, *, is_authority: bool) -> str:
    """Make a certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of nodes differ
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(issuer_key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()
