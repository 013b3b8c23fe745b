"""Measure a model or another tool's clips: python tools/evaluate_video.py --model runs/NAME/generator --out FOLDER."""

from gancore.errors import report_user_errors
from gancore.parsing import parse_config
from vidgan.commands import EvaluateConfig
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.media import write_preference_pairs
from vidgan.evaluation.page import write_report
from vidgan.evaluation.sources import open_evaluation_set, read_run_defaults
from vidgan.evaluation.summary import format_summary


@report_user_errors
def main() -> None:
    config = parse_config(EvaluateConfig, defaults=read_run_defaults)
    for folder in (config.out, config.rating_page and config.rating_page.parent):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    evaluation_set = open_evaluation_set(config)
    report = evaluate(config, evaluation_set)
    if config.out:
        write_report(report, evaluation_set, config, config.out)  # before printing, which a closed pipe would cut short
    print(format_summary(report))
    if config.rating_page:
        key = write_preference_pairs(evaluation_set, config)
        print(f"\n{config.rating_page} asks people to choose; {key}, which they must not see, tells which is which")


if __name__ == "__main__":
    main()
