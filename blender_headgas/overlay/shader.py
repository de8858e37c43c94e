# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a rendered frame into a 3D viewport, per pixel before or behind what is there.

The frame is a card that stands upright before the camera that took it, at the avatars' distance. Seen through the same
camera each of its pixels falls on itself; seen through another, the card stands in the world where the avatars stood.
"""

from collections.abc import Sequence
from functools import cache

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core.cameras import Camera
from .view_transform import Table

_CAMERA = """
vec4 clip_of(vec2 pixel, float z)
{
  vec2 ray = (pixel - lens.zw) / lens.xy;
  return to_clip * vec4(frame.w > 0.5 ? ray : ray * z, z, 1.0);
}
"""
_VERTEX = """
void main()
{
  place = pos * frame.xy;
  gl_Position = clip_of(place, frame.z);
}
"""
_TEXELS = """
ivec2 within(ivec2 at)
{
  return clamp(at, ivec2(0), ivec2(frame.xy) - 1);
}

float depth_at(ivec2 at, float weight)
{
  return weight < 0.02 ? 1e10 : texelFetch(depths, within(at), 0).r;
}

/* never a mean of depths: between an avatar and nothing there is no surface */
float nearest(ivec2 low, vec2 part)
{
  vec2 rest = 1.0 - part;
  return min(min(depth_at(low, rest.x * rest.y), depth_at(low + ivec2(1, 0), part.x * rest.y)),
             min(depth_at(low + ivec2(0, 1), rest.x * part.y), depth_at(low + ivec2(1, 1), part.x * part.y)));
}

float frag_depth(float z)
{
  vec4 clip = clip_of(place, z);
  return clamp(clip.z / clip.w * 0.5 + 0.5, 0.0, 1.0);
}
"""
_COLORS = """
vec3 encoded(vec3 c)
{
  c = max(c, vec3(0.0));
  return mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), c));
}

void main()
{
  ivec2 low = ivec2(floor(place - 0.5));
  vec2 part = place - 0.5 - vec2(low);
  vec4 c = mix(mix(texelFetch(colors, within(low), 0), texelFetch(colors, within(low + ivec2(1, 0)), 0), part.x),
               mix(texelFetch(colors, within(low + ivec2(0, 1)), 0),
                   texelFetch(colors, within(low + ivec2(1, 1)), 0), part.x),
               part.y);
  if (c.a < 1e-3) {
    discard;
  }
  vec3 srgb = encoded(c.rgb / c.a);
  if (table.x > 0.0) {
    vec3 at = min(srgb / table.y, vec3(1.0));
    srgb = texture(transform, (at * (table.x - 1.0) + 0.5) / table.x).rgb;
  }
  /* Blender lays overlays over viewports in a space of its own: x to the power of 1 / 2.2 comes onto the screen */
  c.rgb = pow(srgb, vec3(2.2)) * c.a;
  gl_FragDepth = frag_depth(nearest(low, part));
  color = c;
}
"""
_OUTLINE = """
float covered(vec2 at)
{
  return texelFetch(coverage, within(ivec2(floor(at))), 0).r;
}

void main()
{
  if (covered(place) >= 0.5) {
    discard;
  }
  float z = 1e10;
  for (int i = 0; i < 8; i++) {
    float angle = float(i) * 0.785398163;
    vec2 at = place + vec2(cos(angle), sin(angle)) * width;
    if (covered(at) >= 0.5) {
      z = min(z, texelFetch(depths, within(ivec2(floor(at))), 0).r);
    }
  }
  if (z >= 1e10) {
    discard;
  }
  gl_FragDepth = frag_depth(z);
  color = line;
}
"""


class Card:
    """The textures of one frame. Made, drawn and freed where Blender draws."""

    def __init__(
        self, image: np.ndarray, depth: np.ndarray, coverage: np.ndarray | None, camera: Camera, distance: float
    ) -> None:
        """image [H,W,4] scene-linear, premultiplied; depth [H,W] metres; coverage [A,H,W], where there are several
        avatars; all float32, row 0 on top.

        distance: metres from the camera to where the card stands.
        """
        self._colors, self._depths = _texture(image), _texture(depth)
        self._image, self._coverage = image, coverage
        self._outlines: dict[int, gpu.types.GPUTexture] = {}
        self._camera, self._distance = camera, distance

    def draw(self, to_clip: np.ndarray, table: Table | None) -> None:
        """Draws it; `to_clip` [4,4] takes the world to clip space, `table` colours to what the screen shows."""
        shader = _color_shader()
        _begin('ALPHA_PREMULT')
        self._bind(shader, to_clip)
        shader.uniform_sampler("colors", self._colors)
        shader.uniform_float("table", (table.size, table.reach) if table else (0.0, 1.0))
        shader.uniform_sampler("transform", table.texture() if table else _nothing())
        _corners(shader).draw(shader)
        _end()

    def draw_outline(self, to_clip: np.ndarray, avatar: int, color: Sequence[float], width: float) -> None:
        """Draws a line around one avatar: `color` RGBA to the power of 2.2, `width` in the frame's own pixels."""
        if avatar not in self._outlines:
            plane = self._image[..., 3] if self._coverage is None else self._coverage[avatar]
            self._outlines[avatar] = _texture(plane)
        shader = _outline_shader()
        _begin('ALPHA')
        self._bind(shader, to_clip)
        shader.uniform_sampler("coverage", self._outlines[avatar])
        shader.uniform_float("line", color)
        shader.uniform_float("width", width)
        _corners(shader).draw(shader)
        _end()

    def _bind(self, shader: gpu.types.GPUShader, to_clip: np.ndarray) -> None:
        camera, K = self._camera, self._camera.K
        matrix = to_clip @ np.linalg.inv(camera.viewmat)
        shader.bind()
        shader.uniform_float("to_clip", matrix.T.astype(np.float32).ravel())
        shader.uniform_float("lens", (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        shader.uniform_float("frame", (camera.width, camera.height, self._distance, float(camera.orthographic)))
        shader.uniform_sampler("depths", self._depths)


def free() -> None:
    """Gives the shaders back."""
    for made in (_corners, _color_shader, _outline_shader, _nothing):
        made.cache_clear()


def _begin(blend: str) -> None:
    gpu.state.depth_test_set('LESS_EQUAL')
    gpu.state.depth_mask_set(False)
    gpu.state.blend_set(blend)


def _end() -> None:
    gpu.state.blend_set('NONE')
    gpu.state.depth_test_set('NONE')


def _texture(values: np.ndarray) -> gpu.types.GPUTexture:
    """float32 [H,W] or [H,W,4] on the GPU; texture row 0 is row 0. The buffer is the array itself, not a copy."""
    flat = np.ascontiguousarray(values, np.float32).ravel()
    data = gpu.types.Buffer('FLOAT', flat.size, flat)
    kind = 'RGBA32F' if values.ndim == 3 else 'R32F'
    return gpu.types.GPUTexture((values.shape[1], values.shape[0]), format=kind, data=data)


@cache
def _nothing() -> gpu.types.GPUTexture:
    """What is bound where there is no table."""
    return gpu.types.GPUTexture((1, 1, 1), format='RGBA32F')


@cache
def _color_shader() -> gpu.types.GPUShader:
    info = _shared("headgas_colors")
    info.push_constant('VEC2', "table")  # how many steps, none without a table; the brightest colour
    info.sampler(1, 'FLOAT_2D', "colors")
    info.sampler(2, 'FLOAT_3D', "transform")
    info.fragment_source(_CAMERA + _TEXELS + _COLORS)
    return gpu.shader.create_from_info(info)


@cache
def _outline_shader() -> gpu.types.GPUShader:
    info = _shared("headgas_outline")
    info.push_constant('VEC4', "line")
    info.push_constant('FLOAT', "width")
    info.sampler(1, 'FLOAT_2D', "coverage")
    info.fragment_source(_CAMERA + _TEXELS + _OUTLINE)
    return gpu.shader.create_from_info(info)


def _shared(name: str) -> gpu.types.GPUShaderCreateInfo:
    """What both shaders have: the card, where it stands, how far away its pixels are. Constants: 128 bytes at most."""
    between = gpu.types.GPUStageInterfaceInfo(name)
    between.smooth('VEC2', "place")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant('MAT4', "to_clip")
    info.push_constant('VEC4', "lens")  # of the camera: fx, fy, cx, cy
    info.push_constant('VEC4', "frame")  # width and height, the card's distance, whether rays are parallel
    info.sampler(0, 'FLOAT_2D', "depths")
    info.vertex_in(0, 'VEC2', "pos")
    info.vertex_out(between)
    info.fragment_out(0, 'VEC4', "color")
    if hasattr(info, "depth_write"):  # needed from 5.0 on
        info.depth_write('ANY')
    info.vertex_source(_CAMERA + _VERTEX)
    return info


@cache
def _corners(shader: gpu.types.GPUShader) -> gpu.types.GPUBatch:
    return batch_for_shader(shader, 'TRI_STRIP', {"pos": [(0, 0), (1, 0), (0, 1), (1, 1)]})
