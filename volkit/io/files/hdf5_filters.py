"""Filters of HDF5: whether those of a dataset are at hand, and what of it is stored."""

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py

from volkit.errors import SourceError

# Filters that other packages bring, by the number that HDF5 gave them.
_KNOWN = {
    305: "LZO",
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32024: "SZ3",
    32026: "Blosc2",
}


def check_filters(uri: str, dataset: Any) -> None:
    """Refuse a dataset whose compression cannot be undone here.

    The filters of the package ``hdf5plugin`` are taken where it is installed.

    Raises
    ------
    SourceError
        Naming the filter.
    """
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(n)[0] for n in range(plist.get_nfilters())]
    if all(map(h5py.h5z.filter_avail, codes)):
        return
    with suppress(ImportError):
        import_module("hdf5plugin")  # which registers its filters
    for code in codes:
        if not h5py.h5z.filter_avail(code):
            raise SourceError(
                f"{uri} is compressed by the HDF5 filter {code} "
                f"({_KNOWN.get(code, 'of its own')}), which is not installed: pip install "
                "hdf5plugin, or repack the file with gzip (h5repack)"
            )


def missing_part(path: Path, dataset: Any) -> str | None:
    """Say what of a dataset without chunks is not stored, and HDF5 would fill in silently.

    Returns
    -------
    str or None
        None where all of it is there.
    """
    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            place = path if source.file_name == "." else path.parent / source.file_name
            if "%" not in source.file_name and not place.exists():
                return f"the file {source.file_name} that it takes voxels from is not there"
        return None
    if dataset.chunks is None and dataset.size and not dataset.id.get_storage_size():
        return "its voxels were never written"
    return None
