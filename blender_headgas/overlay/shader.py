# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a rendered frame into a 3D viewport, per pixel before or behind what is there.

The frame is a card that stands upright before the camera that took it, at the avatar's distance. Seen through the same
camera each of its pixels falls on itself; seen through another, the card stands in the world where the avatar stood.
"""

from functools import cache

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core.cameras import PinholeCamera

_VERTEX = """
void main()
{
  place = pos * size;
  vec2 ray = (place - lens.zw) / lens.xy;
  gl_Position = to_clip * vec4(ray * card, card, 1.0);
}
"""
_FRAGMENT = """
vec4 texel(ivec2 at)
{
  return texelFetch(colors, clamp(at, ivec2(0), ivec2(size) - 1), 0);
}

float depth_of(ivec2 at, float weight)
{
  return weight < 0.02 ? 1e10 : texelFetch(depths, clamp(at, ivec2(0), ivec2(size) - 1), 0).r;
}

void main()
{
  ivec2 low = ivec2(floor(place - 0.5));
  vec2 part = place - 0.5 - vec2(low);
  ivec2 right = ivec2(1, 0), down = ivec2(0, 1);
  vec4 c = mix(mix(texel(low), texel(low + right), part.x),
               mix(texel(low + down), texel(low + right + down), part.x), part.y);
  if (c.a < 1e-3) {
    discard;
  }
  /* never a mean of depths: between the avatar and nothing there is no surface */
  float z = min(min(depth_of(low, (1.0 - part.x) * (1.0 - part.y)), depth_of(low + right, part.x * (1.0 - part.y))),
                min(depth_of(low + down, (1.0 - part.x) * part.y), depth_of(low + right + down, part.x * part.y)));
  vec2 ray = (place - lens.zw) / lens.xy;
  vec4 clip = to_clip * vec4(ray * z, z, 1.0);
  gl_FragDepth = clamp(clip.z / clip.w * 0.5 + 0.5, 0.0, 1.0);
  color = c;
}
"""


class Card:
    """The textures of one frame. Made and drawn where a GPU context is bound."""

    def __init__(self, image: np.ndarray, depth: np.ndarray, camera: PinholeCamera, distance: float) -> None:
        """image [H,W,4] scene-linear, premultiplied; depth [H,W] metres; both float32, row 0 on top.

        distance: metres from the camera to where the card stands.
        """
        self._colors, self._depths = _texture(image), _texture(depth)
        self._camera, self._distance = camera, distance

    def draw(self, to_clip: np.ndarray) -> None:
        """Draws it into a viewport; `to_clip` [4,4] takes the world to the viewport's clip space."""
        camera, shader = self._camera, _shader()
        gpu.state.depth_test_set('LESS_EQUAL')
        gpu.state.depth_mask_set(False)
        gpu.state.blend_set('ALPHA_PREMULT')
        shader.bind()
        matrix = to_clip @ np.linalg.inv(camera.viewmat)
        shader.uniform_float("to_clip", matrix.T.astype(np.float32).ravel())
        K = camera.K
        shader.uniform_float("lens", (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        shader.uniform_float("size", (camera.width, camera.height))
        shader.uniform_float("card", self._distance)
        shader.uniform_sampler("colors", self._colors)
        shader.uniform_sampler("depths", self._depths)
        _corners().draw(shader)
        gpu.state.blend_set('NONE')
        gpu.state.depth_test_set('NONE')


def free() -> None:
    """Gives the shader back."""
    _corners.cache_clear()
    _shader.cache_clear()


def _texture(values: np.ndarray) -> gpu.types.GPUTexture:
    """float32 [H,W] or [H,W,4] on the GPU; texture row 0 is row 0. The buffer is the array itself, not a copy."""
    flat = np.ascontiguousarray(values, np.float32).ravel()
    data = gpu.types.Buffer('FLOAT', flat.size, flat)
    kind = 'RGBA32F' if values.ndim == 3 else 'R32F'
    return gpu.types.GPUTexture((values.shape[1], values.shape[0]), format=kind, data=data)


@cache
def _shader() -> gpu.types.GPUShader:
    between = gpu.types.GPUStageInterfaceInfo("headgas_card")
    between.smooth('VEC2', "place")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant('MAT4', "to_clip")
    info.push_constant('VEC4', "lens")
    info.push_constant('VEC2', "size")
    info.push_constant('FLOAT', "card")
    info.sampler(0, 'FLOAT_2D', "colors")
    info.sampler(1, 'FLOAT_2D', "depths")
    info.vertex_in(0, 'VEC2', "pos")
    info.vertex_out(between)
    info.fragment_out(0, 'VEC4', "color")
    if hasattr(info, "depth_write"):  # needed from 5.0 on
        info.depth_write('ANY')
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


@cache
def _corners() -> gpu.types.GPUBatch:
    return batch_for_shader(_shader(), 'TRI_STRIP', {"pos": [(0, 0), (1, 0), (0, 1), (1, 1)]})
