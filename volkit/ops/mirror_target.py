"""Targets of mirrors: where a copy lies, what it says of its source, and whether it is stale."""

from typing import Any

from volkit.engine.fingerprint import Facts, changes, fingerprint
from volkit.engine.ledger import Ledger
from volkit.engine.origin import public_uri
from volkit.errors import SourceError, StaleLedgerError
from volkit.io.labels import holds_labels
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.io.stated_size import size_attributes
from volkit.io.uris import split_scheme
from volkit.io.volume import Volume
from volkit.io.zarr.store import remove_drafts
from volkit.ops.mirror_plan import MirrorPlan


def target_place(target: str, options: OpenOptions) -> Place:
    """Find the folder of a copy.

    Parameters
    ----------
    target : str
        URI of a zarr or a precomputed layer.
    options : OpenOptions
        How to reach it.

    Raises
    ------
    SourceError
        If mirrors cannot be stored there.

    Examples
    --------
    >>> target_place("precomputed://s3://bucket/em", OpenOptions()).beside(".mirror").uri
    's3://bucket/em.mirror'
    """
    scheme, rest = split_scheme(target)
    if scheme in ("bossdb", "http", "https", "array"):
        raise SourceError(
            f"a mirror cannot be stored at {target}; choose a path or the URL of an object store, "
            "such as em.zarr, s3://bucket/em.zarr or precomputed://s3://bucket/em"
        )
    return Place(rest if scheme == "precomputed" else target, options)


def prepare_target(
    target: Volume,
    source: Volume,
    plan: MirrorPlan,
    *,
    ledger: Ledger,
    what: Facts,
    replace: bool,
) -> Volume:
    """Create the copy, or reopen the one that an earlier run created.

    Parameters
    ----------
    target : Volume
        A handle of the copy, whether or not it is there.
    source : Volume
        What is copied.
    plan : MirrorPlan
        How it is stored.
    ledger : Ledger
        Of its blocks; begun anew where there is no copy.
    what : dict
        Facts of the copy.
    replace : bool
        Replace the copy of something else.

    Returns
    -------
    Volume

    Raises
    ------
    StaleLedgerError
        If something else lies there.
    """
    made_by = _made_by(target)
    if made_by == ledger.fingerprint:
        if not ledger.done().all():
            remove_drafts(target.uri)  # what killed writers left: never read, but in the way
        return target
    check_stale(target, what, replace=replace)
    labels = holds_labels(source)
    ledger.reset()  # marks without voxels are worth nothing
    return create_volume(
        target.uri,
        overwrite=made_by is not None,
        options=target.options,
        shape=plan.grid.domain.shape,
        dtype=source.dtype,
        channels=source.channels,
        voxel_size_nm=source.voxel_size_nm,
        origin_nm=source.origin_nm,
        start=plan.grid.domain.start,
        chunk_shape=plan.chunk_shape,
        shard_shape=plan.shard_shape,
        kind="labels" if labels else "image",
        attributes={
            "stage": "mirror",
            "fingerprint": ledger.fingerprint,
            "kind": "segmentation" if labels else "image",
            "source": described(source),
            "provenance": what,
            **size_attributes(source),
        },
    )


def check_stale(target: Volume, what: Facts, *, replace: bool) -> None:
    """Refuse a target where something else lies.

    Parameters
    ----------
    target : Volume
        A handle of the copy, whether or not it is there.
    what : dict
        Facts of the copy that is wanted.
    replace : bool
        Whether the copy of something else may be replaced.

    Raises
    ------
    StaleLedgerError
        If what lies there is none of volkit's making, or not to be replaced.
    """
    made_by = _made_by(target)
    if made_by == "":
        raise StaleLedgerError(
            f"{target.uri} holds a volume that no job made, so it is never replaced; move it away, "
            "or choose another target"
        )
    if made_by not in (None, fingerprint(what)) and not replace:
        own = target.attributes["volkit"]
        told = own.get("source", {}).get("uri", "another computation")
        raise StaleLedgerError(
            f"{target.uri} holds what was made of {told}, which differs from what is asked for now "
            f"({'; '.join(changes(own.get('provenance', {}), what))}); choose another target, or "
            "replace what is stale (replace_stale=True; --replace)"
        )


def described(source: Volume) -> dict[str, Any]:
    """Say where voxels come from, as JSON, without secrets."""
    domain = source.domain
    return {
        "uri": public_uri(source.uri),
        "level": source.level,
        "identity": source.identity,
        "box": [list(domain.start), list(domain.stop)],
    }


def _made_by(target: Volume) -> str | None:
    """Find the fingerprint of what lies at a target; empty where it has none, None for nothing."""
    if not target_place(target.uri, target.options).exists():
        return None
    try:
        return str(target.attributes.get("volkit", {}).get("fingerprint", ""))
    except SourceError:
        return None  # a creation that was killed, or no volume at all: creating tells them apart
