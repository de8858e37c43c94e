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

from .packing import NORMAL, NOTHING, WHITE, PackedFrame
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
_TEXELS = f"""
ivec2 within(ivec2 at)
{{
  return clamp(at, ivec2(0), ivec2(frame.xy) - 1);
}}

uint second_word(vec2 words)
{{
  return floatBitsToUint(words.g) - {NORMAL}u;
}}

vec4 color_of(vec2 words)
{{
  uint first = floatBitsToUint(words.r) - {NORMAL}u;
  uvec4 codes = uvec4(first & 1023u, (first >> 10) & 1023u, first >> 20, second_word(words) >> 20);
  vec4 roots = vec4(codes) / {WHITE}.0;
  return roots * roots;
}}

float depth_of(vec2 words)
{{
  uint code = second_word(words) & {NOTHING}u;
  return code == {NOTHING}u ? 1e10 : details.x + float(code) * details.y;
}}

float frag_depth(float z)
{{
  vec4 clip = clip_of(place, z);
  return clamp(clip.z / clip.w * 0.5 + 0.5, 0.0, 1.0);
}}
"""
_COLORS = """
vec3 encoded(vec3 c)
{
  c = max(c, vec3(0.0));
  return mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), c));
}

float weighed(vec2 words, float weight)
{
  return weight < 0.02 ? 1e10 : depth_of(words);
}

void main()
{
  ivec2 low = ivec2(floor(place - 0.5));
  vec2 part = place - 0.5 - vec2(low), rest = 1.0 - part;
  vec2 a = texelFetch(pixels, within(low), 0).rg, b = texelFetch(pixels, within(low + ivec2(1, 0)), 0).rg;
  vec2 d = texelFetch(pixels, within(low + ivec2(0, 1)), 0).rg, e = texelFetch(pixels, within(low + ivec2(1, 1)), 0).rg;
  vec4 c = mix(mix(color_of(a), color_of(b), part.x), mix(color_of(d), color_of(e), part.x), part.y);
  if (c.a < 1e-3) {
    discard;
  }
  vec3 srgb = encoded(c.rgb / c.a);
  if (details.z > 0.0) {
    vec3 at = min(srgb / details.w, vec3(1.0));
    srgb = texture(transform, (at * (details.z - 1.0) + 0.5) / details.z).rgb;
  }
  /* Blender lays overlays over viewports in a space of its own: x to the power of 1 / 2.2 comes onto the screen */
  c = vec4(pow(srgb, vec3(2.2)) * c.a, c.a) * opacity;
  /* never a mean of depths: between an avatar and nothing there is no surface */
  gl_FragDepth = frag_depth(min(min(weighed(a, rest.x * rest.y), weighed(b, part.x * rest.y)),
                                min(weighed(d, rest.x * part.y), weighed(e, part.x * part.y))));
  color = c;
}
"""
_OUTLINE = """
/* its alpha, or where it is one of several avatars its share of it */
float covered(vec2 at)
{
  ivec2 texel = within(ivec2(floor(at)));
  return details.z > 0.5 ? texelFetch(coverage, texel, 0).r : color_of(texelFetch(pixels, texel, 0).rg).a;
}

void main()
{
  if (covered(place) >= 0.5) {
    discard;
  }
  float z = 1e10;
  for (int i = 0; i < 8; i++) {
    float angle = float(i) * 0.785398163;
    vec2 at = place + vec2(cos(angle), sin(angle)) * details.w;
    if (covered(at) >= 0.5) {
      z = min(z, depth_of(texelFetch(pixels, within(ivec2(floor(at))), 0).rg));
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

    def __init__(self, frame: PackedFrame, distance: float) -> None:
        """distance: metres from the camera to where the card stands."""
        camera, K = frame.camera, frame.camera.K
        self._pixels, self._coverage = _texture(frame.words), frame.coverage
        self._outlines: dict[int, gpu.types.GPUTexture] = {}
        self._to_world = np.linalg.inv(camera.viewmat)
        self._lens = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        self._frame = (camera.width, camera.height, distance, float(camera.orthographic))
        self._depths = (frame.near, frame.step)
        self._seen: tuple[np.ndarray, np.ndarray] | None = None  # `to_clip`, and what the shaders get of it

    def draw(self, to_clip: np.ndarray, table: Table | None, opacity: float = 1.0) -> None:
        """Draws it; `to_clip` [4,4] takes the world to clip space, `table` colours to what the screen shows."""
        shader = _color_shader()
        _begin('ALPHA_PREMULT')
        self._bind(shader, to_clip, (table.size, table.reach) if table else (0.0, 1.0))
        shader.uniform_float("opacity", opacity)
        shader.uniform_sampler("transform", table.texture() if table else _nothing())
        _corners(shader).draw(shader)
        _end()

    def draw_outline(self, to_clip: np.ndarray, avatar: int, color: Sequence[float], width: float) -> None:
        """Draws a line around one avatar: `color` RGB to the power of 2.2, `width` in the frame's own pixels."""
        if self._coverage is not None and avatar not in self._outlines:
            self._outlines[avatar] = _texture(self._coverage[avatar])
        shader = _outline_shader()
        _begin('ALPHA')
        self._bind(shader, to_clip, (float(self._coverage is not None), width))
        shader.uniform_sampler("coverage", self._outlines.get(avatar, self._pixels))
        shader.uniform_float("line", (*color, 1.0))
        _corners(shader).draw(shader)
        _end()

    def _bind(self, shader: gpu.types.GPUShader, to_clip: np.ndarray, own: tuple[float, float]) -> None:
        """own: the shader's own part of its details."""
        if self._seen is None or self._seen[0] is not to_clip:
            self._seen = to_clip, (to_clip @ self._to_world).T.astype(np.float32).ravel()
        shader.bind()
        shader.uniform_float("to_clip", self._seen[1])
        shader.uniform_float("lens", self._lens)
        shader.uniform_float("frame", self._frame)
        shader.uniform_float("details", self._depths + own)
        shader.uniform_sampler("pixels", self._pixels)


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
    """float32 [H,W] or [H,W,2] on the GPU; texture row 0 is row 0. The buffer is the array itself, not a copy."""
    data = gpu.types.Buffer('FLOAT', values.size, values.ravel())
    kind = 'RG32F' if values.ndim == 3 else 'R32F'
    return gpu.types.GPUTexture((values.shape[1], values.shape[0]), format=kind, data=data)


@cache
def _nothing() -> gpu.types.GPUTexture:
    """What is bound where there is no table."""
    return gpu.types.GPUTexture((1, 1, 1), format='RGBA32F')


@cache
def _color_shader() -> gpu.types.GPUShader:
    info = _shared("headgas_colors")
    info.push_constant('FLOAT', "opacity")
    info.sampler(1, 'FLOAT_3D', "transform")
    info.fragment_source(_CAMERA + _TEXELS + _COLORS)
    return gpu.shader.create_from_info(info)


@cache
def _outline_shader() -> gpu.types.GPUShader:
    info = _shared("headgas_outline")
    info.push_constant('VEC4', "line")  # its colour
    info.sampler(1, 'FLOAT_2D', "coverage")
    info.fragment_source(_CAMERA + _TEXELS + _OUTLINE)
    return gpu.shader.create_from_info(info)


def _shared(name: str) -> gpu.types.GPUShaderCreateInfo:
    """What both shaders have: the card, where it stands, how far away its pixels are.

    Constants: 128 bytes at most, each of them 16 or 64.
    """
    between = gpu.types.GPUStageInterfaceInfo(name)
    between.smooth('VEC2', "place")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant('MAT4', "to_clip")
    info.push_constant('VEC4', "lens")  # of the camera: fx, fy, cx, cy
    info.push_constant('VEC4', "frame")  # width and height, the card's distance, whether rays are parallel
    # The nearest depth, and from one code to the next. Then of colours how many steps the table has, 0 where there is
    # none, and its brightest colour; of outlines whether there are several avatars, and how wide lines are.
    info.push_constant('VEC4', "details")
    info.sampler(0, 'FLOAT_2D', "pixels")
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
