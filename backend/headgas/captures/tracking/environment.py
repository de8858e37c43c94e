# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python environment of the face tracker: made on first use, beside the user's other caches.

MediaPipe 0.10.21 is the last version whose wheel carries its models, so tracking itself downloads nothing. It needs
numpy before 2 and an old protobuf, so it cannot live in the backend's environment.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headgas.errors import HeadGaSError
from headgas.files import user_cache, write
from headgas.splatting.kernel_folder import locked

VARIABLE = "HEADGAS_TRACKER"  # names a Python that has MediaPipe already
_MEDIAPIPE = "mediapipe==0.10.21"
# what of its requirements finding faces needs: without jax, sentencepiece and sound it is half as large
_NEEDED = ("numpy==1.26.4", "protobuf==4.25.8", "absl-py==2.3.1", "attrs==25.3.0", "flatbuffers==25.2.10")
_NEEDED += ("matplotlib==3.10.3", "opencv-contrib-python-headless==4.11.0.86")
_PYTHONS = ((3, 9), (3, 12))  # the oldest and the newest that it has wheels for
_READY = "headgas-ready"  # written last
_TAIL = 6  # lines of pip's complaint
_OFFLINE = f"Or set {VARIABLE} to a Python that has {_MEDIAPIPE}."


def tracker_python(on_progress: Callable[[float, str], None], offline: bool = False) -> Path:
    """The Python that runs worker.py; its environment is made where it is missing.

    Args:
        on_progress: told which share is done, and what is done now.
        offline: never download anything.

    Raises:
        HeadGaSError: there is none, and none can be made.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        if not Path(chosen).is_file():
            raise HeadGaSError(f"The environment variable {VARIABLE} names {chosen}, which is no file.")
        return Path(chosen)
    folder = tracker_folder()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / _READY).is_file():
        if offline:
            raise HeadGaSError(
                f"The face tracker is not installed in {folder}, and nothing may be downloaded.",
                f"Allow the network once: about 130 MB are downloaded. {_OFFLINE}",
            )
        with locked(folder.parent / "making"):
            if not (folder / _READY).is_file():  # nor has another process made it meanwhile
                _make(folder, python, on_progress)
    return python


def tracker_folder() -> Path:
    """Where the environment is, or will be: another list of packages has another one."""
    digest = hashlib.sha256(" ".join((_MEDIAPIPE, *_NEEDED)).encode()).hexdigest()
    return user_cache() / "tracker" / digest[:16]


def is_ready() -> bool:
    """Whether tracking needs no download."""
    return bool(os.environ.get(VARIABLE)) or (tracker_folder() / _READY).is_file()


def _make(folder: Path, python: Path, on_progress: Callable[[float, str], None]) -> None:
    on_progress(0.0, "Making the face tracker's environment: once, about 130 MB to download")
    base = _base_python()
    try:
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted attempt left
        folder.mkdir(parents=True)
    except OSError as error:
        raise HeadGaSError(f"{folder}: cannot be written ({error.strerror or error}).") from None
    _run([base, "-I", "-m", "venv", str(folder)], "make an environment", "On Debian and Ubuntu: install python3-venv.")
    pip = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
    pip += ["--only-binary", ":all:"]  # nothing is built, and no setup script runs
    hint = f"Is there a network? The same command goes on. {_OFFLINE}"
    on_progress(0.2, "Downloading MediaPipe")
    _run([*pip, "--no-deps", _MEDIAPIPE], f"install {_MEDIAPIPE}", hint)
    on_progress(0.5, "Downloading what MediaPipe needs")
    _run([*pip, *_NEEDED], f"install what {_MEDIAPIPE} needs", hint)
    on_progress(0.9, "Trying MediaPipe")
    _run([str(python), "-I", "-c", "import cv2, mediapipe"], f"start {_MEDIAPIPE}", _OFFLINE)
    write(folder / _READY, " ".join((_MEDIAPIPE, *_NEEDED)))


def _run(command: list[str], what: str, hint: str) -> None:
    finished = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=clean_environment(), **quiet()
    )
    if finished.returncode:
        said = (finished.stdout + finished.stderr).strip().splitlines()[-_TAIL:]
        raise HeadGaSError("\n".join([f"The face tracker cannot {what}:", *said]), hint)


def _base_python() -> str:
    """An interpreter that MediaPipe has wheels for."""
    for candidate in _candidates():
        code = "import sys, ensurepip, venv; print(*sys.version_info[:2])"
        try:
            told = subprocess.run(
                [candidate, "-I", "-c", code],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
                env=clean_environment(),
                **quiet(),
            )
            version = tuple(int(part) for part in told.stdout.split())
        except (OSError, ValueError, subprocess.SubprocessError):  # a shim without its Python, or without venv
            continue
        if _PYTHONS[0] <= version <= _PYTHONS[1]:
            return candidate
    oldest, newest = (".".join(map(str, version)) for version in _PYTHONS)
    raise HeadGaSError(
        f"The face tracker needs a Python from {oldest} to {newest} with venv; there is none on the PATH "
        f"(this one is {sys.version_info[0]}.{sys.version_info[1]}).",
        f"Install Python {newest} from python.org (on Debian and Ubuntu also python3-venv). {_OFFLINE}",
    )


def _candidates() -> Iterator[str]:
    yield sys.executable
    minors = range(_PYTHONS[1][1], _PYTHONS[0][1] - 1, -1)
    for name in (*(f"python3.{minor}" for minor in minors), "python3", "python"):
        if (found := shutil.which(name)) is not None:
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in minors:
        yield from map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/python")))
        if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
            yield str(Path(local, "Programs", "Python", f"Python3{minor}", "python.exe"))


def clean_environment() -> dict[str, str]:
    """The environment for another Python: what steers this one would break it."""
    steering = ("__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if not k.upper().startswith("PYTHON") and k not in steering} | {
        "PYTHONUTF8": "1"
    }


def quiet() -> dict[str, Any]:
    """What keeps Windows from opening a console for a child."""
    return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}
