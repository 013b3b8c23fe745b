"""Measure speed and memory on this machine: python tools/benchmark.py video, or voxels, or metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import torch

from gancore.benchmark import Contest, contest_report, in_own_process, report
from gancore.parsing import parse, user_errors
from vidgan.benchmark import reading, reading_report, speed
from vidgan.config import VideoConfig
from vidgan.data.dataset import DataConfig
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
NARROW = ["--generator.channels=16", "--discriminator.channels=16"]
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
        video = parse(VideoConfig, [*VIDEO[preset], *SIZE, *narrow, f"--train.cpu={str(on_cpu).lower()}"])
        future = video.data.frames - video.data.context
        name = f"{preset}, width {video.generator.channels}, {video.data.context} -> {future} frames"
        speeds[name] = in_own_process(speed, video, repeats=config.repeats)
    print(report(speeds, item="clip", inference="prediction"))
    with as_file(files("vidgan") / "assets" / "pedestrians.mp4") as film:
        data = DataConfig(source=str(film), frames=16, context=0, held_out=1.0)
        read = reading(str(film), data, repeats=config.repeats)
    print()
    print(reading_report(read, "16 frames of 64x64 from a 320x240 H.264 film"))


def measure_voxels(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    speeds = {}
    for preset in config.presets or VOXELS:
        side, flags = VOXELS[preset]
        run = parse(VoxelConfig, [*flags, f"--train.cpu={str(on_cpu).lower()}"])
        speeds[preset] = in_own_process(voxels.speed, run, side=side, repeats=config.repeats)
    print(report(speeds, item="shape", inference="making objects"), flush=True)
    print("\n" + voxels.preparing_report(sides=(32, 64), repeats=config.repeats), flush=True)
    print("\n" + voxels.meshing_report(sides=(32, 64, 128), repeats=config.repeats))


def measure_metrics(config: BenchmarkConfig, *, on_cpu: bool) -> None:
    del on_cpu  # evaluation is timed where it runs everywhere
    clip = f"{clips.FRAMES} frames of {clips.SIDE}x{clips.SIDE}"
    tables: list[tuple[str, Mapping[str, Contest]]] = [
        (f"100 clips of {clip}", clips.frame_contests()),
        (f"100 clips of {clip}, in networks", dict(clips.network_contests())),
        (f"100 clips, by {clips.WIDTH} features of {clips.ROWS} + {clips.ROWS}", clips.set_contests()),
        (f"100 shapes of {shapes.SIDE}^3 voxels", shapes.voxel_contests()),
        ("100 surfaces", shapes.surface_contests()),
        (f"100 shapes, of sets of {shapes.SET} + {shapes.SET}", shapes.set_contests()),
    ]
    for title, contests in tables:
        print(contest_report(title, contests, repeats=config.repeats) + "\n", flush=True)


@user_errors
def main() -> None:
    config = parse(BenchmarkConfig, positional=["subject"])
    on_cpu = config.cpu or not torch.cuda.is_available()
    where = "CPU" if on_cpu else torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {where}, CPU threads: {torch.get_num_threads()}\n", flush=True)
    measure = {"video": measure_video, "voxels": measure_voxels, "metrics": measure_metrics}[config.subject]
    measure(config, on_cpu=on_cpu)


if __name__ == "__main__":
    main()
