"""Measure objects: python tools/evaluate_voxels.py --model runs/NAME/generator --data furniture --out REPORT."""

from gancore.errors import report_user_errors
from gancore.parsing import parse_config
from voxgan.commands import EvaluateConfig
from voxgan.evaluation.evaluate import evaluate
from voxgan.evaluation.page import write_report
from voxgan.evaluation.summary import format_summary


@report_user_errors
def main() -> None:
    config = parse_config(EvaluateConfig)
    for folder in (config.out, config.rating_page and config.rating_page.parent):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    result = evaluate(config)
    written = write_report(result, config)  # before anything is printed, which a closed pipe would cut short
    print(format_summary(result.report))
    for path in written:
        print(path)


if __name__ == "__main__":
    main()
