"""What a run on scans was of: beside its report for its page, and in its tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from volkit.io.scan_manifest import ScanManifest
from volkit.pipelines.run_parameters import run_parameters


def write_facts(
    folder: Path, pipeline: str, config: Any, manifest: ScanManifest, **more: Any
) -> Mapping[str, Any]:
    """Write ``run.json``.

    Parameters
    ----------
    folder : Path
        Of the report.
    pipeline : str
        Its name.
    config : dataclass
        The workflow.
    manifest : ScanManifest
        All scans.
    **more
        JSON: what else the run was of.

    Returns
    -------
    mapping
        The same, for the tables.
    """
    subjects = len({row.subject for row in manifest.rows})
    facts = {
        "parameters": {"pipeline": pipeline, **run_parameters(config)},
        "domain": f"{len(manifest.rows)} scans of {subjects} subjects",
        "manifest": manifest.digest,
        "preprocessing": manifest.rows[0].preprocessing,
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts
