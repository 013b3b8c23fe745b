"""vidvox skeletons: draws poses as clips, to train a translation from skeletons to figures on."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.animation.commands import SkeletonsConfig
from vidvox.commands.inputs import require_input
from vidvox.kinds import require_kind


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Draw the joints of puppets, or the keypoints of clips."""
    config = parse_config(
        SkeletonsConfig,
        argv,
        prog=prog,
        main=["out", "clips", "model", "figure", "count", "frames", "size", "cpu", "overwrite"],
        examples=f"""
            {prog} -o PAIRS --figure 3
            {prog} --clips CLIPS -m runs/animator -o SKELETONS
        """,
    )
    if config.clips is None or config.model is None:
        from vidgan.animation.skeletons import name_clip, write_puppet_pairs

        names = [f"{kind}/{name_clip(n)}" for kind in ("skeletons", "figures") for n in range(config.count)]
        check_outputs([config.out / name for name in names], overwrite=config.overwrite, are_files=True)
        count = write_puppet_pairs(config)
        print(f"{count} clips of figure {config.figure} and their skeletons: {config.out}")
        return
    require_input(config.clips)
    inputs = [config.clips, *list_model_inputs(config.model)]
    check_outputs([config.out], inputs=inputs, overwrite=config.overwrite, are_files=bool(config.out.suffix))
    require_kind(config.model, "Animator")

    from gancore.device import select_device
    from vidgan.animation.skeletons import write_keypoint_clips
    from vidgan.data.conversions import plan_conversions
    from vidgan.networks.animator import Animator

    jobs = plan_conversions(config.clips, config.out, overwrite=config.overwrite, limits=config)
    network = Animator.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    print(f"keypoints of {write_keypoint_clips(network, jobs, config)} clips: {config.out}")
