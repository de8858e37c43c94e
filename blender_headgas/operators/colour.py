# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's colours as the capture's photographs had them."""

import bpy


class HEADGAS_OT_match_capture(bpy.types.Operator):
    """Show the scene in the view transform Standard without look, exposure and gamma: then a rendered avatar has the
    colours of its photographs. Other view transforms, such as AgX, regrade it with the rest of the scene"""

    bl_idname = "headgas.match_capture"
    bl_label = "Match Capture"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Changes the colour management of the scene, because the user asks for it."""
        view = context.scene.view_settings
        context.scene.display_settings.display_device = 'sRGB'
        view.view_transform, view.look, view.exposure, view.gamma = 'Standard', 'None', 0.0, 1.0
        view.use_curve_mapping = False
        if hasattr(view, "use_white_balance"):
            view.use_white_balance = False
        return {'FINISHED'}
