"""Absence: making sure that what an object store does not find is not there.

A gateway that answers 404 by mistake must not turn a chunk into zeros.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import obstore
from obstore.exceptions import BaseError

from volkit.io.faults import Fault, brief, classify
from volkit.io.objects.roots import StoreRoot


def make_sure(root: StoreRoot, path: str, error: FileNotFoundError) -> None:
    """Return if an object is surely not there, as the store said; ask its listing, if it has one.

    Parameters
    ----------
    root : StoreRoot
        The store.
    path : str
        Of the object in the store.
    error : FileNotFoundError
        What the store said.

    Raises
    ------
    FileNotFoundError
        If the store does not list, or does not let us: who says so three times is believed.
    ConnectionError
        If the listing says otherwise, or failed: ask again.
    """
    if not _asks(root, error):
        return
    folder, before = listing(path)
    try:
        for batch in obstore.list(root.store, folder, offset=before):
            if _reaches(path, batch):
                return
    except BaseError as failure:
        raise _unlisted(failure, error) from failure


async def make_sure_async(root: StoreRoot, path: str, error: FileNotFoundError) -> None:
    """Do as ``make_sure``, in a coroutine."""
    if not _asks(root, error):
        return
    folder, before = listing(path)
    try:
        async for batch in obstore.list(root.store, folder, offset=before):
            if _reaches(path, batch):
                return
    except BaseError as failure:
        raise _unlisted(failure, error) from failure


@contextmanager
def writing() -> Iterator[None]:
    """Take "not found" in answer to a write for a fault that passes; a missing bucket is not.

    Raises
    ------
    ConnectionError
        Instead of FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError as error:
        if classify(error) is not Fault.ABSENT:
            raise
        raise ConnectionError(f"a write was not found: {brief(error)}") from error


def listing(path: str) -> tuple[str | None, str]:
    """Give folder and offset of a listing whose first page holds a path, if anything does.

    Examples
    --------
    >>> listing("em.zarr/0/c/1"), listing("table")
    (('em.zarr/0/c', 'em.zarr/0/c/'), (None, 'tabl'))
    """
    return path.rpartition("/")[0] or None, path[:-1]


def _asks(root: StoreRoot, error: FileNotFoundError) -> bool:
    if root.remote and not root.lists:
        raise error
    return root.remote


def _reaches(path: str, batch: Sequence[Any]) -> bool:
    """Tell whether a part of a listing has come to a path, and passed it by."""
    found = next((each["path"] for each in batch if each["path"] >= path), None)
    if found == path:
        raise ConnectionError(f"{path} is listed, but was not found")
    return found is not None


def _unlisted(failure: BaseError, error: FileNotFoundError) -> Exception:
    """Say what a listing that failed means for an object that was not found."""
    fault = classify(failure)
    if fault is Fault.DENIED:
        return error
    if fault is Fault.ABSENT:  # a folder that is empty is listed as empty
        return ConnectionError(f"a listing was not found: {brief(failure)}")
    return failure
