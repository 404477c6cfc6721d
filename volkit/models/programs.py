"""Programs of torch.export, refused where loading them would run code.

``torch.export.load`` unpickles some records of its archive without restraint and loads compiled
libraries from others.  Neither is needed for a network, so archives that hold them are refused.
"""

import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import torch

from volkit.errors import ModelError
from volkit.models.pickles import damaged, unpickled

_OBJECTS = ("custom_obj", "opaque_obj")
# What zipfile, json and torch.export.load raise on archives that are damaged.
_BROKEN = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    OSError,
    TypeError,
    AttributeError,
    AssertionError,
    zipfile.BadZipFile,
)


def stored_program(program: Any) -> bytes:
    """Write a program.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        What ``torch.export.export`` made.

    Returns
    -------
    bytes
        A ``.pt2`` archive.

    Raises
    ------
    ModelError
        If it is something else.
    """
    if not isinstance(program, torch.export.ExportedProgram):
        raise ModelError(
            f"format 'export' stores a program, it was given {type(program).__name__}; "
            "give torch.export.export(module, (batch,))"
        )
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def read_program(data: bytes, *, source: str) -> torch.nn.Module:
    """Read a program.

    Parameters
    ----------
    data : bytes
        A ``.pt2`` archive.
    source : str
        Where it came from, for messages.

    Returns
    -------
    torch.nn.Module
        As it was exported.

    Raises
    ------
    ModelError
        If it is damaged, or holds pickled objects or compiled code.
    """
    try:
        records = _records(data)
        if danger := next(_dangers(records, source), None):
            raise ModelError(
                f"{source} is refused, it holds {danger}; export the network again, on the CPU, "
                "with torch.export.export and torch.export.save"
            )
        return torch.export.load(io.BytesIO(data)).module()
    except ModelError:
        raise
    except _BROKEN as error:
        raise damaged(source, error) from error


def read_script(data: bytes, *, source: str) -> torch.nn.Module:
    """Read a program of TorchScript; its code runs when it answers.

    Parameters
    ----------
    data : bytes
        What ``torch.jit.save`` wrote, by somebody who is trusted.
    source : str
        Where it came from, for messages.

    Returns
    -------
    torch.nn.Module
        On the CPU, in evaluation mode.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    try:
        with warnings.catch_warnings():  # torch speaks of what may come after TorchScript
            warnings.simplefilter("ignore")
            return torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
    except _BROKEN as error:
        raise damaged(source, error) from error


def _records(data: bytes) -> dict[str, bytes]:
    """Read an archive twice, as torch may: two readers can be made to see different records."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        seen = {name.partition("/")[2]: archive.read(name) for name in names}
        records = {name: archive.read(name) for name in names}
    reader = torch.PyTorchFileReader(io.BytesIO(data))
    again = {name: reader.get_record(name) for name in reader.get_all_records()}
    if len(names) != len(records) or seen != again:
        raise ValueError("its directory is ambiguous")
    return records


def _dangers(records: Mapping[str, bytes], source: str) -> Iterator[str]:
    for name, record in records.items():
        path = PurePosixPath(name)
        inner = path.parts[1:]  # the first part is the name of the archive
        if "aotinductor" in inner or path.suffix in (".so", ".o", ".cpp", ".cubin"):
            yield f"compiled code ({name})"
        if not inner or path.name.startswith(_OBJECTS):
            yield f"objects that are not tensors ({name})"
        if inner[:2] == ("data", "sample_inputs"):
            if record:
                unpickled(record, f"{source} ({name})")
        elif path.suffix in (".pt", ".pkl", ".pth"):
            yield f"a pickle ({name})"
        if path.name.endswith("_config.json"):
            for item in json.loads(record)["config"].values():
                stored = PurePosixPath(item["path_name"]).name
                if item.get("use_pickle") or stored.startswith(_OBJECTS):
                    yield f"a pickle ({stored} of {name})"
