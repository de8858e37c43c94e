# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function of tensors whose CUDA launches are recorded once and then replayed together.

A frame's expression passes through dozens of small operations; launching them one by one takes the host longer than the
card needs to work them off.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_WARM_UPS = 3  # calls before recording: kernels compile, libraries make their workspaces


class Replayed:
    """Calls `function`, on CUDA as a recorded graph (torch.cuda.CUDAGraph); without gradients.

    The function must do the same launches on tensors of the same shapes every time, and never make the host wait. What
    it reads besides its arguments must stay where it is: make a new `Replayed` when it moves. Where recording fails,
    the function is called as it is, and the log says so.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        self._arguments: tuple[Tensor, ...] = ()
        self._results: tuple[Tensor, ...] = ()
        self._plainly = False

    @torch.no_grad()
    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The function's results: new tensors in every call. All arguments are on one device."""
        if self._plainly or not arguments[0].is_cuda:
            return self._function(*arguments)
        if self._graph is None and not self._recorded(arguments):
            return self._function(*arguments)
        assert self._graph is not None
        for own, given in zip(self._arguments, arguments, strict=True):
            own.copy_(given)
        self._graph.replay()
        return tuple(result.clone() for result in self._results)

    def _recorded(self, arguments: tuple[Tensor, ...]) -> bool:
        """Records the graph. Returns whether that went well."""
        try:
            self._record(arguments)
        except RuntimeError as error:
            log.warning("Frames cannot be replayed as a CUDA graph, each operation is launched by itself: %s", error)
            self._graph, self._plainly = None, True
            torch.cuda.synchronize()  # a capture that was broken off must not disturb what follows
        return not self._plainly

    @torch.inference_mode(False)  # what is kept must serve within that mode and without
    @torch.no_grad()
    def _record(self, arguments: tuple[Tensor, ...]) -> None:
        self._arguments = tuple(argument.clone() for argument in arguments)
        with torch.cuda.device(arguments[0].device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    self._function(*self._arguments)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._results = self._function(*self._arguments)
            self._graph = graph
