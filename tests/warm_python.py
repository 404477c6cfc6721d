"""A Python that has imported what commands need: each one is a fork of it, and begins at once.

Most of a short command is the import of torch and others.  It reads orders, one JSON object in a
line, and answers each with the number of the process, and with its exit code when it has ended.
"""

import gc
import importlib
import json
import os
import runpy
import sys
from pathlib import Path

# Without threads, which a fork would lose: tensorstore begins some when it is first used.
MODULES = (
    "dask.array",
    "distributed",
    "matplotlib.pyplot",
    "pandas",
    "rich.progress",
    "scipy.ndimage",
    "scipy.sparse.csgraph",
    "scipy.spatial",
    "torch",
    "typer.rich_utils",
    "xarray",
    "volkit.cli.app",
    "volkit.engine.job",
    "volkit.pipelines.segment_neurons",
)
_SAFE = "jemalloc_bg_thd"  # Arrow's: it begins again in a fork


def serve() -> None:
    for name in MODULES:
        importlib.import_module(name)
    others = [task for task in Path("/proc/self/task").glob("*") if task.name != str(os.getpid())]
    lost = [name for task in others if (name := (task / "comm").read_text().strip()) != _SAFE]
    if lost or "tensorstore" in sys.modules:
        raise RuntimeError(f"what is imported begins threads: {lost}")
    os.fsync = lambda file: None  # as in the tests themselves: none cuts the power
    gc.freeze()  # no fork looks through what all have
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            become(**order)
            return
        answer(child)
        answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def become(
    arguments: list[str], folder: str, environment: dict[str, str], out: str, err: str
) -> None:
    """Do what ``python ARGUMENTS`` does, as the leader of a session of its own."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    places = environment.get("PYTHONPATH", "").split(os.pathsep)
    how, *rest = arguments
    sys.path[:1] = ["" if how in ("-c", "-m") else str(Path(how).parent), *filter(None, places)]
    importlib.invalidate_caches()
    if how == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif how == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    serve()
