# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs the backend."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..core.errors import HeadGaSError

PYTHON_VARIABLE = "HEADGAS_PYTHON"
_INSTALL = "Install it in a Python of its own (pip install headgas) and choose that Python in the preferences"


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
        if (python := _python_of(folder / ".venv")).is_file():
            return python
    for folder in doubtful:
        if (python := _python_of(folder / ".venv")).is_file():
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


def _python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _existing(python: Path, where: str) -> Path:
    if python.is_dir():
        python = _python_of(python)
    if not python.is_file():
        raise HeadGaSError(f"{where} names {python}, which does not exist", _INSTALL)
    return python
