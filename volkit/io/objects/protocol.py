"""Objects: small files of bytes under keys, in a folder or an object store, written whole."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from volkit.errors import SourceError
from volkit.io.faults import CorruptPayloadError
from volkit.io.sources import OpenOptions
from volkit.io.uris import join_query, local_path, split_query, split_scheme


class Objects(Protocol):
    """Bytes under keys such as ``ledger/3.json``; it may be used from several threads at once."""

    @property
    def uri(self) -> str:
        """Where they lie."""

    def get(self, key: str) -> bytes | None:
        """Fetch an object; None where there is none, of which has been made sure.

        Raises
        ------
        SourceError
            If the store keeps failing or refuses.
        """

    def put(self, key: str, data: bytes, *, create: bool = False, lasting: bool = True) -> bool:
        """Store an object, whole or not at all.

        Parameters
        ----------
        key : str
            Its name.
        data : bytes
            What it shall hold.
        create : bool
            Leave an object alone that is there already: of several writers, one succeeds.
        lasting : bool
            Wait until it is on the disk.  Without, all see it at once, and it outlives its writer,
            but after a power failure it may be there in part until ``settle`` has returned.

        Returns
        -------
        bool
            Whether it was stored; False only where ``create`` and the key is there.

        Raises
        ------
        SourceError
            If the store keeps failing or refuses; what was there before is kept.
        """

    def settle(self, keys: Iterable[str]) -> None:
        """Wait until objects are on the disk that were put without waiting for it.

        Raises
        ------
        SourceError
            If one is not there any more, or cannot be brought there.
        """

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Iterate the keys that begin with ``prefix``, sorted.

        Raises
        ------
        SourceError
            If the store cannot be listed.
        """

    def stamps(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Iterate the same keys, each with a word that changes when its object is written.

        A store tells the words of many objects in one answer; they may be others than those of
        ``modified``.

        Raises
        ------
        SourceError
            If the store cannot be listed.
        """

    def delete(self, key: str) -> None:
        """Delete an object, if it is there.

        Raises
        ------
        SourceError
            If the store keeps failing or refuses.
        """

    def delete_all(self, prefix: str = "") -> None:
        """Delete every object whose key begins with ``prefix``.

        Raises
        ------
        SourceError
            If the store keeps failing or refuses.
        """

    def modified(self, key: str) -> str | None:
        """Give a word that changes when the object is written; None where there is none.

        Raises
        ------
        SourceError
            If the store keeps failing or refuses.
        """


def open_objects(uri: str | Path, options: OpenOptions | None = None) -> Objects:
    """Open a place for objects; nothing is read or created by that.

    Parameters
    ----------
    uri : str or Path
        Local folder, ``memory://name`` (of this process), ``s3://``, ``gs://``, ``az://``,
        ``http(s)://`` (to read), or a URL of fsspec.
    options : OpenOptions or None
        Credentials and patience.

    Returns
    -------
    Objects

    Raises
    ------
    SourceError
        If the URL is not understood.
    ConfigError
        If the credentials are not there.

    Examples
    --------
    >>> objects = open_objects("memory://leases")
    >>> objects.put("lease", b"mine", create=True), objects.put("lease", b"too", create=True)
    (True, False)
    >>> objects.get("lease"), objects.get("nothing"), list(objects.keys())
    (b'mine', None, ['lease'])
    """
    uri = os.fspath(uri)
    how = OpenOptions() if options is None else options
    path = local_path(uri)
    if path is not None:
        from volkit.io.objects.folder import FolderObjects

        return FolderObjects(uri, path, how.patience)
    from volkit.io.objects.roots import SCHEMES, open_root

    if split_scheme(uri)[0] in SCHEMES:
        from volkit.io.objects.store import StoreObjects

        return StoreObjects(open_root(uri, how), how.patience)
    from volkit.io.objects.fsspec_folder import FsspecObjects

    return FsspecObjects(uri, how.patience)


def split_object(uri: str | Path) -> tuple[str, str]:
    """Split the URI of one object into the place and the key; settings stay with the place.

    Examples
    --------
    >>> split_object("s3://bucket/run/points.csv?region=eu-central-1")
    ('s3://bucket/run?region=eu-central-1', 'points.csv')
    >>> split_object("points.csv"), split_object("/points.csv"), split_object("memory://points.csv")
    (('.', 'points.csv'), ('/', 'points.csv'), ('memory://', 'points.csv'))
    """
    text = os.fspath(uri)
    path = local_path(text)
    if path is not None:
        return str(path.parent), path.name
    place, query = split_query(text)
    head, _, name = place.rpartition("/")
    return join_query(f"{head}{'/' if head.endswith('/') else ''}", query), name


def check_key(uri: str, key: str) -> str:
    """Refuse a key that is empty, or leaves its place.

    Raises
    ------
    SourceError
        If it does.
    """
    if not key or any(part in ("", ".", "..") for part in key.split("/")):
        raise SourceError(
            f"{uri}: the key {key!r} does not name an object; give names between slashes, such as "
            "ledger/3.json"
        )
    return key


_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


def verdict(answers: Sequence[tuple[bytes, str | None]]) -> bytes | None:
    """Decide whether what arrived is what is stored; nothing else vouches for small objects.

    S3 and its like tag what was put in one piece with its MD5, unless it is encrypted with a key
    of its own.  Without such a tag two equal answers are believed; against it, three.

    Parameters
    ----------
    answers : sequence of (bytes, str or None)
        What arrived so far, and the tag that came along.

    Returns
    -------
    bytes or None
        The content; None to ask once more.

    Raises
    ------
    CorruptPayloadError
        If the answers differ.

    Examples
    --------
    >>> verdict([(b"a", '"0cc175b9c0f1b6a831c399e269772661"')])
    b'a'
    >>> verdict([(b"a", None)]), verdict([(b"a", None), (b"a", None)])
    (None, b'a')
    """
    data, tag = answers[-1]
    found = _MD5.fullmatch(tag or "")
    if found and hashlib.md5(data, usedforsecurity=False).hexdigest() == found[1]:
        return data
    if len(answers) < (3 if found else 2):
        return None
    if len({each for each, _ in answers}) > 1:
        raise CorruptPayloadError("several answers differ")
    return data
