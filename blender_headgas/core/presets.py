# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's training presets as a menu shows them; a test holds this list to the backend's."""

PRESETS: tuple[tuple[str, str, str], ...] = (
    ("modes", "Modes", "Our own model: Gaussians move, turn and grow with the expression"),
    ("headgas", "HeadGaS", "Colours and opacities are blended features that a small network decodes"),
    ("gaussian_head", "GaussianHead", "Gaussians move through planes of features by learnt derivations"),
    ("linear_motion", "Linear Motion", "Means move by a linear map of the expression, as in GPAvatar"),
    ("modes_no_code", "Modes, No Code", "For research: a Gaussian's motion comes from its place alone"),
    ("modes_no_price", "Modes, No Price", "For research: motion costs nothing"),
    ("modes_full_size", "Modes, Full Size", "For research: training begins with pictures as large as they are"),
    ("headgas_concat", "HeadGaS, Concatenated", "For research: the expression goes straight into the network"),
    ("headgas_motion", "HeadGaS, Motion", "For research: colours and opacities stay, Gaussians move"),
    ("headgas_all", "HeadGaS, All", "For research: everything follows the expression"),
    ("headgas_no_mlp", "HeadGaS, No Network", "For research: colours and opacities are blended themselves"),
    ("headgas_no_perceptual", "HeadGaS, No Perceptual Loss", "For research: without the perceptual loss"),
    ("gaussian_head_fixed", "GaussianHead, Fixed", "For research: the mapping that its paper argues against"),
    ("gaussian_head_multires", "GaussianHead, Several Resolutions", "For research: planes of four resolutions"),
    ("gaussian_head_plus", "GaussianHead, Hashed", "For research: planes of four resolutions, hashed"),
)
