# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracking of a video left in its capture: advice for the next film, and a page."""

import json
from dataclasses import dataclass
from pathlib import Path

FACTS, PAGE = "tracking.json", "tracking.html"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")


@dataclass(frozen=True)
class TrackingReport:
    """Of one capture."""

    page: Path
    advice: tuple[str, ...]


def read_tracking(capture: Path) -> TrackingReport | None:
    """None where the capture is not tracked, or its facts are no facts: they are only shown."""
    page = capture / PAGE
    try:
        said = json.loads((capture / FACTS).read_text(encoding="utf-8"))["advice"]
        advice = tuple(str(sentence) for sentence in said)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return TrackingReport(page, advice) if page.is_file() else None


def capture_beside(video: Path) -> Path:
    """A folder that does not exist yet, named after the video."""
    number, stem = 1, video.stem
    while (folder := video.with_name(f"{stem} capture" + (f" {number}" if number > 1 else ""))).exists():
        number += 1
    return folder
