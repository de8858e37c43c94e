# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""VGG16 features: the perceptual loss of training and LPIPS. Weights are read from this machine, never fetched.

Where weights are looked for: the folder in the environment variable HEADGAS_WEIGHTS, then torch's own cache of
checkpoints. `vgg16-*.pth` is torchvision's file; `vgg.pth` holds LPIPS's five linear layers
(richzhang/PerceptualSimilarity).
"""

import logging
import os
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from headgas.errors import HeadGaSError

log = logging.getLogger(__name__)

WEIGHTS_VARIABLE = "HEADGAS_WEIGHTS"
_LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)  # VGG16; 0 = max pooling
_TAPS = (3, 8, 15, 22, 29)  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
_LOSS_TAPS = 4  # the perceptual loss of HeadGaS and GaussianHead stops at relu4_3
_LPIPS_MEAN = (-0.030, -0.088, -0.188)  # richzhang/PerceptualSimilarity, ScalingLayer, images in -1..1
_LPIPS_STD = (0.458, 0.448, 0.450)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def weight_folders() -> list[Path]:
    """The folders that are searched, in order."""
    folders = [Path(torch.hub.get_dir()) / "checkpoints"]
    chosen = os.environ.get(WEIGHTS_VARIABLE)
    return [Path(chosen), *folders] if chosen else folders


def find_weights(pattern: str) -> Path | None:
    """The first weight file of that name pattern."""
    for folder in weight_folders():
        for path in sorted(folder.glob(pattern)):
            return path
    return None


class _Vgg16(nn.Module):
    """The convolutions of VGG16 (Simonyan and Zisserman 2015), with torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _LAYERS:
            if width == 0:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor, taps: int) -> list[Tensor]:
        """The first `taps` feature maps of images [1,3,H,W]."""
        found = []
        for number, layer in enumerate(self.features):
            image = layer(image)
            if number in _TAPS:
                found.append(image)
                if len(found) == taps:
                    break
        return found


class PerceptualLoss:
    """Mean L1 distance of VGG16 features, relu1_2 to relu4_3."""

    def __init__(self, vgg: _Vgg16) -> None:
        self._vgg = vgg

    def __call__(self, image: Tensor, target: Tensor) -> Tensor:
        """Images [H,W,3] in 0..1 to a scalar."""
        with torch.no_grad():
            wanted = self._vgg(_normalised(target, _IMAGENET_MEAN, _IMAGENET_STD), _LOSS_TAPS)
        found = self._vgg(_normalised(image, _IMAGENET_MEAN, _IMAGENET_STD), _LOSS_TAPS)
        return torch.stack([(a - b).abs().mean() for a, b in zip(found, wanted, strict=True)]).sum()


class Lpips:
    """LPIPS with VGG16 (Zhang et al., "The Unreasonable Effectiveness of Deep Features", CVPR 2018)."""

    def __init__(self, vgg: _Vgg16, weights: list[Tensor]) -> None:
        self._vgg = vgg
        self._weights = weights  # five of [1,C,1,1]

    def __call__(self, image: Tensor, target: Tensor) -> Tensor:
        """Images [H,W,3] in 0..1 to a scalar."""
        pairs = [self._vgg(_normalised(p * 2 - 1, _LPIPS_MEAN, _LPIPS_STD), len(_TAPS)) for p in (image, target)]
        distance = torch.zeros((), device=image.device)
        for weight, a, b in zip(self._weights, *pairs, strict=True):
            difference = nn.functional.normalize(a, dim=1, eps=1e-10) - nn.functional.normalize(b, dim=1, eps=1e-10)
            distance = distance + (weight * difference.square()).sum(1).mean()
        return distance


def load_perceptual_loss(device: torch.device) -> PerceptualLoss | None:
    """The perceptual loss, or None with one line of explanation when its weights are not on this machine."""
    vgg = _load_vgg(device)
    if vgg is None:
        log.info("the perceptual loss is off: no vgg16-*.pth in %s", " or ".join(map(str, weight_folders())))
        return None
    return PerceptualLoss(vgg)


def load_lpips(device: torch.device) -> Lpips | None:
    """LPIPS, or None when its weights are not on this machine."""
    vgg, path = _load_vgg(device), find_weights("vgg.pth")
    if vgg is None or path is None:
        return None
    state = _read(path)
    try:
        weights = [state[f"lin{i}.model.1.weight"].to(device) for i in range(len(_TAPS))]
    except KeyError as error:
        raise HeadGaSError(f"{path}: is not LPIPS's file: {error} is missing.") from None
    return Lpips(vgg, weights)


def _load_vgg(device: torch.device) -> _Vgg16 | None:
    path = find_weights("vgg16-*.pth")
    if path is None:
        return None
    vgg = _Vgg16().to(device)
    state = {name: value for name, value in _read(path).items() if name.startswith("features.")}
    try:
        vgg.load_state_dict(state)
    except RuntimeError as error:
        raise HeadGaSError(f"{path}: is not torchvision's VGG16 ({error}).") from None
    return vgg.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise HeadGaSError(f"{path}: the weights cannot be read ({error}).") from None


def _normalised(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """[H,W,3] to [1,3,H,W], normalised."""
    return ((image - image.new_tensor(mean)) / image.new_tensor(std)).permute(2, 0, 1)[None]
