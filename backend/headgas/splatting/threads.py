# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads that the CPU rasterizer and torch may use.

Kernels release Python's lock and take numbered blocks of work from an atomic counter until none are left. The calling
thread works too, and waits only for blocks that a helper has begun: a helper that never gets a core costs nothing, and
after one that lost its core in the middle of a block the caller works alone for a while. So all cores can be the
default: on busy ones it costs a few percent. (OpenMP, which numba and torch would use, splits the work beforehand and
waits for its slowest thread: there, two threads on busy cores were measured at a third of the speed of one.) Between
the kernels of one frame helpers stay awake, see `spinning`.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import numpy as np
import torch

from headgas.splatting import spinning

_MOST = 64
_STALL = 1e-3  # seconds: a helper that is waited for longer than this, and longer than the work took, has lost its core
_ALONE = 0.25  # seconds without helpers after that


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """Helper threads that wait for kernels to run."""

    def __init__(self) -> None:
        self.threads = min(_cores(), _MOST)
        self.alone_until = 0.0  # on time.perf_counter's clock
        self._helpers = 0
        self.state = np.zeros(spinning.SIZE, np.int64)
        self._jobs: SimpleQueue[tuple[Callable, tuple]] = SimpleQueue()
        self._starting = threading.Lock()

    def submit(self, kernel: Callable, arguments: tuple, times: int) -> None:
        with self._starting:
            while self._helpers < times:
                self._helpers += 1
                threading.Thread(target=self._help, name=f"rasterizer-{self._helpers}", daemon=True).start()
        for _ in range(times):
            self._jobs.put((kernel, arguments))
        self.state[spinning.POSTED] += 1

    def _help(self) -> None:
        while True:
            posted = self.state[spinning.POSTED]
            try:
                kernel, arguments = self._jobs.get_nowait()
            except Empty:
                spinning.listen(self.state, posted)
                kernel, arguments = self._jobs.get()
            kernel(*arguments)
            del kernel, arguments  # the next wait must not keep this frame's arrays alive


_pool = _Pool()


def _forget_helpers() -> None:
    """A forked child has the pool's memory but none of its threads."""
    global _pool
    threads, _pool = _pool.threads, _Pool()
    _pool.threads = threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)


def get_threads() -> int:
    """The number of threads the CPU rasterizer uses; at first, the cores this process may use."""
    return _pool.threads


def set_threads(threads: int) -> None:
    """Use this many threads on the CPU; no result depends on it.

    torch itself keeps to one: its operations run in these threads, see `share`.
    """
    if not 1 <= threads <= _MOST:
        raise ValueError(f"threads must lie in 1..{_MOST}, got {threads}")
    _pool.threads = threads
    torch.set_num_threads(1)


def run(kernel: Callable, blocks: int, *arguments) -> None:
    """Call `kernel(work, blocks, *arguments)` on every thread until all blocks are done.

    A kernel takes the next block with fetch_add(work, 0) and reports it as done with fetch_add(work, 8).
    """
    if blocks == 0:
        return
    work = np.zeros(16, np.int64)  # [0] the next block, [8] the finished blocks: two cache lines
    everything = (work, blocks, *arguments)
    helpers = min(_pool.threads, blocks) - 1
    start = time.perf_counter()
    if helpers == 0 or start < _pool.alone_until:
        kernel(*everything)
        return
    listening = _pool.state[spinning.LISTENING]
    _pool.submit(kernel, everything, helpers)
    kernel(*everything)
    worked = time.perf_counter()
    spinning.settle(work, blocks, _pool.state, listening)
    while work[8] < blocks:
        time.sleep(0)
    waited = time.perf_counter() - worked
    if waited > max(_STALL, worked - start):
        _pool.alone_until = worked + waited + _ALONE


def share(function: Callable[[int], None], blocks: int) -> None:
    """Call `function(0)` … `function(blocks - 1)` on every thread; for work that releases Python's lock,
    as torch's does."""
    failures: list[BaseException] = []
    run(_share, blocks, function, itertools.count(), threading.Lock(), failures)
    if failures:
        raise failures[0]


def _share(
    work: np.ndarray,
    blocks: int,
    function: Callable[[int], None],
    numbers: Iterator[int],
    lock: threading.Lock,
    failures: list[BaseException],
) -> None:
    while (block := next(numbers)) < blocks:
        try:
            function(block)
        except BaseException as error:  # raised again by the caller, which waits for every block
            failures.append(error)
        with lock:
            work[8] += 1
