"""vidvox predict: how a video continues."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.files.reading import containing_file
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import PredictConfig
from vidvox.kinds import require_kind


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Predict how a video continues, write it, and print how it compares where the truth is known."""
    config = parse_config(
        PredictConfig,
        argv,
        prog=prog,
        positional=["clip"],
        main=[
            *("out", "steps", "samples", "truncation", "actions", "start", "stride", "size", "compare"),
            *("labels", "seed"),
            *("cpu", "overwrite"),
        ],
        examples="""
            vidvox predict clip.mp4
            vidvox predict clip.mp4 -m runs/mine -o future.mp4 --samples 3
            vidvox predict clip.mp4 -m runs/mine -o check.png --compare
            vidvox predict frames/ -m user/name -o future.gif --steps 20 --size 128x128
        """,
    )
    check_outputs(
        [config.out],
        inputs=[config.clip, *([config.actions] if config.actions else []), *list_model_inputs(config.model)],
        overwrite=config.overwrite,
        are_files=bool(config.out.suffix),
    )
    require_kind(config.model, "FramePredictor")
    if not containing_file(config.clip).exists():
        raise FileNotFoundError(f"no such file or folder: {config.clip}")

    from vidgan.files.video import check_clip_path
    from vidgan.predict import format_comparison, predict, write_prediction

    check_clip_path(config.out, overwrite=config.overwrite)
    prediction = predict(config)
    comparison = format_comparison(prediction) if config.compare else None  # what it refuses leaves no file behind
    write_prediction(prediction, config.out, labels=config.labels)
    if comparison:
        print(comparison)
    samples, steps = prediction.futures.shape[:2]
    print(f"{steps} frames, {samples} {'future' if samples == 1 else 'futures'}: {config.out}")
