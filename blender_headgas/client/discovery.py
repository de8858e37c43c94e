# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs the backend, and which others could."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import HeadGaSError
from .protocol import VERSION

PYTHON_VARIABLE = "HEADGAS_PYTHON"
UNFINISHED = "headgas-unfinished"  # lies in an environment that is being installed
PYTHONS = (3, 11), (3, 13)  # the oldest and the newest that the backend runs in
_INSTALL = "Press 'Install' in the preferences of HeadGaS, or choose a Python there that has it"
_PROBE_SECONDS = 20.0
_MOST = 40  # Pythons are looked at
_PROBE = """
import importlib.metadata as metadata, importlib.util as util, json, sys
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
told = {"executable": sys.executable, "version": sys.version_info[:3]}
told["venv"] = all(util.find_spec(name) for name in ("venv", "ensurepip"))
print(json.dumps(told | {name: version(name) for name in ("headgas", "torch")}))
"""


def backend_python(
    preferred: str, environment: Mapping[str, str], beside: Iterable[Path], doubtful: Iterable[Path]
) -> Path:
    """The backend's interpreter: the preference, else HEADGAS_PYTHON, else a `.venv` in a folder of `beside`.

    The folders `doubtful` hold files that may come from anyone. A `.venv` there is only mentioned, never run.
    """
    if preferred:
        return _existing(Path(preferred), "The preference 'Backend Python'")
    if environment.get(PYTHON_VARIABLE):
        return _existing(Path(environment[PYTHON_VARIABLE]), f"The environment variable {PYTHON_VARIABLE}")
    for folder in beside:
        if (python := python_of(folder / ".venv")).is_file():
            if (folder / ".venv" / UNFINISHED).exists():
                raise HeadGaSError(
                    "The installation of the backend has not been finished",
                    "Press 'Install' in the preferences of HeadGaS: it goes on",
                )
            return python
    for folder in doubtful:
        if (python := python_of(folder / ".venv")).is_file():
            raise HeadGaSError(
                f"A backend was found at {python}, but programs beside a file that is opened are not trusted",
                "Choose this Python in the preferences of HeadGaS if it is yours",
            )
    raise HeadGaSError("The HeadGaS backend is not installed, or not found", _INSTALL)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for another Python: whatever steers Blender's own would break it."""
    return {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith("PYTHON") and name not in ("__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
    }


@dataclass(frozen=True)
class Found:
    """A Python of this machine, looked at."""

    python: Path
    origin: str  # how it was found, for the user
    description: str  # its versions; empty when it did not tell
    problem: str  # why it cannot run the backend; empty when it can
    makes_environments: bool = False  # and fits the backend


def detect(
    preferred: str, environment: Mapping[str, str], own: Iterable[Path], doubtful: Iterable[Path]
) -> list[Found]:
    """Every Python that may have the backend, the usable ones first. Takes seconds: it runs each of them.

    None is run that lies in a folder of `doubtful`, unless it is `preferred`: what the user chose.
    """
    untrusted = [folder.resolve() for folder in doubtful]
    found: dict[Path, Found] = {}
    seen: set[Path] = set()
    for python, origin in _candidates(preferred, environment, own):
        if python in seen or len(seen) >= _MOST or not python.is_file():
            continue
        seen.add(python)
        chosen = bool(preferred) and python == _interpreter(Path(preferred))
        if not chosen and any(python.resolve().is_relative_to(f) or python.is_relative_to(f) for f in untrusted):
            found[python] = Found(python, origin, "", "it lies beside an opened file: choose it if it is yours")
            continue
        looked_at = probe(python, origin)
        found.setdefault(looked_at.python, looked_at)
    return sorted(found.values(), key=lambda item: bool(item.problem))


def probe(python: Path, origin: str) -> Found:
    """Asks a Python what it has. Its `python` is what it calls itself: behind a shim, the real one."""
    command = [str(python), "-I", "-c", _PROBE]  # -I: nothing is imported from the current folder
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=True,
            env=clean_environment(os.environ),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        told = json.loads(finished.stdout)
        version, executable = tuple(told["version"]), Path(told["executable"])
    except subprocess.TimeoutExpired:
        return Found(python, origin, "", f"it did not answer within {_PROBE_SECONDS:g} seconds")
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return Found(python, origin, "", "it does not start, or is not a Python 3")
    fits = PYTHONS[0] <= version[:2] <= PYTHONS[1]
    described = [f"{name} {told[name]}" for name in ("headgas", "torch") if told[name]]
    described.append(f"Python {'.'.join(map(str, version))}")
    problem = ""
    if not fits:
        problem = "the backend needs Python 3.11 to 3.13"
    elif not told["headgas"]:
        problem = "it has no HeadGaS backend"
    elif told["headgas"] != VERSION:
        problem = f"the extension is version {VERSION}"
    elif not told["torch"]:
        problem = "it has no torch"
    return Found(executable, origin, ", ".join(described), problem, fits and bool(told["venv"]))


def on_path(names: Iterable[str], environment: Mapping[str, str]) -> Iterator[Path]:
    """Programs in the folders of PATH, never in the current one, where anyone's files may be."""
    suffix = ".exe" if os.name == "nt" else ""
    for name in names:
        for folder in environment.get("PATH", "").split(os.pathsep):
            if folder and os.path.isabs(folder) and (program := Path(folder, name + suffix)).is_file():
                yield program


def pythons_on_path(environment: Mapping[str, str]) -> Iterator[Path]:
    """The Pythons of PATH, those of versions that fit first."""
    names = [f"python3.{minor}" for minor in range(PYTHONS[1][1], PYTHONS[0][1] - 1, -1)]
    yield from on_path([*names, "python3", "python"], environment)


def _candidates(preferred: str, environment: Mapping[str, str], own: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    if preferred:
        yield _interpreter(Path(preferred)), "chosen"
    if environment.get(PYTHON_VARIABLE):
        yield _interpreter(Path(environment[PYTHON_VARIABLE])), PYTHON_VARIABLE
    for folder in own:
        yield python_of(folder / ".venv"), "the extension's own"
    for prefix in _conda_environments(environment):
        yield prefix / ("python.exe" if os.name == "nt" else "bin/python"), "conda"
    for python in pythons_on_path(environment):
        yield python, "PATH"


def _conda_environments(environment: Mapping[str, str]) -> Iterator[Path]:
    """The folders that conda wrote down as its environments, and the active one."""
    if environment.get("CONDA_PREFIX"):
        yield Path(environment["CONDA_PREFIX"])
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME")
    try:
        listed = Path(home or "", ".conda", "environments.txt").read_text("utf-8", errors="replace") if home else ""
    except OSError:  # no conda
        return
    for line in listed.splitlines():
        if os.path.isabs(line.strip()):
            yield Path(line.strip())


def _interpreter(chosen: Path) -> Path:
    """The Python that a user's choice means: itself, or the environment's in that folder."""
    return python_of(chosen) if chosen.is_dir() else chosen


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment's folder."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _existing(python: Path, where: str) -> Path:
    python = _interpreter(python)
    if not python.is_file():
        raise HeadGaSError(f"{where} names {python}, which does not exist", _INSTALL)
    return python
