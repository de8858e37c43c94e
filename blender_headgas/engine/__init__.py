# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""F12: renders the scene's avatars through the backend."""

from . import native_panels
from .render_engine import HeadGaSRenderEngine

classes = (HeadGaSRenderEngine,)
register = native_panels.register
unregister = native_panels.unregister
