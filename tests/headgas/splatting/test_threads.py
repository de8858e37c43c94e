# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helper threads do all the work they are given, once, and rest when there is none."""

import threading
import time

import pytest

from headgas.splatting import get_threads, set_threads
from headgas.splatting.threads import share


@pytest.fixture(autouse=True)
def two_threads():
    before = get_threads()
    set_threads(2)
    yield
    set_threads(before)


def test_every_block_is_done_once_whoever_asks_at_the_same_time() -> None:
    done: dict[int, list[int]] = {caller: [] for caller in range(4)}

    def call(caller: int) -> None:
        for _ in range(50):
            share(done[caller].append, 7)

    callers = [threading.Thread(target=call, args=(caller,)) for caller in done]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(sorted(blocks) == sorted(list(range(7)) * 50) for blocks in done.values())


def test_a_failure_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        share(lambda block: 1 // (block - 3), 5)


def test_helpers_that_wait_for_long_use_no_processor() -> None:
    share(lambda block: None, 8)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1
