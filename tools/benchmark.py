"""Measure speed and memory on this machine: python tools/benchmark.py video, or voxels, or metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import torch

from gancore.benchmark import Comparison, format_comparison_table, format_throughput_table, run_in_subprocess
from gancore.parsing import parse_config, report_user_errors
from vidgan.benchmark import format_reading_time, measure_reading_time, measure_throughput
from vidgan.config import VideoConfig, VideoDataConfig
from vidgan.evaluation import benchmark as clips
from voxgan import benchmark as voxels
from voxgan.config import VoxelConfig
from voxgan.evaluation import benchmark as shapes

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "video"

SIZE = ["--data.height=64", "--data.width=64"]
VIDEO = {
    "tiny": [f"--config={CONFIGS / 'tiny.yaml'}"],
    "modern": [],
    "paper": [f"--config={CONFIGS / 'paper_64_fp.yaml'}", "--train.batch=2"],
}
NARROW = ["--generator.base_channels=16", "--discriminator.base_channels=16"]
"""What makes the paper's 821 million parameters bearable on a CPU."""
VOXELS = {"modern-32": (32, ["--train.batch=16"]), "modern-64": (64, ["--train.batch=4"])}
"""Side, and what differs from the defaults."""
PRESETS: dict[str, tuple[str, ...]] = {"video": tuple(VIDEO), "voxels": tuple(VOXELS), "metrics": ()}


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Measure training and what surrounds it, each preset in a process of its own."""

    subject: Literal["video", "voxels", "metrics"]
    """Training, prediction and reading; training, preparing meshes and making them; or what evaluation costs."""

    presets: tuple[str, ...] = ()
    """Which presets to train with; all of the subject's if none is given."""

    repeats: int = 5
    """Times each thing is measured; the median counts."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU; metrics are timed there anyway."""

    def __post_init__(self) -> None:
        if unknown := set(self.presets) - set(PRESETS[self.subject]):
            known = ", ".join(PRESETS[self.subject]) or "those of video and voxels"
            raise ValueError(f"presets: {', '.join(sorted(unknown))} is none of {known}")
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")


def measure_video(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    speeds = {}
    for preset in config.presets or VIDEO:
        narrow = NARROW if on_cpu and preset == "paper" else []
        video = parse_config(VideoConfig, [*VIDEO[preset], *SIZE, *narrow, f"--train.cpu={str(on_cpu).lower()}"])
        future = video.data.clip_frames - video.data.context_frames
        name = f"{preset}, width {video.generator.base_channels}, {video.data.context_frames} -> {future} frames"
        speeds[name] = run_in_subprocess(measure_throughput, video, repeats=config.repeats)
    print(format_throughput_table(speeds, item="clip", inference="prediction"))
    with as_file(files("vidgan") / "assets" / "pedestrians.mp4") as film:
        data = VideoDataConfig(path=str(film), clip_frames=16, context_frames=0, holdout_fraction=1.0)
        read = measure_reading_time(str(film), data, repeats=config.repeats)
    print()
    print(format_reading_time(read, "16 frames of 64x64 from a 320x240 H.264 film"))


def measure_voxels(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    speeds = {}
    for preset in config.presets or VOXELS:
        side, flags = VOXELS[preset]
        run = parse_config(VoxelConfig, [*flags, f"--train.cpu={str(on_cpu).lower()}"])
        speeds[preset] = run_in_subprocess(voxels.measure_throughput, run, side=side, repeats=config.repeats)
    print(format_throughput_table(speeds, item="shape", inference="making objects"), flush=True)
    print("\n" + voxels.report_preparation(sides=(32, 64), repeats=config.repeats), flush=True)
    print("\n" + voxels.report_meshing(sides=(32, 64, 128), repeats=config.repeats))


def measure_metrics(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    del on_cpu  # evaluation is timed where it runs everywhere
    clip = f"{clips.FRAMES} frames of {clips.SIDE}x{clips.SIDE}"
    tables: list[tuple[str, Mapping[str, Comparison]]] = [
        (f"100 clips of {clip}", clips.compare_frame_metrics()),
        (f"100 clips of {clip}, in networks", dict(clips.compare_networks())),
        (f"100 clips, by {clips.WIDTH} features of {clips.ROWS} + {clips.ROWS}", clips.compare_set_metrics()),
        (f"100 shapes of {shapes.SIDE}^3 voxels", shapes.voxel_comparisons()),
        ("100 surfaces", shapes.surface_comparisons()),
        (f"100 shapes, of sets of {shapes.SET_SIZE} + {shapes.SET_SIZE}", shapes.set_comparisons()),
    ]
    for title, contests in tables:
        print(format_comparison_table(title, contests, repeats=config.repeats) + "\n", flush=True)


@report_user_errors
def main() -> None:
    config = parse_config(BenchmarkConfig, positional=["subject"])
    on_cpu = config.cpu or not torch.cuda.is_available()
    where = "CPU" if on_cpu else torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {where}, CPU threads: {torch.get_num_threads()}\n", flush=True)
    measure = {"video": measure_video, "voxels": measure_voxels, "metrics": measure_metrics}[config.subject]
    measure(config, on_cpu=on_cpu)


if __name__ == "__main__":
    main()
