"""Seals: a digest inside a file of the whole file, so that no byte of it changes unnoticed."""

import hashlib

SEAL = "volkit_sha256"
BLANK = "0" * 64

# Behind the key, Parquet writes the type of the next field and its length, 64, and then the value.
_MARK = SEAL.encode() + b"\x18\x40"


def seal(data: bytes) -> bytes:
    """Put the digest of a Parquet file where its metadata hold a blank one.

    Parameters
    ----------
    data : bytes
        A file whose key-value metadata have ``SEAL: BLANK``.

    Returns
    -------
    bytes
        The file with the digest of the file that has the blank.
    """
    start = data.rindex(_MARK) + len(_MARK)
    return data[:start] + digest(data).encode() + data[start + len(BLANK) :]


def is_sealed(data: bytes) -> bool:
    """Tell whether a Parquet file has a seal."""
    return _MARK in data


def is_whole(data: bytes) -> bool:
    """Tell whether a file is the one that was sealed."""
    start = data.rindex(_MARK) + len(_MARK)
    stop = start + len(BLANK)
    return digest(data[:start] + BLANK.encode() + data[stop:]) == data[start:stop].decode("latin1")


def digest(*parts: bytes | memoryview) -> str:
    """Give the SHA-256 of bytes, 64 hexadecimal digits; arrays by their ``data``, uncopied."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()
