"""Versions on the command line: reprocess a run, compare, promote, and clear away."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from volkit.cli.boxes import parse_box
from volkit.cli.commands import command, say, say_json, wants_json
from volkit.cli.progress import size
from volkit.cli.tables import brief
from volkit.cli.work import carry_out, interruptible, say_outcome, terminal
from volkit.errors import ConfigError

if TYPE_CHECKING:
    from volkit.geometry import Box
    from volkit.pipelines.version_stages import VersionStage
    from volkit.pipelines.versions import Version

app = typer.Typer()

Run = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False, metavar="RUN")]
Name = Annotated[str, typer.Argument(help="Such as v2.", show_default=False, metavar="VERSION")]


@command(app)
def reprocess(
    run: Run,
    checkpoint: Annotated[str | None, typer.Option(help="Card of the new network.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key.path=value of the workflow; may be repeated."),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(help="Only there: z0:z1,y0:y1,x0:x1, voxels; may be repeated."),
    ] = None,
    mask: Annotated[str | None, typer.Option(help="Only where this volume is not 0.")] = None,
    cutouts: Annotated[
        Path | None, typer.Option(help="Only there: CSV with z0, z1, y0, y1, x0, x1.")
    ] = None,
    unsure: Annotated[
        str | None, typer.Option(help="LOW,HIGH: only where the old probability lies between.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--from", help="Version to change; the current one if not given.")
    ] = None,
) -> None:
    """Make a new version of a run; what does not change is shared, the rest computed.

    volkit reprocess RUN --checkpoint better.yaml

    volkit reprocess RUN --set segment.threshold=0.5 --box 0:64,0:512,0:512
    """
    from volkit.pipelines.reprocess import Changes, prepare
    from volkit.pipelines.version_selection import Limits
    from volkit.pipelines.versions import parse_version

    limits = Limits(
        boxes=tuple(_box(text) for text in box or ()),
        mask=mask,
        cutouts=cutouts,
        unsure=None if unsure is None else _range(unsure),
    )
    wanted = Changes(
        checkpoint=checkpoint,
        settings=settings or (),
        limits=limits,
        base=None if base is None else parse_version(base),
    )
    prepared = prepare(run, wanted)
    name = f"v{prepared.version.number}"
    about = {"version": prepared.version.number, "changes": prepared.version.changes}
    for change in prepared.version.changes:
        say(f"{name}: {change}")
    if prepared.version.state == "finished":
        say(f"{name} is that already, and finished")
        if wants_json():
            say_json(about)
        return
    say_outcome(carry_out(prepared.workflow, replace=False), **about)


@command(app)
def versions(run: Run) -> None:
    """List the versions of a run, what each one shares, and which is current.

    volkit versions RUN
    """
    from volkit.pipelines.current_version import current_version
    from volkit.pipelines.version_stages import version_stages
    from volkit.pipelines.versions import read_versions

    current = current_version(run)
    found = [(version, version_stages(run, version.number)) for version in read_versions(run)]
    if wants_json():
        say_json(
            [
                {**asdict(version), "current": version.number == current, "stages": stages}
                for version, stages in found
            ]
        )
        return
    terminal().print(_version_table(found, current))


def _version_table(found: "list[tuple[Version, list[VersionStage]]]", current: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in (
        "version",
        "state",
        "created",
        "from",
        "changes",
        "shared",
        "computed",
        "copied",
    ):
        table.add_column(
            column,
            justify="right" if column in ("computed", "copied") else "left",
            no_wrap=column not in ("changes", "shared"),
        )
    for version, stages in found:
        shared = [s.name for s in stages if not s.computed + s.copied and "." not in s.name]
        table.add_row(
            f"v{version.number}{' *' if version.number == current else ''}",
            version.state,
            version.created[:16].replace("T", " "),
            "" if version.base is None else f"v{version.base}",
            "\n".join((*version.changes, *_limit(version))),
            ", ".join(shared),
            f"{sum(stage.computed for stage in stages):,}",
            f"{sum(stage.copied for stage in stages):,}",
        )
    return table


@command(app, "promote")
def promote_version(run: Run, version: Name) -> None:
    """Make a version of a run the current one.

    volkit promote RUN v2
    """
    from volkit.pipelines.current_version import promote
    from volkit.pipelines.versions import parse_version

    number = parse_version(version)
    promote(run, number)
    _say_current(run, number)


@command(app, "rollback")
def roll_back(run: Run) -> None:
    """Make the version current that was before the last one was promoted.

    volkit rollback RUN
    """
    from volkit.pipelines.current_version import rollback

    _say_current(run, rollback(run))


@command(app)
def gc(
    run: Run,
    keep: Annotated[
        str | None,
        typer.Option(help="v1,v3: keep these and the current one; else all newer than that."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove what no version that is kept uses; records and reports stay.

    volkit gc RUN --dry-run

    volkit gc RUN --keep v1,v3
    """
    from volkit.pipelines.version_gc import collect
    from volkit.pipelines.versions import parse_version

    kept = None if keep is None else [parse_version(text) for text in keep.split(",")]
    with interruptible():
        freed = collect(run, keep=kept, dry_run=dry_run)
    if wants_json():
        total = sum(each.bytes for each in freed)
        say_json({"dry_run": dry_run, "bytes": total, "stages": freed})
        return
    for each in freed:
        typer.echo(f"v{each.version} {each.stage}: {size(each.bytes)}")
    word = "would be freed" if dry_run else "freed"
    typer.echo(f"{size(sum(each.bytes for each in freed))} {word}")


def _say_current(run: Path, number: int) -> None:
    """Say which version is current, and where its result lies: perhaps in another one."""
    from volkit.pipelines.version_stages import stage_volume, version_stages
    from volkit.pipelines.versions import version_folder

    if any(stage.name == "labels" for stage in version_stages(run, number)):
        what, place = "labels", brief(stage_volume(run, number, "labels").uri)
    else:
        what, place = "report", brief(str(version_folder(run, number) / "report"))
    if wants_json():
        say_json({"version": number, what: place})
        return
    typer.echo(f"v{number} is current in {run}")
    typer.echo(f"{what}: {place}")


def _box(text: str) -> "Box":
    from volkit.geometry import Box

    found = parse_box(text)
    return Box(tuple(found["start"]), tuple(found["stop"]))  # type: ignore[arg-type]


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--unsure {text}: write two probabilities, such as 0.3,0.7") from None
    return low, high


def _limit(version: "Version") -> list[str]:
    return [f"only {kind}: {value}" for kind, value in (version.selection or {}).items()]
