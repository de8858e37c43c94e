# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constants of the conversation with the backend; docs/formats.md describes it."""

VERSION = "0.1.0"  # of the extension; a test holds it to the manifest's and the backend's
PROTOCOL = 2
KEY_VARIABLE = "HEADGAS_KEY"

START_DEADLINE = 180.0  # seconds; the first import of torch from a cold disk takes a minute
ANSWER_DEADLINE = 30.0  # seconds; for whatever neither renders nor converts
CONVERSION_DEADLINE = 600.0  # seconds; millions of Gaussians, and kernels that are compiled at first use
