# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead: NeRFBlendShape's transforms.json, with mattes in `mask/` whose numbers are larger by one.

Source: Wang et al., "GaussianHead", IEEE TVCG 2025; chiehwangs/gaussian-head, scene/dataset_readers.py. That program
trains on all frames but the last 1,000 and tests on the last 50; those between belong to neither.
"""

from dataclasses import replace
from pathlib import Path

from headgas.captures.capture import Capture
from headgas.captures.layouts import nerf_blendshape
from headgas.captures.layouts.reading import Report, Seen, found, listed, tail_is_test
from headgas.captures.mattes import Matte

HELD_OUT, TEST_FRAMES = 1000, 50
_MASKS = "mask"


def detect(seen: Seen) -> bool:
    return nerf_blendshape.detect(seen) and (seen.folder / _MASKS).is_dir()


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = listed(folder, nerf_blendshape.FILES)
    splits = tail_is_test(len(entries), HELD_OUT)
    entries = [replace(entry, split=split) for entry, split in zip(entries, splits, strict=True)]
    if splits.count("test") == HELD_OUT:
        entries = entries[:-HELD_OUT] + entries[-TEST_FRAMES:]
    return nerf_blendshape.read_frames(folder, entries, _mask, report)


def _mask(folder: Path, number: int) -> Matte:
    return Matte(found(folder / _MASKS, str(number + 1)))
