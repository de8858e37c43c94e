# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m headgas`: the same as the command `headgas`."""

import sys

from headgas.cli import main

if __name__ == "__main__":
    sys.exit(main())
