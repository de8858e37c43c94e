# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone drives avatars: datagrams written byte by byte, sent through a real socket of this machine."""

import socket
import struct
import time

import bpy
import numpy as np
import pytest
from avatar_files import header, write_avatar
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.live_link import CHANNELS, Reception, head_rotation, parse_packet
from bl_ext.user_default.headgas.rig import actions, live
from bl_ext.user_default.headgas.rig.performance import as_head_turn
from bl_ext.user_default.headgas.rig.takes import head_bone
from mathutils import Quaternion, Vector

JAW_OPEN, SMILE_LEFT, YAW, PITCH, ROLL = 17, 23, 52, 53, 54


def packet(frame=0, name="phone", device="3C2A5B1E-0000-4000-8000-0123456789AB", face=True, count=61, **values):
    """A datagram as the app sends it."""
    floats = [0.0] * 61
    for index, value in values.items():
        floats[int(index[1:])] = value
    data = b"\x06"
    for text in (device, name):
        data += struct.pack(">i", len(text.encode())) + text.encode()
    data += struct.pack(">i", frame) + struct.pack(">f", 0.25) + struct.pack(">i", 60) + struct.pack(">i", 1)
    return data + (bytes([count]) + struct.pack(">61f", *floats) if face else b"")


def test_the_order_is_that_of_the_datagrams_not_of_the_files():
    assert len(CHANNELS) == 52 and len(set(CHANNELS)) == 52
    assert [CHANNELS[i] for i in (0, 7, 15, 16, 17, 21, 22, 51)] == [
        "eyeBlinkLeft", "eyeBlinkRight", "jawLeft", "jawRight", "jawOpen", "mouthLeft", "mouthRight", "tongueOut"
    ]  # fmt: skip
    from bl_ext.user_default.headgas.core import arkit

    assert set(CHANNELS) == set(arkit.NAMES)


def test_a_packet_is_read_field_by_field():
    read = parse_packet(packet(frame=1234, name="Zoë", _17=0.5, _54=-0.125))
    assert (read.device[:8], read.name, read.frame) == ("3C2A5B1E", "Zoë", 1234)
    assert (read.position, read.rate) == (1234.25, 60.0)
    assert read.values.shape == (61,) and read.values[JAW_OPEN] == 0.5 and read.values[ROLL] == -0.125
    assert parse_packet(packet(face=False)).values is None


def test_packets_of_pylivelinkface_are_the_same():
    """It writes its version as four bytes and a '$' before the identifier: the length 36 in other words."""
    data = struct.pack("<I", 6) + b"$3C2A5B1E-0000-4000-8000-0123456789AB" + struct.pack("!i", 2) + b"py"
    data += struct.pack("!II", 7, 1056060032) + struct.pack("!II", 30, 0) + struct.pack("!B61f", 61, *[0.5] * 61)
    read = parse_packet(data)
    assert (read.device, read.name, read.frame) == ("3C2A5B1E-0000-4000-8000-0123456789AB", "py", 7)
    assert 7.4 < read.position < 7.5 and read.rate == 60.0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x05" + packet()[1:], "begins with 5"),
        (packet()[:30], "a name of 36"),
        (packet()[:41], "ends before its names"),
        (b"\x06\xff\xff\xff\xff" + packet()[5:], "a name of -1"),
        (packet(device="\x00")[:5] + b"\xff" + packet(device="\x00")[6:], "not UTF-8"),
        (packet()[:60], "ends before its time"),
        (packet()[:-1], "61 are expected"),
        (packet(count=52), "52 values; 61"),
        (packet(_3=float("nan")), "no numbers"),
    ],
)
def test_what_is_no_packet_is_named(data, message):
    with pytest.raises(HeadGaSError, match=message):
        parse_packet(data)


@pytest.mark.parametrize(
    ("angle", "looks", "crown"),
    [
        (YAW, (np.sin(0.3), -np.cos(0.3), 0), (0, 0, 1)),  # to the subject's left: +X
        (PITCH, (0, -np.cos(0.3), np.sin(0.3)), (0, np.sin(0.3), np.cos(0.3))),  # up
        (ROLL, (0, -1, 0), (np.sin(0.3), 0, np.cos(0.3))),  # the crown to the subject's left: +X
    ],
)
def test_head_angles_turn_as_a_head_does(angle, looks, crown):
    values = np.zeros(61, np.float32)
    values[angle] = 0.3
    turn = Quaternion(head_rotation(values))
    assert np.allclose(turn @ Vector((0, -1, 0)), looks, atol=1e-6)
    assert np.allclose(turn @ Vector((0, 0, 1)), crown, atol=1e-6)
    sideways = Quaternion(head_rotation(values, sideways=True))
    assert np.allclose(sideways, turn if angle == ROLL else turn.inverted())


def test_pitch_is_the_innermost_turn_and_roll_the_outermost():
    values = np.zeros(61, np.float32)
    values[YAW], values[PITCH], values[ROLL] = 0.4, 0.3, 0.2
    expected = Quaternion((0, 1, 0), 0.2) @ Quaternion((0, 0, 1), 0.4) @ Quaternion((1, 0, 0), -0.3)
    assert np.allclose(head_rotation(values), expected, atol=1e-6)


def test_loss_reorder_and_repetition_are_counted():
    reception = Reception()
    taken = [reception.take(packet(frame=frame), 0.01 * n) for n, frame in enumerate((10, 11, 14, 13, 14, 15))]
    assert [moment is not None for moment in taken] == [True, True, True, False, False, True]
    assert (reception.lost, reception.late, reception.malformed) == (2, 2, 0)
    assert [m.seconds for m in taken if m] == pytest.approx([0, 1 / 60, 4 / 60, 5 / 60])


def test_a_sender_that_starts_anew_is_followed():
    reception = Reception()
    assert reception.take(packet(frame=5000), 0.0)
    again = reception.take(packet(frame=3), 1.5)
    assert again and again.seconds == pytest.approx(1.5) and (reception.lost, reception.late) == (0, 0)
    other_identifier = reception.take(packet(frame=4, device="new"), 5.0)
    assert other_identifier and other_identifier.seconds == pytest.approx(5.0)


def test_the_first_sender_wins_until_it_is_silent():
    reception = Reception()
    assert reception.take(packet(frame=1, name="anna"), 0.0)
    assert reception.take(packet(frame=900, name="ben", device="b"), 0.5) is None
    assert reception.sender == "anna" and list(reception.senders) == ["anna", "ben"]
    assert reception.take(packet(frame=901, name="ben", device="b"), 3.0) and reception.sender == "ben"


def test_a_sender_is_chosen_by_its_name():
    reception = Reception("ben")
    assert reception.take(packet(name="anna"), 0.0) is None and reception.sender == ""
    assert reception.take(packet(name="ben", device="b"), 0.1) and reception.sender == "ben"


def test_the_lamp():
    reception = Reception()
    assert reception.lamp(0.0) == 'YELLOW'
    assert reception.take(b"garbage", 1.0) is None and reception.lamp(1.1) == 'RED' and reception.malformed == 1
    reception.take(packet(frame=1), 1.2)
    reception.take(b"garbage", 1.3)
    assert reception.lamp(1.4) == 'GREEN' and reception.rate(1.4) == 1
    assert reception.lamp(2.9) == 'YELLOW'
    reception.take(packet(frame=200, face=False), 4.0)
    assert reception.lamp(4.0) == 'GREEN' and not reception.sees_face


def test_garbage_does_not_fill_the_memory():
    reception = Reception()
    for n in range(3000):
        reception.take(packet(frame=n, name=str(n), device=str(n)), n * 1e-4)
    assert len(reception.senders) == 16 and reception.rate(0.3) <= 1000


@pytest.fixture
def phone(scene):
    """The settings, and a function that sends datagrams to the session and lets it look."""
    settings = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences.live
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        settings.port = probe.getsockname()[1]
    settings.address, settings.sender, settings.use_head, settings.use_zero = "127.0.0.1", "", True, False
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(*packets):
        for data in packets:
            sender.sendto(data, ("127.0.0.1", settings.port))
        time.sleep(0.02)
        live.session().tick()

    yield settings, send
    sender.close()
    live.stop()


def _avatar(path):
    head = header()
    head["expression_space"]["names"][1] = "MouthSmileLeft"  # another spelling of the same
    head["expression_space"]["names"][3] = "myOwn"
    assert bpy.ops.headgas.import_avatar(filepath=str(write_avatar(path, head))) == {'FINISHED'}
    return bpy.context.object


def _value(avatar, name):
    return avatar.data.shape_keys.key_blocks[name].value


def test_channels_and_head_follow_the_newest_packet(phone, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    own = _value(avatar, "myOwn")
    assert bpy.ops.headgas.start_live() == {'FINISHED'}
    phone[1](packet(frame=1, _17=0.9), packet(frame=2, _17=0.4, _23=0.6, _52=0.3), b"garbage", packet(frame=1, _17=1.0))
    assert _value(avatar, "jawOpen") == pytest.approx(0.4) and _value(avatar, "MouthSmileLeft") == pytest.approx(0.6)
    assert _value(avatar, "myOwn") == own
    turn = as_head_turn(head_bone(avatar), head_bone(avatar).rotation_quaternion)
    assert np.allclose(turn, Quaternion((0, 0, 1), 0.3), atol=1e-6)
    reception = live.session().reception
    assert (live.session().lamp(), reception.malformed, reception.late, reception.sender) == ('GREEN', 1, 1, "phone")
    phone[1](packet(frame=3, face=False))
    assert _value(avatar, "jawOpen") == pytest.approx(0.4) and not reception.sees_face


def test_the_lamp_goes_out_when_nothing_came_and_not_while_blender_was_busy(phone, tmp_path, monkeypatch):
    _avatar(tmp_path / "a.safetensors")
    bpy.ops.headgas.start_live()
    phone[1](packet(frame=1))
    later = live.time.monotonic() + 30
    monkeypatch.setattr(live.time, "monotonic", lambda: later)
    assert live.session().lamp() == 'GREEN'
    live.session().tick()
    assert live.session().lamp() == 'YELLOW'


def test_channels_in_any_spelling_and_on_face_bones_follow(phone, tmp_path):
    head = header()
    head["expression_space"]["names"] = ["jawOpen", "mouthSmile_L", "mouthSmile_R", "browInnerUp"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors", head)))
    avatar = bpy.context.object
    bpy.ops.headgas.add_face_bones()
    bpy.ops.headgas.start_live()
    phone[1](packet(frame=1, _17=0.5, _23=0.6, _24=9.0))
    bpy.context.view_layer.update()
    found = {key.name: key.value for key in avatar.data.shape_keys.evaluated_get(_graph()).key_blocks[1:]}
    limit = avatar.data.shape_keys.key_blocks["mouthSmile_R"].slider_max
    assert found == pytest.approx({"jawOpen": 0.5, "mouthSmile_L": 0.6, "mouthSmile_R": limit, "browInnerUp": 0.0})
    bpy.ops.headgas.record_live()
    phone[1](packet(frame=2, _17=0.25))
    bpy.ops.headgas.stop_live()
    assert 'pose.bones["face"]["jawOpen"]' in {curve.data_path for curve in actions.fcurves(avatar.parent)}


def _graph():
    return bpy.context.evaluated_depsgraph_get()


def test_the_head_counts_from_its_first_pose_and_may_stay_still(phone, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    phone[0].use_zero = True
    bone = head_bone(avatar)
    bone.rotation_mode = 'XYZ'
    bpy.ops.headgas.start_live()
    phone[1](packet(frame=1, _52=0.5))
    assert np.allclose(bone.rotation_euler, 0, atol=1e-6)
    phone[1](packet(frame=2, _52=0.8))
    assert np.allclose(as_head_turn(bone, bone.rotation_euler.to_quaternion()), Quaternion((0, 0, 1), 0.3), atol=1e-6)
    phone[0].use_head = False
    phone[1](packet(frame=3, _52=0.0, _17=0.7))
    assert bone.rotation_euler.y != 0 and _value(avatar, "jawOpen") == pytest.approx(0.7)


def test_several_avatars_are_driven_and_a_deleted_one_is_survived(phone, tmp_path):
    first, second = _avatar(tmp_path / "a.safetensors"), _avatar(tmp_path / "b.safetensors")
    first.select_set(True)
    bpy.ops.headgas.start_live()
    phone[1](packet(frame=1, _17=0.5))
    assert _value(first, "jawOpen") == _value(second, "jawOpen") == pytest.approx(0.5)
    second.name = "renamed"
    bpy.data.objects.remove(first)
    phone[1](packet(frame=2, _17=0.25))
    assert _value(second, "jawOpen") == pytest.approx(0.25)
    bpy.data.objects.remove(second)
    phone[1](packet(frame=3))
    assert not list(live.session().avatars()) and bpy.ops.headgas.stop_live() == {'FINISHED'}


def test_a_port_in_use_is_an_error_and_stopping_gives_it_back(phone, tmp_path):
    _avatar(tmp_path / "a.safetensors")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", phone[0].port))
        with pytest.raises(RuntimeError, match=f"port {phone[0].port}"):
            bpy.ops.headgas.start_live()
        assert live.session() is None and not bpy.ops.headgas.stop_live.poll()
    for _ in range(2):
        bpy.ops.headgas.start_live()
        assert bpy.ops.headgas.stop_live() == {'FINISHED'}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", phone[0].port))


def test_bad_addresses_and_avatars_are_refused(phone, scene, tmp_path):
    assert not bpy.ops.headgas.start_live.poll()
    _avatar(tmp_path / "a.safetensors")
    for address in ("phone", "", "8.8.8.8"):
        phone[0].address = address
        with pytest.raises(RuntimeError, match="no address|Nothing can be received"):
            bpy.ops.headgas.start_live()
    head = header()
    head["expression_space"]["names"] = ["a", "b", "c", "d"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "flame.safetensors", head)))
    phone[0].address = "127.0.0.1"
    with pytest.raises(RuntimeError, match="No channel of 'flame control' has a name of ARKit's"):
        bpy.ops.headgas.start_live()


def test_a_file_that_is_opened_ends_it(phone, tmp_path):
    _avatar(tmp_path / "a.safetensors")
    bpy.ops.headgas.start_live()
    assert bpy.app.timers.is_registered(live._tick)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert live.session() is None and not bpy.app.timers.is_registered(live._tick)


def test_recording_becomes_keys_at_the_scene_s_rate(phone, scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    scene.render.fps, scene.frame_current = 30, 101
    keys = avatar.data.shape_keys
    keys.key_blocks["jawOpen"].keyframe_insert("value", frame=1)
    before = keys.animation_data.action
    bpy.ops.headgas.start_live()
    phone[1](packet(frame=1, _17=1.0))
    bpy.ops.headgas.record_live()
    # 60 a second, one lost, one late: 0.0, 0.1, [0.2], 0.3, 0.4 … of jawOpen
    sent = [packet(frame=10 + n, _17=n / 10, _52=n / 10) for n in (0, 1, 3, 4, 5, 6, 5)]
    phone[1](*sent[:3])
    phone[1](*sent[3:])
    assert bpy.ops.headgas.record_live() == {'FINISHED'} and not live.session().recording
    action = keys.animation_data.action
    assert action is not before and action.name == "a control live" and before.use_fake_user
    curves = {curve.data_path: curve for curve in actions.fcurves(keys)}
    assert set(curves) == {f'key_blocks["{name}"].value' for name in ("jawOpen", "MouthSmileLeft", "mouthSmileRight")}
    points = [tuple(point.co) for point in curves['key_blocks["jawOpen"].value'].keyframe_points]
    assert np.allclose(points, [(101, 0.0), (102, 0.2), (103, 0.4), (104, 0.6)], atol=1e-5)
    bone = head_bone(avatar)
    bpy.ops.headgas.stop_live()
    for frame, yaw in ((101, 0.0), (104, 0.6)):
        scene.frame_set(frame)
        assert np.allclose(
            as_head_turn(bone, bone.rotation_quaternion), Quaternion((0, 0, 1), yaw), atol=1e-5
        )


def test_a_recording_that_cannot_be_written_goes_on(phone, scene, tmp_path):
    keys = _avatar(tmp_path / "a.safetensors").data.shape_keys
    keys.key_blocks["jawOpen"].keyframe_insert("value", frame=1)
    data = keys.animation_data
    track = data.nla_tracks.new()
    track.strips.new("jaw", 1, data.action).select = True
    data.action, data.nla_tracks.active = None, track
    bpy.ops.headgas.start_live()
    bpy.ops.headgas.record_live()
    phone[1](packet(frame=1, _17=0.5))
    data.use_tweak_mode = True
    for operator in (bpy.ops.headgas.record_live, bpy.ops.headgas.stop_live):
        with pytest.raises(RuntimeError, match="Leave its tweak mode"):
            operator()
    assert live.session().recording
    data.use_tweak_mode = False
    assert bpy.ops.headgas.stop_live() == {'FINISHED'} and data.action.name == "a control live"


def test_stopping_writes_what_is_being_recorded_and_says_when_there_is_nothing(phone, scene, tmp_path, capfd):
    avatar = _avatar(tmp_path / "a.safetensors")
    bpy.ops.headgas.start_live()
    bpy.ops.headgas.record_live()
    bpy.ops.headgas.record_live()
    assert "Nothing was recorded" in capfd.readouterr().out and avatar.data.shape_keys.animation_data is None
    bpy.ops.headgas.record_live()
    phone[1](packet(frame=1, _17=0.5))
    bpy.ops.headgas.stop_live()
    assert "Recorded 1 frames" in capfd.readouterr().out and list(actions.fcurves(avatar.data.shape_keys))
