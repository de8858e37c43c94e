# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender window where there is neither a screen nor a graphics card: Debian's Blender in a tree of its own.

The tree is made once, with debootstrap and apt. Blender runs in it, on a virtual screen, drawn in software; namespaces
of its own hold its mounts and its processes, so nothing is left behind, however it ends.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, VENV, SetupError

TREE = VENV / "gui" / "tree"
SIZE = (1400, 900)  # pixels of the screen, where nothing else is asked for
_SUITE = "trixie"  # Blender 4.3.2
_MIRROR = "HEADGAS_DEBIAN_MIRROR"  # another than debootstrap's own
_PACKAGES = ("blender", "python3-numpy", "imagemagick", "xvfb", "xdotool")
_SETUP_LIMIT = 1200  # seconds, for 2.3 GB
_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}  # also for what runs in the tree
_WHOLE = "headgas-installed"  # a file in the tree, written when it is complete

_IN_NAMESPACES = """
set -e
mkdir -p "$TREE/host" "$TREE$CHECKOUT"
mount --rbind / "$TREE/host"
mount -t proc proc "$TREE/host/proc"
mount -t proc proc "$TREE/proc"
mount --rbind /dev "$TREE/dev"
mount --bind "$CHECKOUT" "$TREE$CHECKOUT"
exec chroot "$TREE" env -i PATH=/usr/bin:/bin LANG=C.UTF-8 LIBGL_ALWAYS_SOFTWARE=1 PYTHONUNBUFFERED=1 \
  PYTHONDONTWRITEBYTECODE=1 HOME="$WORK/home" TMPDIR="$WORK/tmp" HEADGAS_PYTHON="$WORK/backend-python" \
  sh -c "$ON_SCREEN" sh "$SCREEN" "$@"
"""
_ON_SCREEN = """
exec 3> "$TMPDIR/display"
Xvfb -displayfd 3 -screen 0 "$1x24" +extension GLX -nolisten tcp > "$TMPDIR/screen.log" 2>&1 &
for _ in $(seq 100); do test -s "$TMPDIR/display" && break; sleep 0.1; done
export DISPLAY=":$(cat "$TMPDIR/display")"
shift
exec blender --factory-startup --no-window-focus -noaudio -p 0 0 WIDTH HEIGHT --python-exit-code 1 --python "$@"
"""


def why_not() -> str:
    """Why this machine cannot have such a window; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    if os.geteuid() != 0:
        return "it needs root's rights, to mount and to change the root folder"
    for program in ("unshare", "chroot", "mount"):
        if shutil.which(program) is None:
            return f"the program {program} is not on this machine"
    if not _is_whole(_tree()) and shutil.which("debootstrap") is None:
        return "the program debootstrap is not on this machine (apt-get install debootstrap)"
    namespaces = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True)
    return "" if namespaces.returncode == 0 else f"no namespaces here: {namespaces.stderr.decode().strip()}"


def is_set_up() -> bool:
    """Whether the tree is there."""
    return _is_whole(_tree())


def set_up() -> None:
    """Makes the tree, about 2.3 GB, unless it is there."""
    tree = _tree()
    if _is_whole(tree):
        return
    print(f"Setting up a Blender with a window in {tree} (2.3 GB) …", file=sys.stderr, flush=True)
    if tree.exists():
        shutil.rmtree(tree)  # an attempt that was interrupted
    tree.mkdir(parents=True)
    log = tree.parent / "setup.log"
    install = "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
    mirror = [os.environ[_MIRROR]] if _MIRROR in os.environ else []
    steps = (
        ["debootstrap", "--variant=minbase", _SUITE, str(tree), *mirror],
        ["chroot", str(tree), "sh", "-c", install + " ".join(_PACKAGES)],
    )
    for step in steps:
        code = _logged(step, log, _SETUP_LIMIT, _PLAIN)
        if code != 0:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
            raise SetupError(f"{step[0]} failed, or took too long; the end of {log}:\n{tail}")
    (tree / _WHOLE).touch()


def run(
    work: Path, script: Path, arguments: list[str], backend: Path, limit: float, size: tuple[int, int] = SIZE
) -> int | None:
    """Runs a script in a new Blender with an empty user folder. Returns its exit code, or None after `limit` seconds.

    Everything the script reads and writes must lie in the checkout, which is at the same path inside. Output goes to
    `work`/blender.log.
    """
    for name in ("home", "tmp"):
        shutil.rmtree(work / name, ignore_errors=True)
        (work / name).mkdir(parents=True)
    wrapper = work / "backend-python"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"  # else each walk compiles the kernels again
    told = f'PYTHONPATH="{ROOT / "backend"}" XDG_CACHE_HOME="{cache}"'
    command = f'/usr/sbin/chroot /host /usr/bin/env {told} "{backend}" "$@"'
    wrapper.write_text(f"#!/bin/sh\nexec {command}\n", encoding="utf-8")
    wrapper.chmod(0o755)
    width, height = map(str, size)
    variables = _PLAIN | {
        "TREE": str(_tree()),
        "CHECKOUT": str(ROOT),
        "WORK": str(work),
        "SCREEN": f"{width}x{height}",
        "ON_SCREEN": _ON_SCREEN.replace("WIDTH", width).replace("HEIGHT", height),
    }
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    command += ["sh", "-c", _IN_NAMESPACES, "sh", str(script), "--", *arguments]
    return _logged(command, work / "blender.log", limit, variables)


def _logged(command: list[str], log: Path, limit: float, variables: dict[str, str]) -> int | None:
    """Runs a program with its output at the end of a file. Returns its exit code, or None after `limit` seconds."""
    with log.open("a", encoding="utf-8") as output:
        try:
            return subprocess.run(
                command, check=False, stdout=output, stderr=subprocess.STDOUT, env=os.environ | variables, timeout=limit
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def _tree() -> Path:
    return Path(os.environ.get("HEADGAS_GUI_TREE") or TREE)


def _is_whole(tree: Path) -> bool:
    return (tree / _WHOLE).is_file()
