# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apple's 52 facial blend shapes (ARKit, ARFaceAnchor.BlendShapeLocation), and what names say about a face's sides."""

import os
import re

_BOTH = ("Left", "Right")
# By region, as an animator looks for them; a name in brackets stands for its left and its right one.
_REGIONS = {
    "Brows": ("(browDown)", "browInnerUp", "(browOuterUp)"),
    "Eyes": ("(eyeBlink)", "(eyeSquint)", "(eyeWide)"),
    "Gaze": ("(eyeLookUp)", "(eyeLookDown)", "(eyeLookIn)", "(eyeLookOut)"),
    "Cheeks": ("cheekPuff", "(cheekSquint)", "(noseSneer)"),
    "Jaw": ("jawOpen", "jawForward", "jawLeft", "jawRight"),
    "Mouth": (
        "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "(mouthSmile)", "(mouthFrown)",
        "(mouthDimple)", "(mouthStretch)", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
        "(mouthPress)", "(mouthLowerDown)", "(mouthUpperUp)", "tongueOut",
    ),
}  # fmt: skip
REGIONS: dict[str, tuple[str, ...]] = {
    region: tuple(
        full for name in names for full in ([name[1:-1] + side for side in _BOTH] if name[0] == "(" else [name])
    )
    for region, names in _REGIONS.items()
}
NAMES: tuple[str, ...] = tuple(name for names in REGIONS.values() for name in names)

# Left and right as whole words of camelCase, or as a suffix after one of these: _ . -
_SIDES = (("Left", "Right"), ("left", "right"), ("_L", "_R"), (".L", ".R"), ("-L", "-R"), ("_l", "_r"), (".l", ".r"))


def mirrored(name: str) -> str:
    """The name of the channel on the other side of the face; itself where it has no side.

    mouthLeft ↔ mouthRight, eyeLookInLeft ↔ eyeLookInRight, brow_up_L ↔ brow_up_R, left_eye_x ↔ right_eye_x.
    """
    for pair in _SIDES:
        for here, there in (pair, pair[::-1]):
            if len(here) > 2:
                changed = re.sub(rf"{here}(?![a-z])" if here[0].isupper() else rf"(?<![A-Za-z]){here}", there, name)
            else:
                changed = name[: -len(here)] + there if name.endswith(here) else name
            if changed != name:
                return changed
    return name


def without_side(name: str) -> str:
    """What a channel and its mirrored one have in common: mouthSmileLeft → mouthSmile, left_eye_x → eye_x."""
    shared = os.path.commonprefix([name, mirrored(name)])
    rest = re.sub("^(left|right|l|r)", "", name[len(shared) :], flags=re.IGNORECASE)
    return name if shared == name else (shared + rest).strip("_.-")


def region_of(name: str) -> str:
    """The region of a face that a channel moves, by its name; "Other" where the name does not say."""
    for region, names in REGIONS.items():
        if name in names:
            return region
    return "Other"


def canonical(name: str) -> str:
    """A name in ARKit's own spelling, from EyeBlinkLeft, eye_blink_left, eyeBlink_L …; itself where it is another.

    What other people call the same shapes, core/names.py matches.
    """
    return _BY_SPELLING.get(_plain(name), name)


def _plain(name: str) -> str:
    """The same for all spellings of a name."""
    full = re.sub(r"[_.\-]([LRlr])$", lambda side: {"l": "left", "r": "right"}[side[1].lower()], name)
    return re.sub(r"[^a-z0-9]", "", full.lower())


_BY_SPELLING = {_plain(name): name for name in NAMES}
