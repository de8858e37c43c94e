# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about pictures: the rasterizer, blending, the decoder, and whole frames."""

import copy
import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from bench_rows.measuring import Bench, Row, Work
from bench_rows.scenes import ACTIVE, FEATURES, PARAMETERS, evaluations, expressions, head, moving_head
from headgas.avatars import Avatar
from headgas.avatars.blending import blend
from headgas.avatars.compact import CompactBasis
from headgas.avatars.decoder import Decoder, decode_plainly
from headgas.avatars.rendering import PlacedAvatar, finished_plainly, render_frame
from headgas.splatting import Gaussians, get_threads, rasterize, set_threads
from headgas.splatting.example import egg

SCENES = ((128, 5_000), (256, 10_000), (512, 50_000))  # pixels along each side, Gaussians
FRAMES = ((256, 10_000), (512, 20_000), (512, 50_000))
CUDA_FRAMES = ((512, 50_000), (1024, 50_000))
_FORWARD, _BACKWARD = 38, 75  # operations of a Gaussian in a pixel
MLP = FEATURES * 64 + 64 * 64 + 64 * 49  # products of a Gaussian
_ALIKE = 5  # expressions shown in turn


def rasterizer(bench: Bench, size: int, count: int) -> tuple[Work, Work]:
    """RGB and depth of a made-up head; and with the gradients of all that it is made of."""
    scene, camera = egg(count, size, size)
    work = evaluations(scene, camera)
    gaussians = Gaussians(*(tensor.to(bench.device).requires_grad_() for tensor in vars(scene).values()))
    camera = camera.to(bench.device)
    gradients = [torch.randn(size, size, *rest, device=bench.device) for rest in ((3,), (), ())]

    def forward() -> None:
        with torch.no_grad():
            rasterize(gaussians, camera)

    def forward_and_backward() -> None:
        for tensor in vars(gaussians).values():
            tensor.grad = None
        result = rasterize(gaussians, camera)
        assert result.depth is not None
        torch.autograd.backward((result.color, result.alpha, result.depth), gradients)

    name, rivals = "prototype", (None, None)
    if bench.prototype:
        rivals = other_rasterizer(bench.prototype, size, count)
    elif size == SCENES[0][0] and bench.device.type == "cpu" and not bench.quick:  # it takes seconds; others minutes

        def naive() -> None:
            with torch.no_grad():
                rasterize(gaussians, camera, implementation="reference")

        name, rivals = "reference", (naive, None)
    return tuple(  # type: ignore[return-value]
        Work(run, 0.0, work * operations, {name: rival} if rival else {})
        for run, operations, rival in zip(
            (forward, forward_and_backward), (_FORWARD, _FORWARD + _BACKWARD), rivals, strict=True
        )
    )


def other_rasterizer(folder: Path, size: int, count: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same work by the module `nbsplat` of another folder."""
    os.environ.update(TW="8", TH="32")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = importlib.import_module("nbsplat")
    scene, camera = egg(count, size, size)
    tensors = [tensor.requires_grad_() for tensor in vars(scene).values()]
    view, K = camera.viewmat[:3].contiguous(), camera.K
    intrinsics = torch.stack([K[0, 0], K[1, 1], K[0, 2], K[1, 2]])
    gradients = torch.randn(4, size, size), torch.randn(size, size)

    def forward() -> None:
        _same_threads()
        with torch.no_grad():
            module.rasterize(*tensors, view, intrinsics, size, size)

    def forward_and_backward() -> None:
        _same_threads()
        for tensor in tensors:
            tensor.grad = None
        torch.autograd.backward(module.rasterize(*tensors, view, intrinsics, size, size), gradients)

    return forward, forward_and_backward


def _same_threads() -> None:
    importlib.import_module("numba").set_num_threads(get_threads())


def rasterizer_rows(bench: Bench) -> Iterator[Row]:
    names = "forward", "forward + backward"
    for size, count in SCENES:
        works = rasterizer(bench, size, count)
        for name, work in zip(names, works, strict=True):
            title = f"rasterize {size}² {count}, {name}"
            rows = list(bench.timed(title, work, bench.threads))
            yield from rows
            if len(bench.threads) > 1:
                gain = rows[0].value / rows[-1].value
                yield bench.row(f"{title}, {bench.threads[0]} to {bench.most} threads", gain, "times as fast")


def loaded_rows(bench: Bench) -> Iterator[Row]:
    """All cores busy with something else: more threads must not be slower than one."""
    _, work = rasterizer(bench, 256, 10_000)

    def by(threads: int) -> Callable[[], object]:
        def run() -> None:
            set_threads(threads)
            work.run()

        return run

    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        one, all_of_them = bench.times([by(1), by(bench.most)], 4 * bench.seconds)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    title = "rasterize 256² 10000, forward + backward, every core busy with something else"
    yield bench.row(title, all_of_them, "ms", ratio=one / all_of_them, against="1 thread")


def blending_rows(bench: Bench) -> Iterator[Row]:
    count = 10_000 if bench.quick else 50_000
    basis = torch.randn(1 + PARAMETERS, count, FEATURES, device=bench.device)
    coefficients = torch.cat([torch.ones(1), expressions(1)[0]]).to(bench.device)
    size = (1 + ACTIVE) * count * FEATURES
    work = Work(
        lambda: blend(basis, coefficients), 4.0 * size, 2.0 * size, {"torch": lambda: coefficients @ basis.flatten(1)}
    )
    yield from bench.timed(f"blend {count}, {1 + ACTIVE} of {1 + PARAMETERS} rows, float32", work)
    compact = CompactBasis.compressed(basis)
    work = Work(lambda: compact.blend(coefficients), size + 3.0 * count * FEATURES, 2.0 * size, work.rivals)
    yield from bench.timed(f"blend {count}, {1 + ACTIVE} of {1 + PARAMETERS} rows, compact", work)


def decoder_rows(bench: Bench) -> Iterator[Row]:
    count = 10_000 if bench.quick else 50_000
    decoder = Decoder(FEATURES, 39, 64, 49).to(bench.device)
    features, encoding = (torch.randn(count, size, device=bench.device) for size in (FEATURES, 39))
    with torch.no_grad():
        folded = decoder.folded(encoding)
    layers = decoder.feature_layer, decoder.encoding_layer, decoder.hidden_layer, decoder.output_layer
    tensors = [t for layer in layers for t in (layer.weight, layer.bias) if t is not None]

    @torch.inference_mode()
    def plainly() -> None:
        decode_plainly(features, encoding, *tensors)

    work = Work(lambda: decoder.forward_folded(features, folded), 4.0 * count * 145, 2.0 * count * MLP,
                {"torch": plainly})  # fmt: skip
    yield from bench.timed(f"decode {count}, encoding folded", work)


def frame_work(bench: Bench, size: int, count: int, changing: bool) -> Work:
    """An expression to linear RGBA and depth; every frame another expression, or always the same.

    The avatar is as its file holds it, with a compact basis.
    """
    avatar, camera = head(count, size)
    avatar.stored_basis = CompactBasis.compressed(avatar.basis)
    with torch.inference_mode():
        operations = _FORWARD * evaluations(avatar.gaussians(torch.zeros(PARAMETERS), camera), camera)
    avatar = copy.deepcopy(avatar).to(bench.device).eval()
    shown = itertools.cycle(expressions(_ALIKE if changing else 1))
    place = torch.eye(4)

    def run() -> None:
        render_frame([PlacedAvatar(avatar, next(shown), place)], camera)

    if not changing:
        return Work(run, 0.0, operations)
    values = float(ACTIVE * count * FEATURES)
    rivals: dict[str, Callable[[], object]] = {}
    if bench.device.type == "cpu":
        plain = copy.deepcopy(avatar)
        plain.basis = plain.basis  # float32, as it was trained

        @torch.inference_mode()
        def plainly() -> None:
            drawn = rasterize(plain.gaussians(next(shown), camera), camera, antialiased=True)
            assert drawn.depth is not None
            finished_plainly(drawn.color, drawn.alpha, drawn.depth, 1.0)

        rivals["plain torch but for the rasterizer"] = plainly
    return Work(run, values, operations + 2.0 * count * MLP + 2 * values, rivals)


def frame_rows(bench: Bench) -> Iterator[Row]:
    for size, count in CUDA_FRAMES if bench.device.type == "cuda" else FRAMES:
        yield from bench.timed(f"frame {size}² {count}", frame_work(bench, size, count, True))
    yield from bench.timed("frame 512² 20000, unchanged expression", frame_work(bench, 512, 20_000, False))


def model_rows(bench: Bench) -> Iterator[Row]:
    """A frame of motion modes beside one of HeadGaS with the same Gaussians at rest, each as its file holds it."""
    size, count = 256, 12_000
    (headgas, camera), (modes, _) = head(count, size), moving_head(count, size)
    headgas.stored_basis = CompactBasis.compressed(headgas.basis)
    shown = itertools.cycle(expressions(_ALIKE))

    def frame(avatar: Avatar) -> Callable[[], object]:
        avatar = avatar.to(bench.device)
        return lambda: render_frame([PlacedAvatar(avatar, next(shown), torch.eye(4))], camera)

    work = Work(frame(modes), rivals={"headgas": frame(headgas)})
    yield from bench.timed(f"frame {size}² {count}, modes", work, bench.threads)
