# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said and done on machines whose NVIDIA card works, works in part, or is not there."""

import logging
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch

from headgas import devices, doctor
from headgas.errors import HeadGaSError
from headgas.service.messages import PROTOCOL
from headgas.service.requests import Requests
from headgas.splatting import gsplat_rasterizer

CARD = "NVIDIA H100 80GB HBM3"
NO_GSPLAT = HeadGaSError("Rendering on the GPU needs gsplat (No module named 'gsplat').", "Run: pip install gsplat")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Describes the machine: its card, the CUDA version of torch, whether CUDA works, and what gsplat lacks."""

    def describe(card: str | None, build: str | None, available: bool, problem: HeadGaSError | None = None) -> None:
        monkeypatch.setattr(devices, "_card", lambda: card)
        monkeypatch.setattr(devices, "_torch_cuda", lambda: build)
        monkeypatch.setattr(devices, "_cuda_is_available", lambda: available)
        monkeypatch.setattr(devices, "_rasterizer_problem", lambda: problem)
        devices.cuda_problem.cache_clear()

    yield describe
    devices.cuda_problem.cache_clear()


def test_a_card_that_works_is_used(machine) -> None:
    machine(CARD, "13.0", True)
    assert devices.choose_device("auto").type == devices.choose_device("cuda").type == "cuda"
    assert devices.choose_device("cpu").type == "cpu"
    assert devices.notice("auto") is None


def test_without_a_card_the_cpu_works_in_silence(machine, caplog) -> None:
    machine(None, None, False)
    with caplog.at_level(logging.INFO):
        assert devices.choose_device("auto").type == "cpu"
    assert not caplog.records and devices.notice("auto") is None
    with pytest.raises(HeadGaSError, match="no NVIDIA card"):
        devices.choose_device("cuda")


@pytest.mark.parametrize(
    ("build", "available", "problem", "message", "command"),
    [
        (None, False, None, "is built for the CPU alone", "-m pip install --force-reinstall torch=="),
        ("13.0", False, None, "too old for CUDA 13.0", "nvidia.com/drivers"),
        ("13.0", True, NO_GSPLAT, "needs gsplat", "pip install gsplat"),
    ],
)
def test_a_card_that_does_not_work_is_told_of(
    build, available, problem, message, command, machine, caplog, monkeypatch
) -> None:
    machine(CARD, build, available, problem)
    with caplog.at_level(logging.WARNING):
        assert devices.choose_device("auto").type == "cpu"
    (said,) = [record.message for record in caplog.records]
    assert message in said and command in said and "runs on the CPU" in said
    assert said == devices.notice("auto") and devices.notice("cpu") is None
    hello, _ = Requests(torch.device("cpu"), said).answer("hello", {"protocol": PROTOCOL, "version": "0"})
    assert hello["notice"] == said
    (missing,) = [entry for entry in doctor._missing(torch.device("cpu")) if message in entry["what"]]
    assert command in missing["fix"]
    with pytest.raises(HeadGaSError) as caught:
        devices.choose_device("cuda")
    assert message in caught.value.message and command in caught.value.hint


def test_the_machine_is_looked_at_once(machine, monkeypatch) -> None:
    machine(CARD, None, False)
    looks = []
    monkeypatch.setattr(devices, "_card", lambda: looks.append(1))
    for _ in range(3):
        devices.choose_device("auto")
    assert len(looks) == 1


@pytest.mark.parametrize("answer", ["NVIDIA H100\nNVIDIA H100\n", ""])
def test_the_driver_names_the_card(answer, monkeypatch) -> None:
    monkeypatch.setattr(devices.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(devices.subprocess, "run", lambda *a, **k: SimpleNamespace(stdout=answer))
    assert devices._card() == (answer.splitlines()[0] if answer else None)


def test_a_driver_that_fails_names_no_card(monkeypatch, tmp_path) -> None:
    def fail(*arguments, **options):
        raise devices.subprocess.CalledProcessError(9, "nvidia-smi")

    monkeypatch.setattr(devices.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(devices.subprocess, "run", fail)
    monkeypatch.setattr(devices, "Path", lambda name: tmp_path)
    assert devices._card() is None
    for name, kind in (("0000:00:01.0", "0x020000"), ("0000:01:00.0", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text("0x10de\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    assert devices._card() == "PCI 0000:01:00.0"


@pytest.mark.parametrize(
    ("platform", "present", "wanted"),
    [
        ("linux", (), "sudo apt-get install -y cuda-toolkit-13-0 g++"),
        ("linux", ("c++",), "sudo apt-get install -y cuda-toolkit-13-0"),
        ("linux", ("nvcc",), "sudo apt-get install -y g++"),
        ("linux", ("nvcc", "c++"), "from gsplat.cuda._backend import _C"),
        ("win32", ("cl",), "winget install --exact --id Nvidia.CUDA --version 13.0"),
        ("win32", ("nvcc",), "Microsoft.VisualStudio.2022.BuildTools"),
    ],
)
def test_what_builds_gsplats_kernels_is_named(platform, present, wanted, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(gsplat_rasterizer.shutil, "which", lambda name: name if name in present else None)
    hint = gsplat_rasterizer._build_hint()
    assert wanted in hint and hint.count("Run: ") == 1


def test_another_gsplat_is_told_with_the_command(monkeypatch) -> None:
    gsplat_rasterizer.load_gsplat.cache_clear()
    monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace(__version__="1.4.0"))
    with pytest.raises(HeadGaSError, match=r"needs gsplat 1\.5\.3, not 1\.4\.0") as caught:
        gsplat_rasterizer.load_gsplat()
    assert caught.value.hint.endswith("pip install gsplat==1.5.3")
