"""vidvox train video, vidvox train voxels: from a folder of videos or meshes to a trained model."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gancore.parsing import parse_config, report_user_errors
from vidgan.config import VideoConfig
from vidvox.recipes import find_recipes
from voxgan.config import VoxelConfig

Config = TypeVar("Config")

VIDEO_RECIPE, VOXEL_RECIPE = "folder_64", "furniture_32"
"""The recipes that are used without --config."""

SHARED_KEYS = ("run", "train.steps", "train.batch", "train.max_minutes", "train.seed", "train.cpu", "processes")


@dataclass(frozen=True, kw_only=True)
class TrainVideoConfig(VideoConfig):
    """Train a next-frame predictor, or with data.context_frames 0 a generator of whole clips. Without --config the
    recipe folder_64 is used, whose settings (vidvox show folder_64) take the place of the defaults below."""

    processes: int | None = None
    """Local processes, one a GPU, that train together; only this one if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")


@dataclass(frozen=True, kw_only=True)
class TrainVoxelsConfig(VoxelConfig):
    """Train a network from pictures to objects, or with encoder.kind none a generator from noise. A folder of meshes is
    prepared first, into a data set beside the run folder. Without --config the recipe furniture_32 is used, whose
    settings (vidvox show furniture_32) take the place of the defaults below."""

    processes: int | None = None
    """Local processes, one a GPU, that train together; only this one if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")


@report_user_errors
def train_video(argv: Sequence[str], *, prog: str) -> None:
    """Train on a folder of videos."""
    config = parse_config(
        TrainVideoConfig,
        _with_default_recipe(argv, VIDEO_RECIPE),
        prog=prog,
        positional=["data.path"],
        main=[*SHARED_KEYS, "data.height", "data.width", "data.channels", "data.clip_frames", "data.context_frames"],
        recipes=find_recipes("video"),
        examples=f"""
            {prog} VIDEOS --run runs/mine
            {prog} VIDEOS --run runs/grey --data.channels 1 --train.max_minutes 60
            {prog} --config moving_mnist_64
            {prog} VIDEOS --run runs/mine --processes 4
            {prog} VIDEOS --config runs/mine/config.json --run runs/again --train.seed 1
        """,
    )
    path = config.data.path
    if path != "moving-mnist" and not Path(path).exists():
        raise FileNotFoundError(f"no such file or folder: {path}; give the folder of your videos: {prog} FOLDER")
    if config.processes and config.processes > 1:
        _train_together(config.processes, prog, argv)

    from vidvox import train

    train.train_video(_upcast(config, VideoConfig))


@report_user_errors
def train_voxels(argv: Sequence[str], *, prog: str) -> None:
    """Train on a prepared data set, or on a folder of meshes, which is prepared first."""
    config = parse_config(
        TrainVoxelsConfig,
        _with_default_recipe(argv, VOXEL_RECIPE),
        prog=prog,
        positional=["data.path"],
        main=[*SHARED_KEYS, "data.classes", "data.class_conditional", "data.views", "encoder.kind", "encoder.size"],
        recipes=find_recipes("voxels"),
        examples=f"""
            {prog} MESHES --run runs/shapes
            {prog} DATASET --run runs/shapes      (made by vidvox prepare)
            {prog} --config chairs_32             (the furniture that comes with the package)
            {prog} MESHES --run runs/shapes --processes 4
        """,
    )
    path = Path(config.data.path)
    if config.data.path != "furniture" and not path.exists():
        raise FileNotFoundError(f"no such folder: {path}; give the folder of your meshes or data set: {prog} FOLDER")
    if config.data.path != "furniture" and not (path / "dataset.json").is_file():
        config = replace(config, data=replace(config.data, path=str(_prepare(config))))
    if config.processes and config.processes > 1:
        _train_together(config.processes, prog, argv)

    from vidvox import train

    train.train_voxels(_upcast(config, VoxelConfig))


def _with_default_recipe(argv: Sequence[str], recipe: str) -> list[str]:
    """The words of a command line, with the recipe before them if they name no --config."""
    named = any(word.partition("=")[0] == "--config" for word in argv)
    return [*argv] if named else ["--config", recipe, *argv]


def _upcast(config: Any, parent: type[Config]) -> Config:
    """The settings that a run folder keeps, without those of the command."""
    return parent(**{field.name: getattr(config, field.name) for field in fields(parent)})  # type: ignore[arg-type]


def _prepare(config: VoxelConfig) -> Path:
    """Prepare the meshes beside the run folder, and say what failed; objects that are prepared already are kept."""
    out = config.run.with_name(f"{config.run.name}-data")
    if "RANK" in os.environ:  # the process that started this one has done so
        return out

    from voxgan.commands import PrepareConfig
    from voxgan.data.prepare import prepare_dataset

    needs_views = config.encoder.kind != "none"
    settings = PrepareConfig(
        folder=Path(config.data.path),
        out=out,
        views=PrepareConfig.views if needs_views else 0,
        view_size=max(PrepareConfig.view_size, config.encoder.size),
    )
    print(f"preparing {config.data.path} as the data set {out} ({settings.side} voxels a side)", flush=True)
    result = prepare_dataset(settings)
    why = f"; {out / 'manifest.csv'} says why" if result.failed else ""
    print(f"{result}{why}", flush=True)
    return out


def _train_together(count: int, prog: str, argv: Sequence[str]) -> NoReturn:
    """Train in `count` processes, each with the same command line, and end with their exit code.

    torch's launcher starts them; a signal to this process reaches all of them, which then stop with a checkpoint.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or processes on a CPU would fight for its cores
    local = LaunchConfig(
        run_id="vidvox",
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(local, sys.executable)("-m", "vidvox", *prog.split()[1:], *argv, "--processes=1")
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        raise SystemExit(first.exitcode) from error
    except SignalException as stop:
        raise SystemExit(128 + stop.sigval) from stop
    raise SystemExit(0)
