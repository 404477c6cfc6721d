"""Cache of tasks: copies of boxes, named by the content that they are copies of."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

from volkit.datasets.task_file import Split, Task
from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.ops.mirror import mirror


def kept_copy(volume: Volume, box: Box, folder: Path) -> Volume:
    """Give a copy of a box, made at the first call; killed, the next call goes on.

    Parameters
    ----------
    volume : Volume
        Of which.
    box : Box
        Volume coordinates, which the copy has too.
    folder : Path
        Where copies lie; made where it is not there.

    Returns
    -------
    Volume
        In the folder, checked when it was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return mirror(volume.cutout(box), str(folder / copy_name(volume, box)))


def copy_name(volume: Volume, box: Box) -> str:
    """Name the copy of a box: other content, another box or another level is another name."""
    told = f"{volume.identity}|{box.start}|{box.stop}"
    stem = volume.uri.partition("?")[0].rstrip("/").rpartition("/")[2] or "volume"
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in stem)
    return f"{safe}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.zarr"


def fill_cache(
    task: Task, folder: str | Path, *, on_message: Callable[[str], None] | None = None
) -> list[Volume]:
    """Copy all that the splits of a task need, so that no sample is fetched later.

    Parameters
    ----------
    task : Task
        Which channels and boxes.
    folder : str or Path
        The ``cache`` of `volkit.datasets.BossTask`.
    on_message : callable, optional
        Told after every copy.

    Returns
    -------
    list of Volume
        The copies.
    """
    copies = []
    for name, box in _boxes(task):
        for address in (task.image, task.labels):
            copy = kept_copy(open_volume(address), box, Path(folder))
            copies.append(copy)
            if on_message is not None:
                on_message(f"{name}: {copy.uri} {box}")
    return copies


def _boxes(task: Task) -> Iterator[tuple[str, Box]]:
    for split in get_args(Split):
        if split in task.splits:
            for region in task.regions:
                yield f"{split} {region}", task.box(region, split)
