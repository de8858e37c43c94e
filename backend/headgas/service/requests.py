# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service can be asked."""

import math
import os
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

import headgas
from headgas.avatars import Avatar, Checkpoint, load_avatar
from headgas.avatars.passes import PASSES, Around, passes_of
from headgas.avatars.rendering import PlacedAvatar, Stage
from headgas.devices import rasterizer_name
from headgas.errors import HeadGaSError
from headgas.exchange import Conversion, beside, convert
from headgas.exchange.baking import baked, content
from headgas.service.encoding import encoded
from headgas.service.memory import memory_in_use
from headgas.service.messages import PROTOCOL
from headgas.service.uploads import Uploads
from headgas.splatting import Camera, get_threads
from headgas.training.warmup import Progress

if TYPE_CHECKING:
    from headgas.evaluation.inspection import Inspection, Inspector

_Method = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes | None]]
_KEPT_AVATARS = 16  # in memory; the least recently used goes first
_MAX_SIDE = 32768  # pixels


class _Picture(NamedTuple):
    """What a render request is answered with."""

    planes: list[torch.Tensor]  # float32: RGBA [H,W,4], depth [H,W]; as asked for coverage [A,H,W] and passes
    legend: str  # what the colours mean, where something else than the avatars' own are shown
    farthest: float  # metres, see `Stage.farthest`


class Requests:
    """Answers requests; one instance serves all connections, and draws one frame at a time."""

    def __init__(self, device: torch.device, notice: str | None = None) -> None:
        """notice: what keeps a better device from being used, for the user to read."""
        self._notice = notice
        self._device = device
        self._avatars: OrderedDict[tuple[str, int, int], Checkpoint] = OrderedDict()
        self._last_asked: tuple[list[Any], str] = [], ""  # the same question has the same answer
        self._last_picture = _Picture([], "", 0.0)
        self._inspector: Inspector | None = None
        self._lock = threading.Lock()
        self._uploads = Uploads()
        self._methods: dict[str, _Method] = {
            "hello": self._hello,
            "ping": lambda params: ({"compiling": self._compiling(), "memory": memory_in_use(device)}, None),
            "upload": lambda params: (self._uploads.receive(params), None),
            "describe": self._alone(self._describe),
            "render": self._alone(self._render),
            "convert": self._alone(self._convert),
            "splats": self._alone(self._splats),
            "shutdown": lambda params: ({}, None),
        }
        self.progress: Progress | None = None  # of the kernels that are being compiled

    def answer(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
        """The result, and the pixels when they are to follow over the connection.

        Raises:
            HeadGaSError: the request cannot be met.
        """
        if method not in self._methods:
            raise HeadGaSError(f"The service has no method {method!r}.", "Extension and backend may not fit together.")
        try:
            return self._methods[method](params)
        except KeyError as error:
            if error.args[0] in _PARAMETERS:
                raise HeadGaSError(f"The request {method!r} lacks the parameter {error.args[0]!r}.") from error
            raise

    def _alone(self, method: _Method) -> _Method:
        """The same, one at a time."""

        def answer(params: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
            with self._lock:
                return method(params)

        return answer

    def _compiling(self) -> dict[str, Any] | None:
        return None if self.progress is None else vars(self.progress)

    def _hello(self, params: dict[str, Any]) -> tuple[dict[str, Any], None]:
        if params.get("protocol") != PROTOCOL:
            raise HeadGaSError(
                f"The extension is version {params.get('version', '?')} (protocol {params.get('protocol', '?')}), "
                f"the backend is version {headgas.__version__} (protocol {PROTOCOL}): they do not fit together.",
                "Install the extension and the backend from the same release.",
            )
        return {
            "version": headgas.__version__,
            "protocol": PROTOCOL,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": _device_name(self._device),
            "rasterizer": rasterizer_name(self._device),
            "threads": get_threads(),
            "pid": os.getpid(),
            "compiling": self._compiling(),
            "notice": self._notice,
        }, None

    def _describe(self, params: dict[str, Any]) -> tuple[dict[str, Any], None]:
        checkpoint = self._avatar(params["avatar"])
        return checkpoint.header | {"gaussians": checkpoint.avatar.count, "bytes": checkpoint.bytes}, None

    def _convert(self, params: dict[str, Any]) -> tuple[dict[str, Any], None]:
        scale = params.get("scale", 1.0)
        if not isinstance(scale, int | float):
            raise HeadGaSError(f"The request's scale is {scale!r}; expected metres per unit.")
        flame, shape, target = (_path(params.get(name), name) for name in ("flame", "shape", "target"))
        wanted = Conversion(axes=params.get("axes"), scale=scale, flame=flame, shape=shape)
        source = Path(params["source"])
        converted = convert(source, target or beside(source), wanted)
        result = {"files": [str(path) for path in converted.files], "format": converted.format}
        return result | {"warnings": list(converted.warnings)}, None

    def _splats(self, params: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        placed = self._placed(params["avatar"])
        splats = baked(placed.avatar, placed.expression, placed.transform, params.get("axes", "blender"))
        data, warnings = content(splats, params["kind"])
        if placed.avatar.splats_lack:
            warnings.append(placed.avatar.splats_lack)
        harmonics = splats.harmonics.shape[1]
        return {"count": len(splats), "harmonics": harmonics, "bytes": len(data), "warnings": warnings}, data

    def _render(self, params: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
        started = time.perf_counter()
        view = params["camera"]
        camera = _camera(view)
        (near, far), inspect, coverage = _clip(view), params.get("inspect"), bool(params.get("coverage"))
        placed = [self._placed(item) for item in params["avatars"]]
        limit = _depth_limit(params, camera)
        passes, around = params.get("passes") or [], params.get("around")
        asked = [item.avatar for item in placed], repr([params["avatars"], view, inspect, coverage, passes, around])
        if limit is not None or asked != self._last_asked:
            stage = Stage.of(placed, camera, near, limit, far)
            self._last_picture = self._picture(stage, asked[0], inspect, coverage)
            if passes:
                self._last_picture.planes.extend(self._passes(stage, camera, passes, around))
            self._last_asked = asked if limit is None else ([], "")
        planes = [plane.cpu().numpy() for plane in self._last_picture.planes]
        pixels = None
        if params["pixels"] is None:
            pixels = encoded(planes, params.get("encoding", "raw"))
        else:
            _write_pixels(params["pixels"], planes)
        facts = {"width": camera.width, "height": camera.height, "legend": self._last_picture.legend}
        facts["farthest"] = self._last_picture.farthest
        return facts | {"milliseconds": (time.perf_counter() - started) * 1e3}, pixels

    def _picture(self, stage: Stage, avatars: list[Avatar], inspect: Any, coverage: bool) -> _Picture:
        legend = ""
        if inspect is None:
            image, depth = stage.picture()
        else:
            inspection = self._inspection(inspect)
            assert self._inspector is not None
            stage, image, depth, legend = self._inspector.view(stage, avatars, inspection)
        planes = [image, depth, stage.coverage(image)] if coverage else [image, depth]
        return _Picture(planes, legend, stage.farthest)

    def _passes(self, stage: Stage, camera: Camera, names: list[str], around: Any) -> list[torch.Tensor]:
        unknown = [name for name in names if name not in PASSES]
        if unknown:
            raise HeadGaSError(f"The service has no pass {unknown[0]!r}.", f"Passes: {', '.join(PASSES)}")
        if stage.depth_limit is not None and {"median", "count"} & set(names):
            raise HeadGaSError("The passes 'median' and 'count' know no depth limit.")
        if around is None:
            return passes_of(stage, names, camera, None)
        others = []
        for name in ("before", "after"):
            placed, view = [self._placed(item) for item in around[name]["avatars"]], around[name]["camera"]
            others.append(Stage.of(placed, _camera(view), _clip(view)[0]))
            if [len(group) for group in others[-1].groups] != [len(group) for group in stage.groups]:
                raise HeadGaSError("The request's avatars around the frame are not those of the frame.")
        return passes_of(stage, names, camera, Around(*others))

    def _inspection(self, inspect: Any) -> "Inspection":
        from headgas.evaluation.inspection import Inspection, Inspector  # what most never ask for is not loaded

        self._inspector = self._inspector or Inspector()
        if not isinstance(inspect, dict):
            raise HeadGaSError(f"The request's inspect is {inspect!r}; expected a mode and what it needs.")
        return Inspection.of(inspect)

    def _placed(self, item: dict[str, Any]) -> PlacedAvatar:
        avatar = self._avatar(item["path"]).avatar
        expression = torch.tensor(item["expression"], dtype=torch.float32)
        transform = _matrix(item["transform"], 4, "transform")
        return PlacedAvatar(avatar, expression, transform, bool(item.get("holdout", False)))

    def _avatar(self, path: str) -> Checkpoint:
        """The avatar of a file, opened once for as long as the file does not change."""
        try:
            status = Path(path).stat()
        except OSError as error:
            raise HeadGaSError(f"{path}: the avatar cannot be read ({error.strerror or error}).") from None
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in self._avatars:
            self._avatars[key] = load_avatar(path, self._device)
            if len(self._avatars) > _KEPT_AVATARS:
                self._avatars.popitem(last=False)
        self._avatars.move_to_end(key)
        return self._avatars[key]


_PARAMETERS = {"avatar", "avatars", "camera", "pixels", "path", "expression", "transform"}
_PARAMETERS |= {"viewmat", "K", "width", "height", "source", "sha256", "kind", "bytes", "before", "after"}


def _camera(view: dict[str, Any]) -> Camera:
    return Camera(
        _matrix(view["viewmat"], 4, "camera.viewmat"),
        _matrix(view["K"], 3, "camera.K"),
        _side(view["width"], "camera.width"),
        _side(view["height"], "camera.height"),
        bool(view.get("orthographic", False)),
    )


def _clip(view: dict[str, Any]) -> tuple[float, float]:
    """From where on and up to where a camera sees, metres."""
    far = view.get("far")
    return float(view.get("near", 0.01)), math.inf if far is None else float(far)


def _matrix(value: Any, size: int, name: str) -> torch.Tensor:
    try:
        matrix = torch.tensor(value, dtype=torch.float32)
    except (TypeError, ValueError):
        matrix = torch.empty(0)
    if matrix.shape != (size, size) or not torch.isfinite(matrix).all():
        raise HeadGaSError(f"The request's {name} must be {size}×{size} finite numbers.")
    return matrix


def _path(value: Any, name: str) -> Path | None:
    if value is not None and not isinstance(value, str):
        raise HeadGaSError(f"The request's {name} is {value!r}; expected a path.")
    return Path(value) if value else None


def _side(value: Any, name: str) -> int:
    if not isinstance(value, int) or not 0 < value <= _MAX_SIDE:
        raise HeadGaSError(f"The request's {name} is {value!r}; expected 1 to {_MAX_SIDE} pixels.")
    return value


def _depth_limit(params: dict[str, Any], camera: Camera) -> torch.Tensor | None:
    """The limit [H,W] in metres that a request brings: in the shared memory that its pixels go to, or with it."""
    brought, size = params.get("data"), 4 * camera.width * camera.height
    if not params.get("depth_limit"):
        return None
    if params["pixels"] is not None:
        with _shared_memory(params["pixels"], size) as buffer:
            brought = bytes(buffer[:size])
    if not isinstance(brought, bytes) or len(brought) != size:
        raise HeadGaSError(f"The request's depth limit does not have the {size} bytes of its picture's pixels.")
    return torch.from_numpy(np.frombuffer(brought, np.float32).reshape(camera.height, camera.width).copy())


def _write_pixels(name: str, planes: list[np.ndarray]) -> None:
    """Copies the picture into the client's shared memory, one plane behind the other."""
    needed = sum(plane.nbytes for plane in planes)
    with _shared_memory(name, needed) as buffer:
        numbers = np.ndarray(needed // 4, np.float32, buffer)
        start = 0
        for plane in planes:
            numbers[start : start + plane.size] = plane.ravel()
            start += plane.size
        del numbers  # a view keeps the segment open


@contextmanager
def _shared_memory(name: str, needed: int) -> Iterator[memoryview]:
    """At least so many bytes of a segment that another process owns."""
    try:
        memory = _attach(name)
    except (FileNotFoundError, ValueError) as error:
        raise HeadGaSError(f"The shared memory {name!r} cannot be opened ({error}).") from None
    try:
        if memory.size < needed:
            raise HeadGaSError(f"The shared memory {name!r} has {memory.size} bytes; the picture needs {needed}.")
        assert memory.buf is not None  # it is open
        yield memory.buf
    finally:
        memory.close()


def _attach(name: str) -> shared_memory.SharedMemory:
    """Opens a segment that another process owns, without letting our exit unlink it."""
    try:
        return shared_memory.SharedMemory(name=name, track=False)  # type: ignore[call-arg]  # Python 3.13
    except TypeError:
        memory = shared_memory.SharedMemory(name=name)
        if os.name == "posix":
            resource_tracker.unregister(memory._name, "shared_memory")  # type: ignore[attr-defined]
        return memory


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
