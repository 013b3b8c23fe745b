"""vidvox animate: animates the figure in a picture with the motion of a video."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.animation.commands import AnimateConfig
from vidvox.commands.inputs import require_input
from vidvox.kinds import require_kind


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Animate the figure in a picture, and write the video."""
    config = parse_config(
        AnimateConfig,
        argv,
        prog=prog,
        positional=["source", "driving"],
        main=["out", "model", "relative", "compare", "cpu", "overwrite"],
        examples=f"""
            {prog} source.png driving.mp4 -o moved.mp4 -m runs/animator
            {prog} source.png driving.mp4 -o moved.mp4 -m runs/animator --relative false
            {prog} source.png driving.mp4 -o both.mp4 -m runs/animator --compare
        """,
    )
    for path in (config.source, config.driving):
        require_input(path)
    inputs = [config.source, config.driving, *list_model_inputs(config.model)]
    check_outputs([config.out], inputs=inputs, overwrite=config.overwrite, are_files=bool(config.out.suffix))
    require_kind(config.model, "Animator")

    from gancore.device import select_device
    from vidgan.animation.films import animate_file
    from vidgan.networks.animator import Animator

    network = Animator.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    frames, height, width = animate_file(network, config)
    print(f"{'1 frame' if frames == 1 else f'{frames} frames'} of {height}x{width}: {config.out}")
