# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training frames as tensors, shuffled epoch by epoch: in memory as far as that is allowed, else decoded ahead."""

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from headgas.captures import Frame
from headgas.errors import HeadGaSError
from headgas.splatting import Camera

_MOST_CACHE = 4_000_000_000  # bytes, where nobody says otherwise,
_CACHE_SHARE = 0.25  # and no more of all memory
_UNKNOWN_MEMORY = 8_000_000_000  # bytes: taken where the system does not say
_NO_MATTE = 1e-6  # there a colour means nothing
_HEAD = 127  # of 255: what is more than that in a matte is the head
_BOX_MARGIN = 8  # pixels around it: the perceptual loss sees the silhouette too
_MOST_DECODERS = 8  # threads
_POLITENESS = 10  # of 19: training's own threads go first, decoders take what they leave
_AHEAD = 32  # frames that are decoded before they are needed,
_AHEAD_SHARE = 0.25  # as far as they take no more of the cache than this


@dataclass(frozen=True)
class TrainingFrame:
    """One frame on the training device."""

    color: Tensor  # [H,W,3] sRGB, straight
    matte: Tensor  # [H,W]
    head: tuple[slice, slice]  # rows and columns around the matte, for the perceptual loss
    camera: Camera
    expression: Tensor  # [B]

    def over(self, background: Tensor) -> Tensor:
        """The photograph over a background [3]: [H,W,3]."""
        matte = self.matte[..., None]
        return self.color * matte + background * (1 - matte)

    def shrunk(self, side: int) -> "TrainingFrame":
        """The frame in whole blocks of pixels averaged, with no more than `side` of them on the longer side.

        What is left of a block at the right and lower edges is cut off.
        """
        block = -(-max(self.camera.width, self.camera.height) // side)
        if block <= 1 or min(self.camera.width, self.camera.height) < block:
            return self
        matte = self.matte[..., None]
        layers = torch.cat([self.color * matte, matte], -1).permute(2, 0, 1)[None]
        small = nn.functional.avg_pool2d(layers, block)[0].permute(1, 2, 0).contiguous()
        color = small[..., :3] / small[..., 3:].clamp_min(_NO_MATTE)
        height, width = small.shape[:2]
        K = self.camera.K / self.camera.K.new_tensor([[block], [block], [1]])
        camera = replace(self.camera, K=K, width=width, height=height)
        return replace(self, color=color, matte=small[..., 3], head=(slice(None), slice(None)), camera=camera)


@dataclass(frozen=True)
class _Picture:
    """What a decoded image shows of the head, in the bytes of its file: floats would take four times the memory."""

    color: Tensor  # [h,w,3] uint8
    matte: Tensor  # [h,w] uint8
    place: tuple[slice, slice]  # their rows and columns; elsewhere the matte is 0
    head: tuple[slice, slice]

    @property
    def bytes(self) -> int:
        return self.color.numel() + self.matte.numel()

    def padded(self, part: Tensor, height: int, width: int) -> Tensor:
        """The colour or the matte of the whole frame, in 0..1."""
        whole = torch.zeros(height, width, *part.shape[2:], device=part.device)
        torch.div(part, 255, out=whole[self.place])
        return whole


class TrainingFrames:
    """The frames that a run trains on.

    Where all pictures fit into the cache they are decoded at once. Else as many as fit stay, which is the best that a
    cache can do when every frame comes once per epoch; threads decode the others shortly before they are needed.
    """

    def __init__(self, frames: Sequence[Frame], device: torch.device, cache: int | None = None) -> None:
        """cache: bytes, on the training device (default: `usual_cache`).

        Raises:
            HeadGaSError: a picture cannot be used; where they do not fit, only `[]` may find that.
        """
        self._frames = frames
        self._device = device
        self.cameras = [frame.camera.to(device) for frame in frames]
        self.expressions = torch.from_numpy(np.stack([frame.expression for frame in frames])).to(device)  # [F,B]
        self._kept: dict[int, _Picture] = {}
        self._coming: dict[int, Future[_Picture]] = {}
        cache = usual_cache(device) if cache is None else cache
        cores = os.cpu_count() or 1
        sizes = [_bytes(frame) for frame in frames]
        if sum(sizes) <= cache:
            with ThreadPoolExecutor(min(cores, _MOST_DECODERS)) as every:
                self._kept.update(enumerate(every.map(self._decoded, frames)))
            return
        self._ahead = max(1, min(_AHEAD, int(_AHEAD_SHARE * cache) // max(sizes)))
        self._room = cache - self._ahead * max(sizes)
        self._decoders = ThreadPoolExecutor(max(1, min(cores // 2, _MOST_DECODERS)), "decoder", _give_way)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def bytes_kept(self) -> int:
        """What the pictures in memory take, those that are decoded ahead included."""
        coming = sum(_bytes(self._frames[number]) for number in self._coming)
        return coming + sum(picture.bytes for picture in self._kept.values())

    @property
    def streams(self) -> bool:
        """Whether pictures are decoded while training goes on."""
        return len(self._kept) < len(self._frames)

    def expect(self, numbers: Sequence[int]) -> None:
        """Begins to decode the frames that will be asked for next, in this order, as far ahead as memory allows."""
        if not self.streams:
            return
        wanted = [number for number in dict.fromkeys(numbers) if number not in self._kept][: self._ahead]
        for number in self._coming.keys() - set(wanted):
            self._coming.pop(number).cancel()
        for number in wanted:
            if number not in self._coming:
                self._coming[number] = self._decoders.submit(self._decoded, self._frames[number])

    def __getitem__(self, number: int) -> TrainingFrame:
        """
        Raises:
            HeadGaSError: the picture cannot be used.
        """
        picture = self._kept.get(number)
        if picture is None:
            coming = self._coming.pop(number, None)
            picture = self._decoded(self._frames[number]) if coming is None else coming.result()
            if picture.bytes <= self._room:
                self._kept[number] = picture
                self._room -= picture.bytes
        size = self._frames[number].height, self._frames[number].width
        color, matte = (picture.padded(part, *size) for part in (picture.color, picture.matte))
        return TrainingFrame(color, matte, picture.head, self.cameras[number], self.expressions[number])

    def _decoded(self, frame: Frame) -> _Picture:
        try:
            pixels = frame.load_head()
        except HeadGaSError as error:
            hint = "`headgas check` lists everything that is wrong; --skip-damaged leaves such frames out."
            raise HeadGaSError(error.message, error.hint or hint) from None
        matte = np.ascontiguousarray(pixels[..., 3])
        most = matte.max(1), matte.max(0)
        place, head = _box(most, 0), _box(most, _HEAD, _BOX_MARGIN)
        cut = pixels[place]
        color = np.stack([cut[..., channel] for channel in range(3)], -1)  # four times as fast as a copy of all three
        kept = [torch.from_numpy(part).to(self._device) for part in (color, matte[place].copy())]
        return _Picture(kept[0], kept[1], place, head)


def usual_cache(device: torch.device) -> int:
    """Bytes that pictures may take on a device where nobody says how many."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        names = getattr(os, "sysconf_names", {})  # Windows has none
        known = "SC_PAGE_SIZE" in names and "SC_PHYS_PAGES" in names
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else _UNKNOWN_MEMORY
    return min(_MOST_CACHE, int(_CACHE_SHARE * memory))


def _give_way() -> None:
    """A decoder that takes a core in the middle of a kernel makes its other threads wait. On Linux a thread has a
    priority of its own."""
    if sys.platform == "linux":
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, min(19, os.getpriority(os.PRIO_PROCESS, here) + _POLITENESS))


def _bytes(frame: Frame) -> int:
    return 4 * frame.width * frame.height


def _box(most: tuple[np.ndarray, np.ndarray], least: int, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns around what is more than `least`, and a margin, where `most` [H], [W] is the most in each."""
    lines = [np.flatnonzero(line > least) for line in most]
    if not len(lines[0]):
        return slice(None), slice(None)
    rows, columns = (slice(max(0, int(line[0]) - margin), int(line[-1]) + 1 + margin) for line in lines)
    return rows, columns


class FrameOrder:
    """Which frame comes next: every frame once per epoch, in an order that only the seed and the step decide."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._orders: dict[int, np.ndarray] = {}  # by epoch; two, since pictures are decoded ahead

    def __getitem__(self, step: int) -> int:
        epoch, place = divmod(step, self._count)
        if epoch not in self._orders:
            self._orders = {past: order for past, order in self._orders.items() if past == epoch - 1}
            self._orders[epoch] = np.random.default_rng((self._seed, epoch)).permutation(self._count)
        return int(self._orders[epoch][place])
