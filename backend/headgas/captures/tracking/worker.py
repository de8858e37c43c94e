# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracker's own Python runs: it decodes a video, finds the face in it and cuts pictures out of it.

`python worker.py JOB.json`. It knows nothing of this package: files come in, files go out, and standard output tells
how far it is, one JSON object a line: {"done": frames, "of": frames}, at last {"end": "done"} or {"end": "error",
"message": what the user did wrong}.

    {"job": "landmarks", "source", "rate", "out": FILE.npz}
        landmarks [F,478,3] float32, pixels of the picture (z: the same scale, smaller is nearer), nan without a face;
        sharpness [F]; size [2]: width and height; rate: frames per second, 0 for a folder; declared: frames that the
        source says it shows; heads [n,4]: some frames, and left, top and right in pixels of who is seen above the eyes
    {"job": "pictures", "source", "rate", "boxes": FILE.npy, "size", "out": FOLDER}
        boxes [n,4]: frame, x, y, side; writes NNNNNN.png and, of equal size, NNNNNN_matte.png; both make up what lies
        outside the video

`rate`: at most so many frames per second of a video are looked at, and the others are not counted.
"""

import json
import mmap
import re
import struct
import sys
from pathlib import Path

import cv2
import mediapipe
import numpy as np

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_SMALL = 512  # pixels: smaller pictures are enlarged before a face is looked for
_FACE = 128  # pixels, at which sharpness is measured
# times the wanted part, and whether mirrored: what is a person is seen better with shoulders, its edge without; and
# where one look is wrong, the others seldom are
_LOOKS = ((1.3, False), (1.6, True), (2.0, False))
_HEADS = 24  # frames in which is looked how far the hair reaches,
_HAIR = 3.5  # times the face's length around it
_ROOM = 3.0  # times the box of a distant face, in which its landmarks are looked for


class Unusable(Exception):
    """What is wrong with the source."""


class Source:
    """The frames of a video, or of a folder of pictures in the order of their names."""

    def __init__(self, path, rate):
        self._files, self._video = [], None
        if Path(path).is_dir():
            self._files = pictures_in(Path(path))
            self.count, self.rate = len(self._files), 0.0
            if not self._files:
                raise Unusable(f"{path}: has no pictures ({', '.join(_PICTURES)}).")
            return
        self._video = cv2.VideoCapture(str(path))
        if not self._video.isOpened():
            raise Unusable(f"{path}: cannot be read as a video. Is it whole?")
        self._video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # phones store pictures lying on their side
        recorded = float(self._video.get(cv2.CAP_PROP_FPS))
        if not 0 <= recorded < np.inf:
            recorded = 0.0  # it does not say
        self._stride = max(1, round(recorded / rate))
        self.rate = recorded / self._stride
        held = max(0, int(self._video.get(cv2.CAP_PROP_FRAME_COUNT)))
        shown = shown_seconds(path)
        if shown is not None and recorded:
            held = min(held, round(shown * recorded))
        self.count = held // self._stride

    def __iter__(self):
        size = None
        for number, (name, picture) in enumerate(self._pictures()):
            if size not in (None, picture.shape[:2]):
                shapes = [f"{shape[1]}x{shape[0]}" for shape in (picture.shape, size)]
                raise Unusable(f"{name}: is {shapes[0]} pixels, the pictures before are {shapes[1]}.")
            size = picture.shape[:2]
            yield number, picture

    def _pictures(self):
        if self._video is None:
            for file in self._files:
                try:
                    picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
                except (OSError, cv2.error):  # OpenCV's where the file is empty
                    picture = None
                if picture is None:
                    raise Unusable(f"{file}: cannot be read as a picture.")
                yield str(file), picture
            return
        number = 0
        while self._video.grab():
            if number % self._stride == 0:
                known, picture = self._video.retrieve()
                if not known:
                    break
                yield f"frame {number}", picture
            number += 1


def shown_seconds(path):
    """How much of an MP4 or QuickTime film its edit list shows (ISO 14496-12); None where there is none.

    A film that was trimmed without being encoded anew still holds, and counts, the frames that its edits hide.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:

        def inside(parents, kind):
            return [box for parent in parents for name, box in boxes_in(data, *parent) if name == kind]

        film = inside([(0, len(data))], b"moov")
        for track in inside(film, b"trak"):
            if [data[first + 8 : first + 12] for first, _ in inside(inside([track], b"mdia"), b"hdlr")] == [b"vide"]:
                break
        else:
            return None
        header, edits = inside(film, b"mvhd"), inside(inside([track], b"edts"), b"elst")
        if not header or not edits:
            return None
        per_second = struct.unpack_from(">I", data, header[0][0] + (20 if data[header[0][0]] else 12))[0]
        first, last = edits[0]
        entry = ">QqI" if data[first] else ">IiI"  # how long, from when, how fast
        last -= (last - first - 8) % struct.calcsize(entry)
        shown = sum(lasts for lasts, start, _ in struct.iter_unpack(entry, data[first + 8 : last]) if start >= 0)
        return shown / per_second if shown and per_second else None  # in fragments, 0: all there is


def boxes_in(data, at, end):
    """The boxes between two places in a file of the ISO format: their names, and where what they hold lies."""
    while at + 16 <= end:
        length, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        length = length or end - at
        if length < head or at + length > end:  # another format, or cut off
            return
        yield name, (at + head, at + length)
        at += length


def pictures_in(folder):
    def numbers(path):
        return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", path.name)]

    found = (path for path in folder.iterdir() if path.suffix.lower() in _PICTURES and path.is_file())
    return sorted(found, key=numbers)


def tell(**facts):
    print(json.dumps(facts), flush=True)


def landmarks(job):
    source = Source(job["source"], job["rate"])
    found, sharpness, heads, size = [], [], [], (0, 0)
    options = {"static_image_mode": False, "max_num_faces": 1, "refine_landmarks": True}
    solutions, alone = mediapipe.solutions, options | {"static_image_mode": True}
    with (
        solutions.face_mesh.FaceMesh(**options) as mesh,
        solutions.face_mesh.FaceMesh(**alone) as mesh_alone,
        solutions.face_detection.FaceDetection(model_selection=1) as detection,
        solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as segmentation,
    ):
        for number, picture in source:
            height, width = picture.shape[:2]
            size = (width, height)
            points = face_of(mesh, picture)
            if np.isnan(points).any():
                points = distant_face_of(detection, mesh_alone, picture)
            found.append(points)
            sharpness.append(sharpness_of(picture, points))
            if number % max(1, source.count // _HEADS) == 0 and np.isfinite(points).all():
                heads.append((number, *head_of(segmentation, picture, points)))
            tell(done=number + 1, of=max(source.count, number + 1))
    if not found:
        raise Unusable(f"{job['source']}: has no frames.")
    arrays = {"landmarks": np.stack(found), "sharpness": np.array(sharpness, np.float32)}
    arrays["heads"] = np.array(heads, np.float32).reshape(-1, 4)
    arrays["declared"] = np.array(source.count)
    np.savez(job["out"], size=np.array(size), rate=np.array(source.rate), **arrays)


def face_of(mesh, picture):
    """Landmarks [478,3] in pixels; nan where there is no face."""
    height, width = picture.shape[:2]
    enlarged = _SMALL / max(height, width)
    if enlarged > 1:
        picture = cv2.resize(picture, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    faces = mesh.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).multi_face_landmarks
    if not faces:
        return np.full((478, 3), np.nan, np.float32)
    points = np.array([(point.x, point.y, point.z) for point in faces[0].landmark], np.float32)
    return points * np.array((width, height, width), np.float32)


def distant_face_of(detection, mesh, picture):
    """The same for faces that are too small for the network that looks at whole pictures."""
    height, width = picture.shape[:2]
    found = detection.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).detections or []
    boxes = [face.location_data.relative_bounding_box for face in found]
    if not boxes:
        return np.full((478, 3), np.nan, np.float32)
    box = max(boxes, key=lambda box: box.width * box.height)
    side = max(2, round(max(box.width * width, box.height * height) * _ROOM))
    x = round((box.xmin + box.width / 2) * width - side / 2)
    y = round((box.ymin + box.height / 2) * height - side / 2)
    return face_of(mesh, cut(picture, x, y, side, cv2.BORDER_CONSTANT)) + np.array((x, y, 0), np.float32)


def head_of(segmentation, picture, points):
    """Left, top and right in pixels of the person above the eyes of a face; nan where there is none."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = max(2, round((high - low).max() * _HAIR))
    x, y = np.round((low + high - side) / 2).astype(int)
    middle = ((points[33] + points[263]) / 2)[:2].astype(int) - (x, y)
    inside = cut(np.ones(picture.shape[:2], np.uint8), x, y, side, cv2.BORDER_CONSTANT)
    mask = (person_of(segmentation, picture, (x, y, side), 1.0, False) > 0.5) & (inside > 0)
    parts = cv2.connectedComponents(mask[: middle[1] + 1].astype(np.uint8))[1]
    rows, columns = np.nonzero((parts == parts[-1, middle[0]]) & (parts > 0))
    if not len(rows):
        return np.nan, np.nan, np.nan
    return x + columns.min(), y + rows.min(), x + columns.max() + 1


def sharpness_of(picture, points):
    """How much detail the face has: the variance of its Laplacian, at one size for all faces."""
    if np.isnan(points).any():
        return np.nan
    height, width = picture.shape[:2]
    low = np.clip(points[:, :2].min(0), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(points[:, :2].max(0), 1, (width, height)).astype(int)
    if (high - low).min() < 2:
        return np.nan
    face = cv2.cvtColor(picture[low[1] : high[1], low[0] : high[0]], cv2.COLOR_BGR2GRAY)
    face = cv2.resize(face, (_FACE, _FACE), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(face, cv2.CV_32F).var())


def pictures(job):
    source, size, out = Source(job["source"], job["rate"]), job["size"], Path(job["out"])
    boxes = {int(row[0]): [int(value) for value in row[1:]] for row in np.load(job["boxes"])}
    done = 0
    with mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as segmentation:
        for number, picture in source:
            if number not in boxes:
                continue
            x, y, side = boxes[number]
            matte = np.mean([person_of(segmentation, picture, boxes[number], *look) for look in _LOOKS], 0)
            colour = cut(picture, x, y, side, cv2.BORDER_REPLICATE)
            interpolation = cv2.INTER_AREA if size <= side else cv2.INTER_CUBIC
            write(out / f"{number:06d}.png", cv2.resize(colour, (size, size), interpolation=interpolation))
            matte = cv2.resize(matte.clip(0, 1), (size, size), interpolation=cv2.INTER_AREA)
            write(out / f"{number:06d}_matte.png", (matte * 255 + 0.5).astype(np.uint8))
            done += 1
            tell(done=done, of=len(boxes))


def person_of(segmentation, picture, box, around, mirrored):
    """How sure the network is [side,side] that the pixels of a box are a person, where it sees so much around it."""
    x, y, side = box
    edge = round(side * (around - 1) / 2)
    seen = cut(picture, x - edge, y - edge, side + 2 * edge, cv2.BORDER_REPLICATE)
    seen = cv2.cvtColor(cv2.resize(seen, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    mask = segmentation.process(np.ascontiguousarray(seen[:, ::-1]) if mirrored else seen).segmentation_mask
    mask = np.ascontiguousarray(mask[:, ::-1]) if mirrored else mask
    whole = cv2.resize(mask, (side + 2 * edge,) * 2, interpolation=cv2.INTER_LINEAR)
    return whole[edge : edge + side, edge : edge + side]


def cut(picture, x, y, side, border):
    """The square [side,side] at that corner; what lies outside the picture is made up."""
    height, width = picture.shape[:2]
    before = (max(0, -y), max(0, -x))
    after = (max(0, y + side - height), max(0, x + side - width))
    if any(before) or any(after):
        picture = cv2.copyMakeBorder(picture, before[0], after[0], before[1], after[1], border, value=0)
    x, y = x + before[1], y + before[0]
    return picture[y : y + side, x : x + side]


def write(path, picture):
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())  # imwrite knows no Unicode on Windows


def main():
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        {"landmarks": landmarks, "pictures": pictures}[job["job"]](job)
    except Unusable as error:
        tell(end="error", message=str(error))
    else:
        tell(end="done")


if __name__ == "__main__":
    main()
