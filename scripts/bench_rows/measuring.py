# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a row is measured: side by side with its rival, and against what the machine could do at best."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from headgas.splatting import set_threads
from headgas.splatting.threads import share

_FEWEST, _MOST = 3, 200  # rounds of a row
_PARTS = 16  # of what threads read and multiply to show what they can
_CUDA_CALLS = 10  # between two waits for the device, so that throughput counts and not the wait


@dataclass(frozen=True)
class Row:
    """One line of the table, one object of the JSON file."""

    row: str
    device: str
    threads: int
    value: float
    unit: str
    per_second: float | None = None
    ratio: float | None = None  # how many times as fast as `against`
    against: str | None = None
    of_ceiling: float | None = None  # the least time that this machine's memory and arithmetic allow, over the time


@dataclass(frozen=True)
class Ceiling:
    """What the machine can do at best, as torch's own simplest operations show."""

    read: float  # GB/s
    product: float  # float32 GFLOP/s

    def milliseconds(self, read_bytes: float, operations: float) -> float:
        """The time that the slower of memory and arithmetic needs at least."""
        return max(read_bytes / self.read, operations / self.product) / 1e6


@dataclass(frozen=True)
class Work:
    """Something to time, once everything for it is made."""

    run: Callable[[], object]
    read_bytes: float = 0.0  # what it must read from and write to memory
    operations: float = 0.0  # floating-point operations
    rivals: dict[str, Callable[[], object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """Where and how long to measure."""

    device: torch.device
    threads: tuple[int, ...]
    seconds: float  # for one row
    quick: bool
    prototype: Path | None
    ceilings: dict[int, Ceiling]
    capture: Path | None = None  # of a head, to train on

    @property
    def most(self) -> int:
        return self.threads[-1]

    def row(self, name: str, value: float, unit: str, threads: int | None = None, **rest: object) -> Row:
        return Row(name, self.device.type, threads or self.most, value, unit, **rest)  # type: ignore[arg-type]

    def times(self, functions: Iterable[Callable[[], object]], seconds: float | None = None) -> list[float]:
        """The fastest call of each in milliseconds, called in turns so that all meet the same disturbances."""
        functions = list(functions)
        calls = _CUDA_CALLS if self.device.type == "cuda" else 1
        for function in functions:
            function()
        best = [float("inf")] * len(functions)
        end = time.perf_counter() + (seconds or self.seconds)
        for number in range(_MOST):
            if number >= _FEWEST and time.perf_counter() > end:
                break
            for i, function in enumerate(functions):
                self.wait()
                start = time.perf_counter()
                for _ in range(calls):
                    function()
                self.wait()
                best[i] = min(best[i], (time.perf_counter() - start) * 1e3 / calls)
        return best

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, name: str, work: Work, threads: tuple[int, ...] = ()) -> Iterator[Row]:
        """A row for each number of threads (the largest, when left out) and each rival; all are called in turns."""
        threads = threads or (self.most,)
        everything = [work.run, *work.rivals.values()]
        best = iter(self.times([_by(count, function) for count in threads for function in everything]))
        for count in threads:
            own, *others = (next(best) for _ in everything)
            least = self.ceilings[count].milliseconds(work.read_bytes, work.operations)
            ratios = [(other / own, rival) for rival, other in zip(work.rivals, others, strict=True)] or [(None, None)]
            for ratio, rival in ratios:
                share = least / own or None
                yield self.row(
                    name, own, "ms", count, per_second=1e3 / own, ratio=ratio, against=rival, of_ceiling=share
                )
        set_threads(self.most)


def _by(threads: int, function: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        set_threads(threads)
        return function()

    return run


def measure_ceilings(device: torch.device, threads: tuple[int, ...]) -> dict[int, Ceiling]:
    """Reading and matrix products, dealt to as many threads as each row has."""
    large = device.type == "cuda"
    matrix = torch.randn((4096 if large else 512,) * 2, device=device)
    numbers = torch.ones(1 if large else _PARTS, (256 if large else 4) * 1024 * 1024, device=device)
    parts = len(numbers)

    def read(part: int) -> None:
        numbers[part].sum()

    def multiply(part: int) -> None:
        torch.mm(matrix, matrix)

    ceilings = {}
    for count in threads:
        set_threads(count)
        reading, multiplying = Bench(device, (count,), 1.0, False, None, {}).times(
            [lambda: share(read, parts), lambda: share(multiply, parts)]
        )
        ceilings[count] = Ceiling(numbers.numel() * 4 / reading / 1e6, 2 * parts * len(matrix) ** 3 / multiplying / 1e6)
    return ceilings
