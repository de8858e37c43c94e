# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the backend from a folder of tiny wheels: what is made, refused, cancelled, gone on with and repaired."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.headgas.client import discovery, installing, tasks
from bl_ext.user_default.headgas.client.waiting import Cancelled
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.operators import install as operators
from drawn import Layout

import build_wheel

_MAIN = 'import sys\nprint("compiled" if sys.argv[1:] == ["compile"] else sys.argv)\n'


def _wheel(folder: Path, name: str, version: str = "1.0", files: dict[str, str] | None = None, needs: str = "") -> Path:
    """A wheel with a package of that name, which may need another."""
    information = f"{name}-{version}.dist-info"
    needed = f"Requires-Dist: {needs}\n" if needs else ""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: cuda\n{needed}"
    content = {f"{name}/__init__.py": "", **(files or {})}
    content[f"{information}/METADATA"] = metadata
    content[f"{information}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{path},,\n" for path in content)
    content[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(build_wheel.packed({file: text.encode() for file, text in content.items()}))
    return path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of what the backend needs, in miniature; the backend itself is not in it."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("torch", "numba", "gsplat"):
        _wheel(folder, name)
    return folder


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that makes environments in no time: copies of one that was made in earnest."""
    if bpy.app.version[:2] in {(4, 5), (5, 0)}:
        pytest.skip("pip runs outside of Blender, in the same Python as for 4.2")
    if os.name == "nt":
        return Path(sys.executable)
    folder = tmp_path_factory.mktemp("maker")
    subprocess.run([sys.executable, "-I", "-m", "venv", str(folder / "made")], check=True)
    program = folder / "python"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-I -m venv" ] && exec cp -R "{folder}/made/." "$4"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def wanted(tmp_path: Path, wheels: Path, maker: Path) -> installing.Wanted:
    backend = _wheel(tmp_path / "data", "headgas", "0.1.0", {"headgas/__main__.py": _MAIN}, 'gsplat; extra == "cuda"')
    requirements = tmp_path / "data" / "requirements.txt"
    requirements.write_text("# pinned\ntorch==1.0\nnumba==1.0\n")
    return installing.Wanted(
        folder=tmp_path / ".venv", python=maker, wheel=backend, requirements=requirements,
        source=str(wheels), torch="cpu", log=tmp_path / "install.log",
    )  # fmt: skip


def _install(wanted: installing.Wanted) -> tasks.Task:
    task = tasks.Task(lambda task: installing.install(wanted, task))
    task.wait(300)
    return task


def _packages(wanted: installing.Wanted) -> dict[str, str]:
    """What is in the environment, by its own Python."""
    code = "import importlib.metadata as m; print([(d.name, d.version) for d in m.distributions()])"
    python = str(discovery.python_of(wanted.folder))
    return dict(eval(subprocess.run([python, "-I", "-c", code], capture_output=True, check=True).stdout))


def test_an_environment_is_made_with_everything_and_blender_s_python_stays_as_it_is(wanted):
    before = set(Path(sys.prefix).glob("lib/*/site-packages/*"))
    task = _install(wanted)
    assert task.outcome().startswith(f"The backend was installed into {wanted.folder}") and task.progress == 1.0
    assert {"torch", "numba", "headgas"} <= set(_packages(wanted)) and "gsplat" not in _packages(wanted)
    log = wanted.log.read_text("utf-8")
    assert "Installing torch" in log and "compiled" in log and "compiled" in task.lines
    assert installing.is_installed(wanted) and not (wanted.folder / discovery.UNFINISHED).exists()
    assert set(Path(sys.prefix).glob("lib/*/site-packages/*")) == before
    begin = time.monotonic()
    assert "already installed" in _install(wanted).outcome() and time.monotonic() - begin < 1
    assert discovery.backend_python("", {}, [wanted.folder.parent], []) == discovery.python_of(wanted.folder)
    _check_updates_and_repairs(wanted)


def _check_updates_and_repairs(wanted: installing.Wanted) -> None:
    """Goes on with the environment of the test before: making one takes seconds."""
    _wheel(wanted.wheel.parent, "headgas", "0.1.0", {"headgas/__main__.py": _MAIN, "headgas/new.py": ""})
    assert not installing.is_installed(wanted)
    assert "was installed" in _install(wanted).outcome()
    assert list(wanted.folder.glob("**/headgas/new.py")), "a newer build of the same version"
    (wanted.folder / installing.INSTALLED).unlink()
    record = next(wanted.folder.glob("**/torch-1.0.dist-info/RECORD"))
    record.unlink()
    shutil.rmtree(record.parents[1] / "torch")
    assert "was installed" in _install(wanted).outcome()
    assert list(wanted.folder.glob("**/torch/__init__.py")), "an installation that was cut off is not taken for whole"
    discovery.python_of(wanted.folder).unlink()
    assert not installing.is_installed(wanted)
    assert "was installed" in _install(wanted).outcome() and "headgas" in _packages(wanted)


def test_cancelled_in_the_middle_it_goes_on_where_it_stopped(wanted):
    slow = 'import sys, time\nprint("compiling", flush=True)\ntime.sleep(60)\n'
    quick = wanted.wheel.read_bytes()
    _wheel(wanted.wheel.parent, "headgas", "0.1.0", {"headgas/__main__.py": slow})
    task = tasks.Task(lambda task: installing.install(wanted, task))
    end = time.monotonic() + 300
    while "compiling" not in task.lines and time.monotonic() < end:
        time.sleep(0.05)
    assert not task.done and "Compiling" in task.stage and 0.5 < task.progress < 1.0
    begin = time.monotonic()
    task.cancel()
    task.wait(10)
    assert time.monotonic() - begin < 8 and isinstance(task.error, HeadGaSError) and "Cancelled" in str(task.error)
    assert not installing.is_installed(wanted) and (wanted.folder / discovery.UNFINISHED).exists()
    with pytest.raises(HeadGaSError, match="not been finished"):
        discovery.backend_python("", {}, [wanted.folder.parent], [])
    wanted.wheel.write_bytes(quick)
    made = discovery.python_of(wanted.folder).lstat().st_mtime_ns
    task = _install(wanted)
    assert task.outcome() and installing.is_installed(wanted)
    assert discovery.python_of(wanted.folder).lstat().st_mtime_ns == made, "the environment was kept"
    assert "already satisfied: torch==1.0" in wanted.log.read_text("utf-8")


def test_what_pip_lacks_is_said_with_the_end_of_its_log(wanted, tmp_path):
    wanted.requirements.write_text("torch==1.0\nnumba==9.0\n")
    task = _install(wanted)
    with pytest.raises(HeadGaSError, match="No matching distribution found for numba==9.0") as error:
        task.outcome()
    assert "Installing numba and others failed" in error.value.message and "goes on" in error.value.hint
    assert not installing.is_installed(wanted)
    wanted.requirements.write_text("torch==1.0\nnumba==1.0\n")
    another = installing.Wanted(**(vars(wanted) | {"torch": "cu130"}))
    task = _install(another)
    assert "was installed" in task.outcome() and installing.is_installed(another)
    assert "Making an environment" in wanted.log.read_text("utf-8"), "another build of torch begins anew"
    assert "gsplat" in _packages(wanted)


def test_a_full_disk_is_noticed_before_anything_is_done(wanted, monkeypatch):
    monkeypatch.setattr(installing.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1))
    with pytest.raises(HeadGaSError, match="needs about 3 GB"):
        _install(wanted).outcome()
    assert not wanted.folder.exists() and not wanted.log.exists()


def test_a_task_that_nobody_wants_any_more_is_cancelled(wanted):
    task = tasks.Task(lambda task: (_ for _ in ()).throw(Cancelled("it")))
    task.wait(5)
    with pytest.raises(HeadGaSError, match="Cancelled"):
        task.outcome()


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("driver", "build"),
    [("581.29", "cu130"), ("580.65", "cu130"), ("570.1", "cu126"), ("470.2", "cpu"), ("what", "cpu"), (None, "cpu")],
)
def test_torch_fits_the_driver(tmp_path, driver, build):
    if driver:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\necho {driver}\n")
        program.chmod(0o755)
    assert installing.torch_build({"PATH": str(tmp_path)}) == build


@pytest.fixture
def preferences(service, tmp_path):
    preferences = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences
    yield preferences
    preferences.install_source = preferences.backend_python = ""
    tasks.cancel_all()


def test_without_online_access_it_is_refused_with_the_place_of_the_switch(preferences, monkeypatch):
    assert not bpy.app.online_access
    for source in ("", "https://example.org/simple"):
        preferences.install_source = source
        with pytest.raises(RuntimeError, match="work offline") as error:
            bpy.ops.headgas.install_backend()
        assert "Allow Online Access" in str(error.value)
    preferences.install_source = "/no/such/folder"
    with pytest.raises(RuntimeError, match="neither a folder of wheels nor the address"):
        bpy.ops.headgas.install_backend()
    assert tasks.task(operators.INSTALL) is None


def test_the_button_installs_into_the_user_s_folder_for_the_extension(
    preferences, wanted, wheels, tmp_path, monkeypatch
):
    monkeypatch.setattr(operators, "_DATA", wanted.wheel.parent)
    monkeypatch.setattr(operators, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(operators, "_base_python", lambda environment: wanted.python)
    monkeypatch.setattr(installing, "torch_build", lambda environment: "cpu")
    preferences.install_source, preferences.backend_python = str(wheels), sys.executable
    assert bpy.ops.headgas.install_backend() == {'FINISHED'}
    assert installing.is_installed(installing.Wanted(**(vars(wanted) | {"log": tmp_path / "headgas-install.log"})))
    assert (tmp_path / "headgas-install.log").stat().st_size and preferences.backend_python == ""
    layout = Layout(bpy.context)
    sys.modules["bl_ext.user_default.headgas.panels.backend"].draw_installation(layout, 80)
    assert any("was installed into" in label for label in layout.labels)


def test_the_zip_brings_what_is_installed():
    assert sorted(path.name for path in operators._DATA.iterdir()) == [
        "headgas-0.1.0-py3-none-any.whl", "requirements.txt",
    ]  # fmt: skip
    assert operators.user_folder().is_dir() and "headgas" in operators.user_folder().name
    assert operators._base_python(dict(os.environ)) == Path(sys.executable)


def test_a_copy_without_the_backend_says_so(preferences, tmp_path, monkeypatch):
    monkeypatch.setattr(operators, "_DATA", tmp_path)
    monkeypatch.setattr(operators, "user_folder", lambda: tmp_path)
    preferences.install_source = str(tmp_path)
    with pytest.raises(RuntimeError, match="does not bring the backend along"):
        bpy.ops.headgas.install_backend()
