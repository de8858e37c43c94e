# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that share one training run, as `torchrun` starts them; alone, all of this does nothing."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from headgas.errors import HeadGaSError
from headgas.splatting import get_threads, set_threads

_PATIENCE = timedelta(minutes=10)  # the first step may wait for kernels that another process compiles


class Processes:
    """This process among those of the run: the frames of a step are dealt in equal, consecutive shares."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """Which of a step's frames are this process's.

        Raises:
            HeadGaSError: the frames cannot be dealt equally.
        """
        if batch % self.count:
            raise HeadGaSError(
                f"{batch} frames per step cannot be dealt equally to {self.count} processes.",
                f"Set --batch to a multiple of {self.count}.",
            )
        each = batch // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def gathered(self, own: Tensor) -> Tensor:
        """Everyone's rows [k,...] in the order of the processes: [count k,...]."""
        if self.count == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.count)]
        with _explained():
            dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    def add_up(self, gradients: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes, in one message."""
        if self.count == 1 or not gradients:
            return
        together = torch.cat([gradient.flatten() for gradient in gradients])
        with _explained():
            dist.all_reduce(together)
        for gradient, total in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def agreed(self, value: float) -> float:
        """The first process's number: clocks differ, decisions must not."""
        if self.count == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        with _explained():
            dist.broadcast(number, 0)
        return number.item()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Joins the run that `torchrun` started, if it did; yields this process's place and device.

    Raises:
        HeadGaSError: the processes do not find each other.
    """
    if not dist.is_torchelastic_launched():
        yield Processes(), device
        return
    local, neighbours = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if device.type == "cuda":
        if neighbours > torch.cuda.device_count():
            raise HeadGaSError(
                f"{neighbours} processes were started, but there are {torch.cuda.device_count()} CUDA devices.",
                f"Start torchrun with --nproc-per-node {torch.cuda.device_count()}.",
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    set_threads(max(1, get_threads() // neighbours))
    with _explained():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    processes = Processes(dist.get_rank(), dist.get_world_size())
    if not processes.first:
        logging.getLogger("headgas").setLevel(logging.WARNING)  # one voice is enough
    try:
        yield processes, device
        with _explained():
            dist.barrier()  # the others wait until the first has written its files: torch aborts when it is left early
    finally:
        dist.destroy_process_group()


@contextmanager
def _explained() -> Iterator[None]:
    """torch reports a vanished process as a RuntimeError of one of many kinds."""
    try:
        yield
    except (RuntimeError, dist.DistError) as error:
        raise HeadGaSError(
            f"Another process of this training has ended, so this one ends too ({str(error).splitlines()[0]}).",
            "torchrun names it in its summary. Start again with --resume to go on from the last saved state.",
        ) from None
