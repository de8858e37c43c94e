# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a farm's machines run: the command lines that Flamenco's worker makes of our job type, compiled by Node.js.

`python farm.py SETTINGS` prints the tasks of a job with these settings, a JSON object, as a JSON list; null where
there is no Node.js.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

JOB_TYPE = Path(__file__).resolve().parents[1] / "farm" / "flamenco" / "headgas_render.js"
NODE = shutil.which("node")

# What Flamenco's manager gives to job types: author, frameChunker, print. Chunks as it writes them: "1-3", "1,2", "7".
_MANAGER = """
"use strict";
const vm = require("vm"), fs = require("fs");
const [file, settings] = process.argv.slice(1);
function merged(frames) {
  const parts = [];
  for (let at = 0; at < frames.length;) {
    let end = at;
    while (frames[end + 1] === frames[end] + 1) end++;
    if (end - at > 1) parts.push(`${frames[at]}-${frames[end]}`); else parts.push(...frames.slice(at, end + 1));
    at = end + 1;
  }
  return parts.join(",");
}
function frameChunker(range, size) {
  const frames = new Set();
  for (const part of String(range).replaceAll("..", "-").split(",")) {
    const [first, last] = part.split("-").map((text) => parseInt(text.trim(), 10));
    if (Number.isNaN(first)) throw new Error(`invalid range ${range}`);
    for (let frame = first; frame <= (last ?? first); frame++) frames.add(frame);
  }
  const all = [...frames].sort((a, b) => a - b), chunks = [];
  for (let at = 0; at < all.length; at += size) chunks.push(merged(all.slice(at, at + size)));
  return chunks;
}
const author = {
  Task: (name, type) => ({
    name, type, commands: [], after: [],
    addCommand(command) { this.commands.push(command); },
    addDependency(task) { this.after.push(task.name); },
  }),
  Command: (name, parameters) => ({ name, parameters }),
};
const tasks = [], job = { settings: JSON.parse(settings), created: new Date(0), addTask: (task) => tasks.push(task) };
const world = vm.createContext({ author, frameChunker, print: () => {}, job });
vm.runInContext('"use strict";' + fs.readFileSync(file, "utf-8") + "; compileJob(job);", world, { filename: file });
console.log(JSON.stringify(tasks));
"""


@dataclass(frozen=True)
class Task:
    """One task of a job."""

    name: str
    after: list[str]  # the names of the tasks that must have succeeded
    command: list[str]  # what the worker runs


def tasks_of(settings: dict, blender: list[str], arguments: str = "-b -y") -> list[Task]:
    """The tasks of a job; `blender` and `arguments` are the manager's variables {blender} and {blenderArgs}.

    Raises:
        RuntimeError: the job type refuses the settings.
    """
    assert NODE is not None
    command = [NODE, "-e", _MANAGER, str(JOB_TYPE), json.dumps(settings)]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    if compiled.returncode:
        raise RuntimeError(compiled.stderr)
    tasks = []
    for task in json.loads(compiled.stdout):
        (command,) = task["commands"]
        told = command["parameters"]
        assert (command["name"], told["exe"], told["exeArgs"]) == ("blender-render", "{blender}", "{blenderArgs}")
        line = [*blender, *arguments.split(), *told["argsBefore"], told["blendfile"], *told["args"]]
        tasks.append(Task(task["name"], task["after"], line))
    return tasks


if __name__ == "__main__":
    compiled = tasks_of(json.loads(sys.argv[1]), ["blender"]) if NODE else None
    print(json.dumps(compiled and [asdict(task) for task in compiled]))
