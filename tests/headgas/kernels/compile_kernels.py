# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles each kernel for one architecture; prints its shared memory and spilled registers in bytes as JSON."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from headgas.avatars import appearance_kernel, finishing_kernel, fused_kernel
from headgas.splatting import gpu_trial
from headgas.training import rank_one_adam_cuda, ssim_cuda

WHOLE = {
    "gaussians", "rows", "row_length", "count", "pixels", "stride", "height", "width", "channels", "values"
}  # arguments that are whole numbers where they are no pointers
FRACTIONS = {"decay1", "decay2", "rest1", "rest2", "epsilon", "scale", "visible", "nothing_hit"}
FUSED = {
    "FRAMES": 2, "FEATURES": 32, "HIDDEN": 64, "OUTPUTS": 49, "BLOCK": 16, "LINES": 32, "F": 32, "H": 64, "O": 64,
    "SCALED": False, "KEEP": True,
}  # fmt: skip


def compiled(kernel, architecture: int, constants: dict[str, object], types: dict[str, str]) -> dict[str, int]:
    names = kernel.arg_names
    signature = {
        name: "constexpr" if name in constants else types.get(name)
        or ("i32" if name in WHOLE else "fp32" if name in FRACTIONS else "*fp32")
        for name in names
    }  # fmt: skip
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if signature[name].startswith("*")}
    source = ASTSource(kernel, signature, {(names.index(name),): value for name, value in constants.items()}, aligned)
    result = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": 4})
    ptx = result.asm["ptx"]
    assembler = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    target = re.search(r"\.target (sm_\w+)", ptx)
    assert target
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.ptx"
        file.write_text(ptx, encoding="ascii")
        command = [str(assembler), "-v", "--gpu-name", target[1], str(file), "-o", str(file.with_suffix(".cubin"))]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    spilled = re.search(r"(\d+) bytes spill stores", said)
    assert spilled, said
    return {"shared": result.metadata.shared, "spilled": int(spilled[1])}


def main(architecture: int) -> None:
    fused = FUSED | {"PRECISION": "tf32x3" if architecture >= 80 else "ieee"}
    block = {"BLOCK": 256}
    work = {
        "count_up": (gpu_trial.count_up, {"COUNT": 16}, {}),
        "_finish": (finishing_kernel._finish, {"PIXELS": 256}, {}),
        "_appear": (appearance_kernel._appear, {"DEGREE": 3, "BLOCK": 128}, {}),
        "_blend_and_decode": (fused_kernel._blend_and_decode, fused, {}),
        "_blend_and_decode of bytes": (fused_kernel._blend_and_decode, fused | {"SCALED": True}, {"basis": "*i8"}),
        "_step": (
            rank_one_adam_cuda._step, {"FRAMES": 2, "FEATURES": 32, "BLOCK": 16, "F": 32}, {"active": "*u8"}
        ),
        "_average_columns": (ssim_cuda._average_columns, block, {}),
        "_compare": (ssim_cuda._compare, block | {"DERIVE": True}, {}),
        "_spread_columns": (ssim_cuda._spread_columns, block, {}),
        "_differentiate": (ssim_cuda._differentiate, block, {}),
    }  # fmt: skip
    results = {name: compiled(kernel, architecture, *rest) for name, (kernel, *rest) in work.items()}
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]))
