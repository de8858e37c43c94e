# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands that make captures do."""

import argparse
import sys

from headgas.captures import ImportOptions, import_capture
from headgas.captures.tracking import TrackOptions
from headgas.captures.tracking import track as track_video
from headgas.evaluation.tracking_report import write_tracking_report


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


def track(options: argparse.Namespace) -> None:
    wanted = TrackOptions(
        options.focal, options.size, options.torso, options.held_out, options.rate, options.offline
    )
    tracked = track_video(options.video, options.out, wanted, _Lines().show)
    report = write_tracking_report(tracked)
    frames = tracked.facts["frames"]
    dropped = sum(frames["dropped"].values())
    print(f"{frames['train']} training and {frames['test']} test frames; {dropped} were left out.")
    for reason, count in frames["dropped"].items():
        print(f"- {count} × {reason}")
    print(f"{tracked.facts['named']} named parameters and {tracked.facts['components']} components.")
    for sentence in tracked.facts["advice"]:
        print(f"- {sentence}")
    print(report)
    print(options.out)


class _Lines:
    """Progress, a line whenever there is news: another percent or another thing to do."""

    def __init__(self) -> None:
        self._last = ("", "")

    def show(self, share: float, text: str) -> None:
        """Prints what is new, such as " 42%  Looking for the face: frame 120 of 500"."""
        news = (f"{share:4.0%}", text.partition(":")[0])
        if news != self._last:
            self._last = news
            print(f"{share:4.0%}  {text}", file=sys.stderr, flush=True)


def _print_progress(done: int, count: int) -> None:
    if done % 100 == 0 or done == count:
        print(f"{done / count:4.0%}  frame {done:,} of {count:,}", file=sys.stderr, flush=True)
