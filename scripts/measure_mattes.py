# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the tracker cuts heads out, on a capture with exact mattes: `measure_mattes.py CAPTURE --out DIR`.

Every fourth picture is put before backgrounds of three kinds, tracked as a video, cut out as `headgas track` does, and
compared with the exact matte above the chin. Needs Python with the backend, and the face tracker.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "backend"))

from headgas.captures import Frame, load_capture
from headgas.captures.tracking import pictures
from headgas.captures.tracking.environment import tracker_python
from headgas.captures.tracking.observing import Tracker
from headgas.captures.tracking.pose import solve_motion, unproject

_SIZE = 512  # pixels of the heads
_BESIDE = _SIZE // 4  # pixels of background to either side
_EACH = 4


def main() -> None:
    """Makes a video for each background, cuts the heads out, prints how right that is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path, help="mattes are exact, and all frames have one camera")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    frames = sorted(load_capture(options.capture).frames, key=lambda frame: frame.name)[::_EACH]
    for kind in ("blots", "noise", "shelf"):
        pairs = _cut_out(frames, kind, options.out / kind)
        overlap = [_overlap(found > 0.5, exact > 0.5) for found, exact in pairs]
        more, less = (
            np.mean([np.maximum(sign * (found - exact), 0).mean() for found, exact in pairs]) for sign in (1, -1)
        )
        print(
            f"{kind}: IoU {np.mean(overlap):.4f}, least {min(overlap):.4f}; "
            f"alpha is off by {more + less:.2%} of the picture: {more:.2%} too much, {less:.2%} too little"
        )


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of masks [H,W]."""
    return float((one & other).sum() / (one | other).sum())


def _background(kind: str) -> np.ndarray:
    """[H,W,3] in 0..1: soft blots, the noise of every pixel, or bars of all colours like books on a shelf."""
    generator, shape = np.random.default_rng(3), (_SIZE, _SIZE + 2 * _BESIDE)
    if kind == "noise":
        return generator.random((*shape, 3))
    blots = Image.fromarray((generator.random((12, 12, 3)) * 90 + 90).astype(np.uint8))
    picture = np.asarray(blots.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float64) / 255
    for _ in range(140 if kind == "shelf" else 0):
        y, x = (generator.integers(0, edge) for edge in shape)
        height, width = generator.integers(40, 180), generator.integers(8, 60)
        picture[y : y + height, x : x + width] = generator.random(3)
    return picture


def _cut_out(frames: list[Frame], kind: str, out: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The found and the exact mattes [H,W] of all frames, in 0..1."""
    (out / "video").mkdir(parents=True, exist_ok=True)
    background, exact = _background(kind), []
    for number, frame in enumerate(frames):
        with Image.open(frame.image) as opened:
            head = np.asarray(opened.convert("RGBA").resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)) / 255
        head = np.pad(head, ((0, 0), (_BESIDE, _BESIDE), (0, 0)))
        exact.append(Image.fromarray(head[..., 3].astype(np.float32)))
        picture = head[..., :3] * head[..., 3:] + background * (1 - head[..., 3:])
        Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(out / "video" / f"{number:06d}.png")
    tracker = Tracker(tracker_python(lambda _share, text: print(text, file=sys.stderr)), out / "video", 30.0)
    observed = tracker.observe(lambda done, of: None)
    assert observed.found.all(), "some frames have no face"
    K = frames[0].K.astype(float) * [[_SIZE / frames[0].width], [_SIZE / frames[0].height], [1]]
    K[0, 2] += _BESIDE
    motion = solve_motion(observed.landmarks, K)
    boxes = pictures.boxes(motion, K, torso=False)
    size = min(_SIZE, int(boxes[0, 2]))
    tracker.cut(np.insert(boxes, 0, np.arange(len(frames)), 1), size, out / "cut", lambda done, of: None)
    chin = pictures.chin_height(unproject(observed.landmarks[..., :2], motion, K))
    pairs = []
    for number, (x, y, edge) in enumerate(boxes):
        viewmat = np.eye(4)
        viewmat[:3, :3], viewmat[:3, 3] = motion.rotations[number], motion.translations[number]
        face = (observed.landmarks[number, :, :2] - (x, y)) * (size / edge)
        above = pictures.above_chin(size, pictures.intrinsics(K, boxes[number], size), viewmat, chin, face)
        above = above * pictures.in_video(size, boxes[number], observed.width, observed.height)
        color = np.asarray(Image.open(out / "cut" / f"{number:06d}.png").convert("RGB"), np.float64) / 255
        matte = np.asarray(Image.open(out / "cut" / f"{number:06d}_matte.png"), np.float64) / 255
        whole = exact[number].crop((x, y, x + edge, y + edge)).resize((size, size), Image.Resampling.BOX)
        pairs.append((pictures.matted(color, matte)[..., 3] * above, np.asarray(whole) * above))
    return pairs


if __name__ == "__main__":
    main()
