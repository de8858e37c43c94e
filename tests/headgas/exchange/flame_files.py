# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny head with FLAME's fields, as the pickle that FLAME comes in, and PLY files written number by number."""

import pickle
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

POINTS, FACES = 9, 7


def flame_fields(seed: int = 0, points: int = POINTS) -> dict[str, np.ndarray]:
    """What generic_model.pkl holds, of the right shapes but for the number of points; random."""
    random = np.random.default_rng(seed)
    weights = random.random((points, 5))
    regressor = random.random((5, points))
    return {
        "v_template": 0.1 * random.normal(size=(points, 3)),
        "shapedirs": 0.01 * random.normal(size=(points, 3, 400)),
        "posedirs": 0.01 * random.normal(size=(points, 3, 36)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "f": np.stack([random.permutation(POINTS)[:3] for _ in range(FACES)]).astype(np.uint32),
    }


def write_flame(folder: Path, fields: dict[str, np.ndarray] | None = None) -> Path:
    """generic_model.pkl as the real one is: chumpy arrays and a sparse matrix, by protocol 2; eyelids beside it."""
    fields = flame_fields() if fields is None else fields
    held: dict[str, Any] = dict(fields)
    before = dict(sys.modules)
    chumpy, sparse = _stand_in("chumpy.ch", "Ch"), _stand_in("scipy.sparse.csc", "csc_matrix")
    for name in ("v_template", "shapedirs"):
        held[name] = chumpy()
        held[name].__dict__.update({"x": fields[name], "_dirty_vars": set(), "_itr": None})
    regressor = fields["J_regressor"]
    held["J_regressor"] = sparse()
    rows, columns = regressor.shape
    held["J_regressor"].__dict__.update(
        {
            "data": regressor.T.ravel(),
            "indices": np.tile(np.arange(rows, dtype=np.int32), columns),
            "indptr": np.arange(0, rows * columns + 1, rows, dtype=np.int32),
            "_shape": (rows, columns),
            "maxprint": 50,
        }
    )
    path = folder / "generic_model.pkl"
    path.write_bytes(pickle.dumps(held, protocol=2))
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]
    sys.modules.update(before)
    random = np.random.default_rng(1)
    for side in "lr":
        np.save(folder / f"{side}_eyelid.npy", 0.01 * random.normal(size=fields["v_template"].shape))
    return path


def _stand_in(module: str, name: str) -> type:
    """A class that pickles by that name, though its program is not here."""
    kind = type(name, (), {"__module__": module})
    parent = module.rpartition(".")[0]
    sys.modules.setdefault(parent, types.ModuleType(parent))
    sys.modules[module] = types.ModuleType(module)
    setattr(sys.modules[module], name, kind)
    return kind


def write_ply(path: Path, columns: dict[str, np.ndarray], kinds: dict[str, str] | None = None) -> None:
    """A binary little-endian PLY file; kinds: 'int' where a property is not 'float'."""
    kinds = kinds or {}
    count = len(next(iter(columns.values())))
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header += [f"property {kinds.get(name, 'float')} {name}" for name in columns]
    letters = "<" + "".join("i" if kinds.get(name) == "int" else "f" for name in columns)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    body = b"".join(struct.pack(letters, *row) for row in rows)
    path.write_bytes("\n".join([*header, "end_header"]).encode() + b"\n" + body)


def splat_columns(count: int, degree: int = 0, seed: int = 3) -> dict[str, np.ndarray]:
    """The properties of 3D Gaussian Splatting, random, float32."""
    random = np.random.default_rng(seed)
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    names += [f"f_rest_{i}" for i in range(3 * ((degree + 1) ** 2 - 1))]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    return {name: random.normal(size=count).astype(np.float32) for name in names}
