# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures' own PNGs are read as Pillow reads them; whatever else a file may be is left to Pillow."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from headgas.captures.capture import Frame
from headgas.captures.png import decoded_png, read_png
from headgas.errors import HeadGaSError

WIDTH, HEIGHT = 23, 19
SIGNATURE = b"\x89PNG\r\n\x1a\n"
IHDR = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 6, 0, 0, 0)


def noise() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return SIGNATURE + b"".join(chunk(*each) for each in chunks)


def lines(filters: np.ndarray) -> bytes:
    """Lines that begin with these filters [H], noise after each: every combination of neighbours comes up."""
    return np.concatenate([filters[:, None], noise().reshape(HEIGHT, -1)], 1).astype(np.uint8).tobytes()


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGBA"))


def saved(picture: Image.Image, format: str = "png", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("first", range(5))
def test_every_filter_is_undone_below_every_other(first: int) -> None:
    data = zlib.compress(lines((first + np.arange(HEIGHT) * np.arange(HEIGHT)) % 5))
    parts = [(b"IDAT", data[start : start + 100]) for start in range(0, len(data), 100)]
    whole = png((b"IHDR", IHDR), (b"tEXt", b"Frame\0001"), *parts, (b"tIME", bytes(7)), (b"IEND", b""))
    read = decoded_png(whole, WIDTH, HEIGHT)
    assert read is not None
    np.testing.assert_array_equal(read, by_pillow(whole))


@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_pillow_wrote_comes_back(tmp_path: Path, level: int) -> None:
    smooth = np.add.outer(np.arange(HEIGHT), np.arange(4 * WIDTH)).astype(np.uint8).reshape(HEIGHT, WIDTH, 4)
    exif, notes = Image.Exif(), PngInfo()
    exif[0x0112] = 6  # lying on its side, which nobody heeds
    notes.add_text("camera", "left", zip=True)
    for pixels in (smooth, noise()):
        file = tmp_path / "a.png"
        file.write_bytes(saved(Image.fromarray(pixels), compress_level=level, exif=exif, pnginfo=notes, dpi=(72, 72)))
        read = read_png(file, WIDTH, HEIGHT)
        assert read is not None
        np.testing.assert_array_equal(read, pixels)


def test_other_pictures_are_left_to_pillow() -> None:
    picture = Image.fromarray(noise())
    deep = png(
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 6, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")
    )
    interlaced = png((b"IHDR", IHDR[:-1] + b"\1"), (b"IDAT", zlib.compress(lines(np.zeros(HEIGHT)))), (b"IEND", b""))
    others = [saved(picture.convert(mode)) for mode in ("L", "LA", "P", "RGB", "1", "I;16")]
    others += [
        saved(picture.quantize(8)),
        saved(picture, "webp"),
        saved(picture.convert("RGB"), "jpeg"),
        deep,
        interlaced,
    ]
    others.append(saved(picture, save_all=True, append_images=[Image.new("RGBA", picture.size)]))
    assert [decoded_png(data, WIDTH, HEIGHT) for data in others] == [None] * len(others)
    assert decoded_png(saved(picture), WIDTH, HEIGHT) is not None
    assert decoded_png(saved(picture), HEIGHT, WIDTH) is None


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-12],
        lambda data: data[: len(data) // 2],
        lambda data: data[:40] + bytes([data[40] ^ 255]) + data[41:],
        lambda data: data.replace(IHDR, IHDR[:8] + b"\x08\x06\0\0\1"),
        lambda data: data.replace(b"left", b"back"),
        lambda data: png((b"IHDR", IHDR), (b"IEND", b"")),
        lambda data: png((b"IHDR", IHDR), (b"IDAT", b"no zlib"), (b"IEND", b"")),
        lambda data: png((b"IHDR", IHDR), (b"IDAT", zlib.compress(bytes(50))), (b"IEND", b"")),
        lambda data: png((b"IHDR", IHDR), (b"IDAT", zlib.compress(lines(np.full(HEIGHT, 5)))), (b"IEND", b"")),
        lambda data: png((b"IHDR", IHDR), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")),
    ],
)
def test_damaged_files_are_left_to_pillow(damage: Damage) -> None:
    notes = PngInfo()
    notes.add_text("camera", "left")
    sound = saved(Image.fromarray(noise()), pnginfo=notes)
    assert decoded_png(sound, WIDTH, HEIGHT) is not None
    assert decoded_png(damage(sound), WIDTH, HEIGHT) is None


def test_lines_between_other_chunks_and_unknown_chunks_are_left_to_pillow() -> None:
    data = zlib.compress(lines(np.zeros(HEIGHT)))
    split = [(b"IHDR", IHDR), (b"IDAT", data[:50]), (b"tEXt", b"a\0b"), (b"IDAT", data[50:]), (b"IEND", b"")]
    private = [(b"IHDR", IHDR), (b"CgBI", bytes(4)), (b"IDAT", data), (b"IEND", b"")]
    known = [(b"IHDR", IHDR), (b"IDAT", data), (b"IEND", b"")]
    assert [decoded_png(png(*chunks), WIDTH, HEIGHT) is None for chunks in (split, private, known)] == [
        True,
        True,
        False,
    ]


def test_frames_show_the_same_whatever_their_file_is(tmp_path: Path) -> None:
    """The fast way, and Pillow's for an animation of one picture more, give the same frame; a missing file is told."""
    picture = Image.fromarray(noise())
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "moving.png", save_all=True, append_images=[Image.new("RGBA", picture.size)])
    unknown = np.eye(4), np.eye(3), np.zeros(1)
    frames = [Frame(n, "train", tmp_path / n, WIDTH, HEIGHT, *unknown) for n in ("plain.png", "moving.png", "none.png")]
    np.testing.assert_array_equal(frames[0].load_head(), frames[1].load_head())
    with pytest.raises(HeadGaSError, match="none.png: the image of frame none.png cannot be read"):
        frames[2].load_head()
