"""vidvox benchmark: speed and memory of training, prediction, preparation and metrics on this machine."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import as_file
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from gancore.parsing import parse_config, report_user_errors
from vidgan.config import VideoConfig
from vidgan.data_config import VideoDataConfig
from vidvox.kinds import require_kind
from vidvox.recipes import find_recipes
from voxgan.config import VoxelConfig

if TYPE_CHECKING:
    from gancore.comparison import Comparison, Timing

SIZE = ("--data.height=64", "--data.width=64")
VIDEO = {"tiny": ["--config=tiny"], "modern": [], "paper": ["--config=paper_64_fp", "--train.batch=2"]}
NARROW = ("--generator.base_channels=16", "--discriminator.base_channels=16")
"""Makes the paper's 821 million parameters bearable on a CPU."""
VOXELS = {
    "tiny": (32, ["--config=tiny"]),
    "modern-32": (32, ["--train.batch=16"]),
    "modern-64": (64, ["--train.batch=4"]),
}
"""Side, and what differs from the defaults."""
PREPARED_SIDES, MESHED_SIDES = (32, 64), (32, 64, 128)
"""Voxels a side that a mesh becomes, and that become a mesh."""
KINETICS_CLASSES = 600
"""Classes of a recipe with classes, where they are counted."""
COUNTED = ("dvdgan_256x48", "paper_64_fp", "trivd_64_fp", "kinetics600_64_fp", "bair_64_fp", "tiny")
"""Recipes whose training step is counted on request, the first of them without it."""
PRESETS: dict[str, tuple[str, ...]] = {
    "video": tuple(VIDEO),
    "voxels": tuple(VOXELS),
    "metrics": (),
    "peers": (),
    "count": COUNTED,
    "world": (),
}
PEER_FRAMES = ("--data.height=64", "--data.width=64", "--data.context_frames=5", "--data.clip_frames=15")
"""The clips that we and plain networks train on."""
PREDICTED = ((10, 64, 64), (10, 120, 160))
"""Frames, height and width of predictions beside plain networks."""
SIZES = ((10, 64, 64), (20, 64, 64), (40, 64, 64), (10, 128, 128), (10, 256, 256))
"""The same of predictions whose cost is compared with each other."""
UNGATED = ("--objective.discriminator_accuracy_gate=null",)
"""Lets the published recipe update its discriminator at every step."""
PEER_SIDE = 32
"""Voxels a side of the objects that we and the textbook's 3D-GAN train on."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Measure training and what surrounds it, each preset in a process of its own."""

    subject: Literal["video", "voxels", "metrics", "peers", "count", "world"]
    """video: training, prediction and reading; voxels: training, preparing and extracting meshes; metrics; peers: what
    all that costs beside what else could be used; count: operations and memory of a training step that is counted and
    not computed; or world: a step of a model that follows actions, or of any other predictor."""

    model: str | None = None
    """The predictor whose step is timed; for world."""

    presets: tuple[str, ...] = ()
    """Presets to train with: tiny, modern, paper for video, tiny, modern-32, modern-64 for voxels; all by default. To
    count, recipes of large networks: dvdgan_256x48 by default."""

    repeats: int = 5
    """Repetitions of each measurement, of which the median counts."""

    cpu: bool = False
    """Use the CPU even if there is a GPU; metrics and peers are always timed there."""

    out: Path | None = None
    """File for the times of metrics or peers as JSON, in seconds an item."""

    def __post_init__(self) -> None:
        if unknown := set(self.presets) - set(PRESETS[self.subject]):
            known = f"choose from {', '.join(PRESETS[self.subject])}" if PRESETS[self.subject] else "there are none"
            raise ValueError(f"presets: unknown preset {', '.join(sorted(unknown))}; {known}")
        if (self.subject == "world") != (self.model is not None):
            raise ValueError("model and world go together: give vidvox benchmark world --model MODEL")
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")
        if self.out and self.subject not in {"metrics", "peers"}:
            raise ValueError(f"out: the times of {self.subject} are only printed")


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Measure, and print a table for each kind of work."""
    config = parse_config(
        BenchmarkConfig,
        argv,
        prog=prog,
        positional=["subject"],
        examples="""
            vidvox benchmark video --presets tiny,modern
            vidvox benchmark metrics
            vidvox benchmark peers -o peers.json
            vidvox benchmark world --model runs/world
            vidvox benchmark count --presets paper_64_fp
        """,
    )

    if config.subject == "count":
        count_steps(config)
        return

    from gancore.comparison import describe_machine
    from gancore.device import select_device

    device = select_device(cpu=config.cpu or config.subject in {"metrics", "peers"})
    print(f"{describe_machine(device)}\n", flush=True)
    if config.subject == "video":
        measure_video(config, on_cpu=device.type == "cpu")
    elif config.subject == "voxels":
        measure_voxels(config, on_cpu=device.type == "cpu")
    elif config.subject == "metrics":
        compare_metrics(config)
    elif config.subject == "world":
        measure_world(config)
    else:
        compare_peers(config)


def measure_video(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    """Time training and prediction with every preset, and the reading of a film."""
    from gancore.benchmark import format_throughput_table, run_in_subprocess
    from vidgan.benchmark import format_reading_time, measure_reading_time, measure_throughput
    from vidgan.data.dataset import BUNDLED_CLIP

    speeds = {}
    for preset in config.presets or VIDEO:
        flags = [*VIDEO[preset], *SIZE, *(NARROW if on_cpu and preset == "paper" else ())]
        video = parse_config(VideoConfig, [*flags, f"--train.cpu={on_cpu}"], recipes=find_recipes("video"))
        future = video.data.clip_frames - video.data.context_frames
        name = f"{preset}, width {video.generator.base_channels}, {video.data.context_frames} -> {future} frames"
        speeds[name] = run_in_subprocess(measure_throughput, video, repeats=config.repeats)
    print(format_throughput_table(speeds, item="clip", inference="prediction"))
    with as_file(BUNDLED_CLIP) as film:
        data = VideoDataConfig(path=str(film), clip_frames=16, context_frames=0, holdout_fraction=1.0)
        read = measure_reading_time(str(film), data, repeats=config.repeats)
    print()
    print(format_reading_time(read, "16 frames of 64x64 from a 320x240 H.264 film"))


def measure_world(config: BenchmarkConfig) -> None:
    """Time a step of a world model on the CPU."""
    from vidgan.benchmark import format_world_step, measure_world_step
    from vidgan.networks.generator import FramePredictor

    assert config.model is not None
    require_kind(config.model, "FramePredictor")
    model = FramePredictor.from_pretrained(config.model)
    print(format_world_step(measure_world_step(model, repeats=config.repeats), model))


def count_steps(config: BenchmarkConfig) -> None:
    """Count what a training step of each recipe needs, with timesteps recomputed and without."""
    from vidgan.benchmark import count_training_step, format_step_count

    counts = {}
    for name in config.presets or COUNTED[:1]:
        recipe = parse_config(VideoConfig, ["--config", name], recipes=find_recipes("video"))
        classes = KINETICS_CLASSES if recipe.data.class_conditional else 0
        for segment in (recipe.generator.segment_steps or 4, None):
            video = replace(recipe, generator=replace(recipe.generator, segment_steps=segment))
            kept = f"recomputed in segments of {segment}" if segment else "all timesteps kept"
            counts[f"{name}, {kept}"] = count_training_step(video, classes=classes)
    print(format_step_count(counts))


def measure_voxels(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    """Time training and generation with every preset, preparing meshes and extracting them."""
    from gancore.benchmark import format_throughput_table, run_in_subprocess
    from voxgan.benchmark import measure_throughput, report_meshing, report_preparation

    speeds = {}
    for preset in config.presets or VOXELS:
        side, flags = VOXELS[preset]
        run = parse_config(VoxelConfig, [*flags, f"--train.cpu={on_cpu}"], recipes=find_recipes("voxels"))
        speeds[preset] = run_in_subprocess(measure_throughput, run, side=side, repeats=config.repeats)
    print(format_throughput_table(speeds, item="shape", inference="making objects"), flush=True)
    print("\n" + report_preparation(sides=PREPARED_SIDES, repeats=config.repeats), flush=True)
    print("\n" + report_meshing(sides=MESHED_SIDES, repeats=config.repeats))


def compare_metrics(config: BenchmarkConfig) -> None:
    """Time every metric beside plain calls of other libraries."""
    from vidgan.evaluation import benchmark as clips
    from voxgan.evaluation import benchmark as shapes

    clip = f"{clips.FRAMES} frames of {clips.SIDE}x{clips.SIDE}"
    tables: list[tuple[str, str, Mapping[str, Comparison]]] = [
        (f"clips of {clip}", "clip", clips.compare_frame_metrics()),
        (f"clips of {clip}, in networks", "clip", dict(clips.compare_networks())),
        (f"sets of {clips.ROWS} and {clips.ROWS} clips by {clips.WIDTH} features", "clip", clips.compare_set_metrics()),
        (f"shapes of {shapes.SIDE}^3 voxels", "shape", shapes.voxel_comparisons()),
        ("surfaces", "surface", shapes.surface_comparisons()),
        (f"sets of {shapes.SET_SIZE} and {shapes.SET_SIZE} shapes", "shape", shapes.set_comparisons()),
    ]
    write_tables(config, [(title, item, comparisons) for title, item, comparisons in tables if comparisons])


def compare_peers(config: BenchmarkConfig) -> None:
    """Time training, prediction, reading, preparation, meshing and starting beside what else could be used."""
    import torch

    from gancore.comparison import Comparison, format_limits, measure_limits
    from vidgan import peer_benchmark as clips
    from vidgan.data.dataset import BUNDLED_CLIP
    from vidgan.networks.generator import FramePredictor
    from voxgan import peer_benchmark as shapes

    print(format_limits(measure_limits(torch.device("cpu"), repeats=config.repeats)) + "\n", flush=True)
    if missing := clips.missing_packages():
        print(f"Not installed, and left out: {', '.join(missing)}.\n", flush=True)
    parse = partial(parse_config, recipes=find_recipes("video"))
    flags = [*PEER_FRAMES, "--train.batch=4", "--train.cpu=true", "--objective.perceptual_weight=0"]
    modern = parse(VideoConfig, flags)
    small = parse(VideoConfig, ["--config=predict_small", *flags])
    plain = parse_config(
        VoxelConfig,
        [
            "--config=paper_gan_64",
            "--train.batch=8",
            "--train.cpu=true",
            "--objective.discriminator_accuracy_gate=null",
        ],
        recipes=find_recipes("voxels"),
    )
    predictor = FramePredictor.from_pretrained("vidvox/predict-small")
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
    with as_file(BUNDLED_CLIP) as film, TemporaryDirectory() as name:
        folder = Path(name)
        training = {
            "three futures by CRPS, without a game": clips.compare_training(small, folder / "small"),
            "one future and the game": clips.compare_training(modern, folder / "modern"),
        }
        game = clips.compare_game(modern, folder / "game")
        tables: list[tuple[str, str, Mapping[str, Comparison]]] = [
            ("A training step on clips of 64x64, 5 frames and 10", "clip", training),
            (
                "Updates of both players on clips of 128x128 in one channel, 4 frames and 12",
                "clip",
                {"one future and the game": game} if game else {},
            ),
            (
                "Prediction of 10 frames after 5, one clip at a time",
                "frame",
                {
                    f"{width}x{height}": clips.compare_prediction(predictor, steps=steps, height=height, width=width)
                    for steps, height, width in PREDICTED
                },
            ),
            ("Prediction at several sizes", "frame", clips.compare_sizes(predictor, SIZES)),
            (
                f"Reading windows of {clips.WINDOW} frames, 320x240 to 64x64, H.264",
                "window",
                {"in random order": clips.compare_reading(film, side=64)},
            ),
            (
                f"Updates of both players of 3D-GAN at {PEER_SIDE}^3",
                "object",
                {"layers as published": shapes.compare_training(plain, folder / "voxels", side=PEER_SIDE)},
            ),
            (
                "Meshes to voxels",
                "mesh",
                {k: v for side in PREPARED_SIDES for k, v in shapes.compare_preparation(side=side).items()},
            ),
            (
                "Voxels to meshes",
                "object",
                {f"a torus at {side}^3": shapes.compare_meshing(folder, side=side) for side in MESHED_SIDES},
            ),
            (
                "Starting",
                "start",
                {
                    "vidvox --help": Comparison(partial(run, [sys.executable, "-m", "vidvox", "--help"])),
                    "loading the model of the package": Comparison(
                        partial(run, [sys.executable, "-c", "import vidvox; vidvox.load('vidvox/predict-small')"]),
                        others={"import torch, alone": partial(run, [sys.executable, "-c", "import torch"])},
                    ),
                },
            ),
        ]
        write_tables(config, [(title, item, comparisons) for title, item, comparisons in tables if comparisons])


def write_tables(config: BenchmarkConfig, tables: "Sequence[tuple[str, str, Mapping[str, Comparison]]]") -> None:
    """Measure comparisons and print each table when it is done; write all of them if there is a file to write to."""
    import torch

    from gancore.comparison import describe_machine, format_timings, time_in_turn, timings_to_json
    from gancore.files.atomic import atomic_write, create_parents

    device, found = torch.device("cpu"), {}
    for title, item, comparisons in tables:
        timings: dict[str, dict[str, Timing]] = {
            name: time_in_turn(each, repeats=config.repeats, device=device) for name, each in comparisons.items()
        }
        print(f"### {title}\n\n{format_timings(item, timings)}\n", flush=True)
        found[title] = {"item": item, "seconds": timings_to_json(timings)}
    if config.out:
        report = {"machine": describe_machine(device), "repeats": config.repeats, "tables": found}
        create_parents(config.out)
        with atomic_write(config.out) as partial_file:
            partial_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
