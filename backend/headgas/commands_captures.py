# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands that make captures do."""

import argparse
import sys

from headgas.captures import ImportOptions, import_capture


def import_(options: argparse.Namespace) -> None:
    source = options.source.resolve()
    out = options.out or source.with_name(f"{source.name}_capture")
    wanted = ImportOptions(options.scale, options.mattes, options.flame, options.link, options.skip_broken)
    made = import_capture(options.source, out, wanted, _print_progress)
    for problem in made.problems:
        print(f"warning: {problem}", file=sys.stderr)
    height = "" if made.height is None else f"; the mattes are {made.height:.2f} m high"
    print(f"{made.layout}: {made.train} training and {made.test} test frames, {made.parameters} parameters{height}")
    print(out)


def _print_progress(done: int, count: int) -> None:
    if done % 100 == 0 or done == count:
        print(f"{done / count:4.0%}  frame {done:,} of {count:,}", file=sys.stderr, flush=True)
