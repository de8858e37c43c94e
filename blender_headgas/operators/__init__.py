# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do."""

import bpy

from .bake import HEADGAS_OT_bake, HEADGAS_OT_unbake
from .bake_splats import HEADGAS_OT_bake_native, HEADGAS_OT_bake_sequence
from .capture import (
    HEADGAS_OT_capture_character,
    HEADGAS_OT_preview_capture,
    HEADGAS_OT_show_preview,
    HEADGAS_OT_stop_capture,
    draw_capture_menu,
)
from .capture_channels import (
    HEADGAS_OT_add_capture_bones,
    HEADGAS_OT_add_capture_properties,
    HEADGAS_OT_edit_capture_channels,
    HEADGAS_OT_find_capture_channels,
)
from .capture_watch import register_capture_watch, unregister_capture_watch
from .compositing import HEADGAS_OT_remove_compositing, HEADGAS_OT_set_up_compositing
from .connect_character import HEADGAS_OT_connect_character, HEADGAS_OT_swap_character
from .control_meshes import HEADGAS_OT_hide_control_meshes
from .export_cameras import HEADGAS_OT_export_cameras, draw_export_cameras_menu
from .export_take import HEADGAS_OT_export_take, draw_export_take_menu
from .expression import HEADGAS_OT_limit_channel, HEADGAS_OT_mirror_expression, HEADGAS_OT_reset_expression
from .face_bones import (
    HEADGAS_OT_add_face_bones,
    HEADGAS_OT_make_channels_editable,
    HEADGAS_OT_remove_face_bones,
    HEADGAS_OT_save_pose_asset,
)
from .import_avatar import HEADGAS_FH_avatar, HEADGAS_OT_import_avatar, draw_import_menu
from .import_take import HEADGAS_FH_take, HEADGAS_OT_import_take, draw_import_take_menu
from .install import (
    HEADGAS_OT_choose_backend,
    HEADGAS_OT_detect_backend,
    HEADGAS_OT_install_backend,
    HEADGAS_OT_open_install_log,
)
from .keys import HEADGAS_OT_key_expression, HEADGAS_OT_unkey_expression
from .live import HEADGAS_OT_record_live, HEADGAS_OT_start_live, HEADGAS_OT_stop_live
from .map_bone import HEADGAS_OT_map_bone
from .map_character import (
    HEADGAS_OT_create_drivers,
    HEADGAS_OT_edit_review,
    HEADGAS_OT_match_character,
    HEADGAS_OT_remove_drivers,
)
from .mapping_files import (
    HEADGAS_OT_add_mapping_preset,
    HEADGAS_OT_clear_mapping,
    HEADGAS_OT_load_mapping,
    HEADGAS_OT_save_mapping,
)
from .mute import HEADGAS_OT_solo_channel, HEADGAS_OT_unmute_all
from .photograph_drawing import stop_drawing, update_drawing
from .photographs import HEADGAS_OT_clear_comparison, HEADGAS_OT_compare_with_capture
from .pose import HEADGAS_OT_copy_pose, HEADGAS_OT_paste_pose
from .scene import HEADGAS_OT_set_up_scene
from .select import HEADGAS_OT_select, add_keys, remove_keys
from .sequence import HEADGAS_OT_check_frames, HEADGAS_OT_check_shot, HEADGAS_OT_remove_broken_frames
from .service import (
    HEADGAS_OT_cancel_task,
    HEADGAS_OT_open_backend_log,
    HEADGAS_OT_restart_backend,
    HEADGAS_OT_stop_backend,
    HEADGAS_OT_test_backend,
)
from .track import HEADGAS_OT_open_tracking_report, HEADGAS_OT_track_video, draw_track_menu
from .train import HEADGAS_OT_check_capture, HEADGAS_OT_control_run, HEADGAS_OT_train_avatar
from .train_results import (
    HEADGAS_OT_compare_runs,
    HEADGAS_OT_delete_run,
    HEADGAS_OT_forget_run,
    HEADGAS_OT_import_run,
    HEADGAS_OT_show_run,
)
from .train_settings import HeadGaSTrainingSettings, register_training, unregister_training
from .train_watch import register_watch, unregister_watch
from .transfer import HEADGAS_OT_transfer_performance, HEADGAS_OT_unlink_performance
from .viewport import HEADGAS_OT_exact_colors, HEADGAS_OT_retry_viewport, HEADGAS_OT_show_avatars

classes = (
    HEADGAS_OT_capture_character,
    HEADGAS_OT_preview_capture,
    HEADGAS_OT_show_preview,
    HEADGAS_OT_stop_capture,
    HEADGAS_OT_find_capture_channels,
    HEADGAS_OT_add_capture_bones,
    HEADGAS_OT_add_capture_properties,
    HEADGAS_OT_edit_capture_channels,
    HEADGAS_OT_connect_character,
    HEADGAS_OT_swap_character,
    HEADGAS_OT_import_avatar,
    HEADGAS_FH_avatar,
    HEADGAS_OT_import_take,
    HEADGAS_FH_take,
    HEADGAS_OT_export_take,
    HEADGAS_OT_export_cameras,
    HEADGAS_OT_set_up_scene,
    HEADGAS_OT_reset_expression,
    HEADGAS_OT_limit_channel,
    HEADGAS_OT_mirror_expression,
    HEADGAS_OT_key_expression,
    HEADGAS_OT_unkey_expression,
    HEADGAS_OT_copy_pose,
    HEADGAS_OT_paste_pose,
    HEADGAS_OT_solo_channel,
    HEADGAS_OT_unmute_all,
    HEADGAS_OT_add_face_bones,
    HEADGAS_OT_remove_face_bones,
    HEADGAS_OT_save_pose_asset,
    HEADGAS_OT_make_channels_editable,
    HEADGAS_OT_start_live,
    HEADGAS_OT_stop_live,
    HEADGAS_OT_record_live,
    HEADGAS_OT_bake,
    HEADGAS_OT_unbake,
    HEADGAS_OT_bake_sequence,
    HEADGAS_OT_bake_native,
    HEADGAS_OT_transfer_performance,
    HEADGAS_OT_unlink_performance,
    HEADGAS_OT_compare_with_capture,
    HEADGAS_OT_clear_comparison,
    HEADGAS_OT_match_character,
    HEADGAS_OT_create_drivers,
    HEADGAS_OT_remove_drivers,
    HEADGAS_OT_edit_review,
    HEADGAS_OT_map_bone,
    HEADGAS_OT_load_mapping,
    HEADGAS_OT_save_mapping,
    HEADGAS_OT_clear_mapping,
    HEADGAS_OT_add_mapping_preset,
    HEADGAS_OT_show_avatars,
    HEADGAS_OT_exact_colors,
    HEADGAS_OT_retry_viewport,
    HEADGAS_OT_select,
    HEADGAS_OT_hide_control_meshes,
    HEADGAS_OT_set_up_compositing,
    HEADGAS_OT_remove_compositing,
    HEADGAS_OT_check_shot,
    HEADGAS_OT_check_frames,
    HEADGAS_OT_remove_broken_frames,
    HEADGAS_OT_test_backend,
    HEADGAS_OT_restart_backend,
    HEADGAS_OT_stop_backend,
    HeadGaSTrainingSettings,
    HEADGAS_OT_track_video,
    HEADGAS_OT_open_tracking_report,
    HEADGAS_OT_check_capture,
    HEADGAS_OT_train_avatar,
    HEADGAS_OT_control_run,
    HEADGAS_OT_import_run,
    HEADGAS_OT_show_run,
    HEADGAS_OT_compare_runs,
    HEADGAS_OT_forget_run,
    HEADGAS_OT_delete_run,
    HEADGAS_OT_cancel_task,
    HEADGAS_OT_open_backend_log,
    HEADGAS_OT_detect_backend,
    HEADGAS_OT_choose_backend,
    HEADGAS_OT_install_backend,
    HEADGAS_OT_open_install_log,
)


def register() -> None:
    """Adds the menu entries, takes clicks on avatars, draws photographs in files that have some, watches trainings."""
    bpy.types.TOPBAR_MT_file_import.append(draw_import_menu)
    bpy.types.TOPBAR_MT_file_import.append(draw_import_take_menu)
    bpy.types.TOPBAR_MT_file_import.append(draw_track_menu)
    bpy.types.TOPBAR_MT_file_export.append(draw_export_take_menu)
    bpy.types.TOPBAR_MT_file_export.append(draw_export_cameras_menu)
    for handlers in _changes_of_files():
        handlers.append(update_drawing)
    bpy.types.VIEW3D_MT_object.append(draw_capture_menu)
    register_training()
    register_watch()
    register_capture_watch()
    add_keys()


def unregister() -> None:
    """Takes all of it away."""
    unregister_capture_watch()
    unregister_watch()
    unregister_training()
    bpy.types.VIEW3D_MT_object.remove(draw_capture_menu)
    remove_keys()
    for handlers in _changes_of_files():
        handlers.remove(update_drawing)
    stop_drawing()
    bpy.types.TOPBAR_MT_file_export.remove(draw_export_cameras_menu)
    bpy.types.TOPBAR_MT_file_export.remove(draw_export_take_menu)
    bpy.types.TOPBAR_MT_file_import.remove(draw_track_menu)
    bpy.types.TOPBAR_MT_file_import.remove(draw_import_take_menu)
    bpy.types.TOPBAR_MT_file_import.remove(draw_import_menu)


def _changes_of_files() -> tuple[list, ...]:
    """What is called when photographs may have come or gone."""
    return bpy.app.handlers.load_post, bpy.app.handlers.undo_post, bpy.app.handlers.redo_post
