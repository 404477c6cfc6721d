"""The disk tier: shared by the processes of one user, checked, bounded, and never in the way."""

import logging
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.io.cache.disk import DiskTier
from volkit.io.cache.memory import forget_chunks
from volkit.io.cache.source import CachedSource
from volkit.io.sources import CacheOptions
from volkit.testing.chunked_source import ChunkedSource

WHOLE = Box.from_shape((16, 8, 8))
NAMES = [f"{i:02x}{i:038x}" for i in range(64)]


@pytest.fixture(autouse=True)
def _anew() -> None:
    forget_chunks()


def cached(inner: ChunkedSource, folder: Path, *, memory: int = 2**20) -> CachedSource:
    found = CachedSource.around(inner, CacheOptions(memory_bytes=memory, folder=str(folder)))
    assert isinstance(found, CachedSource)
    return found


def ramp() -> ChunkedSource:
    return ChunkedSource(np.arange(16 * 64, dtype=np.uint16).reshape(16, 8, 8))


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "written")


def tier(folder: Path, budget: int = 2**20) -> DiskTier:
    found = DiskTier.at(str(folder), budget)
    assert found is not None
    return found


@pytest.mark.parametrize("memory", [2**20, 0])
def test_a_process_finds_what_another_one_fetched(tmp_path: Path, memory: int) -> None:
    inner = ramp()
    cached(inner, tmp_path, memory=memory).read(WHOLE)
    assert len(files(tmp_path)) == 4
    forget_chunks()  # as a new process has none
    source = cached(inner, tmp_path, memory=memory)
    found = source.read(WHOLE)
    np.testing.assert_array_equal(found, inner.values)
    assert found.flags.writeable
    assert len(inner.asked) == 1
    told = source.statistics()
    assert (told.disk_hits, told.requests, told.chunks_fetched) == (4, 0, 0)


def test_the_folder_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cached(ramp(), tmp_path / "shared").read(WHOLE)
    finally:
        os.umask(before)
    (own,) = (tmp_path / "shared").iterdir()
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    own.chmod(0o755)
    tier(tmp_path / "shared")
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files(tmp_path))


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"volkit-chunks-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is not a folder of this user's own.*choose another"):
        cached(ramp(), tmp_path).read(WHOLE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:5],
        lambda data: b"",
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: data + b"more",
    ],
)
def test_a_damaged_file_is_thrown_away_and_fetched_again(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    inner = ramp()
    cached(inner, tmp_path).read(WHOLE)
    path = files(tmp_path)[0]
    sound = path.read_bytes()
    path.write_bytes(damage(sound))  # type: ignore[operator]
    forget_chunks()
    np.testing.assert_array_equal(cached(inner, tmp_path).read(WHOLE), inner.values)
    assert len(inner.asked) == 2
    assert path.read_bytes() == sound
    assert "was damaged" in caplog.text


def test_a_chunk_under_another_name_is_damage(tmp_path: Path) -> None:
    held = tier(tmp_path)
    held.put(NAMES[1], memoryview(b"voxels"))
    (path,) = files(tmp_path)
    (path.parents[1] / NAMES[2][:2]).mkdir()
    path.rename(path.parents[1] / NAMES[2][:2] / NAMES[2][2:])
    assert held.get(NAMES[2]) is None


def test_what_is_written_is_forgotten(tmp_path: Path) -> None:
    inner = ramp()
    source = cached(inner, tmp_path)
    source.read(WHOLE)
    part = Box.from_shape((4, 8, 8))
    source.write(part, np.zeros(part.shape, np.uint16))
    assert len(files(tmp_path)) == 3
    forget_chunks()
    assert not cached(inner, tmp_path).read(part).any()


def test_the_folder_stays_in_its_budget_whoever_writes(tmp_path: Path) -> None:
    budget = 20_000
    tiers = [tier(tmp_path, budget) for _ in range(3)]  # as three processes have them
    most = 0
    for i, name in enumerate(NAMES):
        tiers[i % 3].put(name, memoryview(os.urandom(900)))
        most = max(most, sum(path.stat().st_size for path in files(tmp_path)))
    assert budget / 2 < most <= budget
    assert tiers[0].get(NAMES[-1]) is not None


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    held = tier(tmp_path, 10_000)
    for i, name in enumerate(NAMES[:8]):
        held.put(name, memoryview(bytes(1000)))
        path = next(p for p in files(tmp_path) if p.name == name[2:])
        os.utime(path, (0, 1000 + i))
    assert held.get(NAMES[0]) is not None
    for name in NAMES[8:12]:
        held.put(name, memoryview(bytes(1000)))
    assert held.get(NAMES[0]) is not None
    assert held.get(NAMES[1]) is None


def test_a_chunk_that_would_push_out_all_others_is_not_kept(tmp_path: Path) -> None:
    held = tier(tmp_path, 1000)
    held.put(NAMES[0], memoryview(bytes(600)))
    assert held.get(NAMES[0]) is None
    assert files(tmp_path) == []


def test_drafts_of_killed_writers_are_removed_later(tmp_path: Path) -> None:
    held = tier(tmp_path)
    held.put(NAMES[0], memoryview(b"voxels"))
    (sound,) = files(tmp_path)
    old, new = sound.with_name("old.part"), sound.with_name("new.part")
    for draft, age in ((old, 700), (new, 5)):
        draft.write_bytes(b"half")
        os.utime(draft, (time.time() - age,) * 2)
    tier(tmp_path).put(NAMES[1], memoryview(b"voxels"))
    assert new in files(tmp_path)
    assert old not in files(tmp_path)


def test_threads_write_and_read_at_once(tmp_path: Path) -> None:
    held = tier(tmp_path, 30_000)

    def use(i: int) -> bool:
        name = NAMES[i % 64]
        held.put(name, memoryview(bytes([i % 64]) * 700))
        found = held.get(name)
        return found is None or bytes(found) == bytes([i % 64]) * 700

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(400)))
    assert not [path for path in files(tmp_path) if path.suffix == ".part"]


FULL = """
import resource, sys, numpy as np
from volkit.geometry import Box
from volkit.io.cache.source import CachedSource
from volkit.io.sources import CacheOptions
from volkit.testing.chunked_source import ChunkedSource
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # writes fail, as on a full disk
inner = ChunkedSource(np.arange(16 * 64).reshape(16, 8, 8))
source = CachedSource.around(inner, CacheOptions(memory_bytes=9000, folder=sys.argv[1]))
for _ in range(2):
    assert (source.read(Box.from_shape((16, 8, 8))) == inner.values).all()
print(source.statistics().chunks_fetched)
"""


def test_a_full_disk_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "4"
    assert "a chunk is not kept on disk: [Errno 27]" in done.stderr
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    inner = ramp()
    with caplog.at_level(logging.WARNING):
        found = cached(inner, tmp_path / "file").read(WHOLE)
    np.testing.assert_array_equal(found, inner.values)
    assert "cannot be used" in caplog.text


KILLED = """
import sys, numpy as np
from volkit.io.cache.disk import DiskTier
tier = DiskTier.at(sys.argv[1], 2**24)
print("begun", flush=True)
for i in range(100000):
    tier.put(f"{i % 50:02x}{i % 50:038x}", memoryview(bytes([i % 50]) * 60000))
"""


def test_a_kill_leaves_whole_chunks(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while len(files(tmp_path)) < 20:
        time.sleep(0.002)
    process.kill()
    process.stdout.close()
    process.wait()
    held = tier(tmp_path, 2**24)
    found = [held.get(f"{i:02x}{i:038x}") for i in range(50)]
    there = [(i, bytes(data)) for i, data in enumerate(found) if data is not None]
    assert len(there) >= 18
    assert all(data == bytes([i]) * 60000 for i, data in there)
