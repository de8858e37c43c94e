# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `headgas`.

Exit codes: 0 done, 2 the user's input, 1 a bug. Progress goes to standard error, results to standard output.
"""

import argparse
import importlib
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import headgas
from headgas.errors import HeadGaSError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # Windows' consoles
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except HeadGaSError as error:
        print(f"headgas: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("headgas: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0  # whoever read our output has seen enough
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="headgas", description="Photoreal, animatable Gaussian head avatars.")
    parser.add_argument("--version", action="version", version=f"headgas {headgas.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train an avatar on a capture")
    train.add_argument("capture", type=Path)
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="the folder to write")
    train.add_argument("--preset", default=None, help="the recipe (default: modes)")
    _training(train)
    train.add_argument("--resume", action="store_true", help="go on with the killed run in RUN")
    live_help = "write RUN/avatar.safetensors while it trains too, every 20 seconds or TIME"
    train.add_argument("--live", type=_seconds, nargs="?", const=20.0, metavar="TIME", help=live_help)
    _machine(train)
    train.set_defaults(run=_lazily("train"))

    compare = commands.add_parser("compare", help="train and evaluate presets, or evaluate avatars, under one protocol")
    compare.add_argument("capture", type=Path)
    compared = compare.add_mutually_exclusive_group(required=True)
    compared.add_argument("--presets", type=_names, metavar="A,B,…", help="the recipes to compare")
    compared.add_argument("--avatars", type=Path, nargs="+", metavar="AVATAR", help="avatars that are trained already")
    compare.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write, or to go on in")
    compare.add_argument("--json", action="store_true")
    _training(compare)
    _machine(compare)
    compare.set_defaults(run=_lazily("compare"))
    _avatar_commands(commands)

    check = commands.add_parser("check", help="everything that is wrong with a capture, and what it does not show")
    check.add_argument("capture", type=Path)
    check.add_argument("--json", action="store_true", help="all that was found, as one JSON object; docs/formats.md")
    check.set_defaults(run=_lazily("check"))

    _import_command(commands)
    _track_command(commands)

    fit = commands.add_parser("fit-mapping", help="a mapping between two descriptions of a capture's frames")
    fit.add_argument("capture", type=Path)
    name_help = "expression, one of the capture's other_expressions, flame, or a CSV file with a row per frame"
    fit.add_argument("--from", dest="source", required=True, metavar="NAME", help=name_help)
    fit.add_argument("--to", dest="target", required=True, metavar="NAME", help="the same")
    fit.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="the mapping, which Blender loads")
    fit.add_argument("--licence", default="", metavar="TEXT", help="under which others may use it; goes into the file")
    fit.add_argument("--json", action="store_true")
    fit.set_defaults(run=_lazily("fit_mapping"))

    doctor = commands.add_parser("doctor", help="what is installed, what works, what is missing")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=_lazily("doctor"))

    commands.add_parser("compile", help="compile the CPU kernels now").set_defaults(run=_lazily("compile_kernels"))

    serve = commands.add_parser("serve", help="the service that Blender talks to")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0, help="0: any free one")
    serve.add_argument("--stop-with-stdin", action="store_true", help="end when standard input closes")
    _machine(serve)
    serve.set_defaults(run=_lazily("serve"))
    return parser


def _avatar_commands(commands: Any) -> None:
    """Commands that look at an avatar file."""
    evaluate = commands.add_parser("evaluate", help="compare an avatar with the photographs of a capture")
    evaluate.add_argument("avatar", type=Path)
    evaluate.add_argument("capture", type=Path)
    evaluate.add_argument("--split", default="test", choices=("train", "test", "all"))
    evaluate.add_argument("--sheet", type=Path, metavar="FILE.png", help="write captured | avatar | error")
    evaluate.add_argument("--json", action="store_true")
    _refining(evaluate, "compare once more, from the poses in which the avatar fits each photograph best")
    _machine(evaluate)
    evaluate.set_defaults(run=_lazily("evaluate"))

    explain = commands.add_parser("explain", help="what an avatar has learnt, in pictures and one page")
    explain.add_argument("avatar", type=Path)
    explain.add_argument("--out", type=Path, metavar="DIR", help="what to write (default: explain, beside the avatar)")
    explain.add_argument("--capture", type=Path, help="compare with its photographs, not with the avatar itself")
    explain.add_argument("--json", action="store_true")
    _machine(explain)
    explain.set_defaults(run=_lazily("explain"))

    _rendering(commands.add_parser("render", help="render a shot, a turn around the head, or a frame of a capture"))

    convert = commands.add_parser("convert", help="read an avatar of another program, or write one for it")
    convert.add_argument("source", type=Path, metavar="IN", help="a file or folder of any format in docs/formats.md")
    convert.add_argument("target", type=Path, metavar="OUT", help="FILE.safetensors, .ply, .spz, .glb or .gltf")
    axes_help = "of the file that is not ours: opencv (y down, z forward), opengl (y up, z back) or blender (z up)"
    convert.add_argument("--axes", choices=("opencv", "opengl", "blender"), help=axes_help + "; default: its format's")
    convert.add_argument("--scale", type=float, default=1.0, metavar="M", help="metres per unit of that file")
    flame_help = "your FLAME model, for avatars that are bound to it (default: the environment variable HEADGAS_FLAME)"
    convert.add_argument("--flame", type=Path, metavar="PATH", help=flame_help)
    shape_help = "whose head such an avatar is: a .frame of metrical-tracker, an .npz with 'shape', or an .npy"
    convert.add_argument("--shape", type=Path, metavar="FILE", help=shape_help)
    basis_help = "how our own file holds its features: int8 (default) is a quarter as large and looks the same"
    convert.add_argument("--basis", choices=("int8", "float32"), default="int8", help=basis_help)
    expression = convert.add_mutually_exclusive_group()
    expression_help = "what splats show; parameters that are left out are at rest"
    expression.add_argument("--expression", type=_values, default={}, metavar="NAME=VALUE,…", help=expression_help)
    capture_help = "write the expressions of a capture's frames: OUT_0001.ply and so on"
    expression.add_argument("--capture", type=Path, help=capture_help)
    convert.add_argument("--frame", type=int, metavar="N", help="only this frame of the capture, from 0")
    convert.add_argument("--split", default="all", choices=("train", "test", "all"), help="only these frames")
    convert.set_defaults(run=_lazily("convert"))

    info = commands.add_parser("info", help="what an avatar file holds")
    info.add_argument("avatar", type=Path)
    info.add_argument("--json", action="store_true")
    info.set_defaults(run=_lazily("info"))


def _rendering(render: argparse.ArgumentParser) -> None:
    render.add_argument("avatar", type=Path)
    out_help = "FILE.png of a capture's frame; else a folder for pictures 0001.png …, or a film, FILE.avi"
    render.add_argument("--out", type=Path, required=True, metavar="OUT", help=out_help)
    shot = render.add_argument_group("a shot, or a turn around the head")
    shot.add_argument("--take", type=Path, metavar="FILE", help="what the face does: .json or .csv; docs/formats.md")
    shot.add_argument("--cameras", type=Path, metavar="FILE.json", help="a camera for each frame, as Blender writes it")
    orbit_help = "go once around the head, or swing so far in all; with a take, as long as that"
    shot.add_argument("--orbit", type=_degrees, nargs="?", const=360.0, metavar="DEGREES", help=orbit_help)
    size_help = "pixels of --orbit (default: 512x512)"
    shot.add_argument("--size", type=_size, default=(512, 512), metavar="WxH", help=size_help)
    frame = render.add_argument_group("one frame of a capture")
    frame.add_argument("--capture", type=Path, help="where camera and expression come from")
    frame.add_argument("--frame", type=int, metavar="N", help="its place in the capture, from 0")
    frame.add_argument("--orthographic", action="store_true", help="parallel rays, and the head as large")
    modes_help = "look inside: depth, normal, opacity, count, features or influence instead of color"
    frame.add_argument("--inspect", default="color", metavar="MODE", help=modes_help)
    frame.add_argument("--parameter", default="", metavar="NAME", help="whose influence --inspect influence shows")
    fraction_help = "how many of the Gaussians to show, the most important ones; 0 to 1"
    frame.add_argument("--fraction", type=float, default=1.0, metavar="F", help=fraction_help)
    frame.add_argument("--scale", type=float, default=1.0, metavar="F", help="of the Gaussians' size, 0 to 1")
    _machine(render)
    render.set_defaults(run=_lazily("render", "commands_rendering"))


def _import_command(commands: Any) -> None:
    parser = commands.add_parser("import-capture", help="write another program's dataset as a capture")
    parser.add_argument("source", type=Path, metavar="DIR", help="a folder of any layout in docs/formats.md")
    parser.add_argument("--out", type=Path, metavar="CAPTURE", help="what to write (default: DIR_capture)")
    mattes_help = "a folder of mattes, named as the images are, instead of those that the dataset has"
    parser.add_argument("--mattes", type=Path, metavar="FOLDER", help=mattes_help)
    scale_help = "make the head that many times as large, where the dataset has no metres"
    parser.add_argument("--scale", type=float, default=1.0, metavar="FACTOR", help=scale_help)
    flame_help = "your FLAME model, for datasets that move it (default: the environment variable HEADGAS_FLAME)"
    parser.add_argument("--flame", type=Path, metavar="PATH", help=flame_help)
    parser.add_argument("--link", action="store_true", help="link to images that need no change, not copy them")
    parser.add_argument("--skip-broken", action="store_true", help="leave out frames that cannot be read")
    parser.set_defaults(run=_lazily("import_", "commands_captures"))


def _track_command(commands: Any) -> None:
    parser = commands.add_parser("track", help="make a capture from a video of a face")
    parser.add_argument("video", type=Path, metavar="VIDEO", help="a video, or a folder of pictures in order")
    parser.add_argument("--out", type=Path, required=True, metavar="CAPTURE", help="the folder to write")
    focal_help = "of the lens: 26mm as on a 35 mm camera, or pixels (default: EXIF, else 1.25 × the long side)"
    parser.add_argument("--focal", metavar="LENGTH", help=focal_help)
    parser.add_argument("--size", type=_positive, default=512, metavar="PIXELS", help="of the pictures, at most")
    parser.add_argument("--torso", action="store_true", help="keep neck and shoulders (default: cut below the chin)")
    held_out_help = "share of the frames, at the end, that judge the avatar (default: 0.15)"
    parser.add_argument("--held-out", type=float, default=0.15, metavar="SHARE", help=held_out_help)
    parser.add_argument("--rate", type=float, default=30.0, metavar="N", help="frames per second to use, at most")
    offline_help = "download nothing; without, the first use makes the tracker's own environment"
    parser.add_argument("--offline", action="store_true", help=offline_help)
    parser.set_defaults(run=_lazily("track", "commands_captures"))


def _training(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group()
    budget_help = "training time, such as 90s, 5m or 1h (default: 5m)"
    length.add_argument("--budget", type=_seconds, metavar="TIME", help=budget_help)
    length.add_argument("--iterations", type=_positive, metavar="N", help="training steps")
    parser.add_argument("--gaussians", type=_positive, metavar="MAX", help="the largest number of Gaussians")
    batch_help = "frames per step (default: 1, or as many as torchrun starts processes)"
    parser.add_argument("--batch", type=_positive, metavar="N", help=batch_help)
    parser.add_argument("--seed", type=int, default=0)
    cache_help = "memory for decoded pictures, such as 500M or 8G (default: a quarter of all, 4G at most)"
    parser.add_argument("--cache", type=_bytes, metavar="SIZE", help=cache_help)
    skip_help = "leave out frames that are damaged, instead of refusing the capture"
    parser.add_argument("--skip-damaged", action="store_true", help=skip_help)
    _refining(parser, "correct the frames' poses and expressions while training")
    basis_help = "how avatar files hold their features: int8 (default) is a quarter as large and looks the same"
    parser.add_argument("--basis", choices=("int8", "float32"), default="int8", help=basis_help)


def _refining(parser: argparse.ArgumentParser, what: str) -> None:
    refine_help = f"{what} (default: where the capture says that a tracker estimated them)"
    parser.add_argument("--refine-poses", action=argparse.BooleanOptionalAction, default=None, help=refine_help)


def _machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=_positive, metavar="N", help="CPU threads (default: as many as are free)")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if not match or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: expected for example 90s, 5m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


def _degrees(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 360:
        raise argparse.ArgumentTypeError(f"{text!r} are no degrees: expected above 0, at most 360")
    return value


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match or not 0 < min(int(match[1]), int(match[2])) <= max(int(match[1]), int(match[2])) <= 32768:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: expected for example 1920x1080")
    return int(match[1]), int(match[2])


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(M|G)B?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: expected for example 500M or 8G")
    return int(float(match[1]) * {"M": 1e6, "G": 1e9}[match[2]])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _values(text: str) -> dict[str, float]:
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(",") if part)}
    except ValueError:
        message = f"{text!r} is no expression: expected for example jawOpen=0.5,eyeBlinkLeft=1"
        raise argparse.ArgumentTypeError(message) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _lazily(name: str, module: str = "commands") -> Any:
    """The function of that name in a module, imported when it runs: `headgas --version` needs no torch."""

    def run(options: argparse.Namespace) -> None:
        getattr(importlib.import_module(f"headgas.{module}"), name)(options)

    return run
