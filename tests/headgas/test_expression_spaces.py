# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression spaces of every kind and size, from the capture through training to the service's pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas import cli
from headgas.avatars import load_avatar
from headgas.captures import load_capture
from headgas.service.messages import PROTOCOL
from headgas.service.requests import Requests
from tests.headgas.conftest import write_capture

FLAME = [f"expr_{i:03d}" for i in range(100)]
POSE = ["jaw_x", "jaw_y", "jaw_z", *(f"{side}_eye_{axis}" for side in ("left", "right") for axis in "xyz")]
SPACES = {
    "ARKit 52": ("ARKit", [f"shape{i}" for i in range(52)]),
    "FLAME 50": ("FLAME", FLAME[:50]),
    "FLAME 100, jaw and eyes": ("FLAME", FLAME + POSE),
    "FaceWarehouse 46": ("FaceWarehouse", [f"fw_{i}" for i in range(46)]),
    "a single one": ("custom", ["lächeln (%)"]),
}


def capture_in(folder: Path, kind: str, names: list[str]) -> Path:
    """The painted ball, whose first parameters paint it; the others take values of both signs, as FLAME's do."""
    path = write_capture(folder, frames=8, test=2) / "capture.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    generator = np.random.default_rng(0)
    rest = [0.25] + [0.0] * (len(names) - 1)
    data["expression_space"] = {"kind": kind, "names": names, "neutral": rest}
    for frame in data["frames"]:
        more = generator.normal(size=len(names)).tolist()
        frame["expression"] = (frame["expression"] + more[3:])[: len(names)]
    path.write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("which", "preset"),
    [
        *((which, "headgas") for which in SPACES),
        *(("FLAME 100, jaw and eyes", preset) for preset in ("headgas_concat", "headgas_no_mlp", "headgas_all")),
    ],
)
def test_any_expression_space_goes_all_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, preset: str
) -> None:
    kind, names = SPACES[which]
    capture, run = capture_in(tmp_path / "capture", kind, names), tmp_path / "run"
    avatar = run / "avatar.safetensors"
    assert cli.main(["check", str(capture)]) == 0
    options = ["--iterations", "10", "--gaussians", "300", "--preset", preset]
    assert cli.main(["train", str(capture), "--out", str(run), *options]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", str(avatar), str(capture), "--json"]) == 0
    assert np.isfinite(json.loads(capsys.readouterr().out)["psnr"])
    assert cli.main(["info", str(avatar), "--json"]) == 0
    space = json.loads(capsys.readouterr().out)["expression_space"]
    assert (space["kind"], space["names"], space["neutral"][0]) == (kind, names, 0.25)
    frame = load_capture(capture).frames[-1]
    camera = {"viewmat": frame.viewmat.tolist(), "K": frame.K.tolist(), "width": frame.width, "height": frame.height}
    requests = Requests(torch.device("cpu"))
    requests.answer("hello", {"protocol": PROTOCOL})
    pictures = []
    for expression in (frame.expression.tolist(), space["neutral"]):
        placed: dict[str, Any] = {"path": str(avatar), "expression": expression, "transform": np.eye(4).tolist()}
        _, pixels = requests.answer("render", {"camera": camera, "avatars": [placed], "pixels": None})
        assert pixels is not None
        pictures.append(np.frombuffer(pixels, np.float32))
    assert np.isfinite(pictures[0]).all() and pictures[0][3 : 4 * frame.width * frame.height : 4].max() > 0.1
    assert (pictures[0] != pictures[1]).any()
    assert len(load_avatar(avatar).avatar.expression_space) == len(names)
