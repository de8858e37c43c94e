# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a video gave, on one page: the landmarks on its pictures, how well they fit, what was shown and what was not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from headgas.captures.capture import spread
from headgas.captures.tracking import Tracked
from headgas.captures.tracking.landmarks import STABLE
from headgas.evaluation.page import heading, page, paragraph, picture, table
from headgas.evaluation.plot import curve_plot
from headgas.evaluation.sheet import titled_sheet
from headgas.files import save_image, write

REPORT, SHEET = "tracking.html", "tracking_sheet.png"
_COVERAGE, _ERRORS = "tracking_views.png", "tracking_errors.png"
_EVENLY, _COLUMNS = 8, 4
_SHOWN = 320  # pixels of a picture on the sheet
_AXIS = 0.05  # metres of the head's axes on it
_BINS = 60  # points of the curve of errors
_STABLE_INK, _OTHER_INK = (0, 160, 70), (255, 120, 0)
_AXES_INK = ((220, 40, 40), (60, 60, 230), (40, 180, 40))  # to the left, to the back, up
_TRAIN_INK, _TEST_INK = (42, 125, 70), (200, 90, 20)
_REACH = 45.0  # degrees on the chart of views


def write_tracking_report(tracked: Tracked) -> Path:
    """Writes the page and its pictures beside the capture. Returns the page's path."""
    out, facts = tracked.out, tracked.facts
    save_image(out / SHEET, contact_sheet(tracked))
    save_image(out / _COVERAGE, views_chart(tracked))
    save_image(out / _ERRORS, _errors_chart(tracked))
    frames = facts["frames"]
    parts = [
        paragraph(
            f"{frames['train']} training and {frames['test']} test frames of {facts['source']} "
            f"({facts['width']}×{facts['height']} pixels), the last ones held out."
        ),
        heading("What to film better"),
        *([paragraph(f"• {sentence}") for sentence in facts["advice"]] or [paragraph("Nothing: all was shown.")]),
        heading("The landmarks on the head"),
        picture(
            out / SHEET,
            "Green: landmarks that bone lies beneath, which the pose comes from. Orange: all others. The axes point to "
            "the subject's left (red), back (blue) and up (green).",
        ),
        heading("How well they fit"),
        table(("", "value", ""), list(_fit_rows(tracked))),
        picture(out / _ERRORS, "Pixels of the video that the stable landmarks miss the head by, over its frames"),
        heading("Views"),
        picture(out / _COVERAGE, "Where the camera was, seen from the head: green in training, orange in test frames"),
        heading("Expressions"),
        paragraph(
            f"The first {facts['named']} parameters are measured on the face and have names; they explain "
            f"{facts['explained']['named']:.0%} of what the landmarks do. {facts['components']} components follow, "
            f"component_00 first: what else this face does. With them it is {facts['explained']['all']:.1%}. What is "
            "roughly measured moves with what its name says, but with other parts of the face as well."
        ),
        table(("channel", "reach", "trembling", "parameter"), [_channel_row(row) for row in facts["channels"]]),
    ]
    if frames["dropped"]:
        parts += [heading("Frames that were left out"), table(("reason", "frames"), _dropped_rows(tracked))]
    write(out / REPORT, page(f"Tracked: {Path(facts['source']).name}", *parts))
    return out / REPORT


def contact_sheet(tracked: Tracked) -> np.ndarray:
    """Pictures with their landmarks, evenly over the video and at its extremes. Returns [H,W,3] uint8."""
    shown = [(place, f"frame {tracked.numbers[place]}") for place in spread(range(len(tracked.frames)), _EVENLY)]
    extremes = (("furthest to the right", tracked.yaw), ("furthest to the left", -tracked.yaw))
    extremes += (("furthest down", tracked.pitch), ("furthest up", -tracked.pitch))
    for what, values in extremes:
        place = int(np.argmax(values))
        shown.append((place, f"{what}, frame {tracked.numbers[place]}"))
    sheets = []
    for first in range(0, len(shown), _COLUMNS):
        row = shown[first : first + _COLUMNS]
        sheets.append(titled_sheet([[_overlay(tracked, place) for place, _ in row]], [title for _, title in row]))
    width = max(sheet.shape[1] for sheet in sheets)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in sheets]
    return np.concatenate(padded)


def _overlay(tracked: Tracked, place: int) -> np.ndarray:
    """A picture over white with its landmarks and the head's axes. [_SHOWN,_SHOWN,3] uint8."""
    frame = tracked.frames[place]
    with Image.open(frame.image) as opened:
        shown = Image.new("RGBA", opened.size, "white")
        shown.alpha_composite(opened.convert("RGBA"))
    shown = shown.convert("RGB").resize((_SHOWN, _SHOWN), Image.Resampling.LANCZOS)
    scale, draw = _SHOWN / frame.width, ImageDraw.Draw(shown)
    stable = set(STABLE.tolist())
    for number, (x, y) in enumerate(tracked.landmarks[place] * scale):
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=_STABLE_INK if number in stable else _OTHER_INK)
    ends = np.concatenate([np.zeros((1, 3)), np.eye(3) * _AXIS]) @ frame.viewmat[:3, :3].T + frame.viewmat[:3, 3]
    pixels = (ends @ frame.K.T)[:, :2] / ends[:, 2:] * scale
    for end, ink in zip(pixels[1:], _AXES_INK, strict=True):
        draw.line((*pixels[0].tolist(), *end.tolist()), fill=ink, width=2)
    return np.asarray(shown)


def views_chart(tracked: Tracked) -> np.ndarray:
    """A dot for every frame: yaw across, pitch upward, degrees. Returns [360,480,3] uint8."""
    width, height, edge = 480, 360, 34
    chart = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(chart), ImageFont.load_default(12)

    def place(yaw: float, pitch: float) -> tuple[float, float]:
        across = (np.clip(yaw, -_REACH, _REACH) / _REACH + 1) / 2
        up = (np.clip(pitch, -_REACH, _REACH) / _REACH + 1) / 2
        return edge + across * (width - 2 * edge), height - edge - up * (height - 2 * edge)

    for degrees in range(-45, 46, 15):
        draw.line((*place(degrees, -_REACH), *place(degrees, _REACH)), fill=(222, 222, 222))
        draw.line((*place(-_REACH, degrees), *place(_REACH, degrees)), fill=(222, 222, 222))
        x, _ = place(degrees, 0)
        draw.text((x, height - edge + 4), f"{degrees}°", fill=(40, 40, 40), font=font, anchor="mt")
        _, y = place(0, degrees)
        draw.text((edge - 4, y), f"{degrees}°", fill=(40, 40, 40), font=font, anchor="rm")
    draw.text((width / 2, height - 2), "camera to the subject's left", fill=(40, 40, 40), font=font, anchor="mb")
    draw.text((4, 4), "camera above", fill=(40, 40, 40), font=font, anchor="lt")
    for frame, yaw, pitch in zip(tracked.frames, tracked.yaw, tracked.pitch, strict=True):
        x, y = place(yaw, pitch)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_TRAIN_INK if frame.split == "train" else _TEST_INK)
    return np.asarray(chart)


def _errors_chart(tracked: Tracked) -> np.ndarray:
    """The errors' median over parts of the video."""
    parts = np.array_split(np.arange(len(tracked.errors)), min(_BINS, len(tracked.errors)))
    points = [(float(tracked.numbers[part].mean()), float(np.median(tracked.errors[part]))) for part in parts]
    return curve_plot(points, "frame of the video", "pixels")


def _fit_rows(tracked: Tracked) -> list[Sequence[str]]:
    facts = tracked.facts
    errors, jitter = facts["errors"], facts["jitter"]
    origins = {"given": "as you said", "exif": "as the photographs say", "prior": "a guess: 1.25 × the long side"}
    rows: list[Sequence[str]] = [
        ("stable landmarks miss the head by", f"{errors['stable']:.2f} px", "root mean square"),
        ("the eyes are apart by", f"{facts['eyes_apart']:.0f} px", "median"),
        ("the face misses its expression by, in training", _pixels(errors["expression_train"]), "root mean square"),
        ("the same in test frames", _pixels(errors["expression_test"]), ""),
        ("focal length", f"{facts['focal']:.0f} px", origins[facts["focal_from"]]),
    ]
    for name, title in (("tracked", "trembling as tracked"), ("smoothed", "trembling as smoothed")):
        if jitter[name] and facts["in_order"]:
            rows.append((title, f"{jitter[name]['median']:.2f}°", f"95% below {jitter[name]['p95']:.2f}°"))
    return rows


def _channel_row(row: dict) -> Sequence[str]:
    used = f"no: {row['problem']}" if row["problem"] else "yes, roughly measured" if row["rough"] else "yes"
    return (row["name"], f"{row['reach']:.3f}", f"{row['noise']:.3f}", used)


def _dropped_rows(tracked: Tracked) -> list[Sequence[str]]:
    reasons = tracked.facts["frames"]["dropped"]
    shown = {reason: [d["frame"] for d in tracked.facts["dropped"] if d["reason"] == reason] for reason in reasons}
    return [(reason, _ranges(numbers)) for reason, numbers in shown.items()]


def _ranges(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 as "1–3, 7"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in ranges)


def _pixels(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f} px"
