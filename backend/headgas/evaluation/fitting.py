# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting a mapping between two descriptions of the same frames: linear, for one subject, neutral kept exactly.

y - y0 = M (x - x0), by ridge regression (Hoerl and Kennedy, Technometrics 1970) of each parameter, its penalty chosen
by cross-validation. Blocks of successive frames are dealt to the folds in turn: neighbours of a video are too much
alike to judge one another, and a movement that is made once, for a moment, must be in more folds than one.
x0 and y0 are the neutral expressions, so that one becomes the other, whatever the frames say.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headgas.captures.expressions import FrameExpressions, frame_splits, read_expressions
from headgas.errors import HeadGaSError
from headgas.files import write

FORMAT, VERSION = "headgas-mapping", 1
_FOLDS, _BLOCKS = 5, 20
_PENALTIES = np.logspace(-7, 3, 31)  # per frame, of inputs scaled to a mean square of 1
_STILL = 1e-9  # a parameter that moves less does not move
_SLIGHT = 0.005  # of the input that moves most: inputs that move less count as still


@dataclass(frozen=True)
class Fit:
    """A fitted mapping and how good it is. R² is nan for a parameter that does not move in those frames."""

    matrix: np.ndarray  # [O,I] float64
    bias: np.ndarray  # [O]
    low: np.ndarray  # [O], the smallest value that training saw, or neutral
    high: np.ndarray  # [O], the largest
    penalties: np.ndarray  # [O], chosen
    r2: np.ndarray  # [O], of the training frames
    held_out_r2: np.ndarray  # [O], of the test frames
    held_out_error: np.ndarray  # [O], root of the mean square over the test frames; nan where there are none


@dataclass(frozen=True)
class FittedMapping:
    """A mapping of a capture, with the numbers of frames that had both descriptions."""

    source: FrameExpressions
    target: FrameExpressions
    fit: Fit
    train: int
    test: int

    def report(self) -> dict[str, Any]:
        """What `--json` prints: numbers that are not defined are null."""
        rows = zip(self.target.space.names, self.fit.r2, self.fit.held_out_r2, self.fit.held_out_error, strict=True)
        parameters = [
            {"name": name, "r2": _number(r2), "held_out_r2": _number(held_out), "held_out_error": _number(error)}
            for name, r2, held_out, error in rows
        ]
        return {
            "train": self.train,
            "test": self.test,
            "held_out_error": _number(float(np.sqrt(np.mean(self.fit.held_out_error**2)))),
            "parameters": parameters,
        }


def fit_mapping(capture: Path, source: str, target: str) -> FittedMapping:
    """Fits what turns one description of a capture's frames into another.

    Raises:
        HeadGaSError: a description is missing or wrong, or too few frames have both.
    """
    splits = frame_splits(capture)
    x, y = read_expressions(capture, source), read_expressions(capture, target)
    if not len(x.space) or not len(y.space):
        raise HeadGaSError(f"{capture}: '{source if not len(x.space) else target}' has no parameters.")
    both = [frame for frame in splits if frame in x.values and frame in y.values]
    train, test = ([frame for frame in both if splits[frame] == split] for split in ("train", "test"))
    if len(train) < 2 * _FOLDS:
        raise HeadGaSError(
            f"{capture}: only {len(train)} training frames of {len(splits)} have both '{source}' and '{target}'.",
            f"At least {2 * _FOLDS} are needed, and some hundred for good results. Frames are joined by their names.",
        )
    result = fit(
        np.stack([x.values[frame] for frame in train]),
        np.stack([y.values[frame] for frame in train]),
        np.array(x.space.neutral),
        np.array(y.space.neutral),
        np.array([x.values[frame] for frame in test]).reshape(-1, len(x.space)),
        np.array([y.values[frame] for frame in test]).reshape(-1, len(y.space)),
    )
    return FittedMapping(x, y, result, len(train), len(test))


def fit(
    x: np.ndarray, y: np.ndarray, x0: np.ndarray, y0: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> Fit:
    """Fits y - y0 = M (x - x0).

    Args:
        x, y: [T,I] and [T,O], training frames in their order.
        x0, y0: [I] and [O], neutral.
        x_test, y_test: [S,I] and [S,O], held out; S may be 0.
    """
    inputs, outputs = x - x0, y - y0
    scale = np.sqrt(np.mean(inputs**2, axis=0))
    # What hardly moved in training must not get a gain that throws the face about when somebody moves it.
    still = scale <= max(_STILL, _SLIGHT * scale.max())
    scale[still] = 1.0
    inputs = np.where(still, 0.0, inputs / scale)
    penalties = _PENALTIES[_held_out_errors(inputs, outputs).argmin(axis=0)]
    matrix = (_ridge(inputs, outputs, penalties[None])[0] / scale[:, None]).T
    matrix[:, still] = 0.0
    matrix[np.sqrt(np.mean(outputs**2, axis=0)) <= _STILL] = 0.0
    bias = y0 - matrix @ x0
    predicted, predicted_test = x @ matrix.T + bias, x_test @ matrix.T + bias
    error = np.sqrt(np.mean((predicted_test - y_test) ** 2, axis=0)) if len(y_test) else np.full(len(y0), math.nan)
    low, high = np.minimum(y.min(axis=0), y0), np.maximum(y.max(axis=0), y0)
    return Fit(matrix, bias, low, high, penalties, _r2(predicted, y), _r2(predicted_test, y_test), error)


def write_mapping(path: Path, fitted: FittedMapping, source: str, licence: str) -> None:
    """Writes the file that the extension loads, a row of the matrix in a line.

    Raises:
        HeadGaSError: it cannot be written.
    """
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "names_in": fitted.source.space.names,
        "names_out": fitted.target.space.names,
        "bias": _plain(fitted.fit.bias),
        "low": _plain(fitted.fit.low),
        "high": _plain(fitted.fit.high),
        "source": source,
        "licence": licence,
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    rows = ",\n  ".join(json.dumps(_plain(row)) for row in fitted.fit.matrix)
    write(path, "{" + ",\n ".join([*lines, f'"matrix": [\n  {rows}\n ]']) + "}\n")


def _held_out_errors(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Sums of squares [P,O] that every penalty leaves in blocks of frames that it was not fitted to."""
    errors = np.zeros((len(_PENALTIES), outputs.shape[1]))
    every = np.repeat(_PENALTIES[:, None], outputs.shape[1], axis=1)
    folds = np.arange(len(inputs)) * _BLOCKS // len(inputs) % _FOLDS
    for fold in range(_FOLDS):
        left_out = folds == fold
        weights = _ridge(inputs[~left_out], outputs[~left_out], every)
        errors += np.sum((inputs[left_out] @ weights - outputs[left_out]) ** 2, axis=1)
    return errors


def _ridge(inputs: np.ndarray, outputs: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Weights [P,I,O] for penalties [P,O] per frame, of inputs [T,I] and outputs [T,O]."""
    left, sizes, right = np.linalg.svd(inputs, full_matrices=False)
    projected = left.T @ outputs  # [R,O]
    shrunk = sizes[:, None] / (sizes[:, None] ** 2 + len(inputs) * penalties[:, None])  # [P,R,O]
    return right.T @ (shrunk * projected)


def _r2(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """1 - the share of the variance [O] that stays unexplained; nan where there is no variance."""
    if len(truth) < 2:
        return np.full(truth.shape[1], math.nan)
    total = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
    left = np.sum((truth - predicted) ** 2, axis=0)
    moves = total > len(truth) * _STILL**2
    return np.where(moves, 1.0 - left / np.where(moves, total, 1.0), math.nan)


def _plain(values: np.ndarray) -> list[float]:
    """With the digits that single precision has."""
    return [float(f"{value:.7g}") for value in values]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def mean_r2(values: Sequence[float] | np.ndarray) -> float:
    """The mean over the parameters that move; nan where none does."""
    defined = np.asarray(values)[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else math.nan
