"""Copying volumes on the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

from volkit.cli.boxes import parse_box, parse_shape
from volkit.cli.commands import say, say_json, wants_json
from volkit.cli.voxel_size import voxel_size_nm
from volkit.cli.work import carry_out, say_outcome


def mirror(
    source: Annotated[str, typer.Argument(help="What open_volume takes.", show_default=False)],
    target: Annotated[
        str, typer.Argument(help="em.zarr, s3://…/em.zarr, precomputed://…", show_default=False)
    ],
    box: Annotated[
        str | None, typer.Option(help="z0:z1,y0:y1,x0:x1, voxels of the level; all if not given.")
    ] = None,
    level: Annotated[int | None, typer.Option(help="0 is the finest.")] = None,
    block_shape: Annotated[
        str | None, typer.Option(help="z,y,x, voxels; about 64 MiB if not given.")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes to start; 0 is this one, which asks for 8 at once.")
    ] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the copy of something else.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key.path=value of a mirror workflow; may be repeated."),
    ] = None,
) -> None:
    """Copy a volume, or a part of one; taken up where it was when it is run again.

    A task file (.json) fills the folder TARGET with all that its Dataset reads.

    volkit mirror bossdb://prasad/prasad2020/image em.zarr --box 110:470,900:1156,4600:4856

    volkit mirror em.zarr precomputed://s3://bucket/em --workers 4

    volkit mirror stack.tif em.zarr --voxel-size 40,4,4
    """
    if source.endswith(".json"):
        from volkit.datasets.task_cache import fill_cache
        from volkit.datasets.task_file import read_task

        fill_cache(read_task(source), target, on_message=say)
        if wants_json():
            say_json({"files": {"cache": target}})
        return
    from volkit.pipelines.config import override, validate
    from volkit.pipelines.mirror import PIPELINE, Mirror
    from volkit.pipelines.registry import Workflow

    image = {
        "image": source,
        "level": level,
        "box": None if box is None else parse_box(box),
        "voxel_size_nm": voxel_size_nm(),
    }
    tree: dict[str, Any] = {
        "input": {key: value for key, value in image.items() if value is not None},
        "output": target,
        "cluster": {"workers": workers},
        **({} if block_shape is None else {"block_shape": parse_shape(block_shape)}),
    }
    tree = override(tree, settings or [])
    config = validate(tree, Mirror, where="volkit mirror")
    say_outcome(carry_out(Workflow(Path("mirror"), PIPELINE, config, tree), replace=replace))
