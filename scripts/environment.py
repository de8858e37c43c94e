# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environments that demo.py, test.py and bench.py work in: made once, with pip alone.

    .venv/                     the backend, from requirements.txt
    .venv/blender/<version>/   Blender as a Python module, one environment for each version
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BACKEND_PYTHONS = ((3, 11), (3, 12), (3, 13))
# A Blender module runs in exactly one Python version.
BLENDER_PYTHONS = {"4.2.23": (3, 11), "4.5.15": (3, 11), "5.0.1": (3, 11), "5.2.3": (3, 13)}
DEMO_BLENDERS = ("5.0.1", "5.2.3")  # the first whose Python is here
# gsplat: its plain torch reference is what our kernels are compared with; nothing of it is compiled
TEST_PACKAGES = ("pytest==9.2.0", "ruff==0.17.5", "pyright==1.1.414", "gsplat==1.5.3")
# Its interpreter runs our CUDA kernels on any machine; torch's builds for CUDA bring their own version.
TRITON = "triton==3.7.1; sys_platform == 'linux'"


class SetupError(Exception):
    """What is missing on this machine, and how to get it."""


def find_python(version: tuple[int, int]) -> str | None:
    """An interpreter of that version: this one, one on the PATH, or one that pyenv keeps."""
    if sys.version_info[:2] == version:
        return sys.executable
    names = [f"python{version[0]}.{version[1]}", "python3", "python"]
    candidates = [shutil.which(name) for name in names]
    if os.name == "nt" and shutil.which("py"):
        probe = _version(["py", f"-{version[0]}.{version[1]}"])
        candidates.insert(0, probe[1] if probe else None)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += map(str, sorted(pyenv.glob(f"{version[0]}.{version[1]}.*/bin/python3")))
    for candidate in filter(None, candidates):
        probe = _version([candidate])
        if probe and probe[0] == version:
            return probe[1]
    return None


def _version(command: list[str]) -> tuple[tuple[int, int], str] | None:
    code = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)"
    try:
        answer = subprocess.run([*command, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor, executable = answer.split(maxsplit=2)
    return (int(major), int(minor)), executable.strip()


def interpreter(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def backend(extra: tuple[str, ...] = ()) -> Path:
    """The backend's environment with this repository installed in it. Returns its Python."""
    python = next(filter(None, map(find_python, BACKEND_PYTHONS)), None)
    if python is None:
        raise SetupError("HeadGaS needs Python 3.11, 3.12 or 3.13 on the PATH.")
    requirements = ROOT / "requirements.txt"
    content = requirements.read_text(encoding="utf-8") + (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    steps = [["-r", str(requirements)], ["--no-deps", "-e", str(ROOT)]]
    result = _environment(VENV, python, content, steps, "the backend's environment (torch, numba)", then=_compile)
    if extra:
        has_triton = any(VENV.glob("lib/*/site-packages/triton"))
        packages = [*extra] if has_triton else [*extra, TRITON]
        _environment(VENV, python, " ".join((*extra, TRITON)), [packages], "test tools", stamp="extra")
    return result


def blender(version: str, extra: tuple[str, ...] = ()) -> Path | None:
    """Blender as a Python module. Returns its Python, or None when no fitting interpreter is on this machine."""
    python = find_python(BLENDER_PYTHONS[version])
    if python is None:
        return None
    folder = VENV / "blender" / version
    packages = [f"bpy=={version}", *extra]
    return _environment(folder, python, " ".join(packages), [packages], f"Blender {version}")


def demo_blender() -> Path:
    """The newest Blender that some Python here can run."""
    for version in DEMO_BLENDERS:
        python = blender(version)
        if python is not None:
            return python
    raise SetupError(
        "Blender's Python module needs Python 3.11 or 3.13, and neither is on the PATH.\n"
        "Install one beside your Python and start again."
    )


def _environment(
    folder: Path,
    python: str,
    content: str,
    steps: list[list[str]],
    what: str,
    stamp: str = "installed",
    then: Callable[[Path], None] = lambda executable: None,
) -> Path:
    """Makes the environment or brings it up to date; does nothing when its stamp fits `content`."""
    marker = folder / f"headgas-{stamp}"
    digest = hashlib.sha256(content.encode()).hexdigest()
    executable = interpreter(folder)
    if marker.is_file() and marker.read_text(encoding="utf-8") == digest and executable.is_file():
        return executable
    print(f"Setting up {what} in {folder.relative_to(ROOT)} …", file=sys.stderr, flush=True)
    if not executable.is_file():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    for step in steps:
        command = [str(executable), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step]
        finished = subprocess.run(command, check=False, capture_output=True, text=True)
        if finished.returncode:
            raise SetupError(f"pip could not install {' '.join(step)}:\n{finished.stdout}{finished.stderr}")
    marker.write_text(digest, encoding="utf-8")
    then(executable)
    return executable


def _compile(executable: Path) -> None:
    """Compiles the CPU kernels now, in about 15 seconds, so that no first frame and no test waits for them."""
    finished = subprocess.run([str(executable), "-m", "headgas", "compile"], check=False, stdout=sys.stderr)
    if finished.returncode:  # whoever needs a kernel compiles it, and says what is wrong
        print("The CPU kernels are not compiled yet; the first frame will do that.", file=sys.stderr)
