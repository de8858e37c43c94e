# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas explain`: what an avatar has learnt, in pictures, numbers and one page."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headgas.avatars import Avatar, Checkpoint, HeadGaS, Modes
from headgas.captures import Capture
from headgas.errors import HeadGaSError
from headgas.evaluation import page
from headgas.evaluation.basis import basis_picture
from headgas.evaluation.effects import Effect, effect_sheets, parameter_effects
from headgas.evaluation.metrics import check_same_space
from headgas.evaluation.plot import curve_plot
from headgas.evaluation.removal import importance, removal_series
from headgas.evaluation.views import View, frame_views, sampled_views
from headgas.files import save_image, write

log = logging.getLogger(__name__)

_SIZE = 256  # pixels of views that no capture gives
_WEIGHING, _JUDGING = 48, 16  # such views, to measure importance with and to compare on
_SHARES_SHOW = "Each Gaussian takes its share of the motion modes: Gaussians of like colour move alike."
_BASIS_SHOWS = {  # by what the expression blends
    "features": "Gaussians of like colour have like bases: they tend to answer the parameters alike.",
    "outputs": "This preset blends colours and opacities themselves: Gaussians of like colour change alike.",
    "nothing": "This preset blends nothing: what is shown is each Gaussian's constant feature. Like colour, like look.",
}


def explain(checkpoint: Checkpoint, capture: Capture | None, out: Path) -> dict[str, Any]:
    """Writes explain.html, explain.json and the pictures. Returns what explain.json holds.

    With a capture, importance is measured on its training frames and what remains is compared with the photographs of
    its test frames; without one, on views over the avatar's expression space and with its own pictures.

    Raises:
        HeadGaSError: the capture does not fit the avatar or lacks a split, or the folder cannot be written.
    """
    avatar = checkpoint.avatar
    if not len(avatar.expression_space):
        raise HeadGaSError(f"{checkpoint.path}: nothing drives this avatar, so it has learnt nothing to explain.")
    if capture:
        check_same_space(checkpoint, capture)
        weighing, judging = (frame_views(avatar, capture.split(name)) for name in ("train", "test"))
    else:
        weighing = sampled_views(avatar, _WEIGHING, _SIZE, seed=0)
        judging = sampled_views(avatar, _JUDGING, _SIZE, seed=1)
    parameters, about_parameters = _explain_parameters(avatar, out)
    basis, about_basis = _explain_basis(avatar, out)
    removal, about_removal = _explain_removal(avatar, weighing, judging, out)
    preset, space = checkpoint.header["preset"], avatar.expression_space
    numbers = {"avatar": checkpoint.path.name, "preset": preset, "gaussians": avatar.count}
    numbers |= {"parameters": parameters, "basis": basis, "removal": removal}
    write(out / "explain.json", json.dumps(numbers, indent=1) + "\n")
    what = f"preset {preset}, {avatar.count:,} Gaussians, {len(space)} parameters ({space.kind})"
    document = page.page(
        "What this avatar has learnt",
        page.paragraph(f"{checkpoint.path}: {what}."),
        *about_parameters,
        *about_basis,
        *about_removal,
        page.paragraph(page.machine(avatar.device)),
    )
    write(out / "explain.html", document)
    return numbers


def _explain_parameters(avatar: Avatar, out: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What each parameter does: the numbers, and the parts of the page."""
    log.info("the effect of %d parameters", len(avatar.expression_space))
    effects = parameter_effects(avatar)
    sheets = effect_sheets(effects)
    pictures = []
    for number, sheet in enumerate(sheets, 1):
        file = out / f"effects_{number}.png"
        save_image(file, sheet)
        pictures.append(page.picture(file, f"Strongest first, {number} of {len(sheets)}"))
    unseen = [effect.name for effect in effects if not effect.seen]
    told = "" if any(effect.opacity_change for effect in effects) else " In this preset opacity does not change."
    told += f" Training never saw these move, so the avatar cannot know them: {', '.join(unseen)}." if unseen else ""
    parts = [
        page.heading("What each parameter does"),
        page.paragraph(
            "Each parameter is turned up alone, one above neutral or to the largest value that training saw when that "
            "is less; what only went below neutral is turned down. Where the third picture is black, nothing changes: "
            "a clean parameter changes one part of the face; one that changes others too moved together with their "
            "parameters in training. The fourth picture shows how: orange Gaussians appear, blue ones fade." + told
        ),
        *pictures,
        page.paragraph(
            "Colour: mean change of the head's pixels. Opacity: mean change of all Gaussians; 100% is from invisible "
            "to opaque."
        ),
        _effect_table(effects),
    ]
    return [{name: value for name, value in vars(e).items() if name != "picture"} for e in effects], parts


def _effect_table(effects: Sequence[Effect]) -> str:
    moving = any(effect.movement for effect in effects)
    titles = ("parameter", "value", "colour", "opacity", *(("position mm",) if moving else ()))
    rows = [
        (
            f"{effect.name}{'' if effect.seen else ' (not seen)'}",
            f"{effect.value:.2f}",
            f"{effect.color_change:.2%}",
            f"{effect.opacity_change:.2%}",
            *((f"{effect.movement * 1000:.3f}",) if moving else ()),
        )
        for effect in effects
    ]
    return page.table(titles, rows)


def _explain_basis(avatar: Avatar, out: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The feature basis: the numbers, and the parts of the page."""
    title = page.heading("The feature basis")
    if isinstance(avatar, HeadGaS):
        basis, shows = avatar.basis, _BASIS_SHOWS[avatar.settings.blended]
    elif isinstance(avatar, Modes):
        basis, shows = avatar.shares().detach()[None], _SHARES_SHOW
    else:
        return None, [title, page.paragraph(f"Avatars of the kind {avatar.model} have no feature basis.")]
    log.info("the feature basis")
    picture, shares = basis_picture(avatar, basis)
    save_image(out / "basis.png", picture)
    text = (
        f"{shows} Red, green and blue are the first three principal components; they "
        f"hold {sum(shares):.0%} of the variance, so this is a rough map and not the whole of it."
    )
    caption = "The resting avatar in the colours of its feature basis"
    parts = [title, page.paragraph(text), page.picture(out / "basis.png", caption)]
    return {"rows": len(basis), "variance": shares}, parts


def _explain_removal(
    avatar: Avatar, weighing: Sequence[View], judging: Sequence[View], out: Path
) -> tuple[dict[str, Any], list[str]]:
    """How many Gaussians it needs: the numbers, and the parts of the page."""
    log.info("the importance of %d Gaussians in %d views", avatar.count, len(weighing))
    series, strip = removal_series(avatar, importance(avatar, weighing), judging)
    points = [(float(part.gaussians), part.psnr) for part in series if part.psnr is not None]
    save_image(out / "removal.png", strip)
    save_image(out / "removal_plot.png", curve_plot(points, "Gaussians", "PSNR, dB"))
    if judging[0].frame:
        reference, measured = f"the photographs of the {len(judging)} test frames", f"{len(weighing)} training frames"
    else:
        reference, measured = f"its own whole self in {len(judging)} views", f"{len(weighing)} other views"
    rows = [(f"{p.share:.0%}", f"{p.gaussians:,}", "–" if p.psnr is None else f"{p.psnr:.2f}") for p in series]
    parts = [
        page.heading("How many Gaussians it needs"),
        page.paragraph(
            f"The least important Gaussians are taken away step by step, and the rest is compared with {reference}. A "
            "Gaussian's importance is how much of the pictures it makes: its blending weight, summed over all pixels "
            f"of {measured}. Where the curve is flat, the avatar could do with fewer (headgas train --gaussians)."
        ),
        page.table(("share", "Gaussians", "PSNR dB"), rows),
        page.picture(out / "removal_plot.png", "PSNR against the number of Gaussians that stay"),
        page.picture(out / "removal.png", "From all Gaussians to one in twenty"),
    ]
    numbers = {
        "importance": f"blending weight summed over all pixels of {measured}",
        "importance_views": len(weighing),
        "reference": reference,
        "views": len(judging),
        "series": [vars(part) for part in series],
    }
    return numbers, parts
