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

from .packing import NOBODY, NORMAL, NOTHING, SHARED, WHITE, PackedFrame
from .view_transform import Table

_CAMERA = """
vec4 clip_of(vec2 pixel, float z)
{
  vec2 ray = (pixel - lens.zw) / lens.xy;
  return to_clip * vec4(details.z > 0.5 ? ray : ray * z, z, 1.0);
}
"""
_VERTEX = """
void main()
{
  place = vec2(pos.x * strip.x, mix(strip.y, strip.z, pos.y));
  gl_Position = clip_of(place, strip.w);
}
"""
_TEXELS = f"""
vec2 words_at(ivec2 at)
{{
  ivec2 texel = ivec2(at.x, at.y - max(0, int(strip.y) - {SHARED}));
  return texelFetch(pixels, clamp(texel, ivec2(0), textureSize(pixels, 0) - 1), 0).rg;
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

uint avatar_of(vec2 words)
{{
  return (second_word(words) >> 16) & {NOBODY}u;
}}

float depth_of(vec2 words)
{{
  uint code = second_word(words) & {NOTHING}u;
  return code == {NOTHING}u ? 1e10 : details.x + exp(float(code) * details.y) - 1.0;
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
  vec2 a = words_at(low), b = words_at(low + ivec2(1, 0)), d = words_at(low + ivec2(0, 1)), e = words_at(low + 1);
  vec4 c = mix(mix(color_of(a), color_of(b), part.x), mix(color_of(d), color_of(e), part.x), part.y);
  if (c.a < 1e-3) {
    discard;
  }
  vec3 srgb = encoded(c.rgb / c.a);
  if (shown.x > 0.0) {
    vec3 at = min(srgb / shown.y, vec3(1.0));
    srgb = texture(transform, (at * (shown.x - 1.0) + 0.5) / shown.x).rgb;
  }
  /* Blender lays overlays over viewports in a space of its own: x to the power of 1 / 2.2 comes onto the screen */
  c = vec4(pow(srgb, vec3(2.2)) * c.a, c.a) * shown.z;
  /* never a mean of depths: between an avatar and nothing there is no surface */
  gl_FragDepth = frag_depth(min(min(weighed(a, rest.x * rest.y), weighed(b, part.x * rest.y)),
                                min(weighed(d, rest.x * part.y), weighed(e, part.x * part.y))));
  color = c;
}
"""
_OUTLINE = """
bool covered(vec2 at)
{
  return avatar_of(words_at(ivec2(floor(at)))) == uint(details.w);
}

void main()
{
  if (covered(place)) {
    discard;
  }
  float z = 1e10;
  for (int i = 0; i < 8; i++) {
    float angle = float(i) * 0.785398163;
    vec2 at = place + vec2(cos(angle), sin(angle)) * shown.w;
    if (covered(at)) {
      z = min(z, depth_of(words_at(ivec2(floor(at)))));
    }
  }
  if (z >= 1e10) {
    discard;
  }
  gl_FragDepth = frag_depth(z);
  color = vec4(shown.rgb, 1.0);
}
"""


class Card:
    """The textures of one frame, which are made, drawn and freed where Blender draws."""

    def __init__(self, frame: PackedFrame, distance: float) -> None:
        """distance: metres from the camera to where the card stands."""
        camera, K = frame.camera, frame.camera.K
        self._frame, self._strips = frame, frame.strips()
        self._textures: list[gpu.types.GPUTexture] = []  # of the first strips
        self._to_world = np.linalg.inv(camera.viewmat)
        self._lens = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        self._details = (frame.near, frame.step, float(camera.orthographic))
        self._distance = distance
        self._seen: tuple[np.ndarray, list[float]] | None = None  # `to_clip`, and what the shaders get of it

    def look(self, to_clip: np.ndarray) -> list[float]:
        """What the shaders get of `to_clip`, as `draw` has it: [16] from the card's camera, by columns; made once."""
        if self._seen is None or self._seen[0] is not to_clip:
            self._seen = to_clip, (to_clip @ self._to_world).T.ravel().tolist()
        return self._seen[1]

    def fill(self) -> bool:
        """Makes the next of its textures; whether it has them all now."""
        if len(self._textures) < len(self._strips):
            self._textures.append(_texture(self._frame.rows(*self._strips[len(self._textures)])))
        return len(self._textures) == len(self._strips)

    def shed(self) -> None:
        """Gives one of its textures back: the memory of the next that is made, which then need not be cleared first."""
        if self._textures:
            self._textures.pop()

    def draw(self, to_clip: np.ndarray, table: Table | None, opacity: float = 1.0, behind: float = 0.0) -> None:
        """Draws it; `to_clip` [4,4] takes the world to clip space, `table` colours to what the screen shows.

        behind: its opacity where something else is nearer.
        """
        shader = _color_shader()
        shader.bind()
        shader.uniform_sampler("transform", table.texture() if table else _nothing())
        colors = (table.size, table.reach) if table else (0.0, 1.0)
        for test, share in (('LESS_EQUAL', opacity), ('GREATER', behind)):
            if share > 0.0:
                self._draw(shader, ('ALPHA_PREMULT', test), to_clip, (*colors, share, 0.0), 0)

    def draw_outline(
        self, to_clip: np.ndarray, avatar: int, color: Sequence[float], width: float, test: str = 'LESS_EQUAL'
    ) -> None:
        """Draws a line around one avatar: `color` RGB to the power of 2.2, `width` in the frame's own pixels.

        Frames know the first NOBODY avatars apart; the others have no lines.
        """
        if avatar < NOBODY:
            shader = _outline_shader()
            shader.bind()
            self._draw(shader, ('ALPHA', test), to_clip, (*color, min(width, SHARED - 1.0)), avatar)

    def _draw(
        self,
        shader: gpu.types.GPUShader,
        state: tuple[str, str],
        to_clip: np.ndarray,
        shown: tuple[float, ...],
        avatar: int,
    ) -> None:
        """state: how it is blended, and the test of its depth."""
        gpu.state.blend_set(state[0])
        gpu.state.depth_test_set(state[1])
        gpu.state.depth_mask_set(False)
        shader.uniform_float("to_clip", self.look(to_clip))
        shader.uniform_float("lens", self._lens)
        shader.uniform_float("details", (*self._details, avatar))
        shader.uniform_float("shown", shown)
        corners = _corners(shader)
        for (start, end), texture in zip(self._strips, self._textures, strict=True):
            shader.uniform_float("strip", (self._frame.camera.width, start, end, self._distance))
            shader.uniform_sampler("pixels", texture)
            corners.draw(shader)
        gpu.state.blend_set('NONE')
        gpu.state.depth_test_set('NONE')


def free() -> None:
    """Gives the shaders back."""
    for made in (_corners, _color_shader, _outline_shader, _nothing):
        made.cache_clear()


def _texture(words: np.ndarray) -> gpu.types.GPUTexture:
    """float32 [H,W,2] on the GPU; texture row 0 is row 0. The buffer is the array itself, not a copy."""
    data = gpu.types.Buffer('FLOAT', words.size, words.ravel())
    return gpu.types.GPUTexture((words.shape[1], words.shape[0]), format='RG32F', data=data)


@cache
def _nothing() -> gpu.types.GPUTexture:
    """What is bound where there is no table."""
    return gpu.types.GPUTexture((1, 1, 1), format='RGBA32F')


@cache
def _color_shader() -> gpu.types.GPUShader:
    info = _shared("headgas_colors")
    info.sampler(1, 'FLOAT_3D', "transform")
    info.fragment_source(_CAMERA + _TEXELS + _COLORS)
    return gpu.shader.create_from_info(info)


@cache
def _outline_shader() -> gpu.types.GPUShader:
    info = _shared("headgas_outline")
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
    info.push_constant('VEC4', "strip")  # its width, first row and the one behind its last; the card's distance
    # The nearest depth, its logarithm's step from one code to the next; whether rays are parallel; which avatar.
    info.push_constant('VEC4', "details")
    # Of colours how many steps the table has, 0 where there is none, its brightest colour, and the opacity; of
    # outlines the colour and how wide lines are.
    info.push_constant('VEC4', "shown")
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
