"""vidvox benchmark: measures speed and memory of training, prediction, preparation and metrics on this machine."""

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
"""Flags of each video preset."""
NARROW = ("--generator.base_channels=16", "--discriminator.base_channels=16")
"""Flags that shrink the paper's 821 million parameters for a CPU."""
VOXELS = {
    "tiny": (32, ["--config=tiny"]),
    "modern-32": (32, ["--train.batch=16"]),
    "modern-64": (64, ["--train.batch=4"]),
}
"""Voxels a side and flags of each voxel preset."""
PREPARED_SIDES, MESHED_SIDES = (32, 64), (32, 64, 128)
"""Voxels a side of the grids that meshes are converted to, and of those that are converted to meshes."""
KINETICS_CLASSES = 600
"""Number of classes of class-conditional recipes in `count`."""
COUNTED = ("dvdgan_256x48", "paper_64_fp", "trivd_64_fp", "kinetics600_64_fp", "bair_64_fp", "tiny")
"""Recipes that `count` accepts; the first is the default."""
PRESETS: dict[str, tuple[str, ...]] = {
    "video": tuple(VIDEO),
    "voxels": tuple(VOXELS),
    "metrics": (),
    "peers": (),
    "count": COUNTED,
    "world": (),
}
PEER_FRAMES = (*SIZE, "--data.context_frames=5", "--data.clip_frames=15")
"""Flags for the clips that our networks and the reference networks train on."""
PREDICTED = ((10, 64, 64), (10, 120, 160))
"""Frames, height and width of the predictions that are compared with reference networks."""
SIZES = ((10, 64, 64), (20, 64, 64), (40, 64, 64), (10, 128, 128), (10, 256, 256))
"""Frames, height and width of our predictions whose costs are compared with each other."""
UNGATED = "--objective.discriminator_accuracy_gate=null"
"""Flag that makes the paper's recipe update its discriminator at every step."""
PEER_SIDE = 32
"""Voxels a side of the objects that our 3D-GAN and the textbook one train on."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Measure speed and memory of training, prediction, data and metrics; each preset runs in its own process."""

    subject: Literal["video", "voxels", "metrics", "peers", "count", "world"]
    """video: training, prediction and reading; voxels: training, preparation and surface extraction; metrics; peers:
    the same work compared with other libraries and plain implementations; count: operations and memory of a training
    step, computed without running it; world: one step of a predictor, such as a world model."""

    model: str | None = None
    """The predictor whose step is timed; for world only."""

    presets: tuple[str, ...] = ()
    """Presets to measure: tiny, modern, paper for video; tiny, modern-32, modern-64 for voxels; all by default. For
    count, recipes: dvdgan_256x48 by default."""

    repeats: int = 5
    """Repetitions of each measurement, whose median is reported."""

    cpu: bool = False
    """Use the CPU even if there is a GPU; metrics and peers are always timed on the CPU."""

    out: Path | None = None
    """JSON file for the times of metrics or peers, in seconds per item."""

    def __post_init__(self) -> None:
        if unknown := set(self.presets) - set(PRESETS[self.subject]):
            known = f"choose from {', '.join(PRESETS[self.subject])}" if PRESETS[self.subject] else "there are none"
            raise ValueError(f"presets: unknown preset {', '.join(sorted(unknown))}; {known}")
        if (self.subject == "world") != (self.model is not None):
            raise ValueError("model is for world, which needs one: vidvox benchmark world --model MODEL")
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")
        if self.out and self.subject not in {"metrics", "peers"}:
            raise ValueError(f"out: the times of {self.subject} are only printed")


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Measure, and print a table of each kind of work."""
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
    """Time training and prediction with every preset, and reading a video."""
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
    """Count operations and memory of a training step of each recipe, with timesteps recomputed and without."""
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
    """Time training and generation with every preset, mesh preparation and surface extraction."""
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
    """Time every metric, compared with other libraries where they have it."""
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
    """Time training, prediction, reading, preparation, meshing and start-up, compared with other implementations."""
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
    paper_gan = parse_config(
        VoxelConfig,
        ["--config=paper_gan_64", "--train.batch=8", "--train.cpu=true", UNGATED],
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
                {"layers as published": shapes.compare_training(paper_gan, folder / "voxels", side=PEER_SIDE)},
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
    """Measure the comparisons, print each table when it is done, and write all of them to `out` if given."""
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
