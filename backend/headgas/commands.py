# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of the command line do."""

import argparse
import dataclasses
import json
import sys

import torch

from headgas.avatars import load_avatar, read_header
from headgas.captures import check_capture, load_capture, load_for_training
from headgas.devices import choose_device, notice
from headgas.errors import HeadGaSError
from headgas.evaluation import comparison_sheet
from headgas.evaluation import evaluate as compare_with_photographs
from headgas.evaluation.compare import check_presets, compare_avatars
from headgas.evaluation.compare import compare as compare_presets
from headgas.evaluation.explain import explain as explain_avatar
from headgas.evaluation.fitting import fit_mapping as fit_capture
from headgas.evaluation.fitting import mean_r2, write_mapping
from headgas.evaluation.metrics import evaluation_row
from headgas.evaluation.report import table_text
from headgas.evaluation.sheet import preview_writer
from headgas.exchange import Conversion
from headgas.exchange import convert as convert_avatar
from headgas.files import save_image
from headgas.splatting import get_threads, set_threads
from headgas.training.config import DEFAULT_PRESET, preset
from headgas.training.job import Job
from headgas.training.job import train as run_training
from headgas.training.processes import joined
from headgas.training.run import Progress
from headgas.training.trainer import Budget

_DEFAULT_BUDGET = 300.0  # seconds


def device_of(options: argparse.Namespace) -> torch.device:
    """The device that a command was told to use; its threads are set, too."""
    set_threads(options.threads or get_threads())
    return choose_device(options.device)


def train(options: argparse.Namespace) -> None:
    name = options.preset or DEFAULT_PRESET
    preset(name)
    with joined(device_of(options)) as (processes, device):
        capture = load_for_training(options.capture, options.skip_damaged)
        path = run_training(
            dataclasses.replace(_job(options, device, processes.count), live=options.live),
            name,
            capture,
            options.out,
            resume=options.resume,
            on_progress=_print_progress,
            preview=preview_writer(capture),
            processes=processes,
        )
    if processes.first:
        print(path)


def _job(options: argparse.Namespace, device: torch.device, processes: int = 1) -> Job:
    seconds = options.budget or (None if options.iterations else _DEFAULT_BUDGET)
    budget = Budget(options.iterations, seconds)
    compact = options.basis == "int8"
    return Job(
        budget,
        options.seed,
        device,
        options.gaussians,
        options.batch or processes,
        compact,
        cache=options.cache,
        refine=options.refine_poses,
    )


def compare(options: argparse.Namespace) -> None:
    if options.avatars:
        capture, refine = load_capture(options.capture), options.refine_poses
        rows = compare_avatars(capture, options.avatars, device_of(options), options.out, refine)
        print(json.dumps(rows) if options.json else table_text(rows))
        return
    check_presets(options.presets)
    capture, job = load_for_training(options.capture, options.skip_damaged), _job(options, device_of(options))
    rows = compare_presets(capture, options.presets, job, options.out, _print_preset_progress)
    print(json.dumps(rows) if options.json else table_text(rows))


def _print_preset_progress(name: str, line: Progress) -> None:
    print(name, end="  ", file=sys.stderr)
    _print_progress(line)


def _print_progress(line: Progress) -> None:
    left = f"{int(line.seconds_left // 60)}:{int(line.seconds_left % 60):02d}"
    print(
        f"{line.progress:4.0%}  step {line.iteration:,}  {line.iterations_per_second:.1f} it/s  loss {line.loss:.4f}  "
        f"PSNR {line.psnr:.2f} dB  {line.gaussians:,} Gaussians  {left} left",
        file=sys.stderr,
        flush=True,
    )


def evaluate(options: argparse.Namespace) -> None:
    device = device_of(options)
    checkpoint, capture = load_avatar(options.avatar, device), load_capture(options.capture)
    result = compare_with_photographs(checkpoint, capture, options.split, options.refine_poses)
    if options.sheet:
        save_image(options.sheet, comparison_sheet(checkpoint.avatar, capture.split(options.split)))
    row = evaluation_row(checkpoint, result)
    if options.json:
        print(json.dumps(row))
        return
    print(f"{'frame':>12} {'PSNR':>7} {'SSIM':>7}")
    for frame in result.per_frame:
        print(f"{frame['name']:>12} {frame['psnr']:7.2f} {frame['ssim']:7.4f}")
    lpips = f"{result.lpips:.4f}" if result.lpips is not None else "not measured (no weights on this machine)"
    regions = ", ".join(f"{k} {v:.2f} dB" for k, v in (result.regions or {}).items() if v is not None)
    print(f"\nmean of {result.frames} frames ({options.split}): PSNR {result.psnr:.2f} dB, SSIM {result.ssim:.4f}")
    if refined := result.refined:
        print(f"poses refined: PSNR {refined['psnr']:.2f} dB, SSIM {refined['ssim']:.4f}")
    print(f"LPIPS: {lpips}")
    print(f"PSNR around eyes and mouth: {regions or 'not measured (the capture has no landmarks)'}")
    rate = result.frames_per_second
    print(f"{rate:.1f} frames/s, {row['gaussians']:,} Gaussians, {row['bytes'] / 1e6:.1f} MB")
    if rendered := capture.rendered:
        print(
            f"a frame takes {rendered.engine} {rendered.seconds:.2f} s and the avatar {1 / rate:.4f} s: "
            f"{rendered.seconds * rate:.0f} times as fast, with {result.psnr:.2f} dB"
        )


def explain(options: argparse.Namespace) -> None:
    checkpoint = load_avatar(options.avatar, device_of(options))
    capture = load_capture(options.capture) if options.capture else None
    out = options.out or options.avatar.parent / "explain"
    numbers = explain_avatar(checkpoint, capture, out)
    print(json.dumps(numbers) if options.json else out / "explain.html")


def convert(options: argparse.Namespace) -> None:
    wanted = Conversion(
        axes=options.axes,
        scale=options.scale,
        flame=options.flame,
        shape=options.shape,
        compact=options.basis == "int8",
        expression=options.expression,
        capture=options.capture,
        frame=options.frame,
        split=options.split,
    )
    converted = convert_avatar(options.source, options.target, wanted)
    for warning in converted.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for path in converted.files:
        print(path)


def info(options: argparse.Namespace) -> None:
    header = read_header(options.avatar)
    summary = header | {"bytes": options.avatar.stat().st_size}
    if options.json:
        print(json.dumps(summary))
        return
    space, training = header["expression_space"], header["training"]
    basis = header.get("basis", "float32")
    print(f"{options.avatar}: {header['model']}, preset {header['preset']}, {summary['bytes'] / 1e6:.1f} MB, {basis}")
    print(", ".join(f"{name} {value}" for name, value in training.items() if not isinstance(value, dict)))
    if not space["names"]:
        print("Nothing drives it.")
        return
    print(f"{len(space['names'])} parameters ({space['kind']}), with neutral and seen range:")
    for name, neutral, low, high in zip(*(space[key] for key in ("names", "neutral", "low", "high")), strict=True):
        print(f"  {name:<24} {neutral:6.3f}  {low:6.3f} … {high:.3f}")


def check(options: argparse.Namespace) -> None:
    checked = check_capture(options.capture)
    if options.json:
        print(json.dumps(checked.to_json()))
    else:
        print(*checked.problems, sep="\n", end="\n" if checked.problems else "")
    if checked.problems:
        count = len(checked.problems)
        raise HeadGaSError(f"{options.capture}: {count} problem{'s' if count > 1 else ''} found.")
    if options.json:
        return
    capture, views = checked.capture, checked.views
    assert capture is not None and views is not None
    space, train = capture.expression_space, len(capture.split("train"))
    test = len(capture.frames) - train
    print(f"{options.capture}: {train} training and {test} test frames, every image there with a matte;")
    seen = f"views from {_degrees(views.yaw)} of yaw, {_degrees(views.pitch)} of pitch"
    print(f"{len(space)} parameters ({space.kind}); {seen}.")
    for warning in checked.warnings:
        print(f"- {warning}")


def _degrees(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.0f}° to {limits[1]:.0f}°"


def fit_mapping(options: argparse.Namespace) -> None:
    fitted = fit_capture(options.capture, options.source, options.target)
    described = f"{options.source} to {options.target}, fitted to {fitted.train} frames of {options.capture.name}"
    write_mapping(options.out, fitted, described, options.licence)
    report = fitted.report()
    if options.json:
        print(json.dumps(report))
        return
    print(f"{'parameter':>24} {'R²':>7} {'held out':>9} {'error':>9}")
    for row in report["parameters"]:
        numbers = (row["r2"], row["held_out_r2"], row["held_out_error"])
        r2, held_out, error = ("—" if number is None else f"{number:.3f}" for number in numbers)
        print(f"{row['name']:>24} {r2:>7} {held_out:>9} {error:>9}")
    held_out = f"{mean_r2(fitted.fit.held_out_r2):.3f}" if fitted.test else "not measured: there are no test frames"
    print(f"\n{fitted.train} training and {fitted.test} test frames have both.")
    print(f"Mean R² {mean_r2(fitted.fit.r2):.3f}, held out {held_out}")
    print(options.out)


def doctor(options: argparse.Namespace) -> None:
    from headgas.doctor import examine

    examine(options.json)


def compile_kernels(options: argparse.Namespace) -> None:
    from headgas.training.warmup import compile_kernels as compile_all

    new = compile_all()
    print(f"{new} kernels compiled; all are ready." if new else "All kernels are compiled.")


def serve(options: argparse.Namespace) -> None:
    from headgas.service.server import serve as listen

    listen(options.host, options.port, device_of(options), options.stop_with_stdin, notice(options.device))
