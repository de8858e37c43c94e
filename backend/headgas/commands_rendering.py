# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `headgas render` does: one frame of a capture, a shot of Blender's, or a turn around the head."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import Avatar, load_avatar
from headgas.avatars.framing import orbit, parallel, visible_bounds
from headgas.avatars.rendering import PlacedAvatar, Stage, linear_to_srgb, render_frame
from headgas.captures import load_capture
from headgas.commands import device_of
from headgas.errors import HeadGaSError
from headgas.evaluation.inspection import Inspection, Inspector
from headgas.evaluation.metrics import check_same_space
from headgas.exchange.shots import Moment, ShotCamera, moments, read_cameras, read_take
from headgas.exchange.video import Film
from headgas.files import save_image

_ORBIT = 120, 24.0  # pictures of a turn without a take, and how many a second


def render(options: argparse.Namespace) -> None:
    """As Blender's engine renders it or its viewport shows it, encoded to sRGB with straight alpha."""
    shot = [f"--{name}" for name in ("take", "cameras", "orbit") if getattr(options, name) is not None]
    if options.capture is not None and shot:
        raise HeadGaSError(f"--capture and {shot[0]} exclude each other.", "Leave one of them out.")
    if options.capture is not None:
        _render_frame(options)
    elif shot:
        _render_shot(options)
    else:
        raise HeadGaSError(
            "What is to be rendered?",
            "Name a frame (--capture and --frame), a shot (--take and --cameras), or a turn (--orbit).",
        )


def _render_frame(options: argparse.Namespace) -> None:
    """One frame of a capture, which may be looked into."""
    if options.frame is None:
        raise HeadGaSError("Which frame of the capture?", "Add --frame N.")
    inspection = Inspection(options.inspect, options.parameter, options.fraction, options.scale)
    checkpoint, capture = load_avatar(options.avatar, device_of(options)), load_capture(options.capture)
    check_same_space(checkpoint, capture)
    if not 0 <= options.frame < len(capture.frames):
        raise HeadGaSError(f"--frame {options.frame}: the capture has the frames 0 to {len(capture.frames) - 1}.")
    frame = capture.frames[options.frame]
    expression = torch.from_numpy(frame.expression)
    camera = parallel(frame.camera, visible_bounds(checkpoint.avatar)) if options.orthographic else frame.camera
    stage = Stage.of([PlacedAvatar(checkpoint.avatar, expression, torch.eye(4))], camera)
    _, image, _, legend = Inspector().view(stage, [checkpoint.avatar], inspection)
    save_image(options.out, _bytes(_straight(image)))
    if legend:
        print(legend, file=sys.stderr)
    print(options.out)


def _render_shot(options: argparse.Namespace) -> None:
    """A picture for each camera, or a film of them."""
    film = options.out.suffix.lower() == ".avi"
    if options.out.suffix and not film:
        message = f"{options.out}: a shot becomes pictures in a folder, or a film, FILE.avi."
        raise HeadGaSError(message, "Name a folder; other programs make other films of its pictures.")
    avatar = load_avatar(options.avatar, device_of(options)).avatar
    shown, views, rate = _shot(options, avatar)
    pictures = (
        (moment.number, _straight(render_frame([_placed(avatar, moment)], view.camera, view.near, far=view.far)[0]))
        for moment, view in zip(shown, views, strict=True)
    )
    if film:
        with Film(options.out, rate) as film_of:
            for place, (_, image) in enumerate(pictures, 1):
                _tell(place, len(shown))
                film_of.add(_bytes(image[..., :3] * image[..., 3:] + 1 - image[..., 3:]))  # over white
    else:
        for place, (number, image) in enumerate(pictures, 1):
            _tell(place, len(shown))
            save_image(options.out / f"{number:04d}.png", _bytes(image))
    print(options.out)


def _shot(options: argparse.Namespace, avatar: Avatar) -> tuple[list[Moment], Sequence[ShotCamera], float]:
    """What is shown, a camera for each of it, and pictures a second."""
    if options.cameras is not None and options.orbit is not None:
        raise HeadGaSError("--cameras and --orbit exclude each other.", "Leave one of them out.")
    degrees: float | None = options.orbit
    take = read_take(options.take) if options.take is not None else None
    cameras = read_cameras(options.cameras) if options.cameras is not None else None
    found, unknown = moments(take, avatar.expression_space, cameras)
    if unknown:
        print(f"warning: {options.take}: the avatar has no {', '.join(unknown)}", file=sys.stderr)
    if cameras is not None:
        views = cameras.frames
        return found, views * len(found) if len(views) == 1 else views, cameras.rate
    if degrees is None:
        raise HeadGaSError("A take is seen by no camera.", "Add --cameras FILE.json, or --orbit.")
    count, rate = _ORBIT
    if take is None:
        found = [replace(found[0], number=number) for number in range(1, count + 1)]
    elif len(take.times) > 1:
        rate = (len(take.times) - 1) / float(take.times[-1])
    still = [replace(moment, transform=torch.eye(4)) for moment in found]
    around = orbit(avatar, len(still), degrees, *options.size)
    return still, [ShotCamera(m.number, view, 0.01) for m, view in zip(still, around, strict=True)], rate


def _placed(avatar: Avatar, moment: Moment) -> PlacedAvatar:
    return PlacedAvatar(avatar, moment.expression, moment.transform)


def _tell(place: int, count: int) -> None:
    print(f"\r{place} of {count} pictures", end="\n" if place == count else "", file=sys.stderr, flush=True)


def _straight(image: Tensor) -> Tensor:
    """sRGB with straight alpha [H,W,4], of a picture."""
    alpha = image[..., 3:]
    return torch.cat([linear_to_srgb(image[..., :3] / alpha.clamp_min(1e-6)), alpha], -1).clamp(0, 1)


def _bytes(image: Tensor) -> np.ndarray:
    return np.asarray((image * 255).round().to(torch.uint8).cpu())
