"""vidvox benchmark: speed and memory of training, prediction, preparation and metrics on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file
from typing import TYPE_CHECKING, Literal

from gancore.parsing import parse_config, report_user_errors
from vidgan.config import VideoConfig
from vidgan.data_config import VideoDataConfig
from vidvox.kinds import require_kind
from vidvox.recipes import find_recipes
from voxgan.config import VoxelConfig

if TYPE_CHECKING:
    from gancore.benchmark import Comparison

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
    "count": COUNTED,
    "world": (),
}


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Measure training and what surrounds it, each preset in a process of its own."""

    subject: Literal["video", "voxels", "metrics", "count", "world"]
    """video: training, prediction and reading; voxels: training, preparing and extracting meshes; metrics; count:
    operations and memory of a training step that is counted and not computed; or world: a step of a model that follows
    actions, or of any other predictor."""

    model: str | None = None
    """The predictor whose step is timed; for world."""

    presets: tuple[str, ...] = ()
    """Presets to train with: tiny, modern, paper for video, tiny, modern-32, modern-64 for voxels; all by default. To
    count, recipes of large networks: dvdgan_256x48 by default."""

    repeats: int = 5
    """Repetitions of each measurement, of which the median counts."""

    cpu: bool = False
    """Use the CPU even if there is a GPU; metrics are always timed there."""

    def __post_init__(self) -> None:
        if unknown := set(self.presets) - set(PRESETS[self.subject]):
            known = f"choose from {', '.join(PRESETS[self.subject])}" if PRESETS[self.subject] else "metrics have none"
            raise ValueError(f"presets: unknown preset {', '.join(sorted(unknown))}; {known}")
        if (self.subject == "world") != (self.model is not None):
            raise ValueError("model and world go together: give vidvox benchmark world --model MODEL")
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")


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
            vidvox benchmark world --model runs/world
            vidvox benchmark count --presets paper_64_fp
        """,
    )

    if config.subject == "count":
        count_steps(config)
        return

    import torch

    from gancore.device import select_device

    on_cpu = select_device(cpu=config.cpu).type == "cpu"
    device = "CPU" if on_cpu else torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {device}, CPU threads: {torch.get_num_threads()}\n", flush=True)
    if config.subject == "video":
        measure_video(config, on_cpu=on_cpu)
    elif config.subject == "voxels":
        measure_voxels(config, on_cpu=on_cpu)
    elif config.subject == "world":
        measure_world(config)
    else:
        measure_metrics(config)


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


def measure_metrics(config: BenchmarkConfig) -> None:
    """Time every metric beside plain calls of other libraries."""
    from gancore.benchmark import format_comparison_table
    from vidgan.evaluation import benchmark as clips
    from voxgan.evaluation import benchmark as shapes

    clip = f"{clips.FRAMES} frames of {clips.SIDE}x{clips.SIDE}"
    tables: list[tuple[str, Mapping[str, Comparison]]] = [
        (f"100 clips of {clip}", clips.compare_frame_metrics()),
        (f"100 clips of {clip}, in networks", dict(clips.compare_networks())),
        (f"100 clips, by {clips.WIDTH} features of {clips.ROWS} + {clips.ROWS}", clips.compare_set_metrics()),
        (f"100 shapes of {shapes.SIDE}^3 voxels", shapes.voxel_comparisons()),
        ("100 surfaces", shapes.surface_comparisons()),
        (f"100 shapes, of sets of {shapes.SET_SIZE} + {shapes.SET_SIZE}", shapes.set_comparisons()),
    ]
    for title, comparisons in tables:
        print(format_comparison_table(title, comparisons, repeats=config.repeats) + "\n", flush=True)
