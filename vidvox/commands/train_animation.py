"""vidvox train animation: trains a network that animates the figure in a picture with the motion of a video."""

from collections.abc import Sequence
from dataclasses import dataclass

from gancore.parsing import parse_config, report_user_errors
from vidgan.animation_config import AnimationConfig
from vidgan.data_config import NAMED_SOURCES
from vidvox.commands import training
from vidvox.recipes import find_recipes

RECIPE = "sprites"
"""Used without --config."""


@dataclass(frozen=True, kw_only=True)
class TrainAnimationConfig(training.ProcessesConfig, AnimationConfig):
    """Train a network that animates the figure in a picture with the motion of a video. Without --config the recipe
    sprites is used, whose settings (vidvox show sprites) replace the defaults below."""


@report_user_errors
def main(argv: Sequence[str], *, prog: str) -> None:
    """Train on puppets, or on a folder of videos that show one figure each."""
    config = parse_config(
        TrainAnimationConfig,
        training.add_default_recipe(argv, RECIPE),
        prog=prog,
        positional=["data.path"],
        main=[
            *training.SHARED_KEYS,
            *("data.height", "data.width", "data.clip_frames", "generator.keypoints", "generator.local_motion"),
        ],
        recipes=find_recipes("animation"),
        examples=f"""
            {prog} puppets --run runs/animator
            {prog} VIDEOS --run runs/mine --generator.local_motion position --objective.jacobian_weight 0
        """,
    )
    training.check_source(config.data.path, argv, named=NAMED_SOURCES, of="videos", prog=prog)
    if config.processes and config.processes > 1:
        training.train_together(config.processes, prog, argv)

    from vidvox import train

    train.train_animation(training.upcast(config, AnimationConfig))
