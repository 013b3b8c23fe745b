"""vidvox degrade: degrades a clip, a picture or a folder of them."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import DegradeConfig
from vidvox.commands.inputs import require_input


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Degrade clips and write them."""
    config = parse_config(
        DegradeConfig,
        argv,
        prog=prog,
        positional=["clip"],
        main=["kind", "severity", "out", "seed", "overwrite"],
        examples="""
            vidvox degrade clip.mp4 --kind rain -o spoilt.mp4
            vidvox degrade photo.png --kind blur+noise+jpeg --severity 2 -o spoilt.png
            vidvox degrade clip.mp4 --kind shrink-4 -o small.npy
            vidvox degrade VIDEOS --kind second-order -o SPOILT
        """,
    )
    check_outputs([config.out], inputs=[config.clip], overwrite=config.overwrite, are_files=bool(config.out.suffix))
    require_input(config.clip)

    from vidgan.degrade import plan, spoil, spoil_each

    works = plan(config)
    if len(works) == 1 and works[0].target == config.out:
        found = f"{spoil(works[0], config)} frames"
    else:
        found = f"{spoil_each(works, config)} clips"
    print(f"{found}, {config.kind} of severity {config.severity:g}: {config.out}")
