# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `headgas check --json` found, in lines for a panel."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import HeadGaSError

GOOD, WARNING, PROBLEM = "good", "warning", "problem"
_MOST = 8  # problems that are shown


@dataclass(frozen=True)
class CaptureCheck:
    """What was found."""

    lines: tuple[tuple[str, str], ...]  # GOOD, WARNING or PROBLEM, and a text
    pictures: tuple[Path, ...]  # some of the capture's

    @property
    def trainable(self) -> bool:
        """Whether nothing is wrong."""
        return all(kind != PROBLEM for kind, _ in self.lines)


def read_check(text: str) -> CaptureCheck:
    """The findings in the command's output.

    Raises:
        HeadGaSError: it is something else.
    """
    try:
        return _check(json.loads(text))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise HeadGaSError(
            f"The backend's check of the capture cannot be understood ({error!r})",
            "Extension and backend may not fit together: install both from the same release",
        ) from None


def _check(found: dict[str, Any]) -> CaptureCheck:
    lines = [(PROBLEM, problem) for problem in found["problems"][:_MOST]]
    if len(found["problems"]) > _MOST:
        lines.append((PROBLEM, f"… and {len(found['problems']) - _MOST} more: `headgas check` lists all"))
    if found["sizes"]:
        size = found["sizes"][0]
        frames = f"{found['frames']['train']} training and {found['frames']['test']} test frames"
        lines.append((GOOD, f"{frames} of {size['width']}×{size['height']} pixels"))
    if found["matte"]:
        least, most = found["matte"]
        lines.append((GOOD, f"The head fills {least:.0%} to {most:.0%} of the picture"))
    if found["parameters"]:
        learnt = sum(not parameter["seldom"] for parameter in found["parameters"])
        lines.append((GOOD, f"{learnt} of {len(found['parameters'])} parameters are well shown ({found['kind']})"))
    if found["views"]:
        yaw, pitch = (f"{low:.0f}° to {high:.0f}°" for low, high in (found["views"]["yaw"], found["views"]["pitch"]))
        lines.append((GOOD, f"Views from {yaw} of yaw, {pitch} of pitch"))
    lines += [(WARNING, warning) for warning in found["warnings"]]
    return CaptureCheck(tuple(lines), tuple(Path(picture) for picture in found["pictures"]))
