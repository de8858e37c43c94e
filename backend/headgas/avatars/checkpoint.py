# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatar files: one safetensors file with a JSON header (docs/formats.md)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from headgas.avatars.avatar import Avatar
from headgas.avatars.blendshapes import BlendshapeAvatar
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.gaussian_head import GaussianHead
from headgas.avatars.headgas import HeadGaS
from headgas.avatars.mesh_network import MeshNetworkAvatar
from headgas.avatars.modes import Modes
from headgas.avatars.splats import SplatAvatar
from headgas.errors import HeadGaSError
from headgas.files import write

FORMAT = "headgas-avatar"
VERSION = 2  # 1: every basis was float32
HEAD_SPACE = "+X left, -Y front, +Z up, metres"
COLOR_ENCODING = "srgb-display"
_KINDS = (Modes, HeadGaS, GaussianHead, SplatAvatar, BlendshapeAvatar, MeshNetworkAvatar)
_MODELS: dict[str, type[Avatar]] = {kind.model: kind for kind in _KINDS}
_SURFACE = "surface/"
_FOREIGN = "Avatars of other programs become ours by `headgas convert IN OUT.safetensors`."


@dataclass(frozen=True)
class Checkpoint:
    """An opened avatar file."""

    path: Path
    header: dict[str, Any]  # docs/formats.md
    avatar: Avatar

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size


def save_avatar(
    path: Path,
    avatar: Avatar,
    preset: str,
    training: dict[str, Any],
    surface: dict[str, Tensor] | None = None,
    compact: bool = True,
) -> None:
    """Writes the file beside its final name and renames it.

    Args:
        preset: the name of the training preset.
        training: the summary that `headgas info` shows; JSON.
        surface: `vertices` [V,3] float32, `faces` [T,3] int32, `colors` [V,3] uint8.
        compact: a quarter of the bytes, with losses that no eye sees; False keeps every number as it was trained.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in avatar.tensors(compact).items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "model": avatar.model,
        "preset": preset,
        "config": avatar.config(),
        "basis": _encoding(tensors),
        "expression_space": avatar.expression_space.to_json(),
        "head_space": HEAD_SPACE,
        "color_encoding": COLOR_ENCODING,
        "training": training,
    }
    tensors |= {_SURFACE + name: value.contiguous() for name, value in (surface or {}).items()}
    # not save_file, whose files only their owner can read: a farm's machines may be another's
    write(path, save(tensors, {"headgas": json.dumps(header)}))


def _encoding(tensors: dict[str, Tensor]) -> str:
    """How a file holds most of an avatar's numbers."""
    if any(value.dtype == torch.float16 for value in tensors.values()):
        return "float16"
    return "int8" if any(value.dtype in (torch.int8, torch.uint8) for value in tensors.values()) else "float32"


def read_header(path: Path | str) -> dict[str, Any]:
    """The JSON header of an avatar file, checked; reads no tensor.

    Raises:
        HeadGaSError: the file is missing, broken, foreign or newer.
    """
    path = Path(path)
    if path.is_dir():
        raise HeadGaSError(f"{path}: is a folder, not an avatar's file.", _FOREIGN)
    if not path.is_file():
        raise HeadGaSError(f"{path}: there is no such file.")
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise HeadGaSError(f"{path}: is not an avatar, or is damaged ({error}).", _FOREIGN) from None
    try:
        header = json.loads(metadata["headgas"])
    except (KeyError, json.JSONDecodeError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise HeadGaSError(
            f"{path}: is a safetensors file, but not a HeadGaS avatar.",
            "`headgas train CAPTURE --out RUN` makes one: RUN/avatar.safetensors.",
        )
    version = header.get("version")
    if not isinstance(version, int):
        raise HeadGaSError(f"{path}: the header's field 'version' is {version!r}; expected a whole number.")
    if version > VERSION:
        raise HeadGaSError(
            f"{path}: was written by a newer HeadGaS (version {version}; this one reads {VERSION}).",
            "Update HeadGaS to open it.",
        )
    if header.get("model") not in _MODELS:
        raise HeadGaSError(f"{path}: holds the model {header.get('model')!r}; known are {', '.join(_MODELS)}.")
    if header.get("color_encoding") != COLOR_ENCODING:
        raise HeadGaSError(
            f"{path}: its colours are {header.get('color_encoding')!r}; this version reads {COLOR_ENCODING!r} only."
        )
    ExpressionSpace.from_json(header.get("expression_space"), str(path))
    return header


def load_avatar(path: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Opens an avatar file, ready to render.

    Raises:
        HeadGaSError: the file is missing, broken, foreign or newer.
    """
    path = Path(path)
    header = read_header(path)
    space = ExpressionSpace.from_json(header["expression_space"], str(path))
    try:
        with safe_open(path, framework="pt") as opened:
            names = [name for name in opened.keys() if not name.startswith(_SURFACE)]  # noqa: SIM118 - no mapping
            # copied: Windows replaces no file that is mapped into memory, and training replaces avatars that are shown
            tensors = {name: opened.get_tensor(name).clone() for name in names}
        avatar = _MODELS[header["model"]].from_checkpoint(header.get("config", {}), tensors, space)
    except (SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise HeadGaSError(f"{path}: is damaged: its tensors do not fit its header ({error}).") from None
    for name, value in avatar.tensors().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise HeadGaSError(f"{path}: is damaged: the tensor {name!r} holds values that are not finite numbers.")
    return Checkpoint(path, header, avatar.to(device))


def load_surface(path: Path) -> dict[str, Tensor] | None:
    """The light mesh in an avatar file, see `save_avatar`; None where it holds none.

    Raises:
        HeadGaSError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            names = [name for name in opened.keys() if name.startswith(_SURFACE)]  # noqa: SIM118 - no mapping
            return {name.removeprefix(_SURFACE): opened.get_tensor(name) for name in names} or None
    except (SafetensorError, OSError) as error:
        raise HeadGaSError(f"{path}: is damaged ({error}).") from None
