"""vidvox train translation: trains a network that translates clips, from a folder of videos or of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

from gancore.parsing import parse_config, report_user_errors
from vidgan.data_config import NAMED_SOURCES
from vidgan.translation_config import TranslationConfig
from vidvox.commands import training
from vidvox.recipes import find_recipes

RECIPE = "restore"
"""Used without --config."""


@dataclass(frozen=True, kw_only=True)
class TrainTranslationConfig(training.ProcessesConfig, TranslationConfig):
    """Train a network that restores, enlarges, colours, fills or translates clips. Without --config the recipe restore
    is used, whose settings (vidvox show restore) replace the defaults below."""


@report_user_errors
def main(argv: Sequence[str], *, prog: str) -> None:
    """Train on a folder of videos, whose degraded copies are the sources, or on pairs."""
    config = parse_config(
        TrainTranslationConfig,
        training.add_default_recipe(argv, RECIPE),
        prog=prog,
        positional=["data.path"],
        main=[
            *training.SHARED_KEYS,
            *("data.degradations", "data.sources", "data.paired", "data.height", "data.width", "data.clip_frames"),
        ],
        recipes=find_recipes("translation"),
        examples=f"""
            {prog} VIDEOS --run runs/restore
            {prog} VIDEOS --config upscale_4 --run runs/upscale
            {prog} VIDEOS --data.degradations [fog,smoke] --run runs/clear
            {prog} PHOTOS --data.sources SKETCHES --data.degradations [] --generator.output frames --run runs/photos
            {prog} DAY --data.sources NIGHT --data.degradations [] --config night_to_day --run runs/night
        """,
    )
    for path in filter(None, (config.data.path, config.data.sources)):
        training.check_source(path, argv, named=(*NAMED_SOURCES, "left", "right"), of="videos", prog=prog)
    if config.processes and config.processes > 1:
        training.train_together(config.processes, prog, argv)

    from vidvox import train

    train.train_translation(training.upcast(config, TranslationConfig))
