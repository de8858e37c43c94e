# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: the passes of a head that moves before the camera."""

import numpy as np
import pytest

from tests.blender_headgas.stand_in import render_layers
from tests.contract.test_pixels import head  # noqa: F401

pytestmark = pytest.mark.usefixtures("real_service")


def test_passes_of_a_moving_head(scene, head, material, tmp_path):  # noqa: F811
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_vector = layer.use_pass_cryptomatte_object = True
    own = layer.headgas_passes
    own.use_median_depth = own.use_opacity = own.use_count = own.use_avatar_alphas = True
    head.parent.driver_add("location", 2).driver.expression = "0.002 * (frame - 1)"
    layers = {name.removeprefix("ViewLayer."): plane for name, plane in render_layers(tmp_path / "all.exr").items()}
    alpha, depth = material.expected["one_image_0"][..., 3], material.expected["one_depth_0"]
    solid = alpha > 0.9
    assert np.abs(layers["Opacity.A"] - alpha).max() < 2e-4
    assert np.abs(layers["Alpha a control.A"] - alpha).max() < 2e-4
    assert np.abs(layers["CryptoObject00.g"] - alpha).max() < 2e-4
    assert np.median(np.abs(layers["Median Depth.Z"] - depth)[solid]) < 0.02
    assert layers["Gaussian Count.X"][solid].min() >= 1 and (layers["Gaussian Count.X"][alpha == 0] == 0).all()
    normals = np.stack([layers[f"Normal.{axis}"] for axis in "XYZ"], -1)
    assert np.allclose(np.linalg.norm(normals[solid], axis=-1), 1, atol=1e-4) and (normals[alpha == 0] == 0).all()
    towards = np.array(scene.camera.matrix_world.to_3x3())[:, 2]  # the camera looks the other way
    assert (normals[solid] @ towards).mean() > 0.4
    upward = np.array(scene.camera.matrix_world.to_3x3())[2, 1]  # the world's z on the picture's vertical
    expected = 0.002 * upward * material.frames[0]["K"][1][1] / depth
    for channel in ("Vector.Y", "Vector.W"):  # less where it will be, and where it was less where it is
        assert np.abs(layers[channel] / -expected - 1)[solid].mean() < 0.1
    assert np.abs(layers["Vector.X"])[solid].max() < 0.5 * np.abs(expected[solid]).max()
