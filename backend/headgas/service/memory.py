# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that this process holds."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import torch


def memory_in_use(device: torch.device) -> dict[str, int | None]:
    """Bytes: `process` in the machine's memory, `device` on the GPU (None without one)."""
    on_device = torch.cuda.memory_reserved(device) if device.type == "cuda" else None
    return {"process": _resident(), "device": on_device}


def _resident() -> int | None:
    """The process's resident set in bytes; None where the system does not tell."""
    try:
        if sys.platform == "win32":
            return _resident_on_windows()
        if sys.platform == "linux":
            pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        command = ["/bin/ps", "-o", "rss=", "-p", str(os.getpid())]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=5).stdout) * 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of Windows' psapi.h."""

    _fields_ = [("cb", ctypes.c_uint32), ("page_faults", ctypes.c_uint32), ("peak", ctypes.c_size_t)]
    _fields_ += [("resident", ctypes.c_size_t), ("others", ctypes.c_size_t * 6)]


def _resident_on_windows() -> int | None:
    windows = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    windows.GetCurrentProcess.restype = ctypes.c_void_p
    query = windows.K32GetProcessMemoryInfo
    query.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Counters), ctypes.c_uint32]
    counters = _Counters(cb=ctypes.sizeof(_Counters))
    return counters.resident if query(windows.GetCurrentProcess(), ctypes.byref(counters), counters.cb) else None
