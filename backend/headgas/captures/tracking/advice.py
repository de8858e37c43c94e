# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to film better: what a tracked video does not show, said to whoever is in it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headgas.captures.tracking.channels import ALWAYS, Channel
from headgas.captures.tracking.choosing import BLURRED, COVERED, NO_FACE, OUTSIDE

_TURN, _NOD = 15.0, 8.0  # degrees that are seldom too many
_FEW = 150  # training frames
_SMALL = 70.0  # pixels between the eyes
_MANY = 0.1  # of the frames
_MISFIT = 0.03  # of the distance between the eyes, that landmarks miss the head by
_SHOWN = {  # channels, and what was missed where none of them moved
    ("jawOpen",): "You never opened your mouth wide",
    ("eyeBlinkLeft", "eyeBlinkRight"): "You never closed your eyes slowly enough to be seen",
    ("mouthSmileLeft", "mouthSmileRight", "mouthWide"): "You never smiled broadly",
    ("mouthPucker",): "You never pursed your lips as for an O or a kiss",
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"): "You never raised your brows",
    ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookOutRight", "eyeLookInRight"): "You never looked aside with your eyes",
}
_REASONS = {
    NO_FACE: "in many frames no face was found: stay in the picture, and keep hands and hair out of your face.",
    OUTSIDE: "your face often leaves the picture: step back.",
    BLURRED: "many frames are blurred: more light, a tripod, slower turns.",
    COVERED: "in many frames the landmarks do not fit: is a hand, hair or a microphone before your face?",
}


def advice(facts: Mapping[str, Any], channels: Sequence[Channel]) -> list[str]:
    """Sentences for the user, the most important first; `facts` as tracking.json has them."""
    return list(_advice(facts, channels))


def _advice(facts: Mapping[str, Any], channels: Sequence[Channel]) -> Iterator[str]:
    frames = facts["frames"]
    seen = sum((frames["train"], frames["test"], *frames["dropped"].values()))
    if frames["missing"] > _MANY * seen:
        yield f"The last {frames['missing']} frames of the video cannot be read: is it cut off, or damaged?"
    for reason, count in frames["dropped"].items():
        if reason in _REASONS and count > _MANY * seen:
            yield f"{count} of {seen} frames cannot be used; {_REASONS[reason]}"
    if frames["train"] < _FEW:
        yield f"There are only {frames['train']} frames to learn from: film a minute, not seconds."
    # the camera is to the left of a head that turns to its right
    yaw, pitch = facts["yaw"], facts["pitch"]
    turns = (("right", yaw[1], _TURN), ("left", -yaw[0], _TURN), ("down", pitch[1], _NOD), ("up", -pitch[0], _NOD))
    for side, reached, enough in turns:
        if reached < enough:
            seen_from = f"the avatar is a guess from there (it was seen {max(reached, 0):.0f}° that way)"
            yield f"You never turned your head {side}: {seen_from}. Turn slowly by about {2 * enough:.0f}°."
    trusted = {channel.name for channel in channels if not channel.problem}
    always = [channel.name for channel in channels if channel.problem == ALWAYS]
    if always:
        yield f"Your face was hardly seen at rest: show it for some seconds. All the time it did: {', '.join(always)}."
    for names, missed in _SHOWN.items():
        if not (trusted | set(always)) & set(names):
            yield f"{missed}: the avatar gets no slider of that name."
    if facts["eyes_apart"] < _SMALL:
        yield f"Your eyes are only {facts['eyes_apart']:.0f} pixels apart: come closer, or film at a higher resolution."
    if facts["errors"]["stable"] > _MISFIT * facts["eyes_apart"]:
        yield "The landmarks fit the head badly: is the video distorted (a wide-angle lens), or are there two people?"
    if facts["focal_from"] == "prior":
        yield "The focal length is a guess. If you know your lens (26mm, say), give it: Lens, or --focal."
