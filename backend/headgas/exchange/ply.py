# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY files: their vertices as columns of numbers, and the splats of 3D Gaussian Splatting in them.

Source: Turk, "The PLY Polygon File Format", 1994; the properties are those of `point_cloud.ply` that the code of Kerbl
et al. 2023 writes. Whether opacities are antialiased stands in a comment, as Brush and Postshot write it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headgas.errors import HeadGaSError
from headgas.exchange.imported import Imported, ReadingOptions, assembled, check_count, static, usable_degree
from headgas.files import write
from headgas.splatting.splats import Splats

AXES = "opencv"  # of captures whose cameras come from COLMAP: x right, y down, z forward
_FORMATS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_HEADER_LIMIT = 1 << 20  # bytes
_FLAT = -math.inf  # the logarithm of the third scale of Gaussians that are discs
_SMOOTHED = "filter_3D"  # metres: what Mip-Splatting makes every Gaussian wider by


@dataclass(frozen=True)
class PlyTable:
    """The vertices of a PLY file."""

    path: Path
    columns: Mapping[str, np.ndarray]  # [N] each, by the name of the property, of its own type
    comments: Sequence[str]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        """The columns [N,k] float32 of properties that must be there.

        Raises:
            HeadGaSError: one is missing.
        """
        missing = [name for name in names if name not in self.columns]
        if missing and "packed_position" in self.columns:
            raise HeadGaSError(
                f"{self.path}: is a compressed PLY file of SuperSplat, which HeadGaS does not read.",
                "Open it in SuperSplat (superspl.at/editor) and export it as PLY, not compressed, or as SPZ.",
            )
        if missing:
            raise HeadGaSError(
                f"{self.path}: its vertices lack the property '{missing[0]}'.",
                "A PLY file of Gaussians has x, y, z, f_dc_0…2, opacity, scale_0…2 and rot_0…3; "
                "meshes, point clouds and compressed PLY files are something else.",
            )
        with np.errstate(over="ignore"):  # doubles that are too large become what is refused later
            return np.stack([self.columns[name].astype(np.float32) for name in names], 1)

    def numbered(self, prefix: str) -> list[str]:
        """The properties `prefix` + number, in the order of the numbers."""
        found = {int(name.removeprefix(prefix)): name for name in self.columns
                 if re.fullmatch(re.escape(prefix) + r"\d{1,9}", name)}  # fmt: skip
        return [found[number] for number in sorted(found)]


def is_ply(start: bytes) -> bool:
    """Whether a file that begins so is a PLY file."""
    return re.match(rb"ply\r?\n", start) is not None


def read_table(path: Path) -> PlyTable:
    """The vertices of a PLY file of any of the three formats.

    Raises:
        HeadGaSError: the file is damaged, or holds no vertices.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    end = re.search(rb"\nend_header\r?\n", head)
    if not is_ply(head) or end is None:
        raise HeadGaSError(f"{path}: is not a PLY file, or its header has no end.")
    lines = [line.split() for line in head[: end.start()].decode("latin-1").splitlines()[1:]]
    comments = [" ".join(line[1:]) for line in lines if line[:1] == ["comment"]]
    order = next((line[1] for line in lines if line[:1] == ["format"] and len(line) > 1), "nothing")
    if order not in _FORMATS:
        raise HeadGaSError(f"{path}: the header's 'format' is {order}; expected one of {', '.join(_FORMATS)}.")
    elements = _elements(path, lines)
    before = 0  # bytes or lines of what comes before the vertices
    for name, count, properties in elements:
        if any(kind == "list" for _, kind in properties) and (name == "vertex" or order != "ascii"):
            raise HeadGaSError(f"{path}: the element '{name}' holds lists; expected vertices of single numbers first.")
        row = np.dtype([(key, _FORMATS[order] + _TYPES[kind]) for key, kind in properties if kind != "list"])
        if name == "vertex":
            check_count(path, count)
            read = _read_text if order == "ascii" else _read_binary
            return PlyTable(path, read(path, end.end(), before, row, count), comments)
        before += count if order == "ascii" else count * row.itemsize
    raise HeadGaSError(f"{path}: its header names no element 'vertex'.")


def _elements(path: Path, lines: list[list[str]]) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """Name, count and properties (name, type) of what the header names."""
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    for words in lines:
        match words:
            case ["element", name, count] if re.fullmatch(r"\d{1,18}", count):
                elements.append((name, int(count), []))
            case ["property", "list", _, _, name] if elements:
                elements[-1][2].append((name, "list"))
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1][2].append((name, kind))
            case ["element" | "property", *_]:
                raise HeadGaSError(f"{path}: the header's line '{' '.join(words)}' cannot be understood.")
    for name, _, properties in elements:
        names = [key for key, _ in properties]
        if not names or len(set(names)) < len(names):
            raise HeadGaSError(f"{path}: the element '{name}' has no properties, or one of them twice.")
    return elements


def _read_binary(path: Path, start: int, before: int, row: np.dtype, count: int) -> Mapping[str, np.ndarray]:
    offset, there = start + before, path.stat().st_size
    if there < offset + count * row.itemsize:
        raise HeadGaSError(
            f"{path}: ends too early: {count:,} vertices of {row.itemsize} bytes end at byte "
            f"{offset + count * row.itemsize:,}, the file has {there:,}."
        )
    table = np.fromfile(path, row, count, offset=offset)
    return {name: table[name] for name in row.names or ()}


def _read_text(path: Path, start: int, before: int, row: np.dtype, count: int) -> Mapping[str, np.ndarray]:
    names = row.names or ()
    least = 2 * len(names) * count  # bytes: a digit and a space each
    if path.stat().st_size - start < least - 1:
        raise HeadGaSError(f"{path}: ends too early: {count:,} vertices need at least {least:,} bytes.")
    with path.open("rb") as file:
        file.seek(start)
        rows = file.read().split(b"\n")[before : before + count]
    values = np.empty((len(rows), len(names)))
    for number, line in enumerate(rows):
        try:
            values[number] = line.split()
        except ValueError:
            raise HeadGaSError(f"{path}: vertex {number} is not {len(names)} numbers: {line[:80]!r}.") from None
    if len(rows) < count:
        raise HeadGaSError(f"{path}: ends too early: it has {len(rows):,} of {count:,} vertices.")
    return {name: values[:, index].astype(row[name]) for index, name in enumerate(names)}


def splats_of(table: PlyTable) -> tuple[Splats, list[str]]:
    """The splats in a table, in the file's own axes, and warnings.

    Raises:
        HeadGaSError: a property is missing or holds what cannot be used.
    """
    rest = table.numbered("f_rest_")
    count = len(rest) // 3 + 1
    if count != (math.isqrt(count)) ** 2 or len(rest) % 3:
        raise HeadGaSError(
            f"{table.path}: has {len(rest)} properties f_rest_*; harmonics of degree 0 to 3 are 0, 9, 24 or 45."
        )
    degree, warnings = usable_degree(math.isqrt(count) - 1, table.path.name)
    base = table.matrix(["f_dc_0", "f_dc_1", "f_dc_2"])[:, None]
    bands = table.matrix(rest).reshape(len(base), 3, count - 1).transpose(0, 2, 1) if rest else base[:, :0]
    harmonics = np.concatenate([base, bands], 1)[:, : (degree + 1) ** 2]
    flat = len(table.numbered("scale_")) == 2  # 2D Gaussian Splatting
    scales = table.matrix([f"scale_{axis}" for axis in range(2 if flat else 3)])
    if flat:
        scales = np.concatenate([scales, np.full((len(scales), 1), _FLAT, np.float32)], 1)
    means, opacities = table.matrix(["x", "y", "z"]), table.matrix(["opacity"])[:, 0]
    quaternions = table.matrix([f"rot_{axis}" for axis in range(4)])
    if _SMOOTHED in table.columns:
        scales, opacities = _smoothed(scales, opacities, table.matrix([_SMOOTHED]))
    antialiased = _SMOOTHED in table.columns or _is_antialiased(table.comments)
    return assembled(table.path, means, quaternions, scales, opacities, harmonics, antialiased), warnings


def _smoothed(scales: np.ndarray, logits: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of scales [N,3] and logits [N] of Gaussians convolved with one of `width` [N,1] that leaves them as
    heavy as they were: Yu et al., "Mip-Splatting", CVPR 2024, equation 9. Its code applies it as it draws."""
    with np.errstate(all="ignore"):  # what cannot be used is found later
        wider = np.logaddexp(2 * scales.astype(np.float64), 2 * np.log(np.abs(width.astype(np.float64)))) / 2
        shares = np.exp((scales - wider).sum(1) - np.logaddexp(0, -logits.astype(np.float64)))
        return wider, np.log(shares) - np.log1p(-shares)


def _is_antialiased(comments: Sequence[str]) -> bool:
    said = False
    for comment in comments:
        match comment.lower().split():
            case ["splatrendermode:", mode]:  # Brush
                said = mode == "mip"
            case ["antialiased", flag]:  # Postshot
                said = flag == "1"
    return said


def read_ply(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in a `point_cloud.ply`: static, since such a file names nothing that could drive it."""
    splats, warnings = splats_of(read_table(path))
    return static(splats, "PLY of 3D Gaussian Splatting", AXES, options, warnings)


def write_ply(path: Path, splats: Splats) -> list[str]:
    """Writes splats, in the axes of the file. Returns what the format could not hold, which is nothing.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    content, warnings = ply_content(splats)
    write(path, content)
    return warnings


def ply_content(splats: Splats) -> tuple[bytes, list[str]]:
    """The bytes of a file as the code of Kerbl et al. writes it, binary and little-endian; and what it cannot hold."""
    count = len(splats)
    bands = splats.harmonics[:, 1:].transpose(1, 2).flatten(1)  # red's, then green's, then blue's
    columns = {
        ("x", "y", "z"): splats.means,
        ("nx", "ny", "nz"): splats.means.new_zeros(count, 3),  # what old viewers want to see
        ("f_dc_0", "f_dc_1", "f_dc_2"): splats.harmonics[:, 0],
        tuple(f"f_rest_{i}" for i in range(bands.shape[1])): bands,
        ("opacity",): splats.logits[:, None],
        ("scale_0", "scale_1", "scale_2"): splats.log_scales,
        ("rot_0", "rot_1", "rot_2", "rot_3"): splats.quaternions,
    }
    comments = ["comment SplatRenderMode: mip"] if splats.antialiased else []
    properties = [f"property float {name}" for names in columns for name in names]
    header = ["ply", "format binary_little_endian 1.0", *comments, f"element vertex {count}", *properties, "end_header"]
    table = np.concatenate([values.numpy() for values in columns.values()], 1).astype("<f4")
    return "\n".join(header).encode() + b"\n" + table.tobytes(), []
