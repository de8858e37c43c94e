# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that a user's input can cause."""


class HeadGaSError(Exception):
    """What happened, in the user's words, and what to do now.

    Anything else that is raised is a bug and shows its traceback.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint
