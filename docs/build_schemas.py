"""Build ``workflows/schemas``: the JSON Schema of the workflow files of every pipeline.

They lie beside the workflows, whose first lines name them, in a checkout, a wheel and a copy.

python docs/build_schemas.py [TARGET]
"""

import json
import sys
from pathlib import Path

from volkit.pipelines.registry import own_pipelines
from volkit.pipelines.schema import cluster_schema, workflow_schema

TARGET = Path(__file__).resolve().parents[1] / "workflows" / "schemas"


def build(target: Path) -> None:
    """Write a file for each pipeline of volkit itself, and one for cluster files."""
    target.mkdir(parents=True, exist_ok=True)
    found = {name: workflow_schema(name) for name in own_pipelines()}
    for name, schema in {**found, "cluster": cluster_schema()}.items():
        text = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        (target / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
