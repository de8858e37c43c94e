# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a process began: a number alone may belong to another process by now."""

import ctypes
import os
import struct
import sys
from pathlib import Path

_QUERY = 0x1000  # Windows: PROCESS_QUERY_LIMITED_INFORMATION
_STILL_ACTIVE = 259  # Windows' exit code of a process that runs
_TASK_INFO, _TASK_SIZE = 3, 136  # macOS: PROC_PIDTBSDINFO, sizeof(struct proc_bsdinfo)
_ZOMBIE = 5  # macOS: SZOMB


def birth_of(pid: int) -> str | None:
    """A text that only this process has, for as long as it runs; None when none of that number runs."""
    if pid <= 0:
        return None
    if os.name == "nt":
        return _windows(pid)
    if sys.platform == "darwin":
        return _macos(pid)
    return _linux(pid)


def _linux(pid: int) -> str | None:
    """proc(5): field 3 is the state, 22 the start in ticks since the machine's."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
        machine = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{machine} {fields[19]}"


def _macos(pid: int) -> str | None:
    """libproc.h: the state is the second word, the start lies at byte 120 in seconds and microseconds."""
    data = ctypes.create_string_buffer(_TASK_SIZE)
    found = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pidinfo(pid, _TASK_INFO, ctypes.c_uint64(0), data, _TASK_SIZE)
    if found != _TASK_SIZE or struct.unpack_from("=I", data, 4)[0] == _ZOMBIE:
        return None
    return " ".join(map(str, struct.unpack_from("=QQ", data, 120)))


def _windows(pid: int) -> str | None:
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]  # Windows alone has it
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(_QUERY, False, pid))
    if not handle:
        return None
    try:
        code, times = ctypes.c_ulong(), [ctypes.c_ulonglong() for _ in range(4)]
        running = kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value == _STILL_ACTIVE
        known = running and kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times))
        return str(times[0].value) if known else None
    finally:
        kernel.CloseHandle(handle)
