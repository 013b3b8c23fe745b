"""vidvox train video: trains a predictor or generator of clips on a folder of videos."""

from collections.abc import Sequence
from dataclasses import dataclass

from gancore.parsing import parse_config, report_user_errors
from vidgan.config import VideoConfig
from vidgan.data_config import NAMED_SOURCES
from vidvox.commands import training
from vidvox.recipes import find_recipes

RECIPE = "folder_64"
"""Used without --config."""


@dataclass(frozen=True, kw_only=True)
class TrainVideoConfig(training.ProcessesConfig, VideoConfig):
    """Train a next-frame predictor, or with data.context_frames 0 a generator of whole clips. Without --config the
    recipe folder_64 is used, whose settings (vidvox show folder_64) replace the defaults below."""


@report_user_errors
def main(argv: Sequence[str], *, prog: str) -> None:
    """Train on a folder of videos."""
    config = parse_config(
        TrainVideoConfig,
        training.add_default_recipe(argv, RECIPE),
        prog=prog,
        positional=["data.path"],
        main=[
            *training.SHARED_KEYS,
            *("data.height", "data.width", "data.channels", "data.clip_frames", "data.context_frames"),
        ],
        recipes=find_recipes("video"),
        examples=f"""
            {prog} VIDEOS --run runs/mine
            {prog} VIDEOS --run runs/grey --data.channels 1 --train.start_from none --train.max_minutes 60
            {prog} --config moving_mnist_64
            {prog} VIDEOS --run runs/mine --processes 4
            {prog} VIDEOS --config runs/mine/config.json --run runs/again --train.seed 1
        """,
    )
    training.check_source(config.data.path, argv, named=NAMED_SOURCES, of="videos", prog=prog)
    if config.processes and config.processes > 1:
        training.train_together(config.processes, prog, argv)

    from vidvox import train

    train.train_video(training.upcast(config, VideoConfig))
