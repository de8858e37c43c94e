# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains an avatar on a small capture for 50 steps, which is then imported and seen in the viewport."""

import bpy
import numpy as np

from .harness import Screen, Until, Walk, region_of
from .product import face, install, material, open_sidebar


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from open_sidebar(screen)
    before = yield "installed"
    settings = bpy.context.scene.headgas_training
    settings.capture = str(material(screen) / "capture")
    settings.folder = str(screen.folder / "run")
    settings.length, settings.steps, settings.gaussians, settings.device = 'STEPS', 50, 500, 'CPU'
    settings.imports, settings.shows = True, False
    with screen.over():
        assert bpy.ops.headgas.train_avatar() == {'FINISHED'}
    yield 2.0
    yield "training"
    scene = bpy.context.scene
    yield Until(lambda: any(obj.headgas.is_avatar for obj in scene.objects), "the avatar is trained and imported", 600)
    yield from face(screen)
    trained = yield "trained"
    where = region_of(screen.area())
    changed = np.abs(trained.of(where).astype(int) - before.of(where)).max(-1) > 40
    assert changed.mean() > 0.05, "the trained avatar is not to be seen"
