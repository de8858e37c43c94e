# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled kernels survive on disk, and whatever happens to the disk does not keep anybody from rendering."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import headgas
from headgas.splatting import kernel_folder

WITHOUT_TORCH = """
import sys, types
import headgas
package = sys.modules["headgas.splatting"] = types.ModuleType("headgas.splatting")
package.__path__ = [headgas.__path__[0] + "/splatting"]
"""  # whose import takes most of the time that these many short processes have
SCRIPT = WITHOUT_TORCH + """
import logging
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(message)s")
from headgas.splatting.compiling import announced, compiled

@compiled
def double(values):
    values[0] += values[0]

with announced("a test", 1):
    for kind in sys.argv[1:]:
        values = np.array([3], kind)
        double(values)
        print(values.dtype, values[0])
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "kernel.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def start(script: Path, *kinds: str, **environment: str) -> subprocess.Popen:
    everything = {"NUMBA_CACHE_DIR": str(script.parent / "cache")} | environment
    return subprocess.Popen(
        [sys.executable, str(script), *kinds], env=os.environ | everything, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> tuple[str, str]:
    out, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    return out, messages


def compiled_files(folder: Path) -> dict[Path, int]:
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}
    assert files
    return files


def test_a_kernel_is_compiled_once_and_the_user_is_told(script: Path) -> None:
    out, messages = finish(start(script, "float32"))
    assert out == "float32 6.0\n" and messages.count("compiling a test, once per machine, about 1 s") == 1
    before = compiled_files(script.parent)
    out, messages = finish(start(script, "float32"))
    assert out == "float32 6.0\n" and messages == ""
    assert compiled_files(script.parent) == before


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("keep", [0, 60])
def test_a_damaged_file_is_compiled_again(script: Path, ending: str, keep: int) -> None:
    finish(start(script, "float32"))
    for path in script.parent.rglob(f"*.{ending}"):
        path.write_bytes(path.read_bytes()[:keep])
    out, messages = finish(start(script, "float32"))
    assert out == "float32 6.0\n" and "is damaged" in messages
    assert finish(start(script, "float32")) == ("float32 6.0\n", "")


def test_processes_may_compile_the_same_kernel_at_once(script: Path) -> None:
    kinds = ["float32", "float64", "int32", "int64"]
    processes = [start(script, *kinds[first:], *kinds[:first]) for first in range(len(kinds))]
    for process in processes:
        finish(process)
    before = compiled_files(script.parent)
    out, _ = finish(start(script, *kinds))
    assert out == "float32 6.0\nfloat64 6.0\nint32 6\nint64 6\n"
    assert compiled_files(script.parent) == before, "what a process compiled was lost"


def test_where_nothing_can_be_written_another_folder_is_taken_and_named(script: Path) -> None:
    barred, temporary = script.parent / "a file", script.parent / "temporary"
    barred.touch()
    temporary.mkdir()
    places = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"), str(barred))
    places |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    out, messages = finish(start(script, "float32", **places))
    assert out == "float32 6.0\n"
    assert f"{barred}" in messages and f"cannot be written: compiled kernels are kept in {temporary}" in messages
    before = compiled_files(temporary)
    finish(start(script, "float32", **places))
    assert compiled_files(temporary) == before


def test_a_change_in_any_file_with_kernels_makes_a_new_folder(tmp_path: Path) -> None:
    package = tmp_path / "headgas"
    shutil.copytree(Path(headgas.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = kernel_folder._fingerprint(package)
    for name, matters in (("cli.py", False), ("splatting/threads.py", True), ("training/ssim.py", True)):
        with (package / name).open("a", encoding="utf-8") as file:
            file.write("# another line\n")
        after = kernel_folder._fingerprint(package)
        assert (after != before) == matters, name
        before = after


def folder_used(base: Path, name: str, days: float) -> Path:
    folder = base / name
    folder.mkdir()
    (folder / "x.nbc").touch()
    (folder / "in-use").touch()
    os.utime(folder / "in-use", (time.time() - days * 86400,) * 2)
    return folder


def test_old_folders_are_removed_but_none_that_is_in_use(tmp_path: Path) -> None:
    current = folder_used(tmp_path, "current", 0)
    recent = [folder_used(tmp_path, f"recent-{day}", day) for day in range(1, 8)]
    old, held = folder_used(tmp_path, "old", 31), folder_used(tmp_path, "held", 40)
    holding = WITHOUT_TORCH + "from pathlib import Path; from headgas.splatting import kernel_folder as k; "
    holding += "k._hold(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    holder.stdout.readline()
    os.utime(held / "in-use", (time.time() - 40 * 86400,) * 2)
    kernel_folder._remove_old(current)
    assert current.exists() and held.exists() and not old.exists()
    assert [folder.exists() for folder in recent] == [True] * 5 + [False] * 2
    holder.communicate()
    kernel_folder._remove_old(current)
    assert not held.exists()
