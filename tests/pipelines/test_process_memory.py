"""Memory of a worker before its first block: how torch was built decides, and nobody imports it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from volkit.pipelines.process_memory import built_for_cuda, process_bytes

MIB = 2**20
# As torch 2.13 and 1.8 have it.
TOLD = {
    "__version__ = '2.13.0+cu130'\ndebug = False\ncuda: Optional[str] = '13.0'\n": True,
    "__version__ = '2.13.0+cpu'\ndebug = False\ncuda: Optional[str] = None\n": False,
    "__version__ = '1.8.1'\ncuda = '10.2'\nhip = None\n": True,
    "__version__ = '2.13.0'\nhip: Optional[str] = '6.4'\ncuda: Optional[str] = None\n": False,
}
SCRIPT = """
import sys
from volkit.pipelines.process_memory import process_bytes
print(process_bytes(), "torch" in sys.modules)
"""


@pytest.mark.parametrize("text", TOLD)
def test_workers_with_torch_for_cuda_take_more(tmp_path: Path, text: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "version.py").write_text(text)
    assert built_for_cuda(tmp_path / "torch") == TOLD[text]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": ":".join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str((800 if TOLD[text] else 450) * MIB), "False"]


def test_the_torch_that_is_there_is_known() -> None:
    torch = pytest.importorskip("torch")
    folder = Path(find_spec("torch").submodule_search_locations[0])
    assert built_for_cuda(folder) == (torch.version.cuda is not None)
    assert process_bytes() == (800 if torch.version.cuda else 450) * MIB


def test_a_torch_that_does_not_say_counts_as_built_for_the_cpu(tmp_path: Path) -> None:
    assert not built_for_cuda(tmp_path)
