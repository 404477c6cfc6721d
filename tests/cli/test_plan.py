"""What ``volkit plan`` says of where stages will run."""

import json
from pathlib import Path

import pytest

from volkit.cli import main
from volkit.testing.workflows import tiny_workflow

THERE = ("--set", "infer.device=auto", "--set", "cluster={workers: 2, gpus: 1}")


def test_it_says_which_stages_go_to_gpu_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["plan", str(tiny_workflow(tmp_path)), *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert "GPU" not in plan()  # its network is told to run on a CPU
    told = "on the GPU workers (1): prob; on the CPU workers (2): all others"
    assert told in plan(*THERE).splitlines()
    tree = json.loads(plan(*THERE, "--json"))
    assert tree["places"] == told
    assert {stage["name"] for stage in tree["stages"] if stage["needs_gpu"]} == {"prob"}
