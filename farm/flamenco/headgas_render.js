// SPDX-FileCopyrightText: 2026 HeadGaS developers
// SPDX-License-Identifier: GPL-3.0-or-later
// A job type of Flamenco 3: renders a sequence of avatars in chunks, each by a machine that has been looked at.
//
// Copy it into the folder `scripts` beside flamenco-manager; docs/rendering.md, "On a farm", has the rest.

const JOB_TYPE = {
    label: "HeadGaS Render",
    description: "Render a sequence with avatars; what is missing afterwards is an error",
    settings: [
        {
            key: "frames", type: "string", required: true,
            eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
            evalInfo: { showLinkButton: true, description: "The scene's frames" },
            description: "Frames to render, as in 1-10,15",
        },
        {
            key: "chunk_size", type: "int32", default: 20, propargs: { min: 1 }, visible: "submission",
            description: "Frames for one task: each task starts Blender and the backend once",
        },
        {
            key: "render_output_root", type: "string", subtype: "dir_path", required: true, visible: "submission",
            description: "The folder that the sequence's own folder is made in",
        },
        {
            key: "render_output_path", type: "string", subtype: "file_path", editable: false,
            eval: "str(Path(abspath(settings.render_output_root), jobname, '######'))",
            description: "Where the frames are written; the same job goes on where it was",
        },
        {
            key: "blendfile", type: "string", required: true, visible: "web",
            description: "The .blend file, its avatars beside it",
        },
        {
            key: "format", type: "string", required: true, visible: "web",
            eval: "C.scene.render.image_settings.file_format",
        },
    ],
};

const VIDEO_FORMATS = ["FFMPEG", "AVI_RAW", "AVI_JPEG"];
const CHECK_SHOT = "bpy.ops.headgas.check_shot()";
// A chunk that is tried again makes only what is not there yet, and nobody else makes the same frames.
const GO_ON = "r = bpy.context.scene.render; r.use_overwrite = False; r.use_placeholder = False";

function compileJob(job) {
    const settings = job.settings;
    if (VIDEO_FORMATS.includes(settings.format)) {
        throw `Machines cannot share one video: choose an image format instead of ${settings.format}`;
    }
    const doctor = blenderTask(settings, "doctor", python(CHECK_SHOT));
    const check = blenderTask(settings, "check-frames", [...output(settings), ...python(checkFrames(settings.frames))]);
    job.addTask(doctor);
    for (const chunk of frameChunker(settings.frames, settings.chunk_size)) {
        const task = renderTask(settings, chunk);
        task.addDependency(doctor);
        check.addDependency(task);
        job.addTask(task);
    }
    job.addTask(check);
}

// Every machine is looked at before it renders: without the extension, Blender would render something else.
function renderTask(settings, chunk) {
    const before = `${GO_ON}; ${CHECK_SHOT}; bpy.ops.headgas.remove_broken_frames(frames='${chunk}')`;
    return blenderTask(settings, `render-${chunk}`, [
        ...output(settings),
        ...python(before),
        "--render-frame", chunk.replaceAll("-", ".."),
        ...python(checkFrames(chunk)),
    ]);
}

function checkFrames(frames) {
    return `bpy.ops.headgas.check_frames(frames='${frames}')`;
}

function output(settings) {
    return ["--render-output", settings.render_output_path, "--render-format", settings.format];
}

// With an exit code a failure ends Blender, and the task with it.
function python(code) {
    return ["--python-exit-code", "1", "--python-expr", `import bpy; ${code}`];
}

function blenderTask(settings, name, args) {
    const task = author.Task(name, "blender");
    task.addCommand(author.Command("blender-render", {
        exe: "{blender}",
        exeArgs: "{blenderArgs}",
        argsBefore: [],
        blendfile: settings.blendfile,
        args: args,
    }));
    return task;
}
