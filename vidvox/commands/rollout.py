"""vidvox rollout: rolls a world model out from a clip over a sequence of actions."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.rollout_config import RolloutConfig
from vidvox.commands.inputs import require_input
from vidvox.kinds import require_kind


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Roll the model out, write the frames, and print how they compare with the ground truth where it is known."""
    config = parse_config(
        RolloutConfig,
        argv,
        prog=prog,
        positional=["clip"],
        main=[
            *("model", "actions", "out", "start", "steps", "refresh", "size", "truncation", "labels", "seed"),
            *("cpu", "overwrite"),
        ],
        examples="""
            vidvox rollout episode.npz -m runs/world
            vidvox rollout clip.mp4 -m runs/world --actions plan.npy -o out.mp4
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
    if config.actions and not config.actions.exists():
        raise FileNotFoundError(f"no such file: {config.actions}")

    from vidgan.files.video import check_clip_path
    from vidgan.rollout import format_rollout, roll_out

    check_clip_path(config.out, overwrite=config.overwrite)
    for line in format_rollout(roll_out(config)):
        print(line)
    print(config.out)
