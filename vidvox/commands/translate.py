"""vidvox restore, upscale, colourise, fill and translate: translate a video or picture with a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from gancore.files.outputs import check_outputs
from gancore.model_files import BUNDLED_USER, find_bundled_models, list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.translation.commands import (
    ClipCommand,
    ColouriseConfig,
    FillConfig,
    RestoreConfig,
    TranslateConfig,
    UpscaleConfig,
)
from vidvox.commands.inputs import require_input
from vidvox.kinds import require_kind

Config = TypeVar("Config", bound=ClipCommand)
MAIN_KEYS = ("out", "model", "strength", "compare", "each", "memory", "cpu", "overwrite")
"""Settings that --help shows for each of these commands that has them."""


@report_user_errors
def restore(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Remove noise, compression artefacts, rain or smoke."""
    config = _parse(
        RestoreConfig,
        argv,
        prog=prog,
        main=("kind",),
        examples=f"""
            {prog} film.mp4 -o clean.mp4
            {prog} film.mp4 --kind rain -o dry.mp4
            {prog} photo.jpg -o clean.png --strength 0.7
            {prog} film.mp4 -o both.mp4 --compare
            {prog} FILMS -o CLEAN
        """,
    )
    default = f"vidvox/restore-{config.kind}" if config.kind else "vidvox/restore"
    _translate(config, model=config.model or default, name="restored")


@report_user_errors
def upscale(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Enlarge a video or picture."""
    config = _parse(
        UpscaleConfig,
        argv,
        prog=prog,
        main=("scale",),
        examples=f"""
            {prog} film.mp4 --scale 4 -o large.mp4
            {prog} photo.png -o large.png
            {prog} film.mp4 -m runs/upscale -o large.mp4
        """,
    )
    model = config.model or f"vidvox/upscale-{config.scale or 2}"
    _translate(config, model=model, name="upscaled", scale=config.scale)


@report_user_errors
def colourise(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Colour a grey video or picture."""
    config = _parse(
        ColouriseConfig,
        argv,
        prog=prog,
        examples=f"""
            {prog} film.mp4 -o coloured.mp4
            {prog} photo.jpg -o coloured.png --strength 0.8
        """,
    )
    _translate(config, model=config.model, name="coloured")


@report_user_errors
def fill(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Fill marked regions or missing frames."""
    config = _parse(
        FillConfig,
        argv,
        prog=prog,
        main=("mask", "box", "missing"),
        examples=f"""
            {prog} film.mp4 --mask mask.png -o filled.mp4
            {prog} film.mp4 --box 10,20,40,60 -o filled.mp4
            {prog} film.mp4 --missing 10-14,30 -o filled.mp4
        """,
    )
    if config.mask:
        require_input(config.mask)
    _translate(config, model=config.model, name="filled", inputs=[config.mask])


@report_user_errors
def translate(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Translate a video or picture with a model of the user's own."""
    config = _parse(
        TranslateConfig,
        argv,
        prog=prog,
        main=("back",),
        examples=f"""
            {prog} day.mp4 -m runs/day2night -o night.mp4
            {prog} night.mp4 -m runs/day2night --back -o day.mp4
            {prog} SKETCHES -m runs/photos -o PHOTOS --each
        """,
    )
    _translate(config, model=config.model, name="translated", back=config.back)


def _parse(
    config_class: type[Config], argv: Sequence[str] | None, *, prog: str, examples: str, main: Sequence[str] = ()
) -> Config:
    keys = [key for key in MAIN_KEYS if key in config_class.__dataclass_fields__]
    return parse_config(config_class, argv, prog=prog, positional=["clip"], main=[*main, *keys], examples=examples)


def _translate(
    config: ClipCommand,
    *,
    model: str,
    name: str,
    scale: int | None = None,
    back: bool = False,
    inputs: Sequence[Path | None] = (),
) -> None:
    """Check the settings, load the model and translate.

    Args:
        config: The settings of the command.
        model: The model to use.
        name: Default name of the output, and label of the result in a comparison.
        scale: Factor by which the model must enlarge; any if None.
        back: Translate from what the model makes to what it takes.
        inputs: Further files that are read, which the output must not replace.
    """
    require_input(config.clip)
    _require_translator(model)
    inputs = [*inputs, *list_model_inputs(model)]
    if config.out:  # checked before anything slow is imported
        are_files = bool(config.out.suffix)
        check_outputs([config.out], inputs=[config.clip, *inputs], overwrite=config.overwrite, are_files=are_files)

    from gancore.device import select_device
    from vidgan.translation.direction import open_translator
    from vidgan.translation.films import plan_films, translate_files

    jobs = plan_films(config, name=name, inputs=inputs)
    network = open_translator(model, back=back).to(select_device(cpu=config.cpu))
    if scale and network.shape.scale != scale:
        raise ValueError(f"scale: {model} enlarges by {network.shape.scale}, not by {scale}")
    if isinstance(config, FillConfig) and not network.shape.masked:
        raise ValueError(f"{model} was trained without a mask, so it cannot fill")
    done = translate_files(jobs, network, config, label=name)
    if len(done) == 1 and len(jobs) == 1:
        frames = "1 frame" if done[0].frames == 1 else f"{done[0].frames} frames"
        print(f"{frames} of {done[0].height}x{done[0].width}: {jobs[0].target}")
    else:
        print(f"{len(done)} clips, {sum(each.frames for each in done)} frames: {config.out or name}")


def _require_translator(model: str) -> None:
    """Raise ValueError unless the model translates clips; a bundled name is checked before the Hub is asked."""
    bundled = find_bundled_models()
    if model.startswith(f"{BUNDLED_USER}/") and model not in bundled and not Path(model).exists():
        raise ValueError(
            f"{model} does not come with this version; give a model of your own with -m (vidvox train translation "
            "trains one)"
        )
    require_kind(model, "ClipTranslator", "TranslatorPair")
