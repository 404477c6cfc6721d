"""A job of dask-jobqueue whose script nobody else can read."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from distributed.core import Status

from volkit.engine.cluster.preflight import submit_environment


class PrivateJob:
    """To be mixed into a job class."""

    submit_command: str
    log_directory: str
    job_id: str | None
    status: Status

    @contextmanager
    def job_file(self) -> Iterator[str]:
        """Write the script for as long as it is submitted: prologues may hold secrets."""
        folder = Path(self.log_directory).parent / "scripts"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{uuid4().hex}.sh"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.job_script())  # type: ignore[attr-defined]
        try:
            yield str(path)
        finally:
            path.unlink(missing_ok=True)

    async def _submit_job(self, script_filename: str) -> Any:
        if self.submit_command != "sbatch":
            return await super()._submit_job(script_filename)  # type: ignore[misc]
        command = [*shlex.split(self.submit_command), script_filename]
        return await self._call(command, env=submit_environment())  # type: ignore[attr-defined]

    async def close(self) -> None:
        """End the job."""
        await super().close()  # type: ignore[misc]
        self.status = Status.closed
