# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the backend is looked for, and what is said of the Pythons of a machine; none is run that came with a file."""

import json
import os
import shlex
import sys
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.headgas.client import discovery
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from drawn import Layout

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"


def _environment(folder: Path) -> Path:
    python = folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir(parents=True)
    python.touch()
    return python


def test_where_the_backend_is_looked_for(tmp_path):
    own, doubtful = tmp_path / "own", tmp_path / "downloads"
    with pytest.raises(HeadGaSError, match="not installed"):
        discovery.backend_python("", {}, [own], [doubtful])
    trap = _environment(doubtful)
    with pytest.raises(HeadGaSError, match="not trusted") as error:
        discovery.backend_python("", {}, [own], [doubtful])
    assert str(trap) in error.value.message
    mine = _environment(own)
    assert discovery.backend_python("", {}, [own], [doubtful]) == mine
    variable = {"HEADGAS_PYTHON": sys.executable}
    assert discovery.backend_python("", variable, [own], []) == Path(sys.executable)
    assert discovery.backend_python(str(own / ".venv"), variable, [], []) == mine
    with pytest.raises(HeadGaSError, match="Backend Python"):
        discovery.backend_python(str(tmp_path / "none"), variable, [own], [])
    with pytest.raises(HeadGaSError, match="HEADGAS_PYTHON"):
        discovery.backend_python("", {"HEADGAS_PYTHON": str(tmp_path / "none")}, [own], [])


def test_an_unfinished_installation_is_not_started(tmp_path):
    python = _environment(tmp_path)
    (tmp_path / ".venv" / discovery.UNFINISHED).touch()
    with pytest.raises(HeadGaSError, match="not been finished"):
        discovery.backend_python("", {}, [tmp_path], [])
    (tmp_path / ".venv" / discovery.UNFINISHED).unlink()
    assert discovery.backend_python("", {}, [tmp_path], []) == python


def _stand_in(program: Path, version=(3, 11, 9), headgas: str | None = "0.1.0", torch: str | None = "2.13.0") -> Path:
    """A program that answers the question for its versions as a Python does, and leaves a trace that it was run."""
    told = {"executable": str(program), "version": list(version), "venv": True, "headgas": headgas, "torch": torch}
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(program))}.was-run\necho {shlex.quote(json.dumps(told))}\n")
    program.chmod(0o755)
    return program


def _was_run(program: Path) -> bool:
    return Path(f"{program}.was-run").exists()


def test_every_place_is_looked_at_and_what_is_unusable_says_why(tmp_path):
    own = _stand_in(tmp_path / "own/.venv/bin/python", headgas="0.0.9")
    variable = _stand_in(tmp_path / "variable/python")
    conda = _stand_in(tmp_path / "conda/envs/head/bin/python", torch=None)
    active = _stand_in(tmp_path / "conda/bin/python", version=(3, 9, 1))
    on_path = _stand_in(tmp_path / "bin/python3.12", headgas=None)
    broken = tmp_path / "bin/python3"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda/environments.txt").write_text(f"{tmp_path}/conda/envs/head\n{tmp_path}/gone\nrelative\n")
    environment = {"HEADGAS_PYTHON": str(variable), "HOME": str(tmp_path), "CONDA_PREFIX": str(tmp_path / "conda")}
    environment["PATH"] = os.pathsep.join([str(tmp_path / "bin"), "relative", ""])
    found = {item.python: item for item in discovery.detect("", environment, [tmp_path / "own"], [])}
    assert list(found)[0] == variable and not found[variable].problem
    assert found[variable].description == "headgas 0.1.0, torch 2.13.0, Python 3.11.9"
    problems = {own: "version 0.1.0", conda: "no torch", active: "3.11 to 3.13", on_path: "no HeadGaS"}
    problems[broken] = "not start"
    assert set(found) == {variable, *problems}
    for python, words in problems.items():
        assert words in found[python].problem, python
    assert [found[python].origin for python in (own, conda, on_path)] == ["the extension's own", "conda", "PATH"]


def test_a_python_beside_an_opened_file_is_shown_but_never_run(tmp_path):
    trap = _stand_in(tmp_path / "downloads/bin/python3")
    environment = {"PATH": str(trap.parent), "HOME": str(tmp_path / "none")}
    (found,) = discovery.detect("", environment, [], [tmp_path / "downloads"])
    assert found.python == trap and "beside an opened file" in found.problem and not _was_run(trap)
    (found,) = discovery.detect(str(trap), environment, [], [tmp_path / "downloads"])
    assert not found.problem and _was_run(trap), "chosen by the user"


def test_a_python_in_the_current_folder_is_not_found(tmp_path, monkeypatch):
    _stand_in(tmp_path / "python3")
    monkeypatch.chdir(tmp_path)
    assert discovery.detect("", {"PATH": os.pathsep.join(["", ".", "bin"])}, [], []) == []


def test_this_python_is_described():
    found = discovery.probe(Path(sys.executable), "PATH")
    assert f"Python {sys.version.split()[0]}" in found.description and found.problem == "it has no HeadGaS backend"
    assert found.makes_environments


def test_the_user_chooses_one_of_what_was_found(service, tmp_path, monkeypatch):
    python = _stand_in(tmp_path / "bin/python3.12")
    monkeypatch.setenv("PATH", str(python.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    preferences = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences
    assert bpy.ops.headgas.detect_backend() == {'FINISHED'}
    layout = Layout(bpy.context)
    sys.modules["bl_ext.user_default.headgas.panels.backend"].draw_installation(layout, 80)
    assert ("headgas.choose_backend", {"python": str(python)}) in layout.operators
    assert any("headgas 0.1.0, torch 2.13.0, Python 3.11.9" in text for text in layout.labels)
    try:
        assert bpy.ops.headgas.choose_backend(python=str(python)) == {'FINISHED'}
        assert preferences.backend_python == str(python)
    finally:
        preferences.backend_python = ""
