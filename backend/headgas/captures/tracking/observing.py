# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the tracker's Python look at a video: landmarks first, then the pictures that are wanted of it."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from headgas.captures.tracking.environment import clean_environment, quiet
from headgas.captures.tracking.landmarks import COUNT
from headgas.errors import HeadGaSError

_WORKER = Path(__file__).with_name("worker.py")
_TAIL = 2000  # characters of a failure


@dataclass(frozen=True)
class Observations:
    """What was seen in F frames of a video."""

    landmarks: np.ndarray  # [F,478,3] float64 pixels, z in the same scale, smaller is nearer; nan without a face
    sharpness: np.ndarray  # [F] of the face, comparable within the video; nan without a face
    width: int  # pixels
    height: int  # pixels
    rate: float  # frames per second; 0 for a folder of pictures
    declared: int  # frames that the video says it shows: more than F where it is damaged
    heads: np.ndarray  # [n,4] some frames, and left, top and right in pixels of the head above the eyes; nan if unseen

    @property
    def found(self) -> np.ndarray:
        """[F] whether there is a face."""
        return np.asarray(np.isfinite(self.landmarks).all((1, 2)))


class Tracker:
    """The tracker's Python and the video that it looks at."""

    def __init__(self, python: Path, source: Path, rate: float) -> None:
        """rate: at most so many frames per second of a video are looked at, and the others are not counted."""
        self._python, self._source, self._rate = python, source, rate

    def observe(self, on_progress: Callable[[int, int], None]) -> Observations:
        """Finds the face in every frame.

        Args:
            on_progress: told how many frames are done, and of how many.

        Raises:
            HeadGaSError: the video cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="headgas-") as folder:
            out = Path(folder, "landmarks.npz")
            self._work({"job": "landmarks", "out": str(out)}, Path(folder), on_progress)
            with np.load(out, allow_pickle=False) as arrays:
                landmarks = arrays["landmarks"].astype(np.float64)
                width, height = (int(value) for value in arrays["size"])
                rate, declared = float(arrays["rate"]), int(arrays["declared"])
                sharpness, heads = (arrays[name].astype(np.float64) for name in ("sharpness", "heads"))
        assert landmarks.shape[1:] == (COUNT, 3)
        return Observations(landmarks, sharpness, width, height, rate, declared, heads)

    def cut(self, boxes: np.ndarray, size: int, out: Path, on_progress: Callable[[int, int], None]) -> None:
        """Writes `out/NNNNNN.png` and `NNNNNN_matte.png`, size × size pixels, for boxes [n,4]: frame, x, y, side.

        Raises:
            HeadGaSError: the video cannot be read, or the folder not be written.
        """
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HeadGaSError(f"{out}: cannot be made ({error.strerror or error}).") from None
        with tempfile.TemporaryDirectory(prefix="headgas-") as folder:
            np.save(Path(folder, "boxes.npy"), boxes.astype(np.int64))
            job = {"job": "pictures", "boxes": str(Path(folder, "boxes.npy")), "size": size, "out": str(out.resolve())}
            self._work(job, Path(folder), on_progress)

    def _work(self, job: dict[str, Any], folder: Path, on_progress: Callable[[int, int], None]) -> None:
        """Runs the worker to its end; it dies with us, because nobody reads what it says any more."""
        file = folder / "job.json"
        file.write_text(json.dumps(job | {"source": str(self._source.resolve()), "rate": self._rate}), "utf-8")
        command = [str(self._python), "-I", str(_WORKER), str(file)]
        with (folder / "log").open("w+b") as log:
            try:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=clean_environment(),
                    **quiet(),
                )
            except OSError as error:
                raise HeadGaSError(f"{self._python} could not be started ({error}).") from None
            try:
                end = _follow(cast(IO[bytes], child.stdout), on_progress)
                child.wait()
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            if end.get("end") == "error":
                raise HeadGaSError(end["message"])
            if end.get("end") != "done":
                log.seek(0)
                said = log.read().decode("utf-8", errors="replace")[-_TAIL:].strip()
                raise HeadGaSError(f"The face tracker ended before its time (exit code {child.returncode}).\n{said}")


def _follow(output: IO[bytes], on_progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Passes on how far the worker is. Returns the last that it told."""
    told: dict[str, Any] = {}
    for line in output:
        if not line.startswith(b"{"):  # a library's chatter
            continue
        told = json.loads(line)
        if "done" in told:
            on_progress(told["done"], told["of"])
    return told
