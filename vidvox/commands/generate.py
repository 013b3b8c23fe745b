"""vidvox generate: generates clips or objects from noise, whichever the model was trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gancore.files.outputs import check_new_folder, check_outputs
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import GenerateConfig
from vidvox.commands import mesh
from vidvox.commands.tasks import choose_task
from vidvox.kinds import require_kind
from voxgan.commands import ExportConfig

SET_KEYS = ("dataset", "shard_size", "licence")
"""Settings of a labelled data set that --help shows."""
OBJECT_CLASSES = ("VoxelGenerator", "ImageToVoxels")


@report_user_errors
def main(argv: Sequence[str], *, prog: str) -> None:
    """Generate clips or objects, whichever the model was trained on."""
    summary = "Generate clips or objects from noise, whichever the model was trained on; without a model, furniture."
    classes = ["VideoGenerator", *OBJECT_CLASSES]
    task, words = choose_task(argv, prog=prog, summary=summary, classes=classes, default="voxels")
    (generate_clips if task == "video" else generate_objects)(words, prog=prog)


@report_user_errors
def generate_clips(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Generate whole clips from noise and write them."""
    config = parse_config(
        GenerateConfig,
        argv,
        prog=prog,
        positional=["model"],
        main=[
            *("out", "count", "steps", "label", "truncation", "interval", "rate", "labels", "dataset", "shard_size"),
            *("licence", "seed", "cpu", "overwrite"),
        ],
        examples="""
            vidvox generate -m runs/ucf -n 16
            vidvox generate -m runs/ucf -n 1000 --dataset made --licence "CC BY 4.0"
            vidvox generate -m runs/ucf -n 4 --label Archery --truncation 0.8 -o archery.gif
        """,
    )
    if config.dataset:
        check_new_folder(config.dataset, "dataset")
        require_kind(config.model, "VideoGenerator")
        from vidgan.generate import generate_labelled_set

        print(describe_set(generate_labelled_set(config), config.dataset))
        return
    check_outputs(
        [config.out],
        inputs=list_model_inputs(config.model),
        overwrite=config.overwrite,
        are_files=bool(config.out.suffix),
    )
    require_kind(config.model, "VideoGenerator")

    from vidgan.files.video import check_clip_path
    from vidgan.generate import generate, write_samples

    check_clip_path(config.out, overwrite=config.overwrite)
    clips = generate(config)
    write_samples(clips, config.out, rate=config.rate, labels=config.labels)
    print(f"{len(clips.frames)} clips of {clips.frames.shape[1]} frames: {config.out}")


@report_user_errors
def generate_objects(argv: Sequence[str], *, prog: str) -> None:
    """Generate objects from noise and write their meshes."""
    config = parse_config(
        ExportConfig,
        argv,
        prog=prog,
        description="Generate objects from noise and write their meshes.",
        positional=["model"],
        main=[*mesh.MAIN_KEYS, "count", "class", "truncation", "latents", "weights", "projection_steps", *SET_KEYS],
        examples="""
            vidvox generate --class chair -n 4 -o chairs/chair.glb
            vidvox generate -m runs/chairs -n 4 --seed 1 -o objects/chair.glb
            vidvox generate -m runs/chairs -n 16 --latents 3,7 -o way.glb --preview way.mp4
            vidvox generate --latents mine.glb -o projected.glb
            vidvox generate --latents a.glb,b.png,7 --weights 1,-1,1
            vidvox generate -n 1000 --dataset made --shard_size 100
        """,
    )
    if config.images:
        raise ValueError("images: vidvox mesh reconstructs objects from pictures; generate takes none")
    if config.dataset:
        check_new_folder(config.dataset, "dataset")
        require_kind(config.model, *OBJECT_CLASSES)
        from voxgan.labelled import generate_labelled_set

        print(describe_set(generate_labelled_set(config), config.dataset))
        return
    mesh.check_files(config)
    require_kind(config.model, *OBJECT_CLASSES)
    mesh.export(config)


def describe_set(manifest: dict[str, Any], folder: Path) -> str:
    """Describe a labelled data set in one line."""
    return f"{manifest['samples']} {manifest['kind']} of {len(manifest['classes'])} classes: {folder}"
