# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every avatar can do."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from headgas.avatars.expression_space import ExpressionSpace
from headgas.errors import HeadGaSError
from headgas.splatting import Camera, Gaussians, Rendering, rasterize
from headgas.splatting.splats import Splats


class Avatar(nn.Module, ABC):
    """A trained model of one head: `gaussians(expression, camera) -> Gaussians`."""

    model: ClassVar[str]  # the name in the checkpoint
    expression_space: ExpressionSpace
    antialiased: bool  # how its Gaussians were rasterized in training
    splats_lack: ClassVar[str] = ""  # what `splats` cannot say of this model, for the user
    _neutral: Tensor | None = None

    @abstractmethod
    def gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        """The Gaussians of one frame in head space, colours [N,3] display-referred sRGB.

        Args:
            expression: [B], in the order of `expression_space`.
            camera: seen from head space; colours depend on its position.
        """

    def visible_gaussians(self, expression: Tensor, camera: Camera) -> Gaussians:
        """The same picture with less work: Gaussians that `camera` cannot see may come with any opacity and colour
        that leave them unseen."""
        return self.gaussians(expression, camera)

    def splats(self, expression: Tensor) -> Splats:
        """The Gaussians of an expression [B] for every camera at once: what other programs can show of an avatar.

        Splats are seen along the ray to where they are. A model that sees moved Gaussians where they rest looks the
        same only from afar: harmonics know no distance. At half a metre, a centimetre of motion is a degree.

        Raises:
            HeadGaSError: this model has colours that spherical harmonics cannot say.
        """
        raise HeadGaSError(f"Avatars of the model {self.model} cannot be exported: their colours are no harmonics.")

    def features(self) -> tuple[Tensor, str]:
        """What tells its Gaussians apart [R,N,f], and what that is called: colours, where a model has nothing else."""
        return self.splats(self.neutral()).harmonics.flatten(1)[None], "colours"

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What `from_checkpoint` needs beside the tensors; JSON."""

    @abstractmethod
    def tensors(self, compact: bool = False) -> dict[str, Tensor]:
        """The checkpoint's tensors; `compact` allows what no eye sees to be lost."""

    @classmethod
    @abstractmethod
    def from_checkpoint(cls, config: dict[str, Any], tensors: dict[str, Tensor], space: ExpressionSpace) -> "Avatar":
        """The inverse of `config` and `tensors`; KeyError, TypeError or RuntimeError when they do not fit."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of Gaussians."""

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def neutral(self) -> Tensor:
        """The neutral expression [B], the caller's own; brought to the avatar's device once."""
        if self._neutral is None or self._neutral.device != self.device:
            with torch.inference_mode(False):  # training must be able to use it, whoever asked first
                self._neutral = torch.tensor(self.expression_space.neutral, device=self.device)
        return self._neutral.clone()

    def check_expression(self, expression: Tensor) -> None:
        """Refuses an expression of another length, or with values that are not finite.

        Values on a CUDA device are not looked at, since the host would wait for all its work: check them before.

        Raises:
            HeadGaSError: always about the caller's input.
        """
        if expression.shape != (len(self.expression_space),):
            raise HeadGaSError(
                f"The expression has {expression.numel()} values; "
                f"the avatar has {len(self.expression_space)} parameters."
            )
        if not expression.is_cuda and not torch.isfinite(expression).all():
            raise HeadGaSError("The expression holds a value that is not a finite number.")

    def render(self, expression: Tensor, camera: Camera, background: Tensor | None = None) -> Rendering:
        """Colour [H,W,3] in sRGB over `background` [3] (else premultiplied over black), alpha and depth."""
        return rasterize(
            self.visible_gaussians(expression, camera), camera, background=background, antialiased=self.antialiased
        )
