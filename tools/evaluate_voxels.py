"""Measure objects: python tools/evaluate_voxels.py --model runs/NAME/generator --data furniture --out REPORT."""

from pathlib import Path

from gancore.parsing import parse_config, report_user_errors
from voxgan.evaluation.evaluate import EvaluateConfig, evaluate
from voxgan.evaluation.report import format_summary, write_report


@report_user_errors
def main() -> None:
    config = parse_config(EvaluateConfig)
    for folder in filter(None, (config.out, str(Path(config.rating_page).parent))):
        Path(folder).mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    done = evaluate(config)
    written = write_report(done, config)  # before anything is printed, which a closed pipe would cut short
    print(format_summary(done.report))
    for path in written:
        print(path)


if __name__ == "__main__":
    main()
