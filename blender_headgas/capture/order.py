# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be captured of a character, and how: all that a Blender needs beside the .blend file."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..core.errors import HeadGaSError
from .channels import CharacterChannel
from .sampler import Cap

CYCLES, EEVEE = "CYCLES", "EEVEE"


@dataclass(frozen=True)
class Order:
    """A capture before it is made. Names are those of datablocks in the .blend file."""

    head: str  # the object whose space, unless a bone's, the cameras follow
    channels: tuple[CharacterChannel, ...]
    anchor: tuple[tuple[float, ...], ...]  # [4,4] head space to the object's or the bone's
    collection: str = ""  # what belongs to the character; "" for all that shares the head's topmost parent
    bone: str = ""  # of the head's armature: head space follows it
    frames: int = 96
    test_frames: int = 14
    resolution: int = 256  # pixels of width and height
    engine: str = CYCLES
    samples: int = 32
    denoise: bool = True
    seed: int = 0
    cap: Cap = Cap()
    field_of_view: float = 24.0  # degrees
    distance: float = 0.0  # metres from the middle of the head; 0: as far as it needs to be in the picture
    action: tuple[float, float] | None = None  # the first and the last frame of the user's animation
    scripts: bool = False  # whether the file's Python may run, drivers included
    preview: bool = False  # some small pictures and one whole one instead of all

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def read_order(text: str, where: object) -> Order:
    """An order from its file's text.

    Raises:
        HeadGaSError: it is something else, or of another version.
    """
    try:
        told: dict[str, Any] = json.loads(text)
        channels = tuple(CharacterChannel(**channel) for channel in told["channels"])
        anchor = tuple(tuple(map(float, row)) for row in told["anchor"])
        action = None if told["action"] is None else (float(told["action"][0]), float(told["action"][1]))
        order = Order(**told | {"channels": channels, "anchor": anchor, "action": action, "cap": Cap(**told["cap"])})
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise HeadGaSError(f"{where} is no plan of a capture ({error!r})", "Start the capture over.") from None
    return order


def same_pictures(one: Order, other: Order) -> bool:
    """Whether two orders ask for the same, wherever the character stands by now."""
    return replace(one, anchor=other.anchor, scripts=other.scripts) == other
