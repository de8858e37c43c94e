# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone drives avatars in the viewport: the session that listens, shows and records. Nothing listens by itself."""

import time
from collections.abc import Iterator, Sequence

import bpy
import numpy as np
from mathutils import Quaternion

from ..client.launch import preferences
from ..core.arkit import canonical
from ..core.errors import HeadGaSError
from ..core.live_link import CHANNELS, PORT, Moment, Receiver, Reception, head_rotation, relative_rotation
from ..core.takes import Take
from ..core.takes.edit import at_rate, renamed
from .channels import Channel, channels_of
from .performance import as_bone_turn, check_animatable, set_rotation
from .takes import frames_per_second, head_bone, key_take
from .windows import redraw

_INTERVAL = 1 / 60  # seconds between two looks at the socket
_REDRAW = 0.25  # seconds between two redraws while nothing arrives: the lamp changes
_PLACES = {name: place for place, name in enumerate(CHANNELS)}


class HeadGaSLiveSettings(bpy.types.PropertyGroup):
    """Where to listen. In the preferences, not in the .blend file: a file from elsewhere must not open a port."""

    address: bpy.props.StringProperty(
        name="Address",
        description="The address of this machine to listen on. 127.0.0.1 hears programs on this machine only; "
        "a phone needs the machine's address in your network, or 0.0.0.0 for all",
        default="127.0.0.1",
    )
    port: bpy.props.IntProperty(
        name="Port", description="The port that is set in the app", default=PORT, min=1024, max=65535
    )
    sender: bpy.props.StringProperty(
        name="Sender",
        description="The name set in the app, where several phones send; empty for the first that is heard",
    )
    use_head: bpy.props.BoolProperty(name="Head", description="Turn the head bone as well", default=True)
    use_zero: bpy.props.BoolProperty(
        name="First Pose Is Zero",
        description="Count the head's turns from the first pose that is received",
        default=True,
    )
    sideways: bpy.props.BoolProperty(
        name="Phone on Its Side", description="The phone lies in landscape, which turns the signs of yaw and pitch"
    )


class LiveSession:
    """From start to stop."""

    def __init__(self, avatars: Sequence[bpy.types.Object]) -> None:
        if not avatars:
            raise HeadGaSError("No avatar is selected", "Select the avatars that the phone is to drive")
        for avatar in avatars:
            check_animatable(avatar)
            if not _heard(avatar):
                raise HeadGaSError(
                    f"No channel of '{avatar.name}' has a name of ARKit's", "Give the avatar a mapping from ARKit"
                )
        # by identifiers that survive undo; Python's references do not
        self._avatars = {avatar.session_uid: avatar.name for avatar in avatars}
        settings = live_settings()
        self._receiver = Receiver(settings.address, settings.port)
        self.reception = Reception(settings.sender)
        self._looked = time.monotonic()  # the last time that what had arrived was looked at
        self.failure = ""  # why the socket is of no use any more
        self._zero: np.ndarray | None = None
        self._redrawn = 0.0
        self._recorded: list[Moment] | None = None
        self._start_frame = 0

    @property
    def recording(self) -> bool:
        """Whether what arrives is kept."""
        return self._recorded is not None

    @property
    def port(self) -> int:
        """The port in use."""
        return self._receiver.port

    def lamp(self) -> str:
        """GREEN, YELLOW or RED; a Blender that was busy since has missed nothing yet."""
        return 'RED' if self.failure else self.reception.lamp(self._looked)

    def rate(self) -> int:
        """Packets of the last second."""
        return self.reception.rate(self._looked)

    def tick(self) -> None:
        """Shows the newest face that has arrived, and keeps all of them while it records."""
        if self.failure:
            return
        newest = None
        now = self._looked = time.monotonic()
        try:
            waiting = self._receiver.waiting()
        except OSError as error:
            self.failure = f"The connection failed: {error.strerror or error}"
            return
        for data in waiting:
            moment = self.reception.take(data, now)
            newest = moment or newest
            if moment is not None and self._recorded is not None:
                self._recorded.append(moment)
        shows = newest is not None and not bpy.app.is_job_running('RENDER')  # which reads these data in its own thread
        if newest is not None and shows:
            self._show(newest)
        if shows or now - self._redrawn > _REDRAW:
            self._redrawn = now
            redraw()  # the lamp and the sliders in the sidebars, too

    def record(self, frame: int) -> None:
        """Keeps what arrives from now on; `frame` is where it will begin."""
        self._recorded, self._start_frame = [], frame

    def finish(self, scene: bpy.types.Scene) -> int:
        """Writes what was recorded as keys into new Actions, at whole frames; how many frames."""
        for avatar in self.avatars():
            check_animatable(avatar)
        recorded, self._recorded = self._recorded or [], None
        take = self._take(recorded)
        if take is None:
            return 0
        take = at_rate(take, frames_per_second(scene))
        for avatar in self.avatars():
            fitting, _ = renamed(take, [channel.name for channel in channels_of(avatar)])
            key_take(avatar, fitting, self._start_frame, f"{avatar.name} live", with_head=True)
        return len(take.times)

    def close(self) -> None:
        """Gives the port back."""
        self._receiver.close()

    def avatars(self) -> Iterator[bpy.types.Object]:
        """The avatars that are still there."""
        for identifier, name in list(self._avatars.items()):
            avatar = bpy.data.objects.get(name)
            if avatar is None or avatar.session_uid != identifier:
                avatar = next((obj for obj in bpy.data.objects if obj.session_uid == identifier), None)
            if avatar is not None and avatar.type == 'MESH' and avatar.data.shape_keys is not None:
                self._avatars[identifier] = avatar.name
                yield avatar

    def _show(self, moment: Moment) -> None:
        turn = Quaternion(self._turn(moment)) if live_settings().use_head else None
        for avatar in self.avatars():
            _set_channels(avatar, moment.values)
            bone = head_bone(avatar)
            if turn is not None and bone is not None:
                set_rotation(bone, as_bone_turn(bone, turn))

    def _turn(self, moment: Moment) -> np.ndarray:
        rotation = head_rotation(moment.values, live_settings().sideways)
        if not live_settings().use_zero:
            return rotation
        if self._zero is None:
            self._zero = rotation
        return relative_rotation(rotation, self._zero)

    def _take(self, recorded: list[Moment]) -> Take | None:
        if not recorded:
            return None
        times = np.array([moment.seconds for moment in recorded])
        values = np.stack([moment.values for moment in recorded])[:, : len(CHANNELS)]
        turns = np.stack([self._turn(moment) for moment in recorded]) if live_settings().use_head else None
        return Take(CHANNELS, times - times[0], values, None if turns is None else turns.astype(np.float32))


_session: LiveSession | None = None


def live_settings() -> HeadGaSLiveSettings:
    """The user's settings, from the preferences: always asked for anew, for Blender may have moved them."""
    settings = preferences()
    if settings is None:
        raise HeadGaSError("The extension HeadGaS is not enabled", "Enable it in the preferences")
    return settings.live


def session() -> LiveSession | None:
    """The session that runs, if one does."""
    return _session


def start(avatars: Sequence[bpy.types.Object]) -> LiveSession:
    """Begins to listen; a session that runs ends first."""
    global _session  # noqa: PLW0603 - the one registry of the process
    stop()
    _session = LiveSession(avatars)
    bpy.app.timers.register(_tick)
    return _session


def stop(*_: object) -> None:
    """Ends the session, if one runs; what was recorded and not finished is gone."""
    global _session  # noqa: PLW0603
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _session is not None:
        gone, _session = _session, None
        gone.close()


@bpy.app.handlers.persistent
def _stop_before_load(*_: object) -> None:
    stop()


def register() -> None:
    """Watches for files that are opened."""
    bpy.app.handlers.load_pre.append(_stop_before_load)


def unregister() -> None:
    """Ends the session and the watch."""
    stop()
    bpy.app.handlers.load_pre.remove(_stop_before_load)


def _tick() -> float | None:
    if _session is None:
        return None
    _session.tick()
    return _INTERVAL


def _heard(avatar: bpy.types.Object) -> list[tuple[Channel, int]]:
    """The channels that have a name of ARKit's in any spelling, with their places in a packet."""
    named = [(channel, canonical(channel.name)) for channel in channels_of(avatar)]
    return [(channel, _PLACES[name]) for channel, name in named if name in _PLACES]


def _set_channels(avatar: bpy.types.Object, values: np.ndarray) -> None:
    """Sets the channels to a packet's values [61], keys all at once: for each single one Blender looks at all objects.

    Blender keeps them within their sliders.
    """
    keys = avatar.data.shape_keys
    blocks = keys.key_blocks
    now = np.empty(len(blocks), np.float32)
    blocks.foreach_get("value", now)
    for channel, place in _heard(avatar):
        if channel.holder == channel.key:
            now[blocks.find(channel.name)] = values[place]
        else:
            channel.set(float(values[place]))
    blocks.foreach_set("value", now)
    keys.update_tag()
