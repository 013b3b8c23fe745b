"""vidvox predict: predicts how a video continues."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import PredictConfig
from vidvox.commands.inputs import require_input
from vidvox.kinds import require_kind


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Predict how a video continues, write the frames, and with --compare print PSNR and SSIM."""
    config = parse_config(
        PredictConfig,
        argv,
        prog=prog,
        positional=["clip"],
        main=[
            *("out", "steps", "samples", "truncation", "actions", "start", "stride", "size", "compare"),
            *("labels", "seed", "cpu", "overwrite"),
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
        inputs=[config.clip, config.actions, *list_model_inputs(config.model)],
        overwrite=config.overwrite,
        are_files=bool(config.out.suffix),
    )
    require_kind(config.model, "FramePredictor")
    require_input(config.clip)

    from vidgan.files.video import check_clip_path
    from vidgan.predict import format_comparison, predict, write_prediction

    check_clip_path(config.out, overwrite=config.overwrite)
    prediction = predict(config)
    comparison = format_comparison(prediction) if config.compare else None  # may raise, so before a file is written
    write_prediction(prediction, config.out, labels=config.labels)
    if comparison:
        print(comparison)
    samples, steps = prediction.futures.shape[:2]
    print(f"{steps} frames, {samples} {'future' if samples == 1 else 'futures'}: {config.out}")
