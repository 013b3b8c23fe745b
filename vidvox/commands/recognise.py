"""vidvox recognise: classifies clean, degraded and restored clips."""

from collections.abc import Sequence
from pathlib import Path

from gancore.evaluation.config import REPORT_FILE, REPORT_PAGE
from gancore.files.atomic import create_parents
from gancore.files.outputs import check_outputs, check_replaceable
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import RecogniseConfig
from vidvox.kinds import require_kind


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Classify clips, print a table and write a report."""
    config = parse_config(
        RecogniseConfig,
        argv,
        prog=prog,
        positional=["data.path"],
        main=[
            *("degradations", "severities", "restorer", "network", "rotate"),
            *("data.layout", "data.holdout_prefixes", "data.height", "data.width", "data.clip_frames"),
            *("out", "seed", "cpu", "overwrite"),
        ],
        examples="""
            vidvox recognise KTH --degradations [noise,rain] --severities [1,3,5] --restorer runs/restore -o report
            vidvox recognise ACTIONS --data.holdout_prefixes [person1_,person2_] --rotate
        """,
    )
    if not Path(config.data.path).exists():
        raise FileNotFoundError(f"no such file or folder: {config.data.path}")
    outputs = [config.out / REPORT_FILE, config.out / REPORT_PAGE] if config.out else []
    restorer = list_model_inputs(config.restorer) if config.restorer else []
    check_outputs(outputs, inputs=[Path(config.data.path), *restorer], overwrite=config.overwrite, are_files=True)
    if config.restorer:
        require_kind(config.restorer, "ClipTranslator", "TranslatorPair")
    for path in outputs:
        check_replaceable(path)
        create_parents(path)

    from vidgan.evaluation.recognition import recognise
    from vidgan.evaluation.recognition_report import format_summary, write_report

    report = recognise(config)
    if config.out:
        write_report(report, config.out)  # before printing, since a closed pipe ends the process
    print(format_summary(report))
